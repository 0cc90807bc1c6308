"""The catalog's background work: thin shells around its verbs."""

from __future__ import annotations

from celery import shared_task

from catalog import additions
from tokens.models import ContentToken
from vppportal.work import nudge


@shared_task
def add_apps(token_id: int) -> None:
    """Bring what a token owns into the catalog, as far as the store has answered."""
    token = ContentToken.objects.kept().filter(pk=token_id).first()
    if token is not None:
        additions.add(token)


@shared_task
def sweep() -> None:
    """Find tokens with apps that wait to be added, whether or not anybody said so."""
    for token_id in additions.tokens_with_work():
        nudge(add_apps, token_id)
