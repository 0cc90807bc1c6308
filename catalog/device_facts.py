"""What devices tell of themselves when they are asked: once after they enroll, and every day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from catalog import commands, reconciling, stories
from catalog.mdm import facts_payload
from catalog.models import Command, CommandKind, Installation, Reason
from vppportal.groups import time_zones
from vppportal.groups.models import Device
from vppportal.work import OPEN_STATES

AT_ONCE: Final = 500
TRUE_FOR: Final = timedelta(days=1)
CHANGING: Final = ("os_version", "time_zone")
"""These are taken over each time; of the others only what is not known yet: somebody may have typed it."""
WRITTEN: Final = (*CHANGING, "name", "model", "platform", "facts_at")
Told = Mapping[int, tuple[datetime, Mapping[str, Any]]]
"""By device: when it answered, and what."""


def ask() -> int:
    """Store the questions to devices whose facts are unknown or a day old, a number of them; return how many."""
    since = timezone.now() - TRUE_FOR
    asked = Command.objects.filter(
        device=OuterRef("pk"), enrollment_id=OuterRef("enrollment_id"), kind=CommandKind.DEVICE_FACTS
    )
    # A device that does not want to say is asked as seldom as the others, and one that is silent once at a time.
    enrolled_at = Coalesce(OuterRef("enrolled_at"), Value(since))
    recently = asked.filter(created_at__gt=since, created_at__gte=enrolled_at)
    is_old = Q(facts_at=None) | Q(facts_at__lt=since) | Q(facts_at__lt=F("enrolled_at"))
    devices = (
        Device.objects.enrolled()
        .filter(is_old, wiped_at=None, retired_at=None)
        .exclude(Exists(recently))
        .exclude(Exists(asked.filter(state__in=OPEN_STATES)))
        .order_by(F("facts_at").asc(nulls_first=True), "pk")
        .values_list("pk", "enrollment_id")[:AT_ONCE]
    )
    with transaction.atomic():
        return commands.enqueue(
            Command(
                device_id=device_id,
                enrollment_id=enrollment_id,
                kind=CommandKind.DEVICE_FACTS,
                payload=facts_payload(),
            )
            for device_id, enrollment_id in devices
        )


def read(payload: Mapping[str, Any]) -> dict[str, str]:
    """Return what an answer tells of a device, as far as it fits. Pure."""
    told = payload.get("QueryResponses")
    if not isinstance(told, Mapping):
        return {}
    zone = told.get("TimeZone")
    name = time_zones.named(zone) if isinstance(zone, str) and len(zone) <= 64 else ""
    return {**stories.facts(told), **({"time_zone": name} if name else {})}


def store(told: Told) -> None:
    """Write what devices told; apps that one was too old for are planned anew. Call it in a transaction."""
    if not told:
        return
    rows = Device.objects.filter(pk__in=told).order_by("pk").select_for_update(of=("self",), no_key=True)
    devices = [device for device in rows if _is_news(device, told[device.pk][0])]
    renewed = []
    for device in devices:
        device.facts_at, payload = told[device.pk]
        if _write(device, read(payload)):
            renewed.append(device.pk)
    Device.objects.bulk_create(devices, AT_ONCE, update_conflicts=True, unique_fields=["pk"], update_fields=WRITTEN)
    waiting = Installation.objects.filter(device__in=renewed, reason=Reason.OS_TOO_OLD)
    reconciling.wake(waiting.values_list("app", flat=True))


def _is_news(device: Device, at: datetime) -> bool:
    """Was this told later than what is known, and by the present enrollment?"""
    return max(device.facts_at or at, device.enrolled_at or at) <= at


def _write(device: Device, facts: Mapping[str, str]) -> bool:
    """Write facts into a device; return whether its operating system is another one now."""
    before = device.os_version
    for name in CHANGING:
        setattr(device, name, facts.get(name, getattr(device, name)))
    device.name = device.name or facts.get("name", "")
    if not device.model:
        device.model = facts.get("model", "")
        device.platform = facts.get("platform", device.platform)
    return device.os_version != before
