"""How far installations are: their numbers by state, and whether anything is about to change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from catalog.models import UNDER_WAY, UNWANTED, App, Installation, InstallState, Reconciliation
from vppportal.work import WorkState

NOT_AIMED_AT = (InstallState.SKIPPED, InstallState.OFFERED, *UNWANTED)


def how_far(installations: QuerySet[Installation]) -> dict[str, Any]:
    """Return the numbers of installations by state, how many are there of how many aimed at, and if more is coming."""
    counted = installations.order_by().values_list("state").annotate(number=Count("pk"))
    found = dict(counted.values_list("state", "number"))
    counts = {state: found[state] for state in InstallState if found.get(state)}
    return {
        "counts": counts,
        "installed": counts.get(InstallState.INSTALLED, 0),
        "aimed_at": sum(number for state, number in counts.items() if state not in NOT_AIMED_AT),
        "is_under_way": any(state in counts for state in UNDER_WAY),
    }


def progress_of(app: App) -> dict[str, Any]:
    """Return how far an app's installations are; a plan that is being made is under way, too."""
    progress = how_far(app.installations.all())
    return {**progress, "is_under_way": progress["is_under_way"] or is_being_planned([app.pk])}


def is_being_planned(app_ids: Iterable[int]) -> bool:
    """Is one of these apps being planned, or about to be?"""
    due = Q(state=WorkState.WAITING, next_attempt_at__lte=timezone.now())
    return Reconciliation.objects.filter(app__in=app_ids).filter(due | Q(state=WorkState.RUNNING)).exists()
