"""Read a `*.vpptoken` file: pure, strict, and with a plain sentence for everything that is wrong with one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tokens.secret import Secret

MAX_BYTES: Final = 64 * 1024


class BadTokenFile(Exception):
    """The file is no content token: `code` for programs, `sentence` (what is wrong, what to do next) for people."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class VppToken:
    """A content token as its file describes it; `secret` is the bearer, the same text for every wrapping of it."""

    secret: Secret
    organisation: str
    expires_at: datetime

    @property
    def normalised(self) -> Secret:
        """The text to take a keyed fingerprint of: one for all files that hold this token."""
        return self.secret

    def is_expired(self, now: datetime) -> bool:
        """Whether the date in the file has passed; Apple's own word may differ."""
        return self.expires_at <= now


def read(data: bytes, *, now: datetime) -> VppToken:
    """Return the token held by an uploaded file, expired or not; raise `BadTokenFile` for anything else."""
    raise NotImplementedError
