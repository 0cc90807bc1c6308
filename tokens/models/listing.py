"""Store entries: what an App Store says of a product."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from tokens.models.token import ContentToken
from vppportal.work import OPEN_STATES, Work, WorkQuerySet


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
    checked_at = models.DateTimeField(null=True, help_text="When the store showed what is known of it.")
    asked_at = models.DateTimeField(null=True, help_text="When the store answered last, also that it does not show it.")
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
    version_seen_at = models.DateTimeField(null=True, help_text="When the portal first saw the present version.")
    content_rating = models.CharField(max_length=20, blank=True, default="")
    has_in_app_purchases = models.BooleanField(null=True)
    needs_token = models.BooleanField(
        default=True,
        help_text="It is looked up with a token that owns it: a custom app, one not on sale, one never looked up.",
    )

    objects = ListingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["adam_id", "storefront"], name="one_listing_of_an_app_in_a_store")
        ]
        indexes = [models.Index(fields=["next_attempt_at"], condition=Q(state__in=OPEN_STATES), name="open_listings")]

    def __str__(self) -> str:
        return self.name or self.adam_id

    @property
    def is_lost(self) -> bool:
        """Did the store not show it any more when it was asked last?"""
        if self.checked_at is None or self.asked_at is None:
            return self.outcome == ListingOutcome.NOT_FOUND
        return self.outcome == ListingOutcome.NOT_FOUND or self.asked_at > self.checked_at


class ListingVersion(models.Model):
    """One version of a store entry, as the portal came to know it; Apple tells only the newest and keeps no list."""

    listing = models.ForeignKey(Listing, models.CASCADE, related_name="versions", db_index=False)
    external_version_id = models.BigIntegerField()
    version = models.CharField(max_length=60, blank=True, default="")
    minimum_os = models.CharField(max_length=20, blank=True, default="")
    released_on = models.DateField(null=True)
    release_notes = models.TextField(blank=True, default="")
    seen_at = models.DateTimeField(default=timezone.now, help_text="When the store showed it to the portal first.")

    class Meta:
        ordering = ["-seen_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["listing", "external_version_id"], name="one_row_of_a_version_of_a_listing")
        ]

    def __str__(self) -> str:
        return f"{self.listing} {self.version}"
