"""Commands to devices: stored here before anybody sends them, so that nothing gets lost and nothing goes out twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from catalog.answers import LISTED
from catalog.mdm import list_payload
from catalog.models import Command, CommandKind, CommandStatus, DeviceEvent, Installation, InstallState, UpdateState
from vppportal.groups.models import Device
from vppportal.work import OPEN_STATES, WorkState, nudge

FIRST_LOOK: Final = timedelta(seconds=5)
"""How long after a device took a command it is asked for the first time what has become of it."""
LAST_LOOK: Final = timedelta(hours=6)
AT_ONCE: Final = 500
EVENTS_KEPT: Final = timedelta(days=14)
COMMANDS_KEPT: Final = timedelta(days=90)


def enqueue(commands: Iterable[Command]) -> int:
    """Store commands to be sent, and return how many are new.

    An installation, and a list of a device's apps, has one open command at most: a second one is left out.
    """
    rows = list(commands)
    Command.objects.bulk_create(rows, AT_ONCE, ignore_conflicts=True)
    uuids = [row.uuid for row in rows]
    stored = sum(
        Command.objects.filter(uuid__in=uuids[start : start + AT_ONCE]).count()
        for start in range(0, len(uuids), AT_ONCE)
    )
    if stored:
        nudge("catalog.tasks.send_commands")
    return stored


def given_up_installs() -> QuerySet[Command]:
    """Return installs that were given up after they were sent: what their devices may still do, or did, unseen.

    They wait in the MDM server's queue for as long as the device stays enrolled as it is.
    """
    return Command.objects.filter(
        kind=CommandKind.INSTALL,
        installation__isnull=False,
        state=WorkState.FAILED,
        status__in=(CommandStatus.LOST, CommandStatus.ACKNOWLEDGED),
        sent_at__isnull=False,
        enrollment_id=F("device__enrollment_id"),
        created_at__gte=F("device__enrolled_at"),
    )


def next_look(waited: timedelta) -> timedelta:
    """Return the pause before a device is asked again: as long as the app takes already, so that pauses double."""
    return min(max(waited, FIRST_LOOK), LAST_LOOK)


def ask_for_lists(wanted: Mapping[int, timedelta]) -> None:
    """Have devices (by key) say which managed apps they have, each after its pause; call it in a transaction.

    A device has one open list at most. One that waits to be sent is sent earlier and asks for more; one that was sent
    stays as it is: whoever takes its answer asks again where something is left to find out.
    """
    if not wanted:
        return
    now = timezone.now()
    apps = _apps_to_look_for(wanted)
    lists = Command.objects.open().filter(device__in=wanted, kind=CommandKind.MANAGED_LIST)
    waiting = Q(state=WorkState.WAITING, status=CommandStatus.QUEUED)
    rows = list(lists.filter(waiting).order_by("pk").select_for_update(skip_locked=True, of=("self",)))
    for row in rows:
        row.payload = list_payload(apps[row.device_id])
        row.next_attempt_at = min(row.next_attempt_at, now + wanted[row.device_id])
    fields = ["payload", "next_attempt_at"]
    Command.objects.bulk_create(rows, AT_ONCE, update_conflicts=True, unique_fields=["pk"], update_fields=fields)
    has_one = set(lists.values_list("device_id", flat=True))
    devices = Device.objects.enrolled().filter(pk__in=wanted.keys() - has_one)
    new = [_list(pk, name, apps[pk], now, now + wanted[pk]) for pk, name in devices.values_list("pk", "enrollment_id")]
    Command.objects.bulk_create(new, AT_ONCE, ignore_conflicts=True)
    soonest = min(wanted.values())
    if soonest < timedelta(minutes=1):
        nudge("catalog.tasks.send_commands", after=soonest)


def _list(device_id: int, enrollment_id: str, bundle_ids: set[str], now: datetime, due: datetime) -> Command:
    return Command(
        device_id=device_id,
        enrollment_id=enrollment_id,
        kind=CommandKind.MANAGED_LIST,
        payload=list_payload(bundle_ids),
        created_at=now,
        next_attempt_at=due,
    )


def _apps_to_look_for(device_ids: Iterable[int]) -> dict[int, set[str]]:
    """Return the bundle ids of each device's apps that a list decides on; a device without any is asked for all.

    Where there are some, those that failed are asked for as well: a late answer may have more to tell of them.
    """
    found: dict[int, set[str]] = defaultdict(set)
    failed: dict[int, set[str]] = defaultdict(set)
    is_updated = Q(state=InstallState.INSTALLED, update_state=UpdateState.UNDER_WAY)
    listed = Q(state__in=(*LISTED, InstallState.FAILED)) | is_updated
    rows = Installation.objects.filter(listed, device__in=list(device_ids))
    for device_id, state, bundle_id in rows.values_list("device_id", "state", "app__listing__bundle_id"):
        (failed if state == InstallState.FAILED else found)[device_id].add(bundle_id)
    for device_id, bundle_ids in found.items():
        bundle_ids |= failed[device_id]
    return found


def forget() -> None:
    """Delete events and closed commands that nobody asks for any more; what a device may still do is kept."""
    now = timezone.now()
    events = DeviceEvent.objects.exclude(state__in=OPEN_STATES)
    events.filter(received_at__lt=now - EVENTS_KEPT).delete()
    commands = Command.objects.exclude(state__in=OPEN_STATES)
    kept = given_up_installs().values("pk")
    commands.filter(created_at__lt=now - COMMANDS_KEPT).exclude(pk__in=kept).delete()
