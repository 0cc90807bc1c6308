"""The channel to devices as tests use it: events that are signed and posted, and work that is done at once."""

from __future__ import annotations

import base64
import json
import plistlib
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from catalog import chasing, events, sending
from catalog.mdm import signature
from catalog.models import Command, CommandStatus, DeviceEvent, Installation, InstallState, Reconciliation
from tests.factories import AppFactory, CommandFactory, InstallationFactory
from vppportal.groups.models import Device
from vppportal.simulator import Simulator
from vppportal.work import OPEN_STATES

KEY = "a webhook key of the tests"
START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=7)


def event(
    topic: str,
    enrollment_id: str,
    payload: dict[str, Any] | None = None,
    *,
    at: datetime | float = 0,
    kind: str = "Device",
    owner: str = "",
    **members: Any,
) -> dict[str, Any]:
    """Return the body of a webhook; `at` may be seconds after a beginning that lies behind."""
    moment = at if isinstance(at, datetime) else START + timedelta(seconds=at)
    told: dict[str, Any] = {"ids": {"id": enrollment_id, "type": kind}, "udid": enrollment_id, **members}
    if owner:
        told["url_params"] = {"owner": owner}
    told["raw_payload"] = base64.b64encode(plistlib.dumps(payload or {"UDID": enrollment_id})).decode()
    return {
        "topic": f"mdm.{topic}",
        "event_id": uuid.uuid4().hex[:16],
        "created_at": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "acknowledge_event" if topic == "Connect" else "checkin_event": told,
    }


def authenticate(enrollment_id: str, serial: str, *, at: datetime | float = 0, **more: Any) -> dict[str, Any]:
    """Return the event of a device that begins to enroll; members of the message may be given."""
    names = ("kind", "owner")
    told = {"SerialNumber": serial, "ProductName": "iPad13,18", "OSVersion": "26.1", "DeviceName": "Front desk"}
    payload = {**told, **{name: value for name, value in more.items() if name not in names}}
    named = {name: value for name, value in more.items() if name in names}
    return event("Authenticate", enrollment_id, payload, at=at, **named)


def answer(command: Command, status: str, *, at: datetime | float | None = None, **payload: Any) -> dict[str, Any]:
    """Return the event of a device's answer to a command."""
    moment = timezone.now() if at is None else at
    told = {"CommandUUID": str(command.uuid), "Status": status, **payload}
    ids = {"command_uuid": str(command.uuid), "status": status}
    return event("Connect", command.enrollment_id, told, at=moment, **ids)


def refusal(code: int, text: str = "", domain: str = "MCMDMErrorDomain") -> dict[str, Any]:
    """Return what a device adds when it refuses a command."""
    return {"ErrorChain": [{"ErrorCode": code, "ErrorDomain": domain, "LocalizedDescription": text}]}


def managed(**apps: str) -> dict[str, Any]:
    """Return what a device adds that lists its managed apps; the names have underscores for dots."""
    listed = {name.replace("_", "."): {"Status": status, "ManagementFlags": 1} for name, status in apps.items()}
    return {"ManagedApplicationList": listed}


def told(*bodies: dict[str, Any]) -> None:
    """Store events and apply all that are due."""
    for body in bodies:
        assert events.store(body)
    apply()


def apply() -> None:
    """Apply the events that are due, as a worker does."""
    while events.apply_due():
        pass
    assert not DeviceEvent.objects.filter(state="failed").exists()


def post(body: bytes, *, signed: str | None = None, key: str = KEY, **more: Any) -> Any:
    """Post the bytes of an event as NanoMDM does; return the answer."""
    signed = signature(key, body) if signed is None else signed
    headers = {"X-Hmac-Signature": signed} if signed else {}
    content_type = more.pop("content_type", "application/json; charset=utf-8")
    return Client().post("/mdm/events/", data=body, content_type=content_type, headers=headers, **more)


def encoded(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


def on_the_way(kind: str, where: InstallState, *, status: str = CommandStatus.SENT, **fields: Any) -> Command:
    """Return a command that was sent a minute ago to an enrolled device, for an app `example.app`."""
    sent_at = timezone.now() - timedelta(minutes=1)
    installation = InstallationFactory(
        app=fields.pop("app", None) or AppFactory(listing__bundle_id="example.app"), state=where, since=sent_at
    )
    command: Command = CommandFactory(
        device=installation.device,
        installation=installation,
        kind=kind,
        status=status,
        created_at=sent_at,
        sent_at=sent_at,
        next_attempt_at=timezone.now() + timedelta(minutes=1),
        **fields,
    )
    return command


def open_list(device: Device) -> Command:
    """Return the list of its apps that a device is asked for."""
    return Command.objects.get(device=device, kind="ManagedApplicationList", state__in=OPEN_STATES)


def fate(command: Command) -> tuple[str, str, str]:
    """Return the stored command's status, and its installation's state and details."""
    command.refresh_from_db()
    installation = installation_of(command)
    return command.status, installation.state, installation.details


def installation_of(command: Command) -> Installation:
    """Return the installation a command is about, as it is stored now."""
    assert command.installation is not None
    return Installation.objects.select_related("app__listing").get(pk=command.installation.pk)


def list_says(device: Device, *, at: Any = None, **apps: str) -> Command:
    """Let a device answer the list it is asked for; return the list."""
    asked = open_list(device)
    told(answer(asked, "Acknowledged", at=at, **managed(**apps)))
    asked.refresh_from_db()
    assert asked.status == CommandStatus.ACKNOWLEDGED
    return asked


def is_planned(installation: Installation) -> bool:
    """Is the app to be planned anew?"""
    return Reconciliation.objects.filter(app=installation.app).exists()


class Channel:
    """The stand-in for NanoMDM with its devices, and a portal whose workers work when they are told to."""

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self._taken = len(sim.mdm_events())

    def order(self, verb: str, **members: Any) -> dict[str, Any]:
        """Give the stand-in an order."""
        return self.sim.control(verb, **members)

    def enroll(self, **facts: Any) -> Device:
        """Let one more device enroll, and return it as the portal knows it then."""
        (made,) = self.order("mdm-add", **facts)["devices"]
        self.hear()
        return Device.objects.get(enrollment_id=made["id"])

    def hear(self) -> int:
        """Wait for the devices, and give the portal what the stand-in has told meanwhile; return how many events."""
        self.order("mdm-settle")
        heard = self.sim.mdm_events()[self._taken :]
        self._taken += len(heard)
        for one in heard:
            assert post(one.body, signed=one.signature).status_code == 200
        apply()
        return len(heard)

    def work(self) -> None:
        """Send, hear and look after commands once, as if their time had come."""
        Command.objects.open().update(next_attempt_at=timezone.now())
        while sending.send():
            pass
        self.hear()

    def chase(self) -> None:
        """Look after silent commands, as if their time had come."""
        Command.objects.open().update(next_attempt_at=timezone.now())
        chasing.chase()
        self.hear()
