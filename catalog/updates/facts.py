"""What pages say about updates: why each installation waits, how far an app is, and which roll-outs are stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from catalog.models import (
    App,
    CatalogSettings,
    Installation,
    Rollout,
    RolloutDecision,
    UpdateMode,
    UpdateState,
    WindowKind,
)
from catalog.updates.gathering import BEHIND, INSTALLED, ON_NEWEST, gather, read, ruled
from catalog.updates.rule import Rules, Ruling, Verdict, held_by_pilot, is_stalled


@dataclass(frozen=True, slots=True)
class Summary:
    """How far an app's devices are with its newest version.

    Of all devices that have the app (`total`) some are `on_newest`, of some it is `not_known`; the others are behind,
    and counted by what is done about them, and by why updating failed.
    """

    version: str
    seen_at: datetime | None
    checked_at: datetime | None
    rollout: Rollout | None
    total: int = 0
    on_newest: int = 0
    not_known: int = 0
    by_verdict: list[tuple[Verdict, str, int]] = field(default_factory=list)
    failures: list[tuple[str, int]] = field(default_factory=list)


def rulings(installations: Iterable[Installation]) -> dict[int, Ruling]:
    """Return what is done about the versions of these installations, by their keys; apps that are not installed lack.

    Meant for the rows of a page: they are read anew, in a constant number of queries.
    """
    rows = read(Installation.objects.filter(INSTALLED, pk__in=[one.pk for one in installations]))
    return ruled(rows, timezone.now())


def summary(app: App) -> Summary:
    """Return how far an app's devices are with its newest version; only what is behind is loaded."""
    listing = app.listing
    rollout = app.rollouts.filter(external_version_id=listing.external_version_id or 0).first()
    counts = app.installations.aggregate(
        total=Count("pk", filter=INSTALLED),
        on_newest=Count("pk", filter=ON_NEWEST),
        behind=Count("pk", filter=BEHIND),
    )
    told = Summary(listing.version, listing.version_seen_at, listing.checked_at, rollout)
    if not counts["total"]:
        return told
    rows = read(app.installations.filter(BEHIND)) if counts["behind"] else []
    decided = ruled(rows, timezone.now())
    failures = Counter(row["update_details"] for row in rows if decided[row["pk"]].verdict in FAILED)
    return Summary(
        told.version,
        told.seen_at,
        told.checked_at,
        rollout,
        counts["total"],
        counts["on_newest"],
        counts["total"] - counts["on_newest"] - counts["behind"],
        _counted(decided.values(), app),
        failures.most_common(),
    )


def _counted(decided: Iterable[Ruling], app: App) -> list[tuple[Verdict, str, int]]:
    """Count rulings by their verdicts, with words that go on after the number: “wait for the pilot”."""
    numbers = Counter(ruling.verdict for ruling in decided)
    window = f"the window “{app.update_window}”" if app.update_window else "their window"
    return [
        (one, PHRASES[one][numbers[one] > 1].format(window=window), numbers[one])
        for one in Verdict
        if numbers[one] and one in PHRASES
    ]


FAILED: Final = (Verdict.RETRY, Verdict.GAVE_UP)
PHRASES: Final[dict[Verdict, tuple[str, str]]] = {
    Verdict.UNDER_WAY: ("is being updated", "are being updated"),
    Verdict.NOT_APPROVED: ("waits for the app to be approved", "wait for the app to be approved"),
    Verdict.UNREACHABLE: ("cannot be reached", "cannot be reached"),
    Verdict.PAUSED: ("belongs to a paused distribution", "belong to a paused distribution"),
    Verdict.OS_TOO_OLD: ("needs a newer operating system", "need a newer operating system"),
    Verdict.END_USERS: ("is left to its person", "are left to their people"),
    Verdict.RETRY: ("failed and is tried again", "failed and are tried again"),
    Verdict.GAVE_UP: ("failed", "failed"),
    Verdict.OFF: ("waits, because automatic updates are off", "wait, because automatic updates are off"),
    Verdict.APP_OFF: ("waits to be updated by hand", "wait to be updated by hand"),
    Verdict.HALTED: ("waits, because the roll-out is stopped", "wait, because the roll-out is stopped"),
    Verdict.PILOT: ("waits for the pilot group", "wait for the pilot group"),
    Verdict.PILOT_STOPPED: ("waits, because the pilot failed", "wait, because the pilot failed"),
    Verdict.WINDOW: ("waits for {window}", "wait for {window}"),
    Verdict.NOW: ("is about to be updated", "are about to be updated"),
}
"""How those behind are counted: of one, and of several."""


@dataclass(frozen=True, slots=True)
class Pilots:
    """Apps whose other devices wait for a decision: their pilot failed, or makes no headway."""

    stopped: list[App] = field(default_factory=list)
    stalled: list[App] = field(default_factory=list)


def pilots_in_trouble() -> Pilots:
    """Return the apps whose pilots keep the other devices waiting until somebody decides."""
    apps = App.objects.kept().filter(pilot_hours__isnull=False, update_automatically=True)
    known = {app.pk: app for app in apps.select_related("listing").order_by("listing__name", "pk")}
    facts = gather(known, owners=())
    now = timezone.now()
    undecided = {pk: rules for pk, rules in facts.rules.items() if _is_undecided(rules)}
    held = {pk: held_by_pilot(rules, facts.zone, now) for pk, rules in undecided.items()}
    stopped = {pk for pk, ruling in held.items() if ruling and ruling.verdict == Verdict.PILOT_STOPPED}
    stalled = {pk for pk, rules in undecided.items() if is_stalled(rules, now)}
    if not (stopped or stalled):
        return Pilots()
    behind = Installation.objects.filter(BEHIND, app__in=stopped | stalled).exclude(update_state=UpdateState.FAILED)
    waiting = set(behind.values_list("app", flat=True).distinct())
    return Pilots(
        [app for pk, app in known.items() if pk in stopped & waiting],
        [app for pk, app in known.items() if pk in stalled & waiting],
    )


def stuck() -> QuerySet[App]:
    """Return the apps whose devices wait for ever: the pilot group was deleted, or the one-time window is over."""
    if CatalogSettings.load().update_mode != UpdateMode.ADMINISTRATORS:
        return App.objects.none()
    rollouts = Rollout.objects.filter(app=OuterRef("pk"), external_version_id=OuterRef("listing__external_version_id"))
    is_released = Exists(rollouts.filter(decision=RolloutDecision.RELEASED))
    is_leaderless = Q(~is_released, pilot_hours__isnull=False, pilot_group=None)
    # After two days it is over in every time zone, also where it ends on the next day.
    over_since = timezone.localdate() - timedelta(days=2)
    is_over = Q(update_window__kind=WindowKind.ONCE, update_window__date__lt=over_since)
    behind = Installation.objects.filter(BEHIND, app=OuterRef("pk"))
    waiting = App.objects.kept().filter(is_leaderless | is_over, Exists(behind), update_automatically=True)
    undecided = waiting.exclude(Exists(rollouts.filter(decision=RolloutDecision.HALTED)))
    return undecided.select_related("listing").order_by("listing__name", "pk")


def _is_undecided(rules: Rules) -> bool:
    """Does the pilot decide? Where somebody has stopped the roll-out, or the people decide, nobody is waited for."""
    return rules.newest is not None and rules.mode == UpdateMode.ADMINISTRATORS and not rules.decision
