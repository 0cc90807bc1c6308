"""The MDM server itself: what check-ins, reports, commands and pushes do."""

from __future__ import annotations

import base64
import plistlib
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vppportal.simulator.mdm.queues import IDLE, NOT_NOW, Queues, Refused
from vppportal.simulator.mdm.webhooks import Told, Webhooks
from vppportal.simulator.requestlog import RequestLog

VERSION = "v0.9.0"
API_KEY, WEBHOOK_KEY = "simulated-api-key", "simulated-webhook-key"
# The push certificate of the simulated devices is there from the start; other topics need one to be stored.
TOPIC = "com.apple.mgmt.External.simulated-devices"
SHARED_IPAD = "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"


@dataclass(frozen=True)
class Options:
    """What the stand-in is told when it starts."""

    webhook_url: str = ""
    webhook_key: str = WEBHOOK_KEY
    api_key: str = API_KEY
    port: int = 0
    # Whether the devices of the sample company enroll by themselves.
    has_sample_devices: bool = False
    # How long a pushed device takes to come, how long an app takes to be installed, and how often a device comes
    # without being pushed; 0 is never.
    answer_seconds: float = 0.01
    install_seconds: float = 0.05
    poll_seconds: float = 0.0


class Failed(Exception):
    """A device is answered with this HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


@dataclass(frozen=True, slots=True)
class Message:
    """What a device sent: the raw property list, its members, and the query of its address."""

    raw: bytes
    members: dict[str, Any]
    params: dict[str, str]

    @property
    def ids(self) -> dict[str, str]:
        """The enrollment behind it, as NanoMDM names it."""
        get = self.members.get
        device, user = get("UDID") or get("EnrollmentID"), get("UserID") or get("EnrollmentUserID")
        kinds = ("Device", "User") if get("UDID") else ("User Enrollment (Device)", "User Enrollment")
        if not isinstance(device, str):
            raise Failed(500)
        if not user:
            return {"id": device, "type": kinds[0]}
        if user == SHARED_IPAD:
            return {"id": f"{device}:{get('UserShortName')}", "type": "Shared iPad", "parent_id": device}
        return {"id": f"{device}:{user}", "type": kinds[1], "parent_id": device}

    @property
    def event(self) -> dict[str, Any]:
        """The members that every event about it has."""
        named = {"udid": self.members.get("UDID"), "enrollment_id": self.members.get("EnrollmentID")}
        event = {"ids": self.ids, "raw_payload": base64.b64encode(self.raw).decode()}
        event |= {name: value for name, value in named.items() if value}
        return event | ({"url_params": self.params} if self.params else {})


def read(raw: bytes, params: dict[str, str]) -> Message:
    """Take a device's body apart."""
    try:
        members = plistlib.loads(raw)
    except (ValueError, plistlib.InvalidFileException, AttributeError, LookupError) as error:
        raise Failed(500) from error
    if not isinstance(members, dict):
        raise Failed(500)
    return Message(raw, members, params)


class Service:
    """NanoMDM without its HTTP: enrollments, queues, webhooks, pushes."""

    def __init__(self, options: Options, seed: int) -> None:
        self.options = options
        self.queues, self.log = Queues(), RequestLog()
        self.webhooks = Webhooks(options.webhook_url, options.webhook_key, seed)
        # Who is to be woken; the simulated devices put themselves here.
        self.wake: Callable[[str], None] = lambda id: None
        self.reset()

    def reset(self) -> None:
        """Forget every enrollment, command and event."""
        self.queues.clear()
        self.webhooks.reset()
        self.log.clear()
        self.topics = {TOPIC}
        self.certificates: defaultdict[str, set[str]] = defaultdict(set)

    def admit(self, message: Message, certificate: str) -> None:
        """Let a certificate speak only for the enrollment it was first used for."""
        kind, ids = message.members.get("MessageType"), message.ids
        device = ids.get("parent_id") or ids["id"]
        owners = self.certificates[certificate]
        if kind == "Authenticate" and not owners:
            owners.add(device)
        if device not in owners:
            raise Failed(500)

    def check_in(self, message: Message, *, tell: bool = True, told: Told | None = None) -> None:
        """Take a check-in; `told` hears how the webhook of it was answered."""
        id, kind = message.ids["id"], str(message.members.get("MessageType"))
        members = message.event
        if kind == "Authenticate":
            self.queues.authenticate(id)
        elif kind == "TokenUpdate":
            members["token_update_tally"] = self.queues.token_update(id, str(message.members.get("Topic")))
        elif kind == "CheckOut":
            self.queues.check_out(id)
        elif kind == "UserAuthenticate":
            raise Failed(410)
        elif kind != "SetBootstrapToken":
            raise Failed(500)
        if tell:
            self.webhooks.send(f"mdm.{kind}", id, {"checkin_event": members}, told)

    def report(self, message: Message) -> bytes:
        """Take a report and return the next command, if any. The webhook goes out even for a report that is refused."""
        id = message.ids["id"]
        status, number = str(message.members.get("Status")), str(message.members.get("CommandUUID", ""))
        members = message.event | {"status": status} | ({"command_uuid": number} if status != IDLE else {})
        try:
            self.queues.report(id, status, number)
        except Refused as error:
            raise Failed(500) from error
        finally:
            self.webhooks.send("mdm.Connect", id, {"acknowledge_event": members})
        command = self.queues.next(id, skip_not_now=status == NOT_NOW)
        return command.raw if command else b""

    def push(self, ids: Sequence[str]) -> tuple[dict[str, dict[str, str]], str]:
        """Wake devices: what became of each, and what went wrong altogether."""
        results: dict[str, dict[str, str]] = {}
        problem = ""
        for id in ids:
            topic = self.queues.topic(id)
            if topic is None:
                results[id] = {"push_error": "push data missing for id"}
            elif topic not in self.topics:
                problem = f'retrieving push cert for topic "{topic}": sql: no rows in result set'
            else:
                results[id] = {"push_result": str(uuid.uuid4()).upper()}
                self.wake(id)
        return results, problem
