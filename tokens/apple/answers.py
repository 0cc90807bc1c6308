"""Read what came over the wire: never more than it may be, strictly JSON, fit for a database."""

from __future__ import annotations

import json
import re
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NoReturn, Protocol

Body = dict[str, Any]

MAX_BYTES: Final = 16 * 1024 * 1024
CHUNK: Final = 256 * 1024
SHORTEST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 6 * 3600.0
GZIP: Final = 31  # zlib's way to say: 32 KiB window, gzip header and trailer

# Legal in JSON, refused by databases: NUL everywhere, half a surrogate pair by anything that writes UTF-8.
_HARMFUL_ESCAPE: Final = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_HARMFUL: Final = re.compile("[\x00\ud800-\udfff]")


class Unreadable(Exception):
    """The answer is not what an answer looks like; its text says how, and quotes nothing."""


class _Raw(Protocol):
    def read1(self, amt: int | None = None, decode_content: bool | None = None) -> bytes: ...


def read_bounded(raw: _Raw, encoding: str, deadline: float) -> bytes:
    """Return the decoded body; stop at `MAX_BYTES` (a gzip bomb included) and at the deadline (a dripping server)."""
    body = bytearray()
    for piece in _decoded(_pieces(raw, deadline), encoding.strip().lower()):
        body += piece
        if len(body) > MAX_BYTES:
            raise Unreadable("it is too large")
    return bytes(body)


def _pieces(raw: _Raw, deadline: float) -> Iterator[bytes]:
    while piece := raw.read1(CHUNK, decode_content=False):
        yield piece
        if time.monotonic() > deadline:
            raise Unreadable("it did not end in time")


def _decoded(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    if encoding in ("", "identity"):
        yield from pieces
        return
    if encoding not in ("gzip", "x-gzip"):
        raise Unreadable("it is packed in a way nobody asked for")
    unpacker = zlib.decompressobj(GZIP)
    try:
        for piece in pieces:
            rest = piece
            while rest and not unpacker.eof:
                yield unpacker.decompress(rest, CHUNK)
                rest = unpacker.unconsumed_tail
    except zlib.error:
        raise Unreadable("it is packed wrongly") from None
    if not unpacker.eof:
        raise Unreadable("its end is missing")


def decode(raw: bytes) -> Body:
    """Return the JSON object in a body, without characters that no database takes."""
    try:
        text = raw.decode("utf-8-sig")
        body = json.loads(text, parse_constant=_no_constant)
        if _HARMFUL_ESCAPE.search(raw):
            body = _cleaned(body)
    except (ValueError, RecursionError):
        raise Unreadable("it is not JSON") from None
    if not isinstance(body, dict):
        raise Unreadable("it is not a JSON object")
    return body


def _no_constant(name: str) -> NoReturn:
    raise ValueError


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _HARMFUL.sub("\ufffd", value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(item) for key, item in value.items()}
    return value


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds a `Retry-After` header asks for, from 1 s to 6 h, or None for rubbish.

    It may be a number (a negative one is clamped) or an HTTP date.
    """
    text = (value or "").strip()
    number = re.fullmatch(r"([+-]?)(\d+)(?:\.\d*)?", text, re.ASCII)
    if number is None:
        seconds = _seconds_until(text, now or datetime.now(UTC))
    elif number[1] == "-":
        seconds = SHORTEST_PAUSE
    else:
        seconds = float(number[2][:10]) if len(number[2]) <= 10 else LONGEST_PAUSE
    return None if seconds is None else min(max(seconds, SHORTEST_PAUSE), LONGEST_PAUSE)


def _seconds_until(text: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - now).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
