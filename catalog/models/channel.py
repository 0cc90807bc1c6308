"""The channel to devices: commands stored before they are sent, and the events that come back."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from catalog.models.distribution import Installation
from vppportal.groups.models import Device
from vppportal.work import OPEN_STATES, Work, WorkQuerySet


class CommandKind(models.TextChoices):
    """The MDM commands the portal sends, in Apple's words (RequestType)."""

    INSTALL = "InstallApplication", "Install app"
    REMOVE = "RemoveApplication", "Remove app"
    MANAGED_LIST = "ManagedApplicationList", "List managed apps"
    INSTALLED_LIST = "InstalledApplicationList", "List installed apps"
    DEVICE_FACTS = "DeviceInformation", "Ask for OS version and time zone"
    INVITE = "InviteToProgram", "Invite to Apple's program"
    REMOVE_PROFILE = "RemoveProfile", "Remove MDM control"


class CommandStatus(models.TextChoices):
    """How far a command is."""

    QUEUED = "queued", "Waiting to be sent"
    SENT = "sent", "Waiting for the device"
    NOT_NOW = "not_now", "The device asked to wait"
    ACKNOWLEDGED = "acknowledged", "Acknowledged"
    ERROR = "error", "Refused by the device"
    FORMAT_ERROR = "format_error", "Not understood by the device"
    LOST = "lost", "Lost"
    CANCELLED = "cancelled", "Not needed any more"


class CommandQuerySet(WorkQuerySet["Command"]):
    """Commands as rows of work: due when they are to be sent, and again when their silence is to be looked into."""


class Command(Work):
    """One MDM command to one device. It is stored before it is sent; its UUID makes a second sending harmless."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    device = models.ForeignKey(Device, models.CASCADE, related_name="commands")
    enrollment_id = models.CharField(max_length=127, help_text="The enrollment it is meant for: a new one loses it.")
    kind = models.CharField(max_length=24, choices=CommandKind)
    installation = models.ForeignKey(Installation, models.CASCADE, null=True, related_name="commands")
    updates_to = models.BigIntegerField(
        null=True, help_text="The external version id an installed app is to be updated to; none for other commands."
    )
    payload = models.JSONField(default=dict, help_text="The command's members, in Apple's words.")
    status = models.CharField(max_length=12, choices=CommandStatus, default=CommandStatus.QUEUED)
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    answer = models.CharField(max_length=500, blank=True, default="", help_text="What the device said, in words.")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    objects = CommandQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["installation"],
                condition=Q(state__in=OPEN_STATES),
                name="one_open_command_of_an_installation",
            ),
            models.UniqueConstraint(
                fields=["device", "kind"],
                condition=Q(state__in=OPEN_STATES, kind__in=["ManagedApplicationList", "DeviceInformation"]),
                name="one_open_question_to_a_device",
            ),
        ]
        indexes = [models.Index(fields=["next_attempt_at"], condition=Q(state__in=OPEN_STATES), name="open_commands")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ({self.uuid})"

    @property
    def is_for_this_enrollment(self) -> bool:
        """Is the device still enrolled as it was when the command was made?"""
        return self.device.is_enrolled and self.device.enrollment_id == self.enrollment_id


class DeviceEventQuerySet(WorkQuerySet["DeviceEvent"]):
    """Events as rows of work."""


class DeviceEvent(Work):
    """Something the MDM server told us: stored once, without what nobody reads, and applied in whatever order."""

    event_id = models.CharField(max_length=100, unique=True)
    topic = models.CharField(max_length=40)
    enrollment_id = models.CharField(max_length=127, db_index=True)
    happened_at = models.DateTimeField(help_text="In the MDM server's time.")
    received_at = models.DateTimeField(default=timezone.now)
    body = models.JSONField(default=dict)

    objects = DeviceEventQuerySet.as_manager()

    class Meta:
        ordering = ["happened_at", "pk"]
        indexes = [models.Index(fields=["next_attempt_at"], condition=Q(state__in=OPEN_STATES), name="open_events")]

    def __str__(self) -> str:
        return f"{self.topic} {self.event_id}"
