"""Send one request to Apple and judge the answer: the only place that opens a socket to Apple."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final, Generic, TypeVar

import requests
import structlog
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError

from tokens.apple.answers import Body, Unreadable, decode, read_bounded, retry_after
from tokens.apple.errors import AppleError, AppleUnavailable, RequestRefused, from_number, from_status
from tokens.apple.parsing import integer, targets
from tokens.apple.values import Timeout
from tokens.pace import OnHold, Pace
from tokens.secret import Secret

R = TypeVar("R")
log = structlog.get_logger(__name__)

SHORT_PAUSE: Final = 5.0
UNASKED_PAUSE: Final = 5.0  # after a 429 that does not say how long
_MISUSED: Final = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidHeader,
)


class NoCredential(AuthBase):
    """Send nothing; being there at all keeps requests from looking into a netrc file."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class HeaderCredential(AuthBase):
    """Put the secret behind a prefix into one header, at the last moment."""

    def __init__(self, header: str, prefix: str, secret: Secret) -> None:
        self._header, self._prefix, self._secret = header, prefix, secret

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if not re.fullmatch("[!-~]+", self._secret.reveal()):
            raise requests.exceptions.InvalidHeader
        request.headers[self._header] = self._prefix + self._secret.reveal()
        return request


@dataclass(frozen=True, slots=True)
class Ask(Generic[R]):
    """One request: its name in the log, what to send, and what to make of the answer."""

    name: str
    url: str
    parse: Callable[[Body], R]
    auth: AuthBase = field(repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    payload: Mapping[str, Any] | None = field(default=None, repr=False)
    inspect: Callable[[Body], AppleError | None] = lambda body: None

    @property
    def is_change(self) -> bool:
        """Whether asking changes something at Apple, so that it must not be asked twice."""
        return self.payload is not None


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    retry_after: float | None
    raw: bytes = field(repr=False)


class Transport:
    """A pool of connections that keeps the pace of one location; safe to share between threads.

    Bodies, headers and credentials live in frames that have ended before an error is raised, and errors carry no
    cause: nothing that dumps tracebacks with their variables can show them.
    """

    def __init__(self, *, pace: Pace, per_second: float, timeout: Timeout, retries: int, connections: int) -> None:
        self._pace, self._per_second, self._timeout, self._retries = pace, per_second, timeout, retries
        self._session = requests.Session()
        self._session.headers.update(
            {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "VPP-Portal"}
        )
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=connections))

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def call(self, ask: Ask[R], key: str) -> R:
        """Return what Apple answers, or raise an `AppleError`; reading is tried again when that may help at once."""
        for attempt in range(self._retries + 1):
            found = self._take_turn(ask, key)
            if not isinstance(found, AppleError):
                return found
            pause = _pause_before_retry(found, attempt)
            if ask.is_change or pause is None or attempt == self._retries:
                raise found
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _take_turn(self, ask: Ask[R], key: str) -> R | AppleError:
        try:
            self._pace.wait(key, self._per_second)
        except OnHold as hold:
            return AppleUnavailable("Apple asked for a pause, which is not over yet.", retry_after=hold.seconds)
        started = time.monotonic()
        exchange = self._exchange(ask)  # mypy misreads the two in one line
        status, found = exchange
        error = found if isinstance(found, AppleError) else None
        if isinstance(error, AppleUnavailable) and (
            error.retry_after or error.http_status == 429 or error.number == 9646
        ):
            self._pace.hold(key, error.retry_after or UNASKED_PAUSE)
        log.info(
            "apple_call",
            endpoint=ask.name,
            status=status,
            number=error.number if error else None,
            ms=round((time.monotonic() - started) * 1000),
        )
        return found

    def _exchange(self, ask: Ask[R]) -> tuple[int | None, R | AppleError]:
        answer = self._send(ask)
        if isinstance(answer, AppleError):
            return answer.http_status, answer
        return answer.status, _judge(ask, answer)

    def _send(self, ask: Ask[R]) -> _Answer | AppleError:
        deadline = time.monotonic() + self._timeout.total
        try:
            with self._session.request(
                "POST" if ask.is_change else "GET",
                ask.url,
                params=ask.params,
                data=json.dumps(ask.payload, default=_revealed).encode() if ask.is_change else None,
                headers={"Content-Type": "application/json"} if ask.is_change else None,
                auth=ask.auth,
                timeout=(self._timeout.connect, self._timeout.read),
                stream=True,
                allow_redirects=False,
            ) as response:
                raw = read_bounded(response.raw, response.headers.get("Content-Encoding", ""), deadline)
                return _Answer(response.status_code, retry_after(response.headers.get("Retry-After")), raw)
        except Unreadable as flaw:
            return _unreadable(flaw, response.status_code, ask.is_change)
        except _MISUSED:
            return RequestRefused("The address of Apple's service, or the token, cannot be used in a request.")
        except (requests.RequestException, HTTPError, OSError) as error:
            return _lost(error, ask.is_change)


def _revealed(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(type(value).__name__)


def _judge(ask: Ask[R], answer: _Answer) -> R | AppleError:
    """Return what an answer means; a number in its body counts before everything else, whatever the HTTP status."""
    try:
        body = decode(answer.raw)
        number = integer(body.get("errorNumber"))
        if number:
            return from_number(
                number,
                answer.status,
                text=body.get("errorMessage"),
                retry_after=answer.retry_after,
                info=targets(body.get("errorInfo")),
            )
        if 200 <= answer.status < 300:
            return ask.inspect(body) or ask.parse(body)
    except Unreadable as flaw:
        if 200 <= answer.status < 300:
            return _unreadable(flaw, answer.status, ask.is_change)
    return from_status(answer.status, retry_after=answer.retry_after, is_change=ask.is_change)


def _unreadable(flaw: Unreadable, status: int, is_change: bool) -> AppleError:
    return AppleUnavailable(
        f"The answer of Apple's service cannot be read: {flaw}.", http_status=status, may_have_been_applied=is_change
    )


def _lost(error: Exception, is_change: bool) -> AppleError:
    """Tell slow from unreachable, and whether a change can have reached Apple."""
    has_timed_out = isinstance(error, requests.Timeout) or "timed out" in str(error)
    reason = error.args[0].reason if error.args and isinstance(error.args[0], MaxRetryError) else None
    was_sent = not isinstance(error, (requests.ConnectTimeout, requests.exceptions.ProxyError)) and not isinstance(
        reason, NewConnectionError
    )
    return AppleUnavailable(
        "Apple's service did not answer in time." if has_timed_out else "Apple's service cannot be reached.",
        may_have_been_applied=is_change and was_sent,
        has_timed_out=has_timed_out,
    )


def _pause_before_retry(error: AppleError, attempt: int) -> float | None:
    """Return how long to sleep before asking once more, or None when that is for later or for nobody."""
    if not isinstance(error, AppleUnavailable) or error.has_timed_out:
        return None
    if error.retry_after is not None:
        return error.retry_after if error.retry_after <= SHORT_PAUSE else None
    is_brief = error.number in (None, 9603) and error.http_status in (None, 200, 500, 502, 504)
    return 0.2 * 4**attempt if is_brief else None
