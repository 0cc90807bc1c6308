"""What can go wrong between us and Apple: one small family of exceptions, chosen by number and HTTP status."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from tokens.apple.sentences import SENTENCES
from tokens.apple.values import MdmInfo

TOKEN_EXPIRED: Final = 9621
TOKEN_INVALID: Final = 9622
TOKEN_REVOKED: Final = 9625
REJECTING: Final = frozenset({9601, TOKEN_EXPIRED, TOKEN_INVALID, TOKEN_REVOKED, 9722})
TRY_LATER: Final = frozenset({9603, 9644, 9646, 9729})
NOBODY: Final = MdmInfo("", "", "")

# Whatever in a text of Apple's is this long without a space, or has digits in it, may be a credential sent back to us.
_MAYBE_SECRET: Final = re.compile(r"(?:(?=\S*\d)[^\s,;:(){}\[\]\"'<>]{12,}|[^\s,;:(){}\[\]\"'<>]{24,})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True, slots=True)
class Targets:
    """The assets and holders an error speaks of; assets are (adam_id, pricing_param) pairs."""

    assets: tuple[tuple[str, str], ...] = ()
    client_user_ids: tuple[str, ...] = ()
    serial_numbers: tuple[str, ...] = ()


class AppleError(Exception):
    """Apple did not do what was asked; `message` is a sentence fit for an administrator."""

    def __init__(
        self,
        message: str = "Apple did not answer as expected.",
        *,
        number: int | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.number = number
        self.http_status = http_status
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message if self.number is None else f"{self.message} (Apple error {self.number})"


class AppleUnavailable(AppleError):
    """Apple cannot be asked now: try later, and not before `retry_after` seconds have passed.

    `may_have_been_applied` is true when a change was sent and its answer lost: read before sending it again.
    `has_timed_out` tells "slow" from "unreachable".
    """

    def __init__(
        self,
        message: str = "Apple is not available at the moment.",
        *,
        may_have_been_applied: bool = False,
        has_timed_out: bool = False,
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.may_have_been_applied = may_have_been_applied
        self.has_timed_out = has_timed_out


class TokenRejected(AppleError):
    """Apple does not accept the content token; `number` says why, None where Apple did not."""


class ClaimedElsewhere(AppleError):
    """Another device management service, `owner`, has claimed the location.

    The answer that told us may have been that of a change which Apple did queue; `event_id` is its receipt then.
    """

    def __init__(
        self,
        message: str = "The location is claimed by another device management service.",
        *,
        owner: MdmInfo = NOBODY,
        event_id: str | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.owner = owner
        self.event_id = event_id


class RequestRefused(AppleError):
    """Apple understood and said no; asking again unchanged gets the same answer."""

    def __init__(
        self, message: str = "Apple refused the request.", *, error_info: Targets | None = None, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self.error_info = error_info or Targets()


class PageOutOfRange(RequestRefused):
    """9650: the page does not exist (any more); walk again from the first."""


class BadVersion(RequestRefused):
    """9721: Apple does not know this version any more; read everything."""


class UnknownEvent(RequestRefused):
    """9708: Apple does not know the event (any more); read back what it should have done."""


class MayOnlyRead(RequestRefused):
    """9637: the account that downloaded the token may read the location, and change nothing there."""


KINDS: Final[dict[int, type[RequestRefused]]] = {
    9637: MayOnlyRead,
    9650: PageOutOfRange,
    9708: UnknownEvent,
    9721: BadVersion,
}


def sentence(number: int | None, text: object = "") -> str:
    """Say what an error number means: in our words where we know it, else in Apple's, shortened and without secrets."""
    if number in SENTENCES:
        return SENTENCES[number]
    told = _CONTROL.sub(" ", text[:2000]).strip() if isinstance(text, str) else ""
    return _MAYBE_SECRET.sub("…", told)[:250] or "Apple refused the request and did not say why."


def from_number(
    number: int, http_status: int, *, text: object = "", retry_after: float | None = None, info: Targets | None = None
) -> AppleError:
    """Return the error for an answer that carries a number; a number means that nothing was queued."""
    message = sentence(number, text)
    if number in REJECTING:
        return TokenRejected(message, number=number, http_status=http_status)
    if number in TRY_LATER:
        return AppleUnavailable(message, number=number, http_status=http_status, retry_after=retry_after)
    if number in SENTENCES:
        kind = KINDS.get(number, RequestRefused)
        return kind(message, number=number, http_status=http_status, error_info=info)
    if http_status == 401:
        return TokenRejected(message, number=number, http_status=http_status)
    if http_status == 429 or http_status >= 500:
        return AppleUnavailable(message, number=number, http_status=http_status, retry_after=retry_after)
    return RequestRefused(message, number=number, http_status=http_status, error_info=info)


def from_status(http_status: int, *, retry_after: float | None = None, is_change: bool = False) -> AppleError:
    """Return the error for an answer whose HTTP status is all it tells."""
    if http_status == 401:
        return TokenRejected("Apple does not accept this token.", http_status=http_status)
    if http_status == 429:
        return AppleUnavailable(SENTENCES[9646], http_status=http_status, retry_after=retry_after)
    if 300 <= http_status < 400:
        return AppleUnavailable(
            "The request was sent on to another address, which is not followed.",
            http_status=http_status,
            retry_after=retry_after,
        )
    if http_status >= 500 or http_status == 408:
        return AppleUnavailable(http_status=http_status, retry_after=retry_after, may_have_been_applied=is_change)
    return RequestRefused(f"Apple refused the request with HTTP status {http_status}.", http_status=http_status)
