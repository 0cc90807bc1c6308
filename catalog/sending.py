"""Hand commands to the MDM server, a batch at a time over a few connections; while it is away they wait."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from catalog import channel, inviting
from catalog.answers import SILENCE
from catalog.mdm import CommandRefused, MdmClient, MdmUnavailable, UnknownEnrollment
from catalog.mdm.client import PARALLEL
from catalog.models import Command, CommandKind, CommandStatus, InstallState
from catalog.moves import Moves
from vppportal.work import WorkState, backoff

BATCH: Final = 200
PATIENCE: Final = 45.0
"""Seconds for handing over one batch: well within the lease, so that nobody else takes the same commands."""
ENROLLING: Final = timedelta(minutes=10)
"""How long a device may take from its first word to the end of its enrollment."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a command that was to be sent; QUEUED: it still is to be."""

    status: CommandStatus
    words: str = ""
    may_help_again: bool = False


def is_due() -> bool:
    """Do commands wait to be sent, and is there a server to send them to?"""
    return channel.is_configured() and Command.objects.due().filter(status=CommandStatus.QUEUED).exists()


def send(limit: int = BATCH) -> int:
    """Send commands that are due, and return how many were taken up; 0 where there are none, or no MDM server.

    Those whose worker died are taken up one by one: what takes workers down does so alone in the end.
    """
    if not channel.is_configured():
        return 0
    queued = Command.objects.filter(status=CommandStatus.QUEUED).select_related("device")
    rows = queued.filter(state=WorkState.WAITING).claim(limit) or queued.filter(state=WorkState.RUNNING).claim(1)
    if rows:
        _store(rows, _hand_over(rows))
    return len(rows)


def _hand_over(rows: list[Command]) -> dict[int, Fate]:
    payloads = inviting.payloads(rows)
    with channel.connect() as client, ThreadPoolExecutor(PARALLEL, "mdm") as pool:
        fates = pool.map(_Handover(client, payloads), rows)
        return {command.pk: fate for command, fate in zip(rows, fates, strict=True)}


class _Handover:
    """Sends one command after the other, in several threads; once the server is found to be away, it stops trying."""

    def __init__(self, client: MdmClient, payloads: Mapping[int, Mapping[str, Any]]) -> None:
        self._client, self._payloads = client, payloads
        self._is_away, self._deadline = Event(), time.monotonic() + PATIENCE

    def __call__(self, command: Command) -> Fate:
        if command.is_poison:
            return Fate(CommandStatus.ERROR, "Sending the command ended several workers.")
        if not command.is_for_this_enrollment:
            return Fate(CommandStatus.LOST, "The device is not enrolled any more as it was.", may_help_again=True)
        if self._is_away.is_set() or time.monotonic() > self._deadline:
            return Fate(CommandStatus.QUEUED, "The MDM server is away or slow.")
        return self._send(command)

    def _send(self, command: Command) -> Fate:
        payload = self._payloads.get(command.pk)
        if payload is None:
            return Fate(CommandStatus.CANCELLED, "It is not needed any more.")
        try:
            queued = self._client.enqueue(command.enrollment_id, command.uuid, command.kind, payload)
        except MdmUnavailable as error:
            if error.concerns_all:
                self._is_away.set()
            return Fate(CommandStatus.QUEUED, str(error))
        except CommandRefused as error:
            return Fate(CommandStatus.ERROR, str(error))
        except UnknownEnrollment as error:
            enrolled_at = command.device.enrolled_at
            if enrolled_at is not None and timezone.now() - enrolled_at < ENROLLING:
                return Fate(CommandStatus.QUEUED, "The device has not finished enrolling.")
            return Fate(CommandStatus.LOST, str(error), may_help_again=True)
        return Fate(CommandStatus.SENT, queued.push_error)


def _store(rows: list[Command], fates: dict[int, Fate]) -> None:
    """Write what became of the commands, as far as they are still ours: some may have been answered meanwhile."""
    now = timezone.now()
    with transaction.atomic():
        moves = Moves.of_commands(rows)
        held = Command.objects.still_held(rows)
        alike: defaultdict[tuple[Fate, int], list[Command]] = defaultdict(list)
        for command in held:
            fate = fates[command.pk]
            alike[fate, command.attempt if fate.status == CommandStatus.QUEUED else 0].append(command)
        for (fate, attempt), commands in alike.items():
            pks = [command.pk for command in commands]
            Command.objects.filter(pk__in=pks).update(**_fields(fate, attempt, now))
            _move(moves, fate, commands, now)
        moves.save()


def _fields(fate: Fate, attempt: int, now: datetime) -> dict[str, Any]:
    """Return what to write of commands that met this fate; one that was sent is due again for looking after."""
    told = {"lease_until": None, "deaths": 0, "last_error": fate.words}
    match fate.status:
        case CommandStatus.QUEUED:
            due = now + backoff(attempt, first=5, longest=300)
            return {**told, "state": WorkState.WAITING, "next_attempt_at": due}
        case CommandStatus.SENT:
            sent = {"status": fate.status, "sent_at": now, "attempt": 0}
            return {**told, **sent, "state": WorkState.WAITING, "next_attempt_at": now + SILENCE}
    return {**told, "state": WorkState.FAILED, "status": fate.status, "answered_at": now, "answer": fate.words[:500]}


def _move(moves: Moves, fate: Fate, commands: list[Command], now: datetime) -> None:
    if fate.status == CommandStatus.QUEUED:
        return
    for command in commands:
        row = moves.get(command.installation_id)
        if fate.status != CommandStatus.SENT:
            moves.fail_of(command, now, fate.words, may_help_again=fate.may_help_again)
        elif command.kind == CommandKind.INSTALL and row is not None and row.state == InstallState.READY:
            moves.move(row, InstallState.SENT, now)
