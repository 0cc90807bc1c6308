"""Signatures of devices and push certificates, as far as the standard library gets, which knows neither ASN.1 nor RSA.

A signature is taken apart and its digest compared with the body. Its mathematics, and who issued a certificate, are
not checked.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
USER_ID = bytes.fromhex("0992268993f22c640101")
SEQUENCE, OBJECT_ID, CONTEXT_0, UTC_TIME = 0x30, 0x06, 0xA0, 0x17
DIGESTS = ("sha256", "sha1", "sha384", "sha512")
PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)


class Element(NamedTuple):
    """One element of a DER encoding: its tag, its content, and both as they were."""

    tag: int
    content: bytes
    whole: bytes


def signer(header: str, body: bytes) -> str:
    """Return the fingerprint of the certificate that signed a body; a ValueError says that it is no such signature."""
    kind, content = _children(base64.b64decode(header, validate=True))
    if (kind.tag, kind.content) != (OBJECT_ID, SIGNED_DATA):
        raise ValueError("not signed data")
    signed = _children(content.content)
    certificates = next((part for part in signed if part.tag == CONTEXT_0), None)
    if certificates is None:
        raise ValueError("no certificate")
    # The digest of what was signed stands among the signed attributes, which come last.
    if not any(hashlib.new(name, body).digest() in signed[-1].content for name in DIGESTS):
        raise ValueError("signed for another body")
    return hashlib.sha256(next(elements(certificates.content)).whole).hexdigest()


def push_certificate(pem: str) -> tuple[str, datetime]:
    """Return the topic of a push certificate and when it expires; a ValueError is NanoMDM's complaint."""
    found = PEM.search(pem)
    if found is None or "PRIVATE KEY-----" not in pem:
        what = "key" if found else "certificate"
        raise ValueError(f"tls: failed to find any PEM data in {what} input")
    body, *_ = _children(base64.b64decode("".join(found[1].split()), validate=True))
    parts = list(elements(body.content))
    # The version comes first only if it is not the oldest one.
    validity, subject = parts[4:6] if parts[0].tag == CONTEXT_0 else parts[3:5]
    names = [_pair(name) for group in elements(subject.content) for name in elements(group.content)]
    topic = next((value.content.decode() for kind, value in names if kind.content == USER_ID), "")
    if not topic.startswith("com.apple.mgmt"):
        raise ValueError("invalid APNs topic in certificate subject")
    return topic, _time(_pair(validity)[1])


def _time(element: Element) -> datetime:
    layout = "%y%m%d%H%M%SZ" if element.tag == UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(element.content.decode(), layout).replace(tzinfo=UTC)


def _pair(element: Element) -> tuple[Element, Element]:
    first, second, *_ = elements(element.content)
    return first, second


def _children(raw: bytes) -> list[Element]:
    outer = next(elements(raw), None)
    children = list(elements(outer.content)) if outer and outer.tag == SEQUENCE else []
    if len(children) < 2:
        raise ValueError("not what it should be")
    return children


def elements(raw: bytes) -> Iterator[Element]:
    """The elements of a DER encoding, one after the other."""
    place = 0
    while place < len(raw):
        start, size, place = place, raw[place + 1 : place + 2], place + 2
        length = size[0] if size else -1
        if length >= 0x80:
            count = length & 0x7F
            length, place = int.from_bytes(raw[place : place + count], "big"), place + count
        if length < 0 or place + length > len(raw):
            raise ValueError("not DER")
        yield Element(raw[start], raw[place : place + length], raw[start : place + length])
        place += length
