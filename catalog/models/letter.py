"""Letters: the e-mails that tell people which apps they get."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from catalog.models.distribution import Distribution
from vppportal.groups.models import ManagedUser
from vppportal.work import OPEN_STATES, Work, WorkQuerySet


class LetterQuerySet(WorkQuerySet["Letter"]):
    """Letters as rows of work."""


class Letter(Work):
    """That a person is to be told of a distribution, and was; the row keeps anybody from being told twice."""

    distribution = models.ForeignKey(Distribution, models.CASCADE, related_name="letters", db_index=False)
    person = models.ForeignKey(ManagedUser, models.CASCADE, related_name="letters")
    sent_at = models.DateTimeField(null=True)

    objects = LetterQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["distribution", "person"], name="one_letter_of_a_distribution_to_a_person")
        ]
        indexes = [models.Index(fields=["next_attempt_at"], condition=Q(state__in=OPEN_STATES), name="open_letters")]

    def __str__(self) -> str:
        return f"Letter to {self.person} about {self.distribution}"
