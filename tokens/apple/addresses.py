"""Which addresses may be asked, and which may be given the credential."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

# So plain that no two URL parsers can disagree about the host.
_PLAIN: Final = re.compile(
    r"(?:https?)://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::([0-9]{1,5}))?(?:/[A-Za-z0-9._~/%+-]*)?"
)
_PORTS: Final = {"http": 80, "https": 443}


def is_plain(url: str) -> bool:
    """Whether this is a web address without user, query or anything odd."""
    match = _PLAIN.fullmatch(url)
    return match is not None and int(match[1] or 0) < 65536


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a plain address."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").rstrip("."), parts.port or _PORTS[parts.scheme]


def may_hold_credential(url: str, base_url: str) -> bool:
    """Whether the credential may go to `url`: the origin we were told to trust, or Apple over TLS."""
    return is_plain(url) and is_plain(base_url) and (origin(url) == origin(base_url) or is_at(url, "apple.com"))


def is_at(url: str, domain: str) -> bool:
    """Whether this is a plain https address of a domain."""
    if not is_plain(url):
        return False
    scheme, host, port = origin(url)
    return (scheme, port) == ("https", 443) and (host == domain or host.endswith("." + domain))
