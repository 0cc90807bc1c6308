"""What the portal asks Apple to change: operations with their exact targets, quotas, and what Apple notifies."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from tokens.models.mirror import Asset
from tokens.models.token import ContentToken
from vppportal.groups.models import UserGroup
from vppportal.work import OPEN_STATES, Work, WorkQuerySet


class OperationKind(models.TextChoices):
    """What an operation asks of Apple."""

    ASSIGN = "assign", "Assign licenses"
    REVOKE = "revoke", "Revoke licenses"
    REGISTER = "register", "Register people"
    UPDATE = "update", "Register invited people by their account"
    RETIRE = "retire", "Retire people"


class OperationStep(models.TextChoices):
    """How far an operation is at Apple; its work state says whether somebody has to look at it again."""

    QUEUED = "queued", "Waiting to be sent"
    SENDING = "sending", "Being sent"
    PENDING = "pending", "Apple is working on it"
    UNKNOWN = "unknown", "Apple's answer was lost"
    SETTLED = "settled", "Settled"


class OperationQuerySet(WorkQuerySet["Operation"]):
    """Operations as rows of work."""


class Operation(Work):
    """One change asked of Apple, for one asset (or for people) and at most as many holders as Apple takes in a call.

    It is committed as “sending” before the call. An answer that got lost leaves it “unknown”, never “failed”: what
    Apple did is read back before anything is sent again.
    """

    token = models.ForeignKey(ContentToken, models.CASCADE, related_name="operations")
    kind = models.CharField(max_length=8, choices=OperationKind)
    asset = models.ForeignKey(Asset, models.CASCADE, null=True, related_name="operations")
    step = models.CharField(max_length=8, choices=OperationStep, default=OperationStep.QUEUED)
    event_id = models.CharField(max_length=100, blank=True, default="", db_index=True)
    sends = models.PositiveIntegerField(default=0, help_text="How often it was sent.")
    sent_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    why = models.CharField(max_length=120, blank=True, default="", help_text="What asked for it, in words.")
    created_at = models.DateTimeField(default=timezone.now)

    objects = OperationQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        permissions = [("manage_licenses", "Can assign and revoke licenses")]
        indexes = [models.Index(fields=["next_attempt_at"], condition=Q(state__in=OPEN_STATES), name="open_operations")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ({self.pk})"


class TargetState(models.TextChoices):
    """What became of one holder of an operation."""

    OPEN = "open", "Asked"
    DONE = "done", "Done"
    FAILED = "failed", "Refused by Apple"
    DROPPED = "dropped", "Not sent"


class Target(models.Model):
    """One holder an operation is about. An open one that assigns is a reservation: it counts as a license taken."""

    operation = models.ForeignKey(Operation, models.CASCADE, related_name="targets")
    asset = models.ForeignKey(Asset, models.CASCADE, null=True, related_name="targets", db_index=False)
    serial_number = models.CharField(max_length=64, default="", blank=True)
    client_user_id = models.CharField(max_length=100, default="", blank=True)
    state = models.CharField(max_length=8, choices=TargetState, default=TargetState.OPEN)
    number = models.PositiveIntegerField(null=True, help_text="Apple's number for a refusal.")
    message = models.CharField(max_length=250, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["asset", "serial_number", "client_user_id"],
                condition=Q(state="open"),
                name="one_open_change_of_an_asset_for_a_holder",
            ),
        ]
        indexes = [
            models.Index(fields=["asset", "serial_number", "client_user_id"], name="changes_of_an_asset_for_holder")
        ]

    def __str__(self) -> str:
        return self.serial_number or self.client_user_id


class Quota(models.Model):
    """At most so many licenses of a token's app for the members of a user group."""

    token = models.ForeignKey(ContentToken, models.CASCADE, related_name="quotas")
    adam_id = models.CharField("iTunes App ID", max_length=20)
    group = models.ForeignKey(UserGroup, models.CASCADE, related_name="quotas", verbose_name="user group")
    limit = models.PositiveIntegerField("licenses at most")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["token", "adam_id", "group"],
                name="one_quota_of_an_app_for_a_group",
                violation_error_message="There is already a quota of this app for this group.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.group}: {self.limit}"


class NotificationQuerySet(WorkQuerySet["Notification"]):
    """Notifications as rows of work."""


class Notification(Work):
    """Something Apple told us: stored before it is applied, once; a hint, never the truth."""

    token = models.ForeignKey(ContentToken, models.CASCADE, related_name="notifications", db_index=False)
    notification_id = models.CharField(max_length=100)
    type = models.CharField(max_length=40)
    body = models.JSONField(default=dict)
    received_at = models.DateTimeField(default=timezone.now)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token", "notification_id"], name="one_notification_of_an_id")]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(state__in=OPEN_STATES), name="open_notifications")
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.notification_id}"
