"""What a device's list of managed apps means for an app that is being updated. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from catalog.answers import AT_WORK_FOR
from catalog.reasons import IN_PROGRESS, UPDATE_OVER, Turn

WITHOUT_EFFECT_AFTER: Final = timedelta(minutes=30)
"""How long after it took the command a device may go on to list the old version as if nothing had happened."""
NO_CHANGE: Final = "The device took the command, but the version did not change."
ANSWER_LOST: Final = "The device still has the old version, and its answer to the command was lost."


@dataclass(frozen=True, slots=True)
class UpdateFinding:
    """What follows for an update: it goes on (`asks_again`) or has failed; `words` are for people."""

    words: str = ""
    asks_again: bool = False
    has_failed: bool = False
    may_help_again: bool = True


def find_update(listed: str, age: timedelta, *, is_open: bool, is_overdue: bool) -> UpdateFinding:
    """Return what a list means for an app whose update is awaited, and of which it does not name the version yet.

    `listed` is the app's status there; `age` is how long the update takes; `is_open` says that the device has not
    answered the command, `is_overdue` that it has come past it.
    """
    if listed in UPDATE_OVER:
        turn, words = UPDATE_OVER[listed]
        return UpdateFinding(words, has_failed=True, may_help_again=turn != Turn.FINAL)
    if age > AT_WORK_FOR:
        words = f"The device has not got further for {AT_WORK_FOR.days} days."
        return UpdateFinding(f"{words} {IN_PROGRESS.get(listed, '')}".rstrip(), has_failed=True)
    if listed in IN_PROGRESS:
        return UpdateFinding(IN_PROGRESS[listed], asks_again=True)
    if is_overdue:
        return UpdateFinding(ANSWER_LOST, has_failed=True)
    if listed == "Managed" and not is_open and age >= WITHOUT_EFFECT_AFTER:
        return UpdateFinding(NO_CHANGE, has_failed=True)
    # As long as the command is open, its answer has the device asked again, or its silence does.
    return UpdateFinding(asks_again=not is_open)
