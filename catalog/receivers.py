"""What the catalog does when the tokens app learned something from Apple, and when people come into groups."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from django.db.models.signals import m2m_changed
from django.dispatch import receiver

from catalog import additions, reconciling
from catalog.approval import approver_letters
from tokens.models import ContentToken, SyncPhase
from tokens.signals import Changes, token_changed


@receiver(token_changed)
def add_what_arrived(token: ContentToken, **kwargs: Any) -> None:
    """Add the token's apps as they land, in the same worker: no free worker is needed for the first ones to show.

    Where this fails or never happens, the sweeper finds the same work a little later.
    """
    additions.add(token)


@receiver(token_changed)
def plan_what_it_concerns(token: ContentToken, changes: Changes, **kwargs: Any) -> None:
    """Have apps planned anew when licenses, their holders or the people at a location changed: the line drains."""
    if changes and changes.phase != SyncPhase.LISTINGS:
        reconciling.wake_for_assets(token)


@receiver(m2m_changed, sender=User.groups.through)
def tell_newcomers(instance: User | Group, action: str, reverse: bool, pk_set: set[int] | None, **kwargs: Any) -> None:
    """Have whoever comes into the groups of a step told what waits there already, wherever the groups are changed."""
    if action != "post_add" or not pk_set:
        return
    if reverse:
        approver_letters.tell_newcomers(users=pk_set, groups=[instance.pk])
    else:
        approver_letters.tell_newcomers(users=[instance.pk], groups=pk_set)
