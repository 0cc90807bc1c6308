"""Talk to NanoMDM: queue commands, wake devices, ask how it is. The only place that opens a socket to it."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote
from uuid import UUID

import requests
import structlog
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from catalog.mdm.payloads import command_plist
from tokens.apple import Timeout
from tokens.apple.answers import Unreadable, decode, read_bounded
from tokens.apple.transport import HeaderCredential, NoCredential
from tokens.secret import Secret

log = structlog.get_logger(__name__)

PARALLEL: Final = 5
PATIENT: Final = Timeout(connect=3, read=10, total=15)
HASTY: Final = Timeout(connect=2, read=4, total=6)
"""For the occasion when a person waits for the MDM server in the browser."""

_ENROLLMENT: Final = re.compile(r"[^\s,/\x00-\x1f]{1,127}")
_UNKNOWN: Final = re.compile(r"foreign key|fkey|not enrolled|no such enrollment", re.IGNORECASE)
_DUPLICATE: Final = re.compile(r"duplicate key|duplicate entry|already exists", re.IGNORECASE)
_FOR_GOOD: Final = re.compile(r"decoding command|must enqueue or push|getting enrollment ids", re.IGNORECASE)


class MdmError(Exception):
    """The MDM server did not do what was asked; the text is a sentence fit for an administrator."""


class MdmUnavailable(MdmError):
    """The MDM server cannot be asked now: nothing is known to be queued, try later.

    `concerns_all` says that the next command would fare no better.
    """

    def __init__(self, message: str, *, concerns_all: bool = True) -> None:
        super().__init__(message)
        self.concerns_all = concerns_all


class KeyRefused(MdmUnavailable):
    """The MDM server does not accept the API key; somebody has to set the right one."""


class UnknownEnrollment(MdmError):
    """The MDM server knows no such enrollment, or the device has not finished enrolling."""


class CommandRefused(MdmError):
    """The MDM server did not understand the command; it would not the next time either."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A command is in the device's queue; `push_error` says why the device could not be woken."""

    push_error: str = ""


@dataclass(frozen=True, slots=True)
class PushCertificate:
    """What the MDM server says of its push certificate."""

    topic: str
    not_after: datetime | None


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: dict[str, Any] | None = field(repr=False)


class MdmClient:
    """A pool of connections to one NanoMDM; safe to share between threads."""

    def __init__(
        self,
        url: str,
        key: Secret,
        *,
        user: str = "nanomdm",
        path: str = "/v1",
        pushes: bool = True,
        timeout: Timeout = PATIENT,
    ) -> None:
        self._url, self._path, self._pushes, self._timeout = url.rstrip("/"), path.rstrip("/"), pushes, timeout
        pair = base64.b64encode(f"{user}:{key.reveal()}".encode()).decode()
        self._auth = HeaderCredential("Authorization", "Basic ", Secret(pair))
        self._session = requests.Session()
        self._session.headers.update({"User-Agent": "VPP-Portal", "Accept-Encoding": "identity"})
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=PARALLEL))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._session.close()

    def enqueue(self, enrollment_id: str, command_uuid: UUID, request_type: str, payload: Mapping[str, Any]) -> Queued:
        """Put a command into a device's queue and wake the device; asking again with the same UUID changes nothing.

        Raises UnknownEnrollment, CommandRefused and MdmUnavailable. One device a call: NanoMDM on PostgreSQL queues for
        all that are named or for none.
        """
        body = command_plist(command_uuid, request_type, payload)
        answer = self._call("PUT", f"/enqueue/{_known(enrollment_id)}", body=body, pushes=self._pushes)
        told = _said(answer, enrollment_id, "command_error")
        if told and _DUPLICATE.search(told):
            return Queued("It was in the queue already.")
        if told:
            raise _refusal(told)
        if (answer.body or {}).get("command_uuid") != str(command_uuid):
            raise MdmUnavailable(f"The MDM server's answer cannot be understood (HTTP status {answer.status}).")
        return Queued(_said(answer, enrollment_id, "push_error"))

    def push(self, enrollment_id: str) -> Queued:
        """Wake a device, so that it asks for its commands; raises MdmUnavailable."""
        answer = self._call("GET", f"/push/{_known(enrollment_id)}")
        push_error = _said(answer, enrollment_id, "push_error")
        if answer.body is None or (answer.status >= 400 and not push_error):
            raise MdmUnavailable(f"The MDM server cannot wake devices (HTTP status {answer.status}).")
        return Queued(push_error)

    def version(self) -> str:
        """Return the version the server says it has; raises MdmUnavailable."""
        answer = self._send("GET", "version", "/version", has_key=False)
        version = (answer.body or {}).get("version")
        if answer.status != 200 or not isinstance(version, str):
            raise MdmUnavailable("There is a server at this address, but it does not answer as NanoMDM does.")
        return version[:40]

    def check_key(self) -> None:
        """Find out whether the API key is accepted, without changing anything; raises KeyRefused, MdmUnavailable."""
        answer = self._call("PUT", "/enqueue/", pushes=False)
        if "empty path" not in _said(answer, "", "command_error"):
            raise MdmUnavailable(f"The API does not answer as NanoMDM's does (HTTP status {answer.status}).")

    def push_certificate(self, topic: str) -> PushCertificate | None:
        """Return what is known of the push certificate; None where the server cannot say, as up to version 0.9."""
        answer = self._call("GET", f"/pushcert?topic={quote(topic, safe='')}")
        told = (answer.body or {}).get("topic")
        if answer.status != 200 or not isinstance(told, str):
            return None
        return PushCertificate(told[:200], _moment((answer.body or {}).get("not_after")))

    def _call(self, method: str, path: str, *, body: bytes = b"", pushes: bool = True) -> _Answer:
        name = path.split("/")[1].split("?")[0]
        answer = self._send(method, name, f"{self._path}{path}{'' if pushes else '?nopush=1'}", body=body)
        if answer.status in (401, 403):
            raise KeyRefused("The MDM server does not accept the API key.")
        return answer

    def _send(self, method: str, name: str, path: str, *, body: bytes = b"", has_key: bool = True) -> _Answer:
        started = time.monotonic()
        answer = self._exchange(method, self._url + path, body, has_key, started + self._timeout.total)
        spent = round((time.monotonic() - started) * 1000)
        log.info("mdm_call", endpoint=name, status=answer.status if isinstance(answer, _Answer) else None, ms=spent)
        if isinstance(answer, MdmError):
            raise answer
        return answer

    def _exchange(self, method: str, url: str, body: bytes, has_key: bool, deadline: float) -> _Answer | MdmError:
        """Return the answer or the error: what is raised from here would hold the key in its frames."""
        try:
            with self._session.request(
                method,
                url,
                data=body,
                headers={"Content-Type": "application/xml"} if body else None,
                auth=self._auth if has_key else NoCredential(),
                timeout=(self._timeout.connect, self._timeout.read),
                stream=True,
                allow_redirects=False,
            ) as response:
                raw = read_bounded(response.raw, response.headers.get("Content-Encoding", ""), deadline)
                return _Answer(response.status_code, _json(raw))
        except Unreadable as flaw:
            return MdmUnavailable(f"The MDM server's answer cannot be read: {flaw}.")
        except (requests.Timeout, TimeoutError):
            return MdmUnavailable("The MDM server did not answer in time.")
        except (requests.RequestException, HTTPError, OSError, ValueError):
            return MdmUnavailable("The MDM server cannot be reached.")


def _known(enrollment_id: str) -> str:
    """Return an id fit for an address; a comma in one would name two devices."""
    if not _ENROLLMENT.fullmatch(enrollment_id):
        raise UnknownEnrollment("The device's enrollment has no name that the MDM server could know.")
    return quote(enrollment_id, safe="")


def _json(raw: bytes) -> dict[str, Any] | None:
    try:
        return decode(raw)
    except Unreadable:
        return None


def _said(answer: _Answer, enrollment_id: str, member: str) -> str:
    """Return an error of the answer, at its top or under the device; the HTTP status says nothing of it."""
    body = answer.body or {}
    status = body.get("status")
    mine = status.get(enrollment_id) if isinstance(status, dict) else None
    for place in (body, mine):
        told = place.get(member) if isinstance(place, dict) else None
        if isinstance(told, str) and told:
            return told[:500]
    return ""


def _refusal(told: str) -> MdmError:
    if _UNKNOWN.search(told):
        return UnknownEnrollment("The MDM server does not know this device's enrollment.")
    if _FOR_GOOD.search(told):
        return CommandRefused(f"The MDM server did not understand the command: {told[:200]}")
    return MdmUnavailable(f"The MDM server could not queue the command: {told[:200]}", concerns_all=False)


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
