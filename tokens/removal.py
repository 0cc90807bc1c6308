"""Take a token out of service: at once for everybody who looks, then row by row in the background."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.models import User
from django.db import models, transaction
from django.utils import timezone

from tokens.models import Assignment, ContentToken
from vppportal.activity.models import record

BATCH: Final = 5_000


def delete(token: ContentToken, *, by: User) -> bool:
    """Free the token's name, file and location at once; return False where somebody else was quicker.

    A worker deletes its mirror. Nothing changes at Apple.
    """
    with transaction.atomic():
        if not ContentToken.objects.kept().filter(pk=token.pk).update(deleted_at=timezone.now()):
            return False
        record(by, "deleted the VPP token", token, location=token.location_name)
    return True


def purge(token_id: int) -> None:
    """Delete a deleted token and its mirror, in batches: there may be a million assignments.

    Its syncs go first, so that a worker in the middle of one loses its lease and writes nothing more. Two who purge at
    once share the work; only one who finds nothing left deletes the token itself.
    """
    token = ContentToken.objects.exclude(deleted_at=None).filter(pk=token_id).first()
    if token is None:
        return
    token.sync_runs.all().delete()
    assignments = Assignment.objects.filter(asset__in=token.assets.values("pk"))
    for rows in (assignments, token.client_users.all()):
        while _delete_batch(rows):
            pass
    if not assignments.exists():
        with transaction.atomic():
            # Whoever is just adding its apps holds it: let them end first, instead of waiting in a circle.
            ContentToken.objects.select_for_update(of=("self",)).filter(pk=token_id).first()
            token.delete()


def _delete_batch(rows: models.QuerySet[Any]) -> int:
    with transaction.atomic():
        batch = list(rows.select_for_update(skip_locked=True).values_list("pk", flat=True)[:BATCH])
        rows.model._default_manager.filter(pk__in=batch).delete()
    return len(batch)
