"""Who receives apps: user groups, the people in them, and their devices."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower, Upper
from django.urls import reverse


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
    email = models.EmailField(
        unique=True, error_messages={"unique": "There is already a person with this e-mail address."}
    )
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


class Device(models.Model):
    """A managed device."""

    serial_number = models.CharField(max_length=32)
    name = models.CharField(max_length=120, blank=True, default="")
    platform = models.CharField(max_length=10, choices=Platform, default=Platform.IOS)
    model = models.CharField(max_length=80, blank=True, default="")
    os_version = models.CharField("OS version", max_length=20, blank=True, default="")
    owner = models.ForeignKey(ManagedUser, models.SET_NULL, null=True, blank=True, related_name="devices")

    class Meta:
        ordering = ["serial_number"]
        constraints = [
            models.UniqueConstraint(
                Upper("serial_number"),
                name="one_device_of_a_serial_number",
                violation_error_message="There is already a device with this serial number.",
            )
        ]

    def __str__(self) -> str:
        return self.name or self.serial_number

    def get_absolute_url(self) -> str:
        return reverse("device", args=[self.pk])
