"""What lists of apps and of installations show of updates, and how rows are found by it."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from catalog.models import App, Installation
from catalog.updates.facts import PHRASES, rulings
from catalog.updates.gathering import BEHIND, GAVE_UP, INSTALLED, NOT_COMPARABLE, UPDATING, read, ruled
from catalog.updates.rule import Ruling, Verdict
from tokens.many import Keys

NO_NEWEST: Final = Q(app__listing__external_version_id=None)
BEHIND_AT_ALL, FAILED_FOR_GOOD = "behind", "failed"
CHOICES: Final = [
    (BEHIND_AT_ALL, "Behind the newest version"),
    (FAILED_FOR_GOOD, "Failed for good, also where something else holds it now"),
    *((one.value, one.label) for one in Verdict if one in PHRASES),
    (Verdict.UNKNOWN, Verdict.UNKNOWN.label),
]
"""How installations are found by their update: by a condition of the database, or else by why they wait."""
CONDITIONS: Final[dict[str, Q]] = {
    BEHIND_AT_ALL: BEHIND,
    FAILED_FOR_GOOD: GAVE_UP,
    Verdict.UNDER_WAY: UPDATING,
    Verdict.UNKNOWN: INSTALLED & (Q(external_version_id=None) | NO_NEWEST | NOT_COMPARABLE),
}
OF_APPS: Final = [("pending", "Devices are behind"), ("failed", "Failed on devices"), ("none", "Nothing to update")]


def by_update(installations: QuerySet[Installation], value: str) -> QuerySet[Installation]:
    """Keep installations by how far their update is; why one waits is decided row by row, of those behind only."""
    if value in CONDITIONS:
        return installations.filter(CONDITIONS[value])
    decided = rulings_of_behind(installations)
    return installations.filter(pk__in=Keys(pk for pk, ruling in decided.items() if ruling.verdict == value))


def apps_by_update(apps: QuerySet[App], value: str) -> QuerySet[App]:
    """Keep apps by how far the updates of their devices are."""
    of_the_app = Installation.objects.filter(app=OuterRef("pk"))
    if value == "none":
        return apps.exclude(Exists(of_the_app.filter(BEHIND)))
    return apps.filter(Exists(of_the_app.filter(GAVE_UP if value == "failed" else BEHIND)))


def rulings_of_behind(installations: QuerySet[Installation]) -> dict[int, Ruling]:
    """Return what is done about those of the installations that are behind, by their keys."""
    return ruled(read(installations.filter(BEHIND)), timezone.now())


def put_rulings_on(rows: list[Any]) -> None:
    """Put on installations what is done about their versions, and whether they are behind."""
    decided = rulings(rows)
    for row in rows:
        row.ruling = decided.get(row.pk)
        row.is_behind = row.ruling is not None and row.ruling.verdict in PHRASES


def put_numbers_on(apps: list[Any]) -> None:
    """Put on apps how many devices are behind, and on how many of them updating failed: one query for all."""
    counted = (
        Installation.objects.filter(BEHIND, app__in=[app.pk for app in apps])
        .order_by()
        .values("app")
        .annotate(behind=Count("pk"), failed=Count("pk", filter=GAVE_UP))
    )
    found: dict[int, Any] = {row["app"]: row for row in counted}
    for app in apps:
        numbers = found.get(app.pk, {})
        app.behind, app.update_failures = numbers.get("behind", 0), numbers.get("failed", 0)
