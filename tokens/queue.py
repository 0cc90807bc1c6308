"""Put work in front of a worker, for verbs that stand below the tasks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from vppportal.work import nudge

CARRY_OUT: Final = "tokens.tasks.carry_out_operation"
SYNC: Final = "tokens.tasks.sync_token"
APPLY: Final = "tokens.tasks.apply_notifications"
LOOK_UP: Final = "tokens.tasks.look_up_listings"
CHECK_STORE: Final = "tokens.tasks.check_store"
PROPAGATE: Final = "catalog.tasks.propagate_updates"
"""Above us, hence by its name only: a new version was seen."""


def hurry(operations: Iterable[int], after: timedelta = timedelta()) -> None:
    """Have these operations looked at once the transaction is committed, and `after` has passed."""
    for pk in operations:
        nudge(CARRY_OUT, pk, after=after)
