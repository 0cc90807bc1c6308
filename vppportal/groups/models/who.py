"""Who receives apps: user groups, the people in them, and their devices."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import models
from django.db.models.functions import Lower, Upper
from django.urls import reverse
from django.utils import timezone

SILENCE: Final = timedelta(days=14)


class UserGroup(models.Model):
    """A set of people that apps are distributed to and that a VPP token may be restricted to."""

    name = models.CharField(max_length=120)
    description = models.CharField(max_length=250, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="one_group_of_a_name",
                violation_error_message="There is already a user group of this name.",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("group", args=[self.pk])


class ManagedUser(models.Model):
    """A person who receives apps (an administrator of this portal is a User)."""

    name = models.CharField(max_length=150)
    email = models.EmailField("e-mail")
    managed_apple_account = models.EmailField(
        "Managed Apple Account",
        blank=True,
        default="",
        help_text="The account your organization made for this person at Apple.",
    )
    is_active = models.BooleanField(
        "active", default=True, help_text="People who left are kept, but receive nothing more."
    )
    groups = models.ManyToManyField(UserGroup, related_name="people", blank=True, verbose_name="user groups")

    class Meta:
        verbose_name = "person"
        verbose_name_plural = "people"
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                name="one_person_of_an_address",
                violation_error_message="There is already a person with this e-mail address.",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("person", args=[self.pk])


class Platform(models.TextChoices):
    """Apple's platforms, in the words of its license service; iPads count as iOS there."""

    IOS = "iOS", "iOS / iPadOS"
    MACOS = "macOS", "macOS"
    TVOS = "tvOS", "tvOS"
    VISIONOS = "visionOS", "visionOS"
    WATCHOS = "watchOS", "watchOS"


class EnrollmentType(models.TextChoices):
    """How a device came under management, which decides what kind of license it may hold."""

    DEVICE = "device", "Device enrollment"
    USER = "user", "User enrollment"
    SHARED = "shared", "Shared iPad"


class Standing(models.TextChoices):
    """How a device stands to the portal, as lists show it."""

    ENROLLED = "enrolled", "Enrolled"
    NEVER = "unknown", "Never enrolled"
    LEFT = "left", "No longer enrolled"
    WIPED = "wiped", "Wiped"
    RETIRED = "retired", "Retired"


class DeviceQuerySet(models.QuerySet["Device"]):
    """Questions about devices."""

    def enrolled(self) -> DeviceQuerySet:
        """Devices that the MDM server can reach now."""
        return self.exclude(enrollment_id="").filter(unenrolled_at=None)

    def silent(self) -> DeviceQuerySet:
        """Devices that should answer, and were not seen for two weeks: lost, broken, or switched off."""
        return self.enrolled().filter(retired_at=None, last_seen_at__lt=timezone.now() - SILENCE)

    def standing(self, standing: str) -> DeviceQuerySet:
        """Devices that stand so, each device in one of the five ways."""
        if standing == Standing.RETIRED:
            return self.exclude(retired_at=None)
        kept = self.filter(retired_at=None)
        if standing == Standing.WIPED:
            return kept.exclude(wiped_at=None)
        kept = kept.filter(wiped_at=None)
        if standing == Standing.ENROLLED:
            return kept.enrolled()
        if standing == Standing.NEVER:
            return kept.filter(enrollment_id="")
        return kept.exclude(enrollment_id="").exclude(unenrolled_at=None)


class Device(models.Model):
    """A managed device; it is entered by hand, imported, or arrives by itself when it enrolls."""

    serial_number = models.CharField(
        max_length=32, blank=True, default="", help_text="Devices in user enrollment tell none."
    )
    name = models.CharField(max_length=120, blank=True, default="")
    platform = models.CharField(max_length=10, choices=Platform, default=Platform.IOS)
    model = models.CharField(max_length=80, blank=True, default="")
    os_version = models.CharField("OS version", max_length=20, blank=True, default="")
    owner = models.ForeignKey(ManagedUser, models.SET_NULL, null=True, blank=True, related_name="devices")
    time_zone = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text="Like Europe/Berlin. Update windows open in it; devices that tell their own overwrite it.",
    )
    enrollment_type = models.CharField(max_length=8, choices=EnrollmentType, default=EnrollmentType.DEVICE)

    enrollment_id = models.CharField(
        max_length=127, blank=True, default="", editable=False, help_text="What the MDM server calls it."
    )
    enrolled_at = models.DateTimeField(null=True, editable=False)
    unenrolled_at = models.DateTimeField(null=True, editable=False)
    last_seen_at = models.DateTimeField("last seen", null=True, editable=False)
    facts_at = models.DateTimeField(
        null=True, editable=False, help_text="When it last told its OS version and time zone."
    )
    wiped_at = models.DateTimeField(
        null=True, editable=False, help_text="When its apps were taken away; nothing is sent until that is lifted."
    )
    retired_at = models.DateTimeField(null=True, editable=False, help_text="When it was taken out of use.")

    objects = DeviceQuerySet.as_manager()

    class Meta:
        ordering = ["serial_number", "pk"]
        permissions = [("control_device", "Can wipe, release and retire devices")]
        constraints = [
            models.UniqueConstraint(
                Upper("serial_number"),
                condition=~models.Q(serial_number=""),
                name="one_device_of_a_serial_number",
                violation_error_message="There is already a device with this serial number.",
            ),
            models.UniqueConstraint(
                fields=["enrollment_id"], condition=~models.Q(enrollment_id=""), name="one_device_of_an_enrollment"
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.serial_number or f"{self.get_enrollment_type_display()} {self.enrollment_id[:8]}"

    def get_absolute_url(self) -> str:
        return reverse("device", args=[self.pk])

    @property
    def is_enrolled(self) -> bool:
        """Can the MDM server reach it?"""
        return bool(self.enrollment_id) and self.unenrolled_at is None

    @property
    def standing(self) -> Standing:
        """How it stands to the portal."""
        if self.retired_at:
            return Standing.RETIRED
        if self.wiped_at:
            return Standing.WIPED
        if not self.enrollment_id:
            return Standing.NEVER
        return Standing.LEFT if self.unenrolled_at else Standing.ENROLLED

    def get_standing_display(self) -> str:
        """Return the words for how it stands."""
        return str(self.standing.label)
