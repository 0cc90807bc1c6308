"""The background work on tokens: each task loads a row by its key, calls one verb, and asks for what follows."""

from __future__ import annotations

from datetime import timedelta

import structlog
from celery import shared_task
from django.utils import timezone

from tokens import invitations, listings, notifications, operations, removal, schedule, storefront, sync
from tokens.models import ContentToken, Invitation, Operation, SyncRun
from tokens.queue import hurry
from tokens.signals import Changes, token_changed
from vppportal.work import LeaseLost, nudge

log = structlog.get_logger(__name__)


@shared_task
def sync_token(run_id: int) -> None:
    """Carry out one sync, telling whoever listens after each step. Up to 1,000,000 assignments: minutes."""
    for run in SyncRun.objects.filter(pk=run_id).select_related("token").claim(1):
        try:
            for changes in sync.carry_out(run):
                token_changed.send_robust(ContentToken, token=run.token, changes=changes)
        except LeaseLost:
            log.info("sync_taken_over", run=run_id, token=run.token_id)


@shared_task
def look_up_listings(token_id: int) -> None:
    """Ask the App Store about the token's apps that are due."""
    token = ContentToken.objects.kept().filter(pk=token_id).first()
    if token is not None and token.is_usable:
        for looked_up in sync.look_up_due(token):
            token_changed.send_robust(ContentToken, token=token, changes=Changes("listings", changed=looked_up))


@shared_task
def check_store() -> None:
    """Ask the App Store about public apps that are due, which takes no token."""
    storefront.look_up()


@shared_task
def carry_out_operation(operation_id: int) -> None:
    """Do what is next for one change asked of Apple; where that is soon, come back by then."""
    for operation in Operation.objects.filter(pk=operation_id).select_related("token", "asset").claim(1):
        try:
            changes = operations.carry_out(operation)
        except LeaseLost:
            log.info("operation_taken_over", operation=operation_id, token=operation.token_id)
            return
        if changes:
            token_changed.send_robust(ContentToken, token=operation.token, changes=changes)
        wait = max(operation.next_attempt_at - timezone.now(), timedelta())
        if operation.is_open and wait < timedelta(minutes=1):
            hurry([operation_id], wait)


@shared_task
def apply_notifications(token_id: int) -> None:
    """Look at what Apple's notifications hint at."""
    token = ContentToken.objects.filter(pk=token_id).first()
    if token is not None:
        for changes in notifications.apply(token):
            token_changed.send_robust(ContentToken, token=token, changes=changes)


@shared_task
def purge_token(token_id: int) -> None:
    """Delete what a deleted token left in the mirror."""
    removal.purge(token_id)


@shared_task
def send_invitations() -> None:
    """Mail the invitations that are due, a few at a time."""
    if invitations.send_due():
        nudge(send_invitations)


@shared_task
def sweep() -> None:
    """Find work that is due, whether or not anybody nudged: lost messages cost no more than this task's interval."""
    for run_id in SyncRun.objects.due().order_by("next_attempt_at").values_list("pk", flat=True)[:50]:
        nudge(sync_token, run_id)
    hurry(Operation.objects.due().order_by("next_attempt_at").values_list("pk", flat=True)[:200])
    for token_id in notifications.tokens_with_work():
        nudge(apply_notifications, token_id)
    for token_id in listings.tokens_with_work():
        nudge(look_up_listings, token_id)
    if storefront.due().exists():
        nudge(check_store)
    if Invitation.objects.due().exists():
        nudge(send_invitations)
    for token_id in ContentToken.objects.exclude(deleted_at=None).values_list("pk", flat=True):
        nudge(purge_token, token_id)


@shared_task
def schedule_syncs() -> None:
    """Ask for a sync of every usable token whose last one is old; the sweeper hands them out."""
    schedule.ask_for_due_syncs()


@shared_task
def forget_old_runs() -> None:
    """Delete records of syncs and changes that ended more than 90 days ago, and older notifications."""
    SyncRun.objects.filter(finished_at__lt=timezone.now() - timedelta(days=90)).delete()
    operations.forget_old()
    notifications.forget_old()
