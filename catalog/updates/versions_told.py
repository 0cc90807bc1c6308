"""Ask devices which versions of their apps they have: every day, and where an update is under way and nobody asks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from catalog import commands
from catalog.answers import AT_WORK_FOR
from catalog.mdm import list_payload
from catalog.models import Command, CommandKind, Installation
from catalog.moves import Moves
from catalog.updates.gathering import INSTALLED, UNDER_WAY
from catalog.updates.tries import is_awaited
from vppportal.work import OPEN_STATES

AT_ONCE: Final = 500
TRUE_FOR: Final = timedelta(days=1)
SILENT: Final = f"The device has not told for {AT_WORK_FOR.days} days what became of the update."


def ask() -> int:
    """Have devices list all their apps whose versions are unknown or a day old, a number of them; return how many.

    Apps change without the portal: where the people decide on updates, these lists are all that tells their versions.
    """
    with transaction.atomic():
        return commands.enqueue(
            Command(
                device_id=device_id,
                enrollment_id=enrollment_id,
                kind=CommandKind.MANAGED_LIST,
                payload=list_payload(),
            )
            for device_id, enrollment_id in _untold(timezone.now() - TRUE_FOR)
        )


def _untold(since: datetime) -> list[tuple[int, str]]:
    """Return devices, with their enrollments, that told nothing of some app since then and were not asked either."""
    is_old = Q(confirmed_at=None) | Q(confirmed_at__lt=since)
    is_reached = Q(device__unenrolled_at=None, device__wiped_at=None, device__retired_at=None)
    asked = Command.objects.filter(device=OuterRef("device"), kind=CommandKind.MANAGED_LIST)
    # A device that says nothing of an app is asked as seldom as the others.
    recently = asked.filter(
        payload=list_payload(), created_at__gt=since, enrollment_id=OuterRef("device__enrollment_id")
    )
    rows = (
        Installation.objects.filter(INSTALLED, is_old, is_reached)
        .exclude(device__enrollment_id="")
        .exclude(Exists(asked.filter(state__in=OPEN_STATES)))
        .exclude(Exists(recently))
        .order_by("device_id")
        .values_list("device_id", "device__enrollment_id")
        .distinct()[:AT_ONCE]
    )
    return list(rows)


def look_after_updates() -> int:
    """Ask on where an update is under way and no question is open: an answer got lost. Return how many there were.

    One of which nothing was heard for two weeks has come to nothing.
    """
    now = timezone.now()
    keys = _lost(now)[:AT_ONCE]
    if not keys:
        return 0
    asked: dict[int, timedelta] = {}
    with transaction.atomic():
        moves = Moves.of(Q(pk__in=keys))
        busy = set(Command.objects.open().filter(installation__in=keys).values_list("installation", flat=True))
        for row in moves.rows():
            if row.pk in busy or row.update_since is None or not is_awaited(row):
                continue
            waited = now - row.update_since
            if waited > AT_WORK_FOR:
                moves.fail_update(row, now, SILENT, may_help_again=True)
            else:
                pause = commands.next_look(waited)
                asked[row.device_id] = min(pause, asked.get(row.device_id, pause))
        moves.save()
        commands.ask_for_lists(asked)
    return len(keys)


def _lost(now: datetime) -> list[int]:
    """Return the installations whose update is under way while nothing is open that will tell of it.

    Compared here: a database that does not know yet how many commands were just stored would take far longer.
    """
    is_reached = Q(device__unenrolled_at=None) & ~Q(device__enrollment_id="")
    under_way = Installation.objects.filter(UNDER_WAY).filter(is_reached | Q(update_since__lt=now - AT_WORK_FOR))
    rows = list(under_way.order_by("pk").values_list("pk", "device_id"))
    if not rows:
        return []
    waiting = Command.objects.open().order_by()
    busy = set(waiting.filter(installation__isnull=False).values_list("installation_id", flat=True))
    asked = set(waiting.filter(kind=CommandKind.MANAGED_LIST).values_list("device_id", flat=True))
    return [pk for pk, device_id in rows if pk not in busy and device_id not in asked]
