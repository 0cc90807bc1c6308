"""The catalog's background work: thin shells around its verbs."""

from __future__ import annotations

import structlog
from celery import shared_task

from catalog import (
    additions,
    carrying_out,
    chasing,
    commands,
    device_facts,
    drafts,
    events,
    inviting,
    letters,
    removal,
    sending,
)
from catalog.approval import approver_letters
from catalog.models import Letter, Reconciliation
from catalog.updates import updating
from tokens.models import ContentToken
from vppportal.work import LeaseLost, nudge

log = structlog.get_logger(__name__)


@shared_task
def add_apps(token_id: int) -> None:
    """Bring what a token owns into the catalog, as far as the store has answered."""
    token = ContentToken.objects.kept().filter(pk=token_id).first()
    if token is not None:
        additions.add(token)


@shared_task
def sweep() -> None:
    """Find apps to be added, apps to be planned anew and people to be told, whether or not anybody said so."""
    for token_id in additions.tokens_with_work():
        nudge(add_apps, token_id)
    if Reconciliation.objects.due().exists():
        nudge(reconcile_due)
    for distribution_id in letters.to_write():
        nudge(write_letters, distribution_id)
    if Letter.objects.due().exists():
        nudge(send_letters)
    if approver_letters.call_for_letters():
        nudge(send_approver_letters)


@shared_task
def reconcile_due() -> None:
    """Plan the apps that are due, one after the other, and carry the plans out."""
    while rows := Reconciliation.objects.claim(1):
        try:
            carrying_out.reconcile(rows[0])
        except LeaseLost:
            log.info("reconciliation_taken_over", app=rows[0].app_id)


@shared_task
def write_letters(distribution_id: int) -> None:
    """Write the letters about a distribution that tells its people, and have them sent."""
    if letters.write(distribution_id):
        nudge(send_letters)


@shared_task
def send_letters() -> None:
    """Send the letters that are due, some people at a time."""
    while letters.send_due():
        pass


@shared_task
def send_approver_letters() -> None:
    """Send approvers the letters that are due, some at a time."""
    while approver_letters.send_due():
        pass


@shared_task
def forget_old_drafts() -> None:
    """Forget forms that were previewed and never put into force."""
    drafts.forget_old()


@shared_task
def look_after_devices() -> None:
    """Ask devices for their facts, show invitations on them, release retired ones, and forget apps that are gone."""
    device_facts.ask()
    inviting.show_on_devices()
    removal.release_retired()
    removal.purge_deleted()


@shared_task
def apply_events() -> None:
    """Apply what the MDM server told, until nothing is left."""
    events.is_being_applied()
    while events.apply_due():
        pass


@shared_task
def send_commands() -> None:
    """Send the commands that are due, until none is left."""
    while sending.send():
        pass


@shared_task
def chase_commands() -> None:
    """Look after the commands that devices have not answered."""
    while chasing.chase():
        pass


@shared_task
def propagate_updates() -> None:
    """Send the updates that the rules allow now."""
    updating.propagate_in_turn()


@shared_task
def sweep_channel() -> None:
    """Find events to be applied, commands to be sent and silent ones, whether or not anybody said so."""
    if events.are_due():
        nudge(apply_events)
    if sending.is_due():
        nudge(send_commands)
    if chasing.is_due():
        nudge(chase_commands)


@shared_task
def forget_old_events() -> None:
    """Delete events after 14 days and closed commands after 90."""
    commands.forget()
