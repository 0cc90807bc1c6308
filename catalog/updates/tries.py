"""How far the update of an installed app is: it begins, is taken, comes to nothing, or is there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from catalog.models import UNWANTED, Installation, InstallState, UpdateState
from vppportal.work import backoff

WRITTEN: Final = (
    "update_state",
    "update_to",
    "update_since",
    "update_tries",
    "update_retry_at",
    "update_details",
    "update_asked_for",
)
MOST_TRIES: Final = 3
FIRST_PAUSE: Final = timedelta(minutes=15)
LONGEST_PAUSE: Final = timedelta(hours=6)
AT_ONCE: Final = 500
GONE: Final = frozenset({*UNWANTED, InstallState.SKIPPED})
"""Where the app is not wanted on the device, or cannot be there."""


def begin(row: Installation, newest: int, at: datetime) -> None:
    """Begin to update an app; what came to nothing counts on only while it was the same version, or a newer one."""
    if newest > (row.update_to or 0):
        row.update_tries = 0
    row.update_state, row.update_to, row.update_since = UpdateState.UNDER_WAY, newest, at
    row.update_retry_at, row.update_details = None, ""


def is_awaited(row: Installation, updates_to: int | None = None) -> bool:
    """Is the app being updated: to this version, where one is named?"""
    is_under_way = row.state == InstallState.INSTALLED and row.update_state == UpdateState.UNDER_WAY
    return is_under_way and (updates_to is None or row.update_to == updates_to)


def tell(row: Installation, words: str, since: datetime | None = None) -> None:
    """Note what the device says about it, and since when it is at it: from then on its lists tell how far it is."""
    row.update_since, row.update_details = since or row.update_since, words[:500]


def fail(row: Installation, at: datetime, words: str, *, may_help_again: bool) -> None:
    """Count a try that came to nothing; where trying again may help, that is done a few times."""
    row.update_state, row.update_since, row.update_details = UpdateState.FAILED, at, words[:500]
    row.update_tries += 1
    is_over = not may_help_again or row.update_tries >= MOST_TRIES
    first, longest = FIRST_PAUSE.total_seconds(), LONGEST_PAUSE.total_seconds()
    pause = backoff(row.update_tries, first=first, longest=longest)
    row.update_retry_at = None if is_over else timezone.now() + pause
    row.update_asked_for = None if is_over else row.update_asked_for


def call_back(row: Installation) -> None:
    """Let it be as if the present try had not begun; those before count on."""
    row.update_state, row.update_since, row.update_details = UpdateState.NONE, None, ""


def count_no_more(row: Installation) -> None:
    """Let tries that came to nothing count no longer, as if the version was new; one that is under way goes on."""
    row.update_tries = 0
    if row.update_state == UpdateState.FAILED:
        row.update_state, row.update_to, row.update_since = UpdateState.NONE, None, None
        row.update_retry_at, row.update_details = None, ""


def leave(row: Installation, state: InstallState) -> None:
    """Let an app leave being installed for a state: what came to nothing counts on while it is to come back.

    An update may have cost a device the app.
    """
    if state in GONE:
        forget(row)
    elif row.update_state == UpdateState.UNDER_WAY:
        call_back(row)


def forget(row: Installation) -> None:
    """Forget all about updating the app: the version is there, or the app is not."""
    row.update_state, row.update_to, row.update_since = UpdateState.NONE, None, None
    row.update_tries, row.update_retry_at, row.update_details, row.update_asked_for = 0, None, "", None


def write(rows: Sequence[Installation]) -> None:
    """Store how far the updates of these locked rows are."""
    Installation.objects.bulk_create(rows, AT_ONCE, update_conflicts=True, unique_fields=["pk"], update_fields=WRITTEN)
