"""Move installations on by what devices did: many at once, locked, and only from where such a move may start."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Self

from django.db.models import Q
from django.utils import timezone

from catalog import reconciling
from catalog.answers import retry_after
from catalog.models import ON_THE_WAY, Command, CommandKind, Installation, InstallState, Reconciliation
from catalog.updates import tries
from tokens.models import ListingVersion

WRITTEN: Final = (
    "state",
    "details",
    "since",
    "tries",
    "retry_at",
    "version",
    "external_version_id",
    "confirmed_at",
    *tries.WRITTEN,
)
AT_ONCE: Final = 500
FROM: Final[dict[str, frozenset[InstallState]]] = {
    CommandKind.INSTALL: frozenset(ON_THE_WAY),
    CommandKind.REMOVE: frozenset({InstallState.REMOVING}),
}
"""Where an installation must be for the fate of a command to move it."""
CALLS_FOR_A_PLAN: Final = frozenset({InstallState.FAILED, InstallState.REMOVED})
"""Something follows from these: another try, a license that returns. From an app that is installed nothing does."""


class Moves:
    """Installations that are locked until the transaction ends, moved in memory and written together."""

    def __init__(self, rows: Iterable[Installation]) -> None:
        self._rows = {row.pk: row for row in rows}
        self._changed: set[int] = set()
        self._to_plan: set[int] = set()
        self._nameless: set[int] = set()

    @classmethod
    def of(cls, which: Q) -> Self:
        """Lock the installations of a condition; call it in a transaction, before any command is locked.

        The reconciliations come first, as where plans are carried out: two that lock in different orders stop each
        other.
        """
        rows = Installation.objects.filter(which)
        list(Reconciliation.objects.filter(app__in=rows.values("app")).order_by("pk").select_for_update())
        return cls(rows.select_related("app__listing").order_by("pk").select_for_update(of=("self",)))

    @classmethod
    def of_commands(cls, commands: Iterable[Command]) -> Self:
        """Lock the installations of some commands."""
        return cls.of(Q(pk__in={command.installation_id for command in commands if command.installation_id}))

    def rows(self) -> Iterable[Installation]:
        """Return all that are locked."""
        return self._rows.values()

    def get(self, pk: int | None) -> Installation | None:
        """Return one of them."""
        return None if pk is None else self._rows.get(pk)

    def move(self, row: Installation, state: InstallState, at: datetime, words: str = "") -> None:
        """Put an installation into a state, since `at`; what a new state has no use for is forgotten."""
        if row.state != state:
            if state != InstallState.INSTALLED:
                tries.leave(row, state)
            row.state, row.since = state, at
            if state in CALLS_FOR_A_PLAN:
                self._to_plan.add(row.app_id)
        row.details = words[:500]
        row.retry_at = None
        if state == InstallState.INSTALLED:
            row.tries = 0
        if state == InstallState.REMOVED:
            row.tries, row.confirmed_at, row.external_version_id, row.version = 0, None, None, ""
        self._changed.add(row.pk)

    def fail(self, row: Installation, at: datetime, words: str, *, may_help_again: bool) -> None:
        """Let an installation fail; where sending the command again may help, that is done a few times."""
        self.move(row, InstallState.FAILED, at, words)
        row.tries += 1
        pause = retry_after(row.tries) if may_help_again else None
        row.retry_at = timezone.now() + pause if pause is not None else None

    def fail_of(self, command: Command, at: datetime, words: str, *, may_help_again: bool) -> None:
        """Let the installation of a command fail that came to nothing, or its update, where it still stands on it."""
        row = self.get(command.installation_id)
        if row is None:
            return
        if command.updates_to is not None:
            if tries.is_awaited(row, command.updates_to):
                self.fail_update(row, at, words, may_help_again=may_help_again)
        elif row.state in FROM.get(command.kind, ()):
            self.fail(row, at, words, may_help_again=may_help_again)

    def tell_update(self, row: Installation, words: str, since: datetime | None = None) -> None:
        """Note what a device says about an update, and since when it is at it."""
        tries.tell(row, words, since)
        self._changed.add(row.pk)

    def fail_update(self, row: Installation, at: datetime, words: str, *, may_help_again: bool) -> None:
        """Count a try to update an app that came to nothing; the app stays installed as it is."""
        tries.fail(row, at, words, may_help_again=may_help_again)
        self._changed.add(row.pk)

    def name(self, row: Installation, at: datetime, external_version_id: int | None) -> None:
        """Note that a list of the device named the app, and its version; an update is done once that is reached."""
        row.confirmed_at = at
        told, listing = external_version_id, row.app.listing
        if told is not None:
            if told != row.external_version_id or not row.version:
                row.version = listing.version if listing.external_version_id == told else ""
                self._nameless |= set() if row.version else {row.pk}
            row.external_version_id = told
            wanted = row.update_to if row.update_state else listing.external_version_id
            if wanted is not None and told >= wanted:
                tries.forget(row)
        self._changed.add(row.pk)

    def save(self) -> None:
        """Write what was changed, and have planned anew what that calls for."""
        self._name_versions()
        changed = [self._rows[pk] for pk in sorted(self._changed)]
        Installation.objects.bulk_create(
            changed, AT_ONCE, update_conflicts=True, unique_fields=["pk"], update_fields=WRITTEN
        )
        reconciling.wake(self._to_plan)

    def _name_versions(self) -> None:
        """Name those versions that are not the store's newest: as far as the store has shown them to the portal."""
        rows = [self._rows[pk] for pk in self._nameless]
        if not rows:
            return
        known = ListingVersion.objects.filter(
            listing__in={row.app.listing_id for row in rows},
            external_version_id__in={row.external_version_id for row in rows},
        )
        names = {
            (listing, told): name
            for listing, told, name in known.values_list("listing", "external_version_id", "version")
        }
        for row in rows:
            row.version = names.get((row.app.listing_id, row.external_version_id or 0), "")
