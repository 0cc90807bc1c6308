"""Send updates to the devices whose rules allow it, by the timetable and by hand.

Everything here may run twice, at once, or end anywhere: what is not written is decided again, under a lock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from django.core.cache import cache
from django.db import transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Least
from django.utils import timezone

from catalog import commands, mdm
from catalog.models import (
    App,
    AppStatus,
    CatalogSettings,
    Command,
    CommandKind,
    Installation,
    UpdateMode,
    UpdateState,
)
from catalog.updates import calling_back, rollouts, tries, versions_told
from catalog.updates.gathering import BEHIND, GAVE_UP, NEWEST, UPDATING, read, ruled
from catalog.updates.rule import Verdict
from tokens.many import Keys
from tokens.queue import PROPAGATE
from vppportal.activity.models import Actor, record_each
from vppportal.work import nudge

AT_ONCE: Final = 500
_ASKED_FOR: Final = "updates-asked-for"
_AT_WORK: Final = "updates-being-sent"
LONGEST_PASS: Final = 60
"""Seconds after which a pass that never told its end holds no other up."""


def propagate_in_turn() -> None:
    """Propagate as one worker at a time: those who ask meanwhile get one more pass together, not one each.

    Where the cache forgets, two work at once, which only costs time.
    """
    cache.set(_ASKED_FOR, True, LONGEST_PASS)
    while cache.add(_AT_WORK, True, LONGEST_PASS):
        cache.delete(_ASKED_FOR)
        try:
            propagate()
        finally:
            cache.delete(_AT_WORK)
        if not cache.get(_ASKED_FOR):
            return


def propagate() -> int:
    """Send the updates of all apps that their rules allow now, and ask devices for what is not known of them.

    Return how many were stored to be sent. The number of queries depends on what is sent, never on what waits.
    """
    allowed = plan(timezone.now())
    sent = sum(_send(allowed[start : start + AT_ONCE]) for start in range(0, len(allowed), AT_ONCE))
    rollouts.note_pilots()
    calling_back.call_back()
    versions_told.look_after_updates()
    versions_told.ask()
    return sent


def plan(now: datetime) -> list[int]:
    """Return the installations that may be updated now, app by app: what cannot be among them is not even read."""
    mode = CatalogSettings.load().update_mode
    if mode == UpdateMode.END_USERS:
        return []
    wanted = Q(update_asked_for__gte=NEWEST)
    if mode == UpdateMode.ADMINISTRATORS:
        wanted |= Q(app__update_automatically=True)
    waiting = Q(update_state=UpdateState.FAILED, update_to__gte=NEWEST, update_retry_at__gt=now)
    behind = Installation.objects.filter(BEHIND, wanted, app__status=AppStatus.AVAILABLE, app__deleted_at=None)
    rows = read(behind.exclude(update_state=UpdateState.UNDER_WAY).exclude(waiting).exclude(GAVE_UP))
    apps = {row["pk"]: row["app_id"] for row in rows}
    allowed = [pk for pk, ruling in ruled(rows, now).items() if ruling.verdict == Verdict.NOW]
    return sorted(allowed, key=lambda pk: (apps[pk], pk))


def _send(keys: Sequence[int]) -> int:
    """Lock some installations, look at them again, and store the commands that still are allowed; return how many."""
    now = timezone.now()
    with transaction.atomic():
        locked = Installation.objects.filter(pk__in=keys).order_by("pk").select_for_update(of=("self",))
        known = locked.select_related("device", "app__listing")
        fresh = {row.pk: row for row in known.defer("app__listing__description", "app__listing__release_notes")}
        allowed = ruled(read(Installation.objects.filter(BEHIND, pk__in=fresh)), now)
        # Another command may be under way, like one that takes over what its person installed.
        busy = set(Command.objects.open().filter(installation__in=fresh).values_list("installation", flat=True))
        rows = [fresh[pk] for pk, ruling in allowed.items() if ruling.verdict == Verdict.NOW and pk not in busy]
        for row in rows:
            tries.begin(row, row.app.listing.external_version_id or 0, now)
        tries.write(rows)
        return commands.enqueue(map(_command, rows)) if rows else 0


def _command(row: Installation) -> Command:
    """Return the command that updates an app: the one that installs it, once more."""
    payload = mdm.install_payload(
        row.app,
        is_licensed=row.asset_id is not None,
        policies=row.app,
        platform=row.device.platform,
        enrollment_type=row.device.enrollment_type,
        take_over=True,
    )
    return Command(
        device=row.device,
        enrollment_id=row.device.enrollment_id,
        installation=row,
        kind=CommandKind.INSTALL,
        updates_to=row.update_to,
        payload=payload,
    )


def update_now(installations: QuerySet[Installation], by: Actor) -> int:
    """Update chosen installations that are behind whatever windows and pilots say; return how many.

    What is meant is the version that is the newest now: one that comes out before a device is reached keeps to the
    rules.
    Of tries that failed only one counts on: a pilot is not well before it has the version. Where the people decide on
    updates, nothing is sent by hand either.
    """
    if CatalogSettings.load().update_mode == UpdateMode.END_USERS:
        return 0
    behind = Installation.objects.filter(BEHIND, pk__in=installations.order_by().values("pk"))
    newest = App.objects.filter(pk=OuterRef("app")).values("listing__external_version_id")
    with transaction.atomic():
        locked = behind.exclude(UPDATING).order_by("pk").select_for_update(of=("self",))
        asked = dict(locked.values_list("pk", "app"))
        Installation.objects.filter(pk__in=Keys(asked)).update(
            update_asked_for=Subquery(newest[:1]),
            update_tries=Least("update_tries", 1),
            update_state=UpdateState.NONE,
            update_since=None,
            update_retry_at=None,
            update_details="",
        )
        _record_asking(by, Counter(asked.values()))
        nudge(PROPAGATE)
    return len(asked)


def _record_asking(by: Actor, devices: Mapping[int, int]) -> None:
    """Write down on how many devices each app is asked for: an entry an app, a query for all of one number."""
    of_number: dict[int, list[App]] = {}
    for app in App.objects.filter(pk__in=Keys(devices)).select_related("listing"):
        of_number.setdefault(devices[app.pk], []).append(app)
    for number, apps in of_number.items():
        record_each(by, "asked to update", apps, devices=number)
