"""What is installed on a device, its person's own apps among it: asked for by hand, shown from the stored answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import transaction

from catalog import commands
from catalog.mdm import Topic, Unreadable, installed_payload, read
from catalog.models import WITHOUT_APP, Command, CommandKind, CommandStatus, DeviceEvent
from vppportal.activity.models import record
from vppportal.groups.models import Device, EnrollmentType

MOST_SHOWN: Final = 1_000
LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Installed:
    """An app as a device tells of it."""

    name: str
    bundle_id: str
    version: str
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Told:
    """The last answer of a device; `more` is how many apps are not shown. Without apps the answer is forgotten."""

    at: datetime
    apps: tuple[Installed, ...]
    more: int = 0
    is_managed_only: bool = False


def ask(device: Device, by: User) -> bool:
    """Have a device tell what is installed; False where it cannot be reached, or was asked and has not answered.

    In user enrollment it tells of managed apps only: the others are its person's business.
    """
    with transaction.atomic():
        held = Device.objects.select_for_update(of=("self",), no_key=True).get(pk=device.pk)
        asked = held.commands.open().filter(kind=CommandKind.INSTALLED_LIST)
        if not held.is_enrolled or asked.exists():
            return False
        payload = installed_payload(managed_only=held.enrollment_type == EnrollmentType.USER)
        question = Command(
            device=held,
            enrollment_id=held.enrollment_id,
            kind=CommandKind.INSTALLED_LIST,
            payload=payload,
            requested_by=by,
        )
        commands.enqueue([question])
        record(by, "asked for the installed apps of", device)
    return True


def last_told(device: Device) -> Told | None:
    """Return what the device answered last, as long as the answer is kept; None where it never did."""
    answered = device.commands.filter(kind=CommandKind.INSTALLED_LIST, status=CommandStatus.ACKNOWLEDGED)
    command = answered.order_by("-answered_at").first()
    if command is None or command.answered_at is None:
        return None
    ours = device.installations.exclude(state__in=WITHOUT_APP).filter(confirmed_at__isnull=False)
    names = set(ours.values_list("app__listing__bundle_id", flat=True))
    found = _apps(_answer(command, command.answered_at), names)
    apps = sorted(found, key=lambda app: (app.name.casefold(), app.bundle_id))
    return Told(
        command.answered_at,
        tuple(apps[:MOST_SHOWN]),
        max(0, len(apps) - MOST_SHOWN),
        bool(command.payload.get("ManagedAppsOnly")),
    )


def _answer(command: Command, answered_at: datetime) -> Mapping[str, Any]:
    """Return what the device sent with its answer, from the events that are kept for two weeks."""
    at_once = DeviceEvent.objects.filter(
        enrollment_id=command.enrollment_id, topic=Topic.CONNECT, happened_at=answered_at
    )
    for event in at_once:
        try:
            report = read(event.body, event.received_at)
            if report.command_uuid == command.uuid and report.status == "Acknowledged":
                return report.payload()
        except Unreadable:
            continue
    return {}


def _apps(payload: Mapping[str, Any], ours: set[str]) -> Iterator[Installed]:
    """Yield the apps of an answer, as far as they can be read."""
    listed = payload.get("InstalledApplicationList")
    for told in listed if isinstance(listed, list) else ():
        if isinstance(told, Mapping):
            bundle_id = _text(told, "Identifier")
            version = _text(told, "ShortVersion") or _text(told, "Version")
            yield Installed(_text(told, "Name") or bundle_id or "without a name", bundle_id, version, bundle_id in ours)


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    return value[:LONGEST] if isinstance(value, str) else ""
