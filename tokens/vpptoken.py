"""Read a `*.vpptoken` file: pure, strict, and with a plain sentence for everything that is wrong with one."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from tokens.dates import parse_date
from tokens.secret import Secret

MAX_BYTES: Final = 64 * 1024
MAX_DEPTH: Final = 16
MAX_DIGITS: Final = 300
LONGEST_NAME: Final = 250
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LATEST_YEARS_AHEAD: Final = 100
MEMBERS: Final = {"token": "token", "expDate": "expiry date", "orgName": "name of the organization"}
FLAWS: Final = {"missing": "is missing", "wrong": "is not a text", "empty": "is empty"}

_SPACE: Final = b" \t\r\n\x0b\x0c"
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]*={0,2}")
_URL_SAFE: Final = re.compile(rb"[A-Za-z0-9_-]+={0,2}")
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_UNPRINTABLE: Final = re.compile("[\x01-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_LONE_OR_NUL: Final = re.compile("[\x00\ud800-\udfff]")

AGAIN: Final = "Download the content token in Apple Business (Payments and Billing) and upload that file unchanged."

SENTENCES: Final = {
    "empty": f"The file is empty. {AGAIN}",
    "too_large": f"The file is larger than 64 KiB, which no content token is. {AGAIN}",
    "p7m": "This is a token for device enrollment (.p7m), not a content token. "
    "Content tokens are downloaded under Payments and Billing and end in .vpptoken.",
    "pem": f"This is a certificate or key, not a content token. {AGAIN}",
    "zip": "This is a ZIP archive. Unpack it and upload the .vpptoken file inside.",
    "pdf": f"This is a PDF document, not a content token. {AGAIN}",
    "image": f"This is a picture, not a content token. {AGAIN}",
    "html": "This is a web page, perhaps a sign-in page saved in place of the token. " + AGAIN,
    "utf16": "The file was saved as UTF-16 by an editor. " + AGAIN,
    "decoded": "This is the readable inside of a content token (JSON); Apple wants the file as it was downloaded. "
    + AGAIN,
    "url_safe": "The text uses the URL-safe Base64 alphabet (- and _), which Apple does not: "
    "some program has rewritten it. " + AGAIN,
    "not_base64": f"The file is not Base64 text, as every content token is. {AGAIN}",
    "cut_off": f"The end of the file is missing: its Base64 text is not complete. {AGAIN}",
    "inner_token": "This looks like the inner value “token” alone; Apple wants the whole file. " + AGAIN,
    "twice_encoded": "The file was Base64-encoded a second time. " + AGAIN,
    "not_utf8": f"The file is Base64 of something that is not text. {AGAIN}",
    "not_json": f"The file is Base64, but there is no JSON inside. {AGAIN}",
    "duplicate_keys": "The same name stands twice inside the token: somebody has changed it. " + AGAIN,
    "bad_number": f"There is a number inside the token that is none (NaN or infinite). {AGAIN}",
    "long_number": f"There is a number of absurd length inside the token. {AGAIN}",
    "too_deep": f"The inside of the token is nested too deeply. {AGAIN}",
    "not_object": f"The inside of the file is not a JSON object, as that of every content token is. {AGAIN}",
    "bad_text": "The texts inside the token hold characters that cannot be stored (NUL or half a character). " + AGAIN,
    "bad_date": f"The expiry date inside the token cannot be read. {AGAIN}",
}


class BadTokenFile(Exception):
    """The file is no content token: `code` for programs, `sentence` (what is wrong, what to do next) for people."""

    def __init__(self, code: str, sentence: str | None = None) -> None:
        self.code = code
        self.sentence = sentence or SENTENCES[code]
        super().__init__(self.sentence)


@dataclass(frozen=True, slots=True)
class VppToken:
    """A content token as its file describes it; `secret` is the bearer, the same text for every wrapping of it."""

    secret: Secret
    organization: str
    expires_at: datetime

    def is_expired(self, now: datetime) -> bool:
        """Whether the date in the file has passed; Apple's own word may differ."""
        return self.expires_at <= now


def read(data: bytes, *, now: datetime) -> VppToken:
    """Return the token held by an uploaded file, expired or not; raise `BadTokenFile` for anything else.

    A byte order mark, line ends, spaces and wrapped Base64 are forgiven, nothing else is.
    """
    text = _outer(data)
    members = _members(_inner(text))
    expires_at = _date(members["expDate"], now)
    name = " ".join(_UNPRINTABLE.sub(" ", members["orgName"]).split())
    if not name:
        raise _wrong_member("empty", "orgName")
    return VppToken(Secret(text.decode("ascii")), name[:LONGEST_NAME], expires_at)


def _outer(data: bytes) -> bytes:
    """Return the Base64 text of a file, without whatever wraps it."""
    if len(data) > MAX_BYTES:
        raise BadTokenFile("too_large")
    if foreign := _foreign(data):
        raise BadTokenFile(foreign)
    text = data.removeprefix(b"\xef\xbb\xbf").translate(None, _SPACE)
    if not text:
        raise BadTokenFile("empty")
    if text[:1] in (b"{", b"["):
        raise BadTokenFile("decoded")
    if not _BASE64.fullmatch(text):
        raise BadTokenFile("url_safe" if _URL_SAFE.fullmatch(text) else "not_base64")
    if len(text) % 4:
        raise BadTokenFile("cut_off")
    return text


def _foreign(data: bytes) -> str | None:
    """Return which other kind of file this is, as far as its beginning tells."""
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip(_SPACE)
    lower = start.lower()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or (data[1:2] == b"\0" and data[3:4] == b"\0") or data[:1] == b"\0":
        return "utf16"
    if b"pkcs7-" in lower or lower.startswith((b"mime-version:", b"content-type:")) or _is_der(data):
        return "p7m"
    for code, beginnings in _BEGINNINGS.items():
        if lower.startswith(beginnings):
            return code
    return None


def _is_der(data: bytes) -> bool:
    """Whether these bytes begin like signed or enveloped ASN.1, which is what a .p7m holds."""
    return data[:1] == b"\x30" and data[1:2] in (b"\x80", b"\x81", b"\x82", b"\x83")


_BEGINNINGS: Final = {
    "pem": (b"-----begin",),
    "zip": (b"pk\x03\x04", b"pk\x05\x06"),
    "pdf": (b"%pdf",),
    "image": (b"\x89png", b"\xff\xd8\xff", b"gif8"),
    "html": (b"<",),
}


def _inner(text: bytes) -> str:
    """Return what the Base64 text says."""
    try:
        inner = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise BadTokenFile("not_base64") from None
    if base64.b64encode(inner) != text:
        raise BadTokenFile("not_base64")
    if _is_der(inner):
        raise BadTokenFile("p7m")
    try:
        return inner.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadTokenFile("inner_token" if 32 <= len(text) <= 512 else "not_utf8") from None


def _members(inner: str) -> dict[str, str]:
    """Return the three members of a token, whatever else stands beside them."""
    found = _json(inner)
    if not isinstance(found, dict):
        raise BadTokenFile("not_object")
    for name in MEMBERS:
        if name not in found:
            raise _wrong_member("missing", name)
        if not isinstance(found[name], str):
            raise _wrong_member("wrong", name)
        if _LONE_OR_NUL.search(found[name]):
            raise BadTokenFile("bad_text")
        if not found[name].strip():
            raise _wrong_member("empty", name)
    return {name: found[name] for name in MEMBERS}


def _wrong_member(flaw: str, name: str) -> BadTokenFile:
    sentence = f"This is not a complete content token: its {MEMBERS[name]} {FLAWS[flaw]}. {AGAIN}"
    return BadTokenFile(f"{flaw}_{name}", sentence)


def _json(inner: str) -> Any:
    if _depth(inner) > MAX_DEPTH:
        raise BadTokenFile("too_deep")
    try:
        return json.loads(
            inner,
            object_pairs_hook=_once_each,
            parse_constant=_no_number,
            parse_int=_bounded(int),
            parse_float=_bounded(_finite),
        )
    except (ValueError, RecursionError):
        raise BadTokenFile(_what_instead(inner)) from None


def _depth(inner: str) -> int:
    """Return how deeply brackets are nested outside strings: known before a parser has to find out."""
    depth = deepest = 0
    for mark in _STRING.sub("", inner):
        if mark in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "]}":
            depth -= 1
    return deepest


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadTokenFile("duplicate_keys")
    return found


def _no_number(name: str) -> NoReturn:
    raise BadTokenFile("bad_number")


def _bounded(convert: Callable[[str], float]) -> Callable[[str], float]:
    def number(digits: str) -> float:
        if len(digits) > MAX_DIGITS:
            raise BadTokenFile("long_number")
        return convert(digits)

    return number


def _finite(digits: str) -> float:
    number = float(digits)
    return number if abs(number) != float("inf") else _no_number(digits)


def _what_instead(inner: str) -> str:
    """Return what stands where JSON should: a token encoded once more, or nothing we know."""
    packed = inner.encode("ascii", "ignore").translate(None, _SPACE)
    if len(packed) % 4 == 0 and _BASE64.fullmatch(packed) and base64.b64decode(packed).lstrip(_SPACE)[:1] == b"{":
        return "twice_encoded"
    return "not_json"


def _date(text: str, now: datetime) -> datetime:
    """Return the expiry; one so far off that no calendar arithmetic is safe with it is none."""
    found = parse_date(text)
    if found is None or found < EARLIEST or found.year > now.year + LATEST_YEARS_AHEAD:
        raise BadTokenFile("bad_date")
    return found
