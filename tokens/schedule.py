"""When tokens are synchronized without anybody asking."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.utils import timezone

from tokens.models import ContentToken, SyncReason, SyncRun


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
