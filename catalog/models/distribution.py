"""Who is to have which app, and how far each device is.

A distribution is a wish of an administrator. An installation is the state of one app on one device: what the last plan
decided about it, and what Apple and the device answered since.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from catalog.models.app import App
from catalog.models.update import UpdateState
from tokens.models import Asset
from vppportal.groups.models import Device, ManagedUser, UserGroup
from vppportal.work import OPEN_STATES, Work, WorkQuerySet


class DistributionState(models.TextChoices):
    """Is a distribution carried out?"""

    DRAFT = "draft", "Draft"
    ACTIVE = "active", "Active"
    PAUSED = "paused", "Paused"
    STOPPED = "stopped", "Stopped"


IN_FORCE = (DistributionState.ACTIVE, DistributionState.PAUSED)


class LicenseKind(models.TextChoices):
    """What holds the license."""

    AUTOMATIC = "automatic", "Automatic, by enrollment type and platform"
    DEVICE = "device", "Device"
    USER = "user", "User"


class When(models.TextChoices):
    """When an app is installed."""

    NOW = "now", "Now"
    ON_DEMAND = "on_demand", "On demand"


class DistributionQuerySet(models.QuerySet["Distribution"]):
    """Questions about distributions."""

    def in_force(self) -> DistributionQuerySet:
        """Distributions that give their targets a claim to the app; paused ones keep what is there."""
        return self.filter(state__in=IN_FORCE)


class Distribution(models.Model):
    """The wish that an audience has an app. Apps chosen together are one each, of one submission."""

    app = models.ForeignKey(App, models.CASCADE, related_name="distributions")
    submission = models.UUIDField(
        default=uuid.uuid4, editable=False, help_text="The form that made it: a second click is the same form."
    )
    state = models.CharField(max_length=8, choices=DistributionState, default=DistributionState.DRAFT, editable=False)
    is_for_everyone = models.BooleanField("everyone", default=False)
    groups = models.ManyToManyField(UserGroup, related_name="distributions", blank=True, verbose_name="user groups")
    people = models.ManyToManyField(ManagedUser, related_name="distributions", blank=True)
    devices = models.ManyToManyField(Device, related_name="distributions", blank=True)
    excluded_groups = models.ManyToManyField(UserGroup, related_name="+", blank=True)
    excluded_people = models.ManyToManyField(ManagedUser, related_name="+", blank=True)
    excluded_devices = models.ManyToManyField(Device, related_name="+", blank=True)
    license_kind = models.CharField("license", max_length=10, choices=LicenseKind, default=LicenseKind.AUTOMATIC)
    when = models.CharField("install", max_length=10, choices=When, default=When.NOW)
    priority = models.PositiveSmallIntegerField(
        default=100, help_text="Where licenses run out, the smallest number comes first."
    )
    notify_by_email = models.BooleanField("tell the people by e-mail", default=False)
    notified_at = models.DateTimeField(null=True, editable=False, help_text="When the letters were written.")
    replaces = models.ForeignKey(
        "self",
        models.CASCADE,
        null=True,
        editable=False,
        related_name="edits",
        help_text="A draft of changes: which distribution takes them over when they are put into force.",
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    stopped_at = models.DateTimeField(null=True, editable=False)

    objects = DistributionQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["submission", "app"], name="one_distribution_of_an_app_of_a_form")
        ]
        indexes = [models.Index(fields=["app"], condition=~Q(state="stopped"), name="distributions_in_force")]

    def __str__(self) -> str:
        return f"Distribution {self.pk} of {self.app}"

    def get_absolute_url(self) -> str:
        return reverse("distribution", args=[self.pk])


class InstallState(models.TextChoices):
    """How far an app is on a device."""

    SKIPPED = "skipped", "Not sent"
    IN_LINE = "in_line", "Waiting for a license"
    UNREGISTERED = "unregistered", "Waiting for the person"
    LICENSING = "licensing", "License asked for"
    OFFERED = "offered", "On demand"
    READY = "ready", "About to be sent"
    SENT = "sent", "Sent to the device"
    INSTALLING = "installing", "Installing"
    INSTALLED = "installed", "Installed"
    FAILED = "failed", "Failed"
    REMOVING = "removing", "Being removed"
    REMOVED = "removed", "Removed"
    LEFT = "left", "No longer managed here"


IN_NEED = (InstallState.IN_LINE, InstallState.UNREGISTERED)
"""What an installation needs is missing: a license, or the person's consent."""
ON_THE_WAY = (InstallState.READY, InstallState.SENT, InstallState.INSTALLING)
WITHOUT_APP = (InstallState.REMOVED, InstallState.LEFT)
"""What was taken off the device, or is left to its person."""
UNDER_WAY = (InstallState.LICENSING, *ON_THE_WAY, InstallState.REMOVING)
"""Apple, the MDM server or the device is about to move the installation on."""
UNWANTED = (InstallState.REMOVING, *WITHOUT_APP)


class Reason(models.TextChoices):
    """Why an installation is where it is, in words; empty where the state says it all."""

    NONE = "", ""
    NO_DEVICE = "no_device", "The person has no device"
    NOT_ENROLLED = "not_enrolled", "The device is not enrolled with the MDM server"
    WIPED = "wiped", "The device was wiped selectively"
    RETIRED = "retired", "The device is retired"
    PERSON_LEFT = "person_left", "The person is not active"
    PLATFORM = "platform", "The app does not run on this platform"
    OS_TOO_OLD = "os_too_old", "The app needs a newer operating system"
    USER_ENROLLMENT = "user_enrollment", "A device in user enrollment cannot hold a device license"
    SHARED_DEVICE = "shared_device", "A device without an owner cannot use a user license"
    NOT_DEVICE_ASSIGNABLE = "not_device_assignable", "Apple gives this app to people only, not to devices"
    NO_APPLE_ACCOUNT = "no_apple_account", "The person has neither a Managed Apple Account nor an e-mail address"
    NO_SERIAL = "no_serial", "The device has told no serial number"
    NOT_OWNED = "not_owned", "No VPP token in use owns licenses of this app"
    OUTSIDE = "outside", "Outside the token's user groups: sent without a license"
    OUTSIDE_USER_ENROLLMENT = (
        "outside_user_enrollment",
        "User enrollment needs a license, and the person is outside the token's user groups",
    )
    NO_LICENSE_LEFT = "no_license_left", "No license is left"
    QUOTA = "quota", "The quota of the person's groups is used up"
    NOT_REGISTERED = "not_registered", "Being registered with Apple"
    INVITED = "invited", "The person has not accepted Apple's invitation yet"
    PAUSED = "paused", "The distribution is paused"
    NOT_APPROVED = "not_approved", "The app is not approved"
    REFUSED_BY_APPLE = "refused_by_apple", "Apple refused the license"
    NOT_WANTED = "not_wanted", "No distribution includes it any more"
    STAYS = "stays", "The policy leaves the app on the device"
    TOKEN_REFUSED = "token_refused", "Apple refuses the VPP token"
    BUSY = "busy", "An earlier change is still under way"
    SUPERSEDED = "superseded", "A license of another VPP token is given back first"
    NOT_RECLAIMABLE = "not_reclaimable", "Apple does not take this license back"


WITHOUT_A_CLAIM = (
    Reason.NOT_WANTED,
    Reason.WIPED,
    Reason.RETIRED,
    Reason.PERSON_LEFT,
    Reason.NOT_ENROLLED,
)
"""Why a device has no claim to an app that it may have."""


class Installation(models.Model):
    """The state of one app on one device."""

    app = models.ForeignKey(App, models.CASCADE, related_name="installations", db_index=False)
    device = models.ForeignKey(Device, models.CASCADE, related_name="installations")
    distribution = models.ForeignKey(
        Distribution,
        models.SET_NULL,
        null=True,
        related_name="installations",
        help_text="Which wish it serves; none where nobody wants it any more.",
    )
    state = models.CharField(max_length=12, choices=InstallState, default=InstallState.SKIPPED)
    reason = models.CharField(max_length=24, choices=Reason, blank=True, default=Reason.NONE)
    details = models.CharField(
        max_length=500, blank=True, default="", help_text="What the device or Apple said, in words."
    )
    since = models.DateTimeField("state since", default=timezone.now)
    license_kind = models.CharField(
        max_length=8,
        choices=[("device", "Device"), ("user", "User"), ("none", "Without a license")],
        blank=True,
        default="",
    )
    asset = models.ForeignKey(
        Asset, models.SET_NULL, null=True, related_name="+", help_text="Where its license comes from."
    )
    holder = models.CharField(
        max_length=100, blank=True, default="", help_text="The serial number or client user id that holds the license."
    )
    priority = models.PositiveSmallIntegerField(default=100)
    queued_at = models.DateTimeField(null=True, help_text="Since when it waits in line for a license.")
    tries = models.PositiveSmallIntegerField(default=0, help_text="Commands sent since the last success.")
    retry_at = models.DateTimeField(null=True, help_text="When it is tried again by itself.")
    is_requested = models.BooleanField(default=False, help_text="Somebody asked for it although it is on demand.")
    version = models.CharField(max_length=60, blank=True, default="", help_text="What the device reported.")
    external_version_id = models.BigIntegerField(null=True)
    confirmed_at = models.DateTimeField(null=True, help_text="When a list of the device last named the app.")
    update_state = models.CharField(max_length=10, choices=UpdateState, blank=True, default=UpdateState.NONE)
    update_to = models.BigIntegerField(null=True, help_text="The external version id that was last asked for.")
    update_since = models.DateTimeField(null=True, help_text="When that was, or when it failed.")
    update_tries = models.PositiveSmallIntegerField(default=0, help_text="Tries of that version that came to nothing.")
    update_retry_at = models.DateTimeField(null=True, help_text="When it is tried again by itself.")
    update_details = models.CharField(max_length=500, blank=True, default="", help_text="What the device said.")
    update_asked_for = models.BigIntegerField(
        null=True, help_text="The newest version when somebody asked for the update at once; a later one is not meant."
    )

    class Meta:
        permissions = [("distribute_app", "Can distribute apps and stop distributing them")]
        constraints = [models.UniqueConstraint(fields=["app", "device"], name="one_installation_of_an_app_on_a_device")]
        indexes = [
            models.Index(fields=["app", "state"], name="installations_by_state"),
            models.Index(
                fields=["app", "external_version_id"], condition=Q(state="installed"), name="installed_versions"
            ),
            models.Index(fields=["priority", "queued_at"], condition=Q(state="in_line"), name="the_line"),
        ]

    def __str__(self) -> str:
        return f"{self.app} on {self.device}"

    @property
    def failed_to_leave(self) -> bool:
        """Did taking it away fail? An install that failed has a claim, or the next plan ends it."""
        return self.state == InstallState.FAILED and self.reason in WITHOUT_A_CLAIM


class ReconciliationQuerySet(WorkQuerySet["Reconciliation"]):
    """Reconciliations as rows of work."""


class Reconciliation(Work):
    """The standing work of bringing one app's installations level with its distributions; it is due again and again."""

    app = models.OneToOneField(App, models.CASCADE, related_name="reconciliation")
    asked_at = models.DateTimeField(default=timezone.now, help_text="When something last happened that concerns it.")
    planned_at = models.DateTimeField(null=True, help_text="When the last plan was made.")
    counts = models.JSONField(default=dict, help_text="What the last plan decided, by verdict.")

    objects = ReconciliationQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(state__in=OPEN_STATES), name="open_reconciliations")
        ]

    def __str__(self) -> str:
        return f"Reconciliation of {self.app}"
