"""Bring each app's installations level with its distributions: plan, carry out, repeat."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q
from django.utils import timezone

from catalog.models import App, Installation, Reconciliation
from vppportal.work import WorkState


def wake(app_ids: Iterable[int]) -> None:
    """Something happened that concerns these apps: have each planned anew, now. Call it in the deed's transaction."""
    wanted = set(app_ids)
    now = timezone.now()
    Reconciliation.objects.bulk_create(
        [Reconciliation(app_id=app_id) for app_id in wanted], ignore_conflicts=True, batch_size=500
    )
    rows = Reconciliation.objects.filter(app__in=wanted)
    rows.update(asked_at=now)
    rows.exclude(state=WorkState.RUNNING).update(state=WorkState.WAITING, next_attempt_at=now, lease_until=None)


def wake_for_devices(device_ids: Iterable[int]) -> None:
    """Something happened to these devices: have every app planned anew that is, or may be, meant for one."""
    there = Q(pk__in=Installation.objects.filter(device__in=list(device_ids)).values("app"))
    meant = Q(distributions__state__in=("active", "paused"))
    wake(App.objects.filter(there | meant).distinct().values_list("pk", flat=True))
