"""Call back updates that wait to be sent and are not allowed any more: the roll-out was stopped, the window is over.

Commands may wait long while the MDM server is away. What was handed to it cannot be called back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from catalog.models import App, Command, CommandStatus, Installation, Rollout, RolloutDecision
from catalog.updates import tries
from catalog.updates.gathering import read, ruled
from catalog.updates.rule import Verdict
from tokens.many import Keys
from vppportal.work import WorkState

LOOKED_AT: Final = 5_000
AT_ONCE: Final = 500
HELD_UP: Final = timedelta(minutes=1)
"""What waits no longer is about to be sent; what was allowed so short a time ago still is."""


def call_back(app: App | None = None) -> int:
    """Cancel updates, of all apps or of one, that wait to be sent and are not allowed any more; return how many.

    Those of a stopped roll-out at once, others where they are held up. What somebody asked for by hand goes on as far
    as it may. One that had just begun to be stored when a roll-out was stopped is found by the next pass.
    """
    held_up = _held_up() if app is None else _held_up().filter(installation__app=app)
    called_back, last = 0, 0
    while waiting := dict(held_up.filter(pk__gt=last).values_list("pk", "installation")[:LOOKED_AT]):
        last = max(waiting)
        unwanted = _unwanted([pk for pk in waiting.values() if pk is not None])
        called_back += sum(_cancel(unwanted[start : start + AT_ONCE]) for start in range(0, len(unwanted), AT_ONCE))
    return called_back


def _queued() -> QuerySet[Command]:
    """Return what no worker has in hand; what one died over may have been handed over, and is sent once more."""
    waiting = Command.objects.filter(state=WorkState.WAITING, status=CommandStatus.QUEUED)
    return waiting.filter(updates_to__isnull=False).order_by("pk")


def _held_up() -> QuerySet[Command]:
    halted = Rollout.objects.filter(
        app=OuterRef("installation__app"),
        external_version_id=OuterRef("updates_to"),
        decision=RolloutDecision.HALTED,
    )
    return _queued().filter(Q(Exists(halted)) | Q(created_at__lt=timezone.now() - HELD_UP))


def _unwanted(keys: Sequence[int]) -> list[int]:
    """Return which of these installations would not be sent an update now, if none waited for them yet."""
    rows = read(Installation.objects.filter(pk__in=Keys(keys)))
    for row in rows:
        row["update_state"] = ""
    return [pk for pk, ruling in ruled(rows, timezone.now()).items() if ruling.verdict != Verdict.NOW]


def _cancel(keys: Sequence[int]) -> int:
    with transaction.atomic():
        locked = Installation.objects.filter(pk__in=keys).order_by("pk").select_for_update(of=("self",))
        rows = {row.pk: row for row in locked}
        queued = _queued().filter(installation__in=rows).select_for_update(of=("self",))
        free = dict(queued.values_list("pk", "installation"))
        Command.objects.filter(pk__in=free).update(
            state=WorkState.DONE, status=CommandStatus.CANCELLED, answered_at=timezone.now(), lease_until=None
        )
        called_back = [rows[pk] for pk in free.values() if pk is not None and tries.is_awaited(rows[pk])]
        for row in called_back:
            tries.call_back(row)
        tries.write(called_back)
    return len(free)
