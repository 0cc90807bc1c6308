"""Apply what the MDM server told of devices: in batches, in any order, each event once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import structlog
from django.core.cache import cache
from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone

from catalog import reconciling
from catalog.commands import EVENTS_KEPT
from catalog.enrollments import take_in
from catalog.mdm import Report, Topic, Unreadable, read
from catalog.models import DeviceEvent
from catalog.settling import settle
from vppportal.work import WorkState

log = structlog.get_logger(__name__)

PAYLOADS_READ: Final = frozenset({Topic.AUTHENTICATE, Topic.CONNECT})
"""What else devices send is never looked at, and may hold what unlocks, wakes or restarts them: it is not kept."""
BATCH: Final = 500
AGAIN_AFTER: Final = timedelta(seconds=2)
_ASKED_FOR: Final = "device-events-asked-for"


def store(body: Mapping[str, Any]) -> bool:
    """Keep an event to be applied, and return whether it is new; raises Unreadable.

    One from before the oldest that is kept is left: nobody can tell any more whether it was told and applied already.
    """
    now = timezone.now()
    report = read(body, now)
    if report.happened_at < now - EVENTS_KEPT:
        log.warning("mdm_event_left", why="It is too old.", event_id=report.event_id, happened_at=report.happened_at)
        return False
    event = DeviceEvent(
        event_id=report.event_id,
        topic=report.topic,
        enrollment_id=report.enrollment_id,
        happened_at=report.happened_at,
        received_at=now,
        body=body if report.topic in PAYLOADS_READ else _without_payload(body),
    )
    known = DeviceEvent.objects.filter(event_id=report.event_id)
    if known.exists():
        return False
    DeviceEvent.objects.bulk_create([event], ignore_conflicts=True)
    return True


def _without_payload(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body as it came, but for what the device itself sent."""
    return {
        name: {key: value for key, value in told.items() if key != "raw_payload"} if isinstance(told, Mapping) else told
        for name, told in body.items()
    }


def ask_for_application() -> bool:
    """Return whether a worker is to be asked to apply events; false while one was asked and has not begun."""
    return cache.add(_ASKED_FOR, True, 10)


def is_being_applied() -> None:
    """Note that a worker begins to apply events: those that come from now on want one asked again."""
    cache.delete(_ASKED_FOR)


def are_due() -> bool:
    """Do events wait to be applied?"""
    return DeviceEvent.objects.due().exists()


def apply_due(limit: int = BATCH) -> int:
    """Apply events that are due; return how many were taken up.

    Those whose worker died are taken up one by one: an event that takes workers down does so alone in the end, and no
    other is counted among its deaths.
    """
    abandoned = DeviceEvent.objects.filter(state=WorkState.RUNNING)
    rows = DeviceEvent.objects.filter(state=WorkState.WAITING).claim(limit) or abandoned.claim(1)
    if rows:
        _apply(rows)
    return len(rows)


def _apply(rows: Sequence[DeviceEvent]) -> None:
    try:
        with transaction.atomic():
            held = DeviceEvent.objects.still_held(rows)
            reports = _reports([row for row in held if not row.is_poison])
            _take(sorted(reports.values(), key=lambda report: report.happened_at))
            DeviceEvent.objects.filter(pk__in=reports).update(state=WorkState.DONE, lease_until=None, last_error="")
            unreadable = [row.pk for row in held if row.pk not in reports]
            DeviceEvent.objects.filter(pk__in=unreadable).update(
                state=WorkState.FAILED, lease_until=None, last_error="The event cannot be read."
            )
    except (IntegrityError, OperationalError) as error:
        # Somebody else enrolled the same device at the same moment, or the two of us waited for each other.
        log.info("events_put_off", number=len(rows), error=type(error).__name__)
        _put_off(rows)


def _reports(rows: Sequence[DeviceEvent]) -> dict[int, Report]:
    """Return what the events tell, without those that cannot be read."""
    found = {}
    for row in rows:
        try:
            found[row.pk] = read(row.body, row.received_at)
        except Unreadable:
            continue
    return found


def _take(reports: Sequence[Report]) -> None:
    woken = take_in(reports)
    answers = [report for report in reports if report.topic == Topic.CONNECT and report.command_uuid is not None]
    if answers:
        woken |= settle(answers)
    if woken:
        reconciling.wake_for_devices(woken)


def _put_off(rows: Sequence[DeviceEvent]) -> None:
    with transaction.atomic():
        held = [row.pk for row in DeviceEvent.objects.still_held(rows)]
        DeviceEvent.objects.filter(pk__in=held).update(
            state=WorkState.WAITING, lease_until=None, next_attempt_at=timezone.now() + AGAIN_AFTER
        )
