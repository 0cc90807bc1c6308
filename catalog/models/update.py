"""How apps stay current: who decides on updates, when they may happen, and how a new version is rolled out."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

PERCENT = [MinValueValidator(0), MaxValueValidator(100)]


class UpdateMode(models.TextChoices):
    """Who decides on the updates of all apps, custom and public ones alike."""

    ADMINISTRATORS = "administrators", "Administrators decide, app by app"
    END_USERS = "end_users", "The people decide on their devices: the portal sends no update"
    OFF = "off", "Off: nothing is updated by itself, only when an administrator says so"


class UpdateState(models.TextChoices):
    """How far an update is that was sent to a device; the installed version is what the device last told."""

    NONE = "", ""
    UNDER_WAY = "under_way", "Being updated"
    FAILED = "failed", "Update failed"


class WindowKind(models.TextChoices):
    """Does a window come back?"""

    RECURRING = "recurring", "Every week"
    ONCE = "once", "Once"


class UpdateWindow(models.Model):
    """Hours in which updates may be sent, in the time zone of each device; shared by the apps that name it."""

    name = models.CharField(max_length=80, help_text="Apps choose it by this name.")
    kind = models.CharField("repeats", max_length=10, choices=WindowKind, default=WindowKind.RECURRING)
    weekdays = models.JSONField(default=list, help_text="Days on which it opens: 0 is Monday.")
    date = models.DateField(null=True, blank=True, help_text="The one day on which it opens.")
    start = models.TimeField("from")
    end = models.TimeField("to", help_text="An earlier time than the start means the next day.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="one_window_of_a_name",
                violation_error_message="There is an update window of this name already.",
            ),
            models.CheckConstraint(condition=Q(kind="recurring") | Q(date__isnull=False), name="a_date_for_once"),
        ]

    def __str__(self) -> str:
        return self.name


class RolloutDecision(models.TextChoices):
    """What an administrator decided about the roll-out of a version, in place of its pilot."""

    NONE = "", ""
    RELEASED = "released", "Released to everybody"
    HALTED = "halted", "Stopped"


class Rollout(models.Model):
    """One version of one app on its way to the devices that have the app."""

    app = models.ForeignKey("catalog.App", models.CASCADE, related_name="rollouts", db_index=False)
    external_version_id = models.BigIntegerField()
    version = models.CharField(max_length=60, blank=True, default="")
    pilot_started_at = models.DateTimeField(
        null=True, help_text="When the first pilot device was sent the version: the others' time counts from there."
    )
    decision = models.CharField(max_length=10, choices=RolloutDecision, blank=True, default=RolloutDecision.NONE)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["app", "external_version_id"], name="one_rollout_of_a_version_of_an_app")
        ]

    def __str__(self) -> str:
        return f"{self.app} {self.version}"
