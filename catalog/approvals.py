"""Decide on apps that wait: approve or reject them. What a token's page says about the app follows."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from catalog import reconciling
from catalog.models import Addition, App, AppStatus, CatalogSettings, Outcome
from vppportal.activity.models import Actor, record, record_each
from vppportal.work import nudge


def approve(app: App, by: Actor) -> bool:
    """Make a pending or rejected app available; return False when somebody else decided already."""
    return bool(_decide([app.pk], (AppStatus.PENDING, AppStatus.REJECTED), AppStatus.AVAILABLE, by, "approved the app"))


def reject(app: App, by: Actor, reason: str) -> bool:
    """Reject a pending app, saying why; return False when somebody else decided already."""
    return bool(_decide([app.pk], (AppStatus.PENDING,), AppStatus.REJECTED, by, "rejected the app", reason=reason))


def approve_all(apps: QuerySet[App], by: Actor) -> int:
    """Approve those of the apps that wait; return how many."""
    waiting = apps.values_list("pk", flat=True)
    return _decide(waiting, (AppStatus.PENDING,), AppStatus.AVAILABLE, by, "approved the app")


def store_settings(settings: CatalogSettings, by: Actor) -> None:
    """Store who decides on the apps that are added from now on, and who on updates."""
    with transaction.atomic():
        settings.save()
        record(
            by,
            "changed",
            settings,
            approval=settings.approval,
            updates=settings.update_mode,
            time_zone=settings.time_zone,
        )
        nudge("catalog.tasks.propagate_updates")


def _decide(
    keys: Iterable[int], among: tuple[AppStatus, ...], status: AppStatus, by: Actor, verb: str, **details: str
) -> int:
    with transaction.atomic():
        kept = App.objects.kept().filter(pk__in=list(keys), status__in=among)
        undecided = kept.select_related("listing").order_by("pk")
        apps = list(undecided.select_for_update(of=("self",), no_key=True))
        App.objects.filter(pk__in=[app.pk for app in apps]).update(status=status)
        outcome = Outcome.ADDED if status == AppStatus.AVAILABLE else Outcome.REJECTED
        waiting = Addition.objects.filter(app__in=apps, outcome__in=(Outcome.PENDING, Outcome.REJECTED))
        waiting.update(outcome=outcome, settled_at=timezone.now())
        record_each(by, verb, apps, **details)
        decided = App.objects.filter(pk__in=[app.pk for app in apps], reconciliation__isnull=False)
        reconciling.wake(decided.values_list("pk", flat=True))
    return len(apps)
