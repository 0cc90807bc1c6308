"""Have apps planned anew: when something happened that concerns them, and now and then without that."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from catalog.models import App, Distribution, Installation, Reconciliation
from tokens.models import ContentToken
from vppportal.work import WorkState, nudge


def wake(app_ids: Iterable[int]) -> None:
    """Something happened that concerns these apps: have each planned anew, now. Call it in the deed's transaction."""
    wanted = set(app_ids)
    if not wanted:
        return
    now = timezone.now()
    new = [Reconciliation(app_id=app_id) for app_id in sorted(wanted)]
    rows = Reconciliation.objects.filter(app__in=wanted)
    with transaction.atomic():
        Reconciliation.objects.bulk_create(new, ignore_conflicts=True, batch_size=500)
        # Locked in one order, so that two who wake the same apps do not wait in a circle.
        list(rows.order_by("pk").select_for_update(of=("self",)).values_list("pk", flat=True))
        rows.update(asked_at=now)
        rows.exclude(state=WorkState.RUNNING).update(state=WorkState.WAITING, next_attempt_at=now, lease_until=None)
    nudge("catalog.tasks.reconcile_due")


def wake_for_devices(device_ids: Iterable[int]) -> None:
    """Something happened to these devices: have every app planned anew that is, or may be, meant for one."""
    there = Q(pk__in=Installation.objects.filter(device__in=list(device_ids)).values("app"))
    meant = Q(pk__in=Distribution.objects.in_force().values("app"))
    wake(App.objects.filter(there | meant).values_list("pk", flat=True))


def wake_for_assets(token: ContentToken) -> None:
    """Licenses of a token changed: have its apps planned anew, as far as they are, or were, distributed."""
    owned = App.objects.filter(adam_id__in=token.assets.values("adam_id"))
    wake(owned.filter(reconciliation__isnull=False).values_list("pk", flat=True))
