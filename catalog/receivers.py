"""What the catalog does when the tokens app learned something from Apple."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from catalog.tasks import add_apps
from tokens.models import ContentToken
from tokens.signals import token_changed
from vppportal.work import nudge


@receiver(token_changed)
def add_what_arrived(token: ContentToken, **kwargs: Any) -> None:
    """Let a worker add the token's apps now; the sweeper would find them a little later."""
    nudge(add_apps, token.pk)
