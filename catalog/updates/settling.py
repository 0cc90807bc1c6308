"""Write what devices' answers and lists mean for updates under way: they are taken, are done, or came to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from catalog.answers import ABSENT_FOR, Meaning
from catalog.commands import next_look
from catalog.models import Command, CommandStatus, Installation, InstallState
from catalog.moves import Moves
from catalog.updates.answers import find_update
from catalog.updates.tries import is_awaited

NOT_TOLD = "The device does not tell what became of the update."


def take_answer(moves: Moves, command: Command, at: datetime, meaning: Meaning) -> bool:
    """Write what an answer to an update means, if the app still waits for it; return whether to ask for a list."""
    row = moves.get(command.installation_id)
    if row is None or not is_awaited(row, command.updates_to):
        return False
    if meaning.status == CommandStatus.NOT_NOW:
        moves.tell_update(row, meaning.words)
    elif meaning.state == InstallState.FAILED:
        moves.fail_update(row, at, meaning.words, may_help_again=not meaning.is_final)
    else:
        moves.tell_update(row, meaning.words, since=at)
    return meaning.asks_list


def take_list(
    moves: Moves, row: Installation, entry: Mapping[str, Any], at: datetime, *, is_open: bool, is_overdue: bool
) -> bool:
    """Write what a list says of an app that is being updated; return whether it has to be looked at again."""
    version, listed = version_of(entry), entry.get("Status")
    if version is not None and version >= (row.update_to or 0):
        moves.name(row, at, version)
        return False
    if row.update_since is None or at < row.update_since:
        return not is_open
    age = at - row.update_since
    found = find_update(listed if isinstance(listed, str) else "", age, is_open=is_open, is_overdue=is_overdue)
    if found.has_failed:
        moves.fail_update(row, at, found.words, may_help_again=found.may_help_again)
    elif found.words:
        moves.tell_update(row, found.words)
    return found.asks_again


def wait(moves: Moves, row: Installation, at: datetime, *, is_told: bool) -> bool:
    """Return whether a list that says nothing about an app leaves open what became of its update."""
    if not is_told and row.update_since is not None and at - row.update_since > ABSENT_FOR:
        moves.fail_update(row, at, NOT_TOLD, may_help_again=False)
        return False
    return True


def next_look_at(row: Installation, at: datetime) -> timedelta:
    """Return the pause before a device is asked again, by how long it takes already."""
    return next_look(at - (row.update_since if is_awaited(row) and row.update_since else row.since))


def version_of(entry: Mapping[str, Any]) -> int | None:
    """Return the external version id that an entry of a list tells; a device may say anything."""
    version = entry.get("ExternalVersionIdentifier")
    return version if isinstance(version, int) and not isinstance(version, bool) and 0 < version < 2**63 else None
