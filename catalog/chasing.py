"""Look after commands that were sent and not answered: wake the device, ask it for its apps, give up in the end.

NanoMDM tells each answer once. One that was lost on the way to us shows as silence of a device that has been seen.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from catalog import channel
from catalog.answers import SILENCE
from catalog.commands import FIRST_LOOK, ask_for_lists
from catalog.mdm import MdmClient, MdmError
from catalog.mdm.client import PARALLEL
from catalog.models import Command, CommandKind, CommandStatus
from catalog.moves import FROM, Moves
from vppportal.work import WorkState, backoff

log = structlog.get_logger(__name__)

BATCH: Final = 200
PATIENCE: Final = 45.0
"""Seconds for waking the devices of one batch: a server that hangs must not outlast the lease."""
OUT: Final = (CommandStatus.SENT, CommandStatus.NOT_NOW)
GIVEN_UP_AFTER: Final = timedelta(days=14)
LONGEST_PAUSE: Final = timedelta(hours=6)
ASKED_OFTEN: Final = 3


@dataclass(frozen=True, slots=True)
class Step:
    """What to do about a silent command: close it (`words` say why), wake the device, ask for a list of its apps."""

    words: str = ""
    may_help_again: bool = False
    wakes: bool = False
    asks_list: bool = False


def is_due() -> bool:
    """Are there silent commands to be looked after?"""
    return Command.objects.due().filter(status__in=OUT).exists()


def chase(limit: int = BATCH) -> int:
    """Look after silent commands that are due; return how many were taken up."""
    rows = Command.objects.filter(status__in=OUT).select_related("device").claim(limit)
    now = timezone.now()
    steps = {command.pk: next_step(command, now) for command in rows}
    _wake({command.enrollment_id for command in rows if steps[command.pk].wakes})
    if rows:
        _store(rows, steps, now)
    return len(rows)


def next_step(command: Command, now: datetime) -> Step:
    """Return what to do about a silent command."""
    sent_at = command.sent_at or command.created_at
    if not command.is_for_this_enrollment:
        return Step("The device is not enrolled any more as it was.", may_help_again=True)
    if now - sent_at > GIVEN_UP_AFTER:
        return Step(f"The device has not answered for {GIVEN_UP_AFTER.days} days.")
    seen_at = command.device.last_seen_at
    has_come_past = seen_at is not None and seen_at > sent_at + SILENCE and command.status == CommandStatus.SENT
    if has_come_past and command.kind == CommandKind.MANAGED_LIST:
        return Step("The device's answer was lost.", asks_list=True)
    if has_come_past and command.kind not in FROM and command.attempt > ASKED_OFTEN:
        return Step("The device's answer was lost.")
    waits_for_list = command.kind in FROM and command.status == CommandStatus.SENT
    return Step(wakes=True, asks_list=waits_for_list and (has_come_past or command.attempt > 1))


def _wake(enrollment_ids: Iterable[str]) -> None:
    """Wake devices, as far as the MDM server can; whoever does not wake asks for its commands some time by itself."""
    if not (settings.NANOMDM_PUSH and channel.is_configured()):
        return
    deadline = time.monotonic() + PATIENCE
    with channel.connect() as client, ThreadPoolExecutor(PARALLEL, "mdm") as pool:
        failed = [error for error in pool.map(lambda name: _pushed(client, name, deadline), enrollment_ids) if error]
    if failed:
        log.info("devices_not_woken", number=len(failed), why=failed[0])


def _pushed(client: MdmClient, enrollment_id: str, deadline: float) -> str:
    if time.monotonic() > deadline:
        return "The MDM server is away or slow."
    try:
        return client.push(enrollment_id).push_error
    except MdmError as error:
        return str(error)


def _store(rows: list[Command], steps: dict[int, Step], now: datetime) -> None:
    asked: dict[int, timedelta] = {}
    with transaction.atomic():
        moves = Moves.of_commands(rows)
        later: defaultdict[int, list[int]] = defaultdict(list)
        over: defaultdict[str, list[int]] = defaultdict(list)
        for command in Command.objects.still_held(rows):
            step = steps[command.pk]
            if step.words:
                over[step.words].append(command.pk)
                moves.fail_of(command, now, step.words, may_help_again=step.may_help_again)
            else:
                later[command.attempt].append(command.pk)
            if step.asks_list:
                asked[command.device_id] = FIRST_LOOK
        for words, pks in over.items():
            Command.objects.filter(pk__in=pks).update(
                state=WorkState.FAILED, status=CommandStatus.LOST, answered_at=now, answer=words, lease_until=None
            )
        for attempt, pks in later.items():
            due = now + min(backoff(attempt, first=SILENCE.total_seconds()), LONGEST_PAUSE)
            Command.objects.filter(pk__in=pks).update(
                state=WorkState.WAITING, next_attempt_at=due, deaths=0, lease_until=None
            )
        ask_for_lists(asked)
        moves.save()
