"""Write what devices' answers mean: commands are closed, apps move on, and more is asked where that is needed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q

from catalog import device_facts
from catalog.answers import ABSENT_FOR, LISTED, SILENCE, Meaning, find, judge, judge_update
from catalog.commands import FIRST_LOOK, ask_for_lists, enqueue
from catalog.mdm import Report, Unreadable
from catalog.models import Command, CommandKind, CommandStatus, Installation, InstallState, UpdateState
from catalog.moves import FROM, Moves
from catalog.updates.settling import next_look_at, take_answer, take_list, version_of, wait
from catalog.updates.tries import is_awaited
from tokens import schedule
from vppportal.groups.models import Device
from vppportal.work import OPEN_STATES, WorkState

WRITTEN: Final = ("state", "status", "answered_at", "answer", "last_error", "lease_until", "next_attempt_at")
AT_ONCE: Final = 500
Apps = dict[str, Mapping[str, Any]]
SHOWN: Final = "A list of the device's apps shows it."
LOOKED_AT: Final = (InstallState.INSTALLED, InstallState.FAILED)


@dataclass(slots=True)
class _Settling:
    """One batch of answers at work: the locked commands, installations, and what follows from them."""

    commands: dict[UUID, Command]
    moves: Moves
    by_device: defaultdict[int, list[Installation]]
    changed: set[int] = field(default_factory=set)
    asked: dict[int, timedelta] = field(default_factory=dict)
    follow: list[Command] = field(default_factory=list)
    released: dict[int, datetime] = field(default_factory=dict)
    told: dict[int, tuple[datetime, Mapping[str, Any]]] = field(default_factory=dict)
    by_installation: dict[int, Command] = field(default_factory=dict)
    missed: set[int] = field(default_factory=set)
    """Products of which devices did not find their license, however often it was tried."""

    def open_command(self, row: Installation) -> Command | None:
        """Return the command an installation still waits for."""
        command = self.by_installation.get(row.pk)
        return command if command is not None and command.is_open else None


def settle(reports: Sequence[Report]) -> set[int]:
    """Apply answers to commands, in the order they are given; return the devices that were released from management.

    Call it in a transaction. Answers to commands that are closed, or not ours, change nothing.
    """
    payloads = _payloads(reports)
    batch = _lock(payloads)
    for report, payload in payloads:
        command = batch.commands.get(report.command_uuid) if report.command_uuid else None
        if command is not None:
            _answer(batch, command, report, payload)
    changed = sorted((row for row in batch.commands.values() if row.pk in batch.changed), key=lambda row: row.pk)
    Command.objects.bulk_create(changed, AT_ONCE, update_conflicts=True, unique_fields=["pk"], update_fields=WRITTEN)
    if batch.follow:
        enqueue(batch.follow)
    batch.moves.save()
    ask_for_lists(batch.asked)
    device_facts.store(batch.told)
    if batch.missed:
        schedule.ask_for_missed_licenses(batch.missed)
    for device_id, at in batch.released.items():
        Device.objects.filter(pk=device_id).update(unenrolled_at=at)
    return set(batch.released)


def _payloads(reports: Sequence[Report]) -> list[tuple[Report, Mapping[str, Any]]]:
    """Read what the devices sent; where that cannot be read, the status that NanoMDM took from it still counts."""
    found: list[tuple[Report, Mapping[str, Any]]] = []
    for report in reports:
        try:
            found.append((report, report.payload()))
        except Unreadable:
            found.append((report, {}))
    return found


def _lock(payloads: Sequence[tuple[Report, Mapping[str, Any]]]) -> _Settling:
    """Lock what these answers may change: first the installations, then the commands."""
    uuids = [report.command_uuid for report, _ in payloads if report.command_uuid]
    known = list(Command.objects.filter(uuid__in=uuids).only("pk", "kind", "payload", "device_id", "installation_id"))
    lists = [command for command in known if command.kind == CommandKind.MANAGED_LIST]
    own = Q(pk__in={command.installation_id for command in known if command.installation_id})
    moves = Moves.of(own | _listed(lists) if lists else own)
    waited_for = Q(installation__in=[row.pk for row in moves.rows()], state__in=OPEN_STATES)
    rows = list(Command.objects.filter(Q(uuid__in=uuids) | waited_for).order_by("pk").select_for_update(of=("self",)))
    by_device = defaultdict(list)
    for installation in moves.rows():
        by_device[installation.device_id].append(installation)
    own_of = {row.installation_id: row for row in rows if row.installation_id and row.is_open}
    return _Settling({row.uuid: row for row in rows}, moves, by_device, by_installation=own_of)


def _listed(lists: Sequence[Command]) -> Q:
    """Return which installations these lists of devices' apps decide on."""
    devices = {command.device_id for command in lists}
    named = {name for command in lists for name in command.payload.get("Identifiers", ())}
    looked_at = Q(state__in=LOOKED_AT)
    if all(command.payload.get("Identifiers") for command in lists):
        looked_at &= Q(app__listing__bundle_id__in=named)
    is_updated = Q(state=InstallState.INSTALLED, update_state=UpdateState.UNDER_WAY)
    return Q(device__in=devices) & (Q(state__in=LISTED) | is_updated | looked_at)


def _answer(batch: _Settling, command: Command, report: Report, payload: Mapping[str, Any]) -> None:
    meaning = _meaning(command, report, payload)
    if meaning is None:
        return
    if not command.is_open:
        _answer_late(batch, command, report, meaning)
        return
    batch.changed.add(command.pk)
    command.status, command.answer = meaning.status, meaning.words[:500]
    if command.updates_to is not None and take_answer(batch.moves, command, report.happened_at, meaning):
        batch.asked[command.device_id] = FIRST_LOOK
    if meaning.status == CommandStatus.NOT_NOW:
        return
    _close(command, report.happened_at)
    if command.kind == CommandKind.MANAGED_LIST:
        _compare(batch, command, report, _apps(payload) if meaning.status == CommandStatus.ACKNOWLEDGED else None)
    elif command.kind == CommandKind.REMOVE_PROFILE and meaning.status == CommandStatus.ACKNOWLEDGED:
        batch.released[command.device_id] = report.happened_at
    elif command.kind == CommandKind.DEVICE_FACTS and meaning.status == CommandStatus.ACKNOWLEDGED:
        batch.told[command.device_id] = report.happened_at, payload
    elif command.updates_to is None:
        _move(batch, command, report.happened_at, meaning)
    if meaning.misses_license:
        _note_missed_license(batch, batch.moves.get(command.installation_id))


def _meaning(command: Command, report: Report, payload: Mapping[str, Any]) -> Meaning | None:
    if command.updates_to is not None:
        return judge_update(report.status, payload)
    return judge(command.kind, report.status, payload, took_over="ChangeManagementState" in command.payload)


def _note_missed_license(batch: _Settling, row: Installation | None) -> None:
    """Have Apple asked for a license once the last try to install or update with it has failed."""
    if row is None or row.asset_id is None:
        return
    has_failed, has_not_updated = row.state == InstallState.FAILED, row.update_state == UpdateState.FAILED
    if (has_failed and row.retry_at is None) or (has_not_updated and row.update_retry_at is None):
        batch.missed.add(row.asset_id)


def _answer_late(batch: _Settling, command: Command, report: Report, meaning: Meaning) -> None:
    """Note the answer to a command that was given up; what it did on the device, a list of its apps tells."""
    if command.status == CommandStatus.LOST and meaning.status != CommandStatus.NOT_NOW:
        batch.changed.add(command.pk)
        command.status, command.answer = meaning.status, meaning.words[:500]
        command.answered_at = report.happened_at
        if command.kind in FROM:
            batch.asked.setdefault(command.device_id, FIRST_LOOK)


def _close(command: Command, at: datetime) -> None:
    command.state, command.lease_until, command.last_error = WorkState.DONE, None, ""
    command.answered_at = at


def _move(batch: _Settling, command: Command, at: datetime, meaning: Meaning) -> None:
    """Move the command's installation to where the answer puts it, if it still waits for this answer."""
    row = batch.moves.get(command.installation_id)
    if row is None or row.state not in FROM.get(command.kind, ()):
        return
    if meaning.takes_over:
        batch.follow.append(_taking_over(command, at))
        batch.moves.move(row, InstallState.READY, at, meaning.words)
    elif meaning.state == InstallState.FAILED:
        batch.moves.fail(row, at, meaning.words, may_help_again=meaning.may_help_again)
    elif meaning.state is not None:
        batch.moves.move(row, meaning.state, at, meaning.words)
    if meaning.asks_list:
        batch.asked[command.device_id] = FIRST_LOOK


def _taking_over(command: Command, at: datetime) -> Command:
    """Return the same command once more, with the word that lets a device take over what its person installed."""
    return Command(
        device_id=command.device_id,
        enrollment_id=command.enrollment_id,
        kind=command.kind,
        installation_id=command.installation_id,
        payload={**command.payload, "ChangeManagementState": "Managed"},
        requested_by_id=command.requested_by_id,
    )


def _compare(batch: _Settling, command: Command, report: Report, apps: Apps | None) -> None:
    """Compare a list of a device's managed apps with what should be there; ask again while something is on its way.

    `apps` None: the device refused to say.
    """
    asked = {str(name).lower() for name in command.payload.get("Identifiers", ())}
    pauses = []
    for row in batch.by_device[command.device_id]:
        name = row.app.listing.bundle_id.lower()
        if apps is not None and (not asked or name in asked) and _is_news(row, report.happened_at):
            is_unsettled = _apply(batch, command, row, apps.get(name, {}), report.happened_at)
        else:
            is_unsettled = _wait(batch, row, report.happened_at, is_told=apps is not None)
        if is_unsettled:
            pauses.append(next_look_at(row, report.happened_at))
    if pauses:
        batch.asked[command.device_id] = min(pauses)


def _apps(payload: Mapping[str, Any]) -> Apps:
    """Return the entries of a list by bundle id; what is no entry is left out."""
    listed = payload.get("ManagedApplicationList")
    entries = listed.items() if isinstance(listed, Mapping) else ()
    return {str(name).lower(): entry for name, entry in entries if isinstance(entry, Mapping)}


def _is_news(row: Installation, at: datetime) -> bool:
    """Does a list of this time tell more than is known? An older one says nothing about what was done since."""
    is_old = (row.state in LISTED or row.failed_to_leave) and at < row.since
    return not is_old and (row.confirmed_at is None or at > row.confirmed_at)


def _wait(batch: _Settling, row: Installation, at: datetime, *, is_told: bool) -> bool:
    """Return whether a list that says nothing about an app leaves it open what became of it."""
    if is_awaited(row) and batch.open_command(row) is None:
        return wait(batch.moves, row, at, is_told=is_told)
    if row.state not in LISTED:
        return False
    if not is_told and at - row.since > ABSENT_FOR:
        words = "The device does not tell what became of the app."
        batch.moves.fail(row, at, words, may_help_again=False)
        _close_of(batch, row, at, CommandStatus.LOST, words)
        return False
    return True


def _apply(batch: _Settling, command: Command, row: Installation, entry: Mapping[str, Any], at: datetime) -> bool:
    """Move one app to where a list says that it is; return whether it has to be looked at again."""
    listed, sent = entry.get("Status"), batch.open_command(row)
    is_overdue, was_awaited = _is_overdue(sent, command), is_awaited(row)
    finding = find(
        InstallState(row.state),
        listed if isinstance(listed, str) else "",
        at - row.since,
        is_overdue=is_overdue,
        is_leaving=row.failed_to_leave,
    )
    if finding.is_named:
        batch.moves.name(row, at, version_of(entry))
    if finding.state == InstallState.FAILED:
        if row.state == InstallState.INSTALLED:
            row.confirmed_at = None
        if was_awaited:  # the update may have cost the device the app
            batch.moves.fail_update(row, at, finding.words, may_help_again=True)
        batch.moves.fail(row, at, finding.words, may_help_again=finding.may_help_again)
        _close_of(batch, row, at, CommandStatus.LOST, finding.words)
    elif finding.state is not None:
        batch.moves.move(row, finding.state, at, finding.words)
        if finding.state in (InstallState.INSTALLED, InstallState.REMOVED):
            _close_of(batch, row, at, CommandStatus.ACKNOWLEDGED, SHOWN)
    if was_awaited and row.state == InstallState.INSTALLED:
        return _apply_to_update(batch, row, entry, at, is_overdue=is_overdue)
    return finding.asks_again


def _apply_to_update(
    batch: _Settling, row: Installation, entry: Mapping[str, Any], at: datetime, *, is_overdue: bool
) -> bool:
    """Apply a list to an app that is being updated, and close the command once that is over."""
    is_open = batch.open_command(row) is not None
    asks_again = take_list(batch.moves, row, entry, at, is_open=is_open, is_overdue=is_overdue)
    if row.update_state == UpdateState.FAILED:
        _close_of(batch, row, at, CommandStatus.LOST, row.update_details)
    elif not is_awaited(row):
        _close_of(batch, row, at, CommandStatus.ACKNOWLEDGED, SHOWN)
    return asks_again


def _is_overdue(sent: Command | None, asked: Command) -> bool:
    """Did the device come past a command without a word of it reaching us? It takes them in their order."""
    if sent is None or sent.status != CommandStatus.SENT or sent.sent_at is None:
        return False
    return asked.created_at - sent.sent_at >= SILENCE


def _close_of(batch: _Settling, row: Installation, at: datetime, status: CommandStatus, words: str) -> None:
    """Close the command of an installation whose fate a list has told."""
    command = batch.open_command(row)
    if command is not None:
        _close(command, at)
        command.status, command.answer = status, words[:500]
        batch.changed.add(command.pk)
