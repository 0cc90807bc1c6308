"""The mirror of what Apple says: content tokens, listings, assets, assignments, users - and the syncs that read it.

Only sync.py, mirror.py, listings.py and registration.py write here, and only what Apple said. What administrators
choose about a token (name, region, policies, groups) is the one exception.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q, Sum
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone

from tokens.fields import SealedTextField
from tokens.policies import POLICY_FIELDS, Policies
from tokens.regions import REGIONS
from vppportal.groups.models import UserGroup
from vppportal.work import OPEN_STATES, Work, WorkQuerySet

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
        "token name", max_length=120, help_text="How the portal calls this token. Nobody at Apple sees it."
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
    synced_at = models.DateTimeField("last complete sync", null=True, editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)
    version = models.PositiveIntegerField(
        default=0, editable=False, help_text="Grows with each edit: a stale form is noticed."
    )

    CHOICES: ClassVar[tuple[str, ...]] = ("name", "region", "add_apps_automatically", *POLICY_FIELDS)
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


class SyncReason(models.TextChoices):
    """Why a sync was asked for."""

    UPLOAD = "upload", "Token added"
    RENEWAL = "renewal", "Token renewed"
    MANUAL = "manual", "Asked for"
    SCHEDULE = "schedule", "Timetable"


class SyncPhase(models.TextChoices):
    """The steps of a sync, in their order."""

    CLAIM = "claim", "Claiming the location"
    ASSETS = "assets", "Reading licenses"
    LISTINGS = "listings", "Looking up apps"
    USERS = "users", "Reading users"
    ASSIGNMENTS = "assignments", "Reading assignments"
    FINISHED = "finished", "Finished"


class SyncRunQuerySet(WorkQuerySet["SyncRun"]):
    """Syncs as rows of work."""


class SyncRun(Work):
    """One sync of one token: the work, its progress bar and, afterwards, its record."""

    token = models.ForeignKey(ContentToken, models.CASCADE, related_name="sync_runs")
    reason = models.CharField(max_length=10, choices=SyncReason)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    phase = models.CharField(max_length=12, choices=SyncPhase, default=SyncPhase.CLAIM)
    phase_started_at = models.DateTimeField(null=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(null=True)
    message = models.CharField(max_length=250, blank=True, default="")
    changes = models.JSONField(default=dict, help_text="How many rows each phase added, changed and removed.")

    objects = SyncRunQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["token"], condition=Q(state__in=OPEN_STATES), name="one_open_sync_of_a_token"
            ),
        ]
        indexes = [models.Index(fields=["next_attempt_at"], condition=Q(state__in=OPEN_STATES), name="open_syncs")]

    def __str__(self) -> str:
        return f"Sync {self.pk} of {self.token}"


class ListingOutcome(models.TextChoices):
    """What the store said about an app."""

    UNKNOWN = "unknown", "Not looked up yet"
    FOUND = "found", "Found"
    NOT_FOUND = "not_found", "Not found in this App Store"


class ListingQuerySet(WorkQuerySet["Listing"]):
    """Listings as rows of work."""


class Listing(Work):
    """One store entry, shared by all tokens: an app owned through a hundred tokens is looked up once.

    As a row of work it is due when it was never looked up, when it was asked for again, and when what is known is old.
    """

    adam_id = models.CharField(max_length=20)
    storefront = models.CharField(max_length=2, help_text="The region's two-letter code.")
    outcome = models.CharField(max_length=10, choices=ListingOutcome, default=ListingOutcome.UNKNOWN)
    checked_at = models.DateTimeField(null=True)
    checked_with = models.ForeignKey(
        ContentToken,
        models.SET_NULL,
        null=True,
        related_name="+",
        help_text="A custom app is found only with a token that owns it.",
    )
    name = models.CharField(max_length=250, blank=True, default="")
    developer = models.CharField(max_length=250, blank=True, default="")
    bundle_id = models.CharField(max_length=250, blank=True, default="")
    icon_url = models.URLField(max_length=500, blank=True, default="")
    store_url = models.URLField(max_length=500, blank=True, default="")
    description = models.TextField(blank=True, default="")
    genres = models.JSONField(default=list)
    platforms = models.CharField(
        max_length=100, blank=True, default="", help_text="Apple's platform names, separated by commas."
    )
    is_custom = models.BooleanField("custom app (B2B)", default=False)
    price = models.CharField(max_length=40, blank=True, default="")
    minimum_os = models.CharField(max_length=20, blank=True, default="")
    version = models.CharField(max_length=60, blank=True, default="")
    external_version_id = models.BigIntegerField(null=True)
    released_on = models.DateField(null=True)
    release_notes = models.TextField(blank=True, default="")

    objects = ListingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["adam_id", "storefront"], name="one_listing_of_an_app_in_a_store")
        ]
        indexes = [models.Index(fields=["next_attempt_at"], condition=Q(state__in=OPEN_STATES), name="open_listings")]

    def __str__(self) -> str:
        return self.name or self.adam_id


class ProductType(models.TextChoices):
    """Apple's two kinds of assets."""

    APP = "App", "App"
    BOOK = "Book", "Book"


class AssetQuerySet(models.QuerySet["Asset"]):
    """Questions about assets."""

    def counted_licenses(self) -> dict[str, int]:
        """Return the licenses there are in total, assigned and available; unlimited ones are in none of the sums."""
        return self.filter(gone_at=None, is_unlimited=False).aggregate(
            total=Sum("total", default=0), assigned=Sum("assigned", default=0), available=Sum("available", default=0)
        )


class Asset(models.Model):
    """A product owned at a location, with Apple's own counts."""

    token = models.ForeignKey(ContentToken, models.CASCADE, related_name="assets", db_index=False)
    adam_id = models.CharField(max_length=20, db_index=True)
    pricing_param = models.CharField(max_length=10, default="STDQ")
    product_type = models.CharField(max_length=10, choices=ProductType, default=ProductType.APP)
    total = models.BigIntegerField(default=0)
    available = models.BigIntegerField(default=0)
    assigned = models.BigIntegerField(default=0)
    retired = models.BigIntegerField(default=0)
    is_unlimited = models.BooleanField(default=False)
    is_device_assignable = models.BooleanField(default=True)
    is_revocable = models.BooleanField(default=True)
    platforms = models.CharField(
        max_length=100, blank=True, default="", help_text="Apple's platform names, separated by commas."
    )
    gone_at = models.DateTimeField(null=True, help_text="When Apple stopped listing it; its assignments may live on.")

    objects = AssetQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["token", "adam_id", "pricing_param"], name="one_asset_of_a_product_and_pricing"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.adam_id} {self.pricing_param}"

    @property
    def is_mac_only(self) -> bool:
        """Does it run on Macs, and on neither iPhones nor iPads?"""
        platforms = self.platforms.split(",")
        return "macOS" in platforms and "iOS" not in platforms


class Assignment(models.Model):
    """One unit of an asset held by a device (serial number) or a person (client user id): exactly one of them is set.

    Millions of rows: one unique index does the comparing, and the foreign key is not checked by the database, because
    that check would cost as much as the insert (assets are only ever deleted together with their assignments).
    """

    asset = models.ForeignKey(Asset, models.DO_NOTHING, related_name="assignments", db_constraint=False, db_index=False)
    serial_number = models.CharField(max_length=64, default="", blank=True)
    client_user_id = models.CharField(max_length=100, default="", blank=True)
    since = models.DateTimeField(help_text="When the portal first saw it; Apple keeps no date.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["asset", "serial_number", "client_user_id"], name="one_assignment_of_an_asset_to_a_holder"
            ),
            models.CheckConstraint(
                condition=(Q(serial_number="") & ~Q(client_user_id="")) | (~Q(serial_number="") & Q(client_user_id="")),
                name="assigned_to_a_device_or_a_person",
            ),
        ]
        indexes = [
            models.Index(fields=["serial_number"], condition=~Q(serial_number=""), name="assignments_of_a_device"),
            models.Index(fields=["client_user_id"], condition=~Q(client_user_id=""), name="assignments_of_a_person"),
        ]

    def __str__(self) -> str:
        return self.serial_number or self.client_user_id


class ClientUser(models.Model):
    """A person as registered at one location of Apple."""

    token = models.ForeignKey(ContentToken, models.CASCADE, related_name="client_users", db_index=False)
    client_user_id = models.CharField(max_length=100)
    email = models.CharField(max_length=254, blank=True, default="")
    status = models.CharField(max_length=20)
    id_hash = models.CharField(max_length=100, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["token", "client_user_id"], name="one_client_user_of_a_location")
        ]

    def __str__(self) -> str:
        return self.email or self.client_user_id


class PortalIdentity(models.Model):
    """The one row that says who this installation is towards Apple (`mdmInfo.id`)."""

    mdm_id = models.UUIDField(default=uuid.uuid4, editable=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="one_portal")]

    def __str__(self) -> str:
        return str(self.mdm_id)
