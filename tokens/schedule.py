"""When tokens are synchronized without anybody asking."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db.models import Exists, Max, OuterRef
from django.utils import timezone

from tokens.models import ContentToken, SyncReason, SyncRun
from tokens.staging import LAG

APART: Final = timedelta(minutes=15)
"""Between two syncs of a token because of licenses that devices miss: Apple's own delays are no reason to read on."""


def ask_for_due_syncs() -> int:
    """Create the syncs that are due by the timetable; return how many.

    A token that Apple refused is left alone until somebody renews it. Asking twice at once creates each sync once.
    """
    now = timezone.now()
    recent = now - timedelta(hours=settings.SYNC_EVERY_HOURS)
    runs = SyncRun.objects.filter(token=OuterRef("pk"))
    due = ContentToken.objects.usable().exclude(Exists(runs.open())).exclude(Exists(runs.filter(created_at__gt=recent)))
    syncs = [SyncRun(token_id=token_id, reason=SyncReason.SCHEDULE) for token_id in due.values_list("pk", flat=True)]
    SyncRun.objects.bulk_create(syncs, ignore_conflicts=True)
    return len(syncs)


def ask_for_missed_licenses(asset_ids: Collection[int]) -> None:
    """Have the tokens of these assets synced: devices do not find licenses that the mirror says they hold.

    Not before a sync believes Apple's lists more than a change that was settled a moment ago.
    """
    soon = timezone.now() + LAG
    is_open = Exists(SyncRun.objects.open().filter(token=OuterRef("pk")))
    tokens = ContentToken.objects.usable().filter(assets__in=asset_ids).exclude(is_open)
    latest = tokens.annotate(latest=Max("sync_runs__created_at")).order_by("pk").values_list("pk", "latest")
    syncs = [
        SyncRun(token_id=pk, reason=SyncReason.MISSED, next_attempt_at=max(soon, began + APART) if began else soon)
        for pk, began in latest
    ]
    SyncRun.objects.bulk_create(syncs, ignore_conflicts=True)
