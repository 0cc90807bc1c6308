"""Invitations: the mails that ask people to let their Apple Account receive licenses."""

from __future__ import annotations

from collections.abc import Collection

from django.db import models
from django.db.models import Q
from django.utils import timezone

from tokens.models.mirror import ClientUser, ClientUserQuerySet
from vppportal.work import OPEN_STATES, Work, WorkQuerySet, WorkState

BATCH = 500


class InvitationQuerySet(WorkQuerySet["Invitation"]):
    """Invitations as rows of work."""

    def ask_for_new(self, client_users: ClientUserQuerySet) -> int:
        """Ask for the first invitation of those who were never sent one. Call it where their codes are stored."""
        never = client_users.to_invite().filter(invitation=None).values_list("pk", flat=True)
        rows = [self.model(client_user_id=pk) for pk in never]
        self.bulk_create(rows, BATCH, ignore_conflicts=True)
        return len(rows)

    def ask_again(self, client_users: Collection[ClientUser]) -> int:
        """Ask for one more invitation of each; one that is just being sent is enough."""
        keys = [row.pk for row in client_users]
        self.bulk_create([self.model(client_user_id=pk) for pk in keys], BATCH, ignore_conflicts=True)
        ended = self.filter(client_user__in=keys).exclude(state=WorkState.RUNNING)
        return ended.update(
            state=WorkState.WAITING, next_attempt_at=timezone.now(), lease_until=None, attempt=0, last_error=""
        )


class Invitation(Work):
    """The mail with Apple's invitation to one person: sent in the background, tried again, asked for again by hand."""

    client_user = models.OneToOneField(ClientUser, models.CASCADE, related_name="invitation")

    objects = InvitationQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(state__in=OPEN_STATES), name="open_invitations")
        ]

    def __str__(self) -> str:
        return f"Invitation of {self.client_user}"
