"""Who has to agree before an app can be distributed: the steps, and what was decided on each app."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from vppportal.work import OPEN_STATES, Work, WorkQuerySet

MOST_STEPS = 8


class ApprovalStep(models.Model):
    """One of the steps that a new app passes in order; without any, one approval by anybody who may is enough."""

    position = models.PositiveSmallIntegerField(
        unique=True, validators=[MinValueValidator(1), MaxValueValidator(MOST_STEPS)], editable=False
    )
    name = models.CharField(max_length=80)
    groups = models.ManyToManyField(
        Group, related_name="+", verbose_name="approvers", help_text="Members of any of these groups may decide."
    )

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return self.name


class DecisionKind(models.TextChoices):
    """What was decided."""

    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Rejected"
    ASKED_AGAIN = "asked_again", "Asked again"
    DELETED = "deleted", "Deleted unapproved"


class Decision(models.Model):
    """Who decided what about an app, and when; kept also when the app goes, and for the time when it comes back.

    A round begins when the app arrives, and when it is asked for again.
    """

    app = models.ForeignKey("catalog.App", models.SET_NULL, null=True, related_name="decisions")
    adam_id = models.CharField("iTunes App ID", max_length=20, db_index=True)
    app_name = models.CharField(max_length=250, help_text="As it was called at that time.")
    round = models.PositiveSmallIntegerField(default=1)
    step = models.ForeignKey(ApprovalStep, models.SET_NULL, null=True, related_name="+")
    step_name = models.CharField(max_length=80, blank=True, default="", help_text="As it was called at that time.")
    kind = models.CharField(max_length=12, choices=DecisionKind)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    by_name = models.CharField(max_length=150, help_text="Who it was, should the account be deleted.")
    at = models.DateTimeField(default=timezone.now)
    reason = models.CharField(max_length=250, blank=True, default="")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["adam_id", "round", "step"], condition=Q(kind="approved"), name="one_approval_of_a_step"
            )
        ]

    def __str__(self) -> str:
        return f"{self.app_name}: {self.get_kind_display()} by {self.by_name}"


class ApproverLetterQuerySet(WorkQuerySet["ApproverLetter"]):
    """Letters to approvers as rows of work."""


class ApproverLetter(Work):
    """The standing work of telling one approver what waits for them: one letter about all apps, not one for each."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="approver_letter")
    told_until = models.DateTimeField(null=True, help_text="Apps that wait since then are news.")

    objects = ApproverLetterQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(state__in=OPEN_STATES), name="open_approver_letters")
        ]

    def __str__(self) -> str:
        return f"Letter to {self.user}"
