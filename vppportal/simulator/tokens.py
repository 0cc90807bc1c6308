"""Content tokens as Apple issues them: the text of a `.vpptoken` file and what becomes of it later."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

VALID_FOR = timedelta(days=365)


@dataclass(slots=True)
class Token:
    """One issued token; `text` is the whole file, which is also the bearer, `secret` the opaque part inside it."""

    location: str
    number: int
    text: str
    secret: str
    expires_at: datetime
    is_revoked: bool = False
    is_read_only: bool = False

    def is_expired(self) -> bool:
        """Whether Apple no longer takes it because its year is over."""
        return self.expires_at <= datetime.now(UTC)

    @property
    def file_name(self) -> str:
        """The name Apple gives the download; later tokens of one location are counted."""
        suffix = f"_{self.number}" if self.number > 1 else ""
        return f"sToken_for_{self.location}{suffix}.vpptoken"


def apple_time(moment: datetime) -> str:
    """A time as Apple writes it, the offset without a colon."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S%z")


def secret_of(seed: int, location: str, number: int) -> str:
    """The opaque part of the n-th token of a location; the same for the same seed on every machine and day."""
    digest = hashlib.sha512(f"token:{seed}:{location}:{number}".encode()).digest()
    return base64.b64encode(digest[:48]).decode()


def issue(seed: int, location: str, number: int, organization: str, expires_at: datetime) -> Token:
    """A new token for a location."""
    secret = secret_of(seed, location, number)
    content = {"expDate": apple_time(expires_at), "token": secret, "orgName": organization}
    # Apple's own sample is pretty-printed inside; both spellings occur, so both are produced.
    layout = {"indent": 2} if number % 2 == 0 else {"separators": (",", ":")}
    raw = json.dumps(content, ensure_ascii=False, **layout)
    return Token(location, number, base64.b64encode(raw.encode()).decode(), secret, expires_at.replace(microsecond=0))


def read_file(path: Path) -> tuple[str, str, datetime] | None:
    """Text, secret and expiry of a token file written by an earlier run, or None for anything else."""
    try:
        text = path.read_text("ascii").strip()
        content = json.loads(base64.b64decode(text, validate=True))
        expires_at = datetime.strptime(content["expDate"], "%Y-%m-%dT%H:%M:%S%z")
        return text, str(content["token"]), expires_at
    except (OSError, ValueError, KeyError, TypeError):
        return None
