"""What can go wrong between us and Apple: one small family of exceptions, chosen by number and HTTP status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tokens.apple.values import MdmInfo

TRY_LATER: Final = frozenset({9603, 9644, 9646, 9729})
TOKEN_EXPIRED: Final = 9621
TOKEN_INVALID: Final = 9622
TOKEN_REVOKED: Final = 9625
REJECTING: Final = frozenset({9601, TOKEN_EXPIRED, TOKEN_INVALID, TOKEN_REVOKED, 9722})


@dataclass(frozen=True, slots=True)
class Targets:
    """The assets and holders an error speaks of; assets are (adam_id, pricing_param) pairs."""

    assets: tuple[tuple[str, str], ...] = ()
    client_user_ids: tuple[str, ...] = ()
    serial_numbers: tuple[str, ...] = ()


NOBODY: Final = MdmInfo("", "", "")


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
        number: int | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
        may_have_been_applied: bool = False,
        has_timed_out: bool = False,
    ) -> None:
        super().__init__(message, number=number, http_status=http_status, retry_after=retry_after)
        self.may_have_been_applied = may_have_been_applied
        self.has_timed_out = has_timed_out


class TokenRejected(AppleError):
    """Apple does not accept the content token; `number` says why, None where Apple did not."""


class ClaimedElsewhere(AppleError):
    """Another device management service has claimed the location.

    The answer that told us may have been that of a change which Apple did queue; `event_id` is its receipt then.
    """

    def __init__(
        self,
        message: str = "The location is claimed by another device management service.",
        *,
        owner: MdmInfo = NOBODY,
        event_id: str | None = None,
        number: int | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, number=number, http_status=http_status, retry_after=retry_after)
        self.owner = owner
        self.event_id = event_id


class RequestRefused(AppleError):
    """Apple understood and said no; asking again unchanged gets the same answer."""

    def __init__(
        self,
        message: str = "Apple refused the request.",
        *,
        number: int | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
        error_info: Targets | None = None,
    ) -> None:
        super().__init__(message, number=number, http_status=http_status, retry_after=retry_after)
        self.error_info = error_info or Targets()


class PageOutOfRange(RequestRefused):
    """9650: the page does not exist (any more); walk again from the first."""


class BadVersion(RequestRefused):
    """9721: Apple does not know this version any more; read everything."""


class UnknownEvent(RequestRefused):
    """9708: Apple does not know the event (any more); read back what it should have done."""


MOVED: Final[dict[int, type[RequestRefused]]] = {9650: PageOutOfRange, 9721: BadVersion, 9708: UnknownEvent}
