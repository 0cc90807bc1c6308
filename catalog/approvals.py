"""Decide on apps that wait: approve or reject them. What a token's page says about the app follows."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from catalog.models import Addition, App, AppStatus, Outcome
from vppportal.activity.models import Actor, record


def approve(app: App, by: Actor) -> bool:
    """Make a pending or rejected app available; return False when somebody else decided already."""
    return _decide(app, (AppStatus.PENDING, AppStatus.REJECTED), AppStatus.AVAILABLE, by, "approved the app")


def reject(app: App, by: Actor, reason: str) -> bool:
    """Reject a pending app, saying why; return False when somebody else decided already."""
    return _decide(app, (AppStatus.PENDING,), AppStatus.REJECTED, by, "rejected the app", reason=reason)


def approve_all(apps: Iterable[App], by: Actor) -> int:
    """Approve those of the apps that wait; return how many."""
    return sum(approve(app, by) for app in apps)


def _decide(app: App, among: tuple[AppStatus, ...], status: AppStatus, by: Actor, verb: str, **details: str) -> bool:
    with transaction.atomic():
        if not App.objects.filter(pk=app.pk, status__in=among).update(status=status):
            return False
        outcome = Outcome.ADDED if status == AppStatus.AVAILABLE else Outcome.REJECTED
        waiting = Addition.objects.filter(app=app, outcome__in=(Outcome.PENDING, Outcome.REJECTED))
        waiting.update(outcome=outcome, settled_at=timezone.now())
        record(by, verb, app, **details)
    app.status = status
    return True
