"""Content tokens, and who this portal is towards Apple."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone

from tokens.fields import SealedTextField
from tokens.policies import POLICY_FIELDS, Policies
from tokens.regions import REGIONS
from vppportal.groups.models import UserGroup

if TYPE_CHECKING:
    from tokens.secret import Secret

NAME_TAKEN = "There is already a VPP token of this name."


class TokenStatus(models.TextChoices):
    """What Apple thinks of a token. Each state has its own cause and its own way out (diagnosis.py)."""

    ACTIVE = "active", "Active"
    EXPIRED = "expired", "Expired"
    REVOKED = "revoked", "Revoked"
    INVALID = "invalid", "Invalid"
    CLAIMED_ELSEWHERE = "claimed_elsewhere", "Claimed by another MDM"


class ContentTokenQuerySet(models.QuerySet["ContentToken"]):
    """Questions about tokens."""

    def kept(self) -> ContentTokenQuerySet:
        """Tokens that are not being deleted."""
        return self.filter(deleted_at=None)

    def usable(self) -> ContentTokenQuerySet:
        """Tokens that Apple may be asked with."""
        return self.kept().filter(status=TokenStatus.ACTIVE)

    def refused(self) -> ContentTokenQuerySet:
        """Kept tokens that Apple does not accept."""
        return self.kept().exclude(status=TokenStatus.ACTIVE)


class ContentToken(Policies):
    """A content token of Apple and the location it opens; screens say “VPP token”."""

    name = models.CharField(
        "token name", max_length=120, help_text="What the portal calls this token. Nobody at Apple sees it."
    )
    region = models.CharField(
        max_length=2,
        choices=REGIONS,
        help_text="The App Store whose names, icons and versions are shown: usually the country of the location.",
    )
    add_apps_automatically = models.BooleanField(
        default=True,
        help_text="Public and custom (B2B) apps of this token go to the App Catalog by themselves, now and when more "
        "are bought. Apps that are there already are not added again; apps for Mac only and books are left to you.",
    )
    restricted_to = models.ManyToManyField(
        UserGroup,
        verbose_name="Restrict to user groups",
        related_name="tokens",
        blank=True,
        help_text="Members of these groups receive the token's apps with a license. Everybody else who is sent the "
        "same app receives it without one, and the license count stays as it is. Leave empty for no restriction.",
    )

    preference = models.PositiveSmallIntegerField(
        "order of preference",
        default=100,
        help_text="Where several tokens own an app, the one with the smallest number gives its licenses first.",
    )

    secret = SealedTextField()
    fingerprint = models.CharField(max_length=64, editable=False)
    submission = models.UUIDField(
        default=uuid.uuid4,
        unique=True,
        editable=False,
        help_text="The form that made it: a second click is the same form.",
    )
    organization = models.CharField(max_length=250, editable=False)
    expires_at = models.DateTimeField(editable=False)
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )
    uploaded_at = models.DateTimeField(default=timezone.now, editable=False)

    location_id = models.CharField("Apple's id of the location", max_length=100, editable=False)
    location_name = models.CharField(max_length=250, editable=False)
    country = models.CharField(
        max_length=2, blank=True, editable=False, help_text="Apple's own country for the location."
    )
    store_platform = models.CharField(max_length=40, default="enterprisestore", editable=False)
    is_read_only = models.BooleanField(
        default=False,
        editable=False,
        help_text="Apple lets the account that downloaded the file read, and change nothing.",
    )

    status = models.CharField(max_length=20, choices=TokenStatus, default=TokenStatus.ACTIVE, editable=False)
    status_since = models.DateTimeField(default=timezone.now, editable=False)
    status_number = models.PositiveIntegerField(null=True, editable=False, help_text="The number Apple refused with.")
    claimed_by = models.CharField(
        max_length=250, blank=True, default="", editable=False, help_text="Who else manages the location."
    )
    take_over_from = models.CharField(
        max_length=100,
        blank=True,
        default="",
        editable=False,
        help_text="The claim an administrator agreed to replace.",
    )
    notification_id = models.UUIDField(
        null=True, unique=True, editable=False, help_text="Part of the address Apple sends its notifications to."
    )
    notification_secret = SealedTextField(null=True)
    subscribed_to = models.CharField(
        max_length=250, blank=True, default="", editable=False, help_text="The address Apple confirmed."
    )
    synced_at = models.DateTimeField("last complete sync", null=True, editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)
    version = models.PositiveIntegerField(
        default=0, editable=False, help_text="Grows with each edit: a stale form is noticed."
    )

    CHOICES: ClassVar[tuple[str, ...]] = ("name", "region", "add_apps_automatically", "preference", *POLICY_FIELDS)
    objects = ContentTokenQuerySet.as_manager()

    class Meta:
        verbose_name = "VPP token"
        ordering = ["name"]
        permissions = [("sync_contenttoken", "Can synchronize VPP tokens with Apple")]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                condition=Q(deleted_at=None),
                name="one_token_of_a_name",
                violation_error_message=NAME_TAKEN,
            ),
            models.UniqueConstraint(fields=["fingerprint"], condition=Q(deleted_at=None), name="one_token_of_a_file"),
            models.UniqueConstraint(
                fields=["location_id"], condition=Q(deleted_at=None), name="one_token_of_a_location"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("token", args=[self.pk])

    @property
    def is_usable(self) -> bool:
        """May Apple be asked with this token?"""
        return self.status == TokenStatus.ACTIVE and self.deleted_at is None

    def open_secret(self) -> Secret:
        """Decrypt the bearer; raises CannotOpen. For the Apple client only."""
        return self.secret.open(bound_to=self.location_id)


class PortalIdentity(models.Model):
    """The one row that says who this installation is towards Apple (`mdmInfo.id`)."""

    mdm_id = models.UUIDField(default=uuid.uuid4, editable=False)

    class Meta:
        verbose_name_plural = "portal identities"
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="one_portal")]

    def __str__(self) -> str:
        return str(self.mdm_id)
