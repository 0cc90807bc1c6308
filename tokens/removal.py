"""Take a token out of service: at once for everybody who looks, then row by row in the background."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.models import User
from django.db import models, transaction
from django.utils import timezone

from tokens.models import Assignment, ContentToken, Operation, Target
from tokens.queue import hurry
from vppportal.activity.models import record

BATCH: Final = 5_000


def delete(token: ContentToken, *, by: User) -> bool:
    """Free the token's name, file and location at once; return False where somebody else was quicker.

    A worker deletes its mirror. What was not sent to Apple yet is not sent any more; else nothing changes there.
    """
    with transaction.atomic():
        if not ContentToken.objects.kept().filter(pk=token.pk).update(deleted_at=timezone.now()):
            return False
        Operation.objects.open().filter(token=token, lease_until=None).update(next_attempt_at=timezone.now())
        record(by, "deleted the VPP token", token, location=token.location_name)
    return True


def purge(token_id: int) -> None:
    """Delete a deleted token and its mirror, in batches: there may be a million assignments.

    Its syncs go first, so that a worker in the middle of one loses its lease and writes nothing more. Changes that were
    sent to Apple are followed to their end before anything is deleted. Two who purge at once share the work; only one
    who finds nothing left deletes the token itself.
    """
    token = ContentToken.objects.exclude(deleted_at=None).filter(pk=token_id).first()
    if token is None:
        return
    token.sync_runs.all().delete()
    if under_way := [*Operation.objects.open().filter(token=token).values_list("pk", flat=True)]:
        hurry(under_way)
        return
    assignments = Assignment.objects.filter(asset__in=token.assets.values("pk"))
    targets = Target.objects.filter(operation__token=token)
    for rows in (assignments, targets, token.notifications.all(), token.client_users.all()):
        while _delete_batch(rows):
            pass
    if not assignments.exists():
        with transaction.atomic():
            # Whoever is just adding its apps holds it: let them end first, instead of waiting in a circle.
            ContentToken.objects.select_for_update(of=("self",)).filter(pk=token_id).first()
            token.delete()


def _delete_batch(rows: models.QuerySet[Any]) -> int:
    with transaction.atomic():
        batch = list(rows.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:BATCH])
        rows.model._default_manager.filter(pk__in=batch).delete()
    return len(batch)
