"""The App Catalog: its apps, and how each came to it from a VPP token."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from catalog.models.update import PERCENT, UpdateMode, UpdateWindow
from tokens.models import ContentToken, Listing
from tokens.policies import Policies
from vppportal.groups.models import UserGroup


class AppStatus(models.TextChoices):
    """May an app be distributed?"""

    AVAILABLE = "available", "Available"
    PENDING = "pending", "Pending approval"
    REJECTED = "rejected", "Rejected"


class AppQuerySet(models.QuerySet["App"]):
    """Questions about apps."""

    def kept(self) -> AppQuerySet:
        """Apps that are not being deleted."""
        return self.filter(deleted_at=None)


class App(Policies):
    """An app of the catalog; one row however many tokens own it."""

    adam_id = models.CharField("iTunes App ID", max_length=20, unique=True)
    listing = models.ForeignKey(Listing, models.PROTECT, related_name="apps")
    status = models.CharField(max_length=10, choices=AppStatus, default=AppStatus.AVAILABLE)
    added_at = models.DateTimeField(default=timezone.now)
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    added_from = models.ForeignKey(ContentToken, models.SET_NULL, null=True, blank=True, related_name="apps_added")
    brought_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
        help_text="Who had uploaded the token that brought it, also when the token is renewed by others or deleted.",
    )
    deleted_at = models.DateTimeField(
        null=True, editable=False, help_text="When it was deleted; the row goes when no device has it any more."
    )
    approval_round = models.PositiveSmallIntegerField(default=1, editable=False)
    waiting_since = models.DateTimeField(
        null=True, editable=False, help_text="Since when it waits for the approvers of its present step."
    )
    update_automatically = models.BooleanField(
        default=True, help_text="New versions are sent to the devices that have the app."
    )
    update_window = models.ForeignKey(
        UpdateWindow,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="apps",
        help_text="When updates may be sent, in the time zone of each device. Leave empty for any time.",
    )
    pilot_group = models.ForeignKey(
        UserGroup,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="The devices of these people update first.",
    )
    pilot_hours = models.PositiveSmallIntegerField(
        "the others follow after",
        null=True,
        blank=True,
        help_text="Hours after the first devices. Leave both empty to update all devices at once.",
    )
    pilot_failure_percent = models.PositiveSmallIntegerField(
        "as long as failures stay under",
        default=10,
        validators=PERCENT,
        help_text="Percent of the pilot's devices. At this share or above the roll-out stops.",
    )

    objects = AppQuerySet.as_manager()

    class Meta:
        permissions = [("approve_app", "Can approve and reject apps")]
        indexes = [models.Index(fields=["status"], condition=~Q(status=AppStatus.AVAILABLE), name="apps_to_decide_on")]

    def __str__(self) -> str:
        return str(self.listing)

    def get_absolute_url(self) -> str:
        return reverse("app", args=[self.pk])


class Outcome(models.TextChoices):
    """What became of a token's app on its way into the catalog."""

    WAITING = "waiting", "Waiting"
    ADDED = "added", "Success"
    EXISTS = "exists", "Success (already there)"
    PENDING = "pending", "Pending approval"
    REJECTED = "rejected", "Rejected"
    NOT_FOUND = "not_found", "Failed"
    MAC_ONLY = "mac_only", "Not automatic (Mac)"
    BOOK = "book", "Not automatic (book)"
    SWITCHED_OFF = "switched_off", "Not automatic (switched off)"
    DELETED = "deleted", "Not automatic (deleted)"


COMMENTS = {
    Outcome.WAITING: "Waiting for the App Store's answer",
    Outcome.ADDED: "App Added Successfully",
    Outcome.EXISTS: "App Already Exists",
    Outcome.PENDING: "Waits for an approver",
    Outcome.REJECTED: "An approver rejected it",
    Outcome.NOT_FOUND: "App Not Found",
    Outcome.MAC_ONLY: "Apps for Mac only are added by hand",
    Outcome.BOOK: "Books do not go to the App Catalog",
    Outcome.SWITCHED_OFF: "“Add apps automatically” is off for this token",
    Outcome.DELETED: "Deleted from the App Catalog; it can be added again by hand",
}
ADDABLE_BY_HAND = (Outcome.MAC_ONLY, Outcome.SWITCHED_OFF, Outcome.DELETED)


class Addition(models.Model):
    """A row of the Token Details page: one product of a token, and whether it got into the catalog."""

    token = models.ForeignKey(ContentToken, models.CASCADE, related_name="additions", db_index=False)
    adam_id = models.CharField("iTunes App ID", max_length=20)
    app = models.ForeignKey(App, models.SET_NULL, null=True, related_name="additions")
    outcome = models.CharField("Auto App Addition Status", max_length=12, choices=Outcome, default=Outcome.WAITING)
    settled_at = models.DateTimeField("Added Time", null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["token", "adam_id"], name="one_addition_of_a_product_of_a_token")
        ]
        indexes = [models.Index(fields=["token"], condition=Q(outcome=Outcome.WAITING), name="waiting_additions")]

    def __str__(self) -> str:
        return f"{self.adam_id}: {self.get_outcome_display()}"

    @property
    def comment(self) -> str:
        """The reference page's words for the outcome."""
        return COMMENTS[Outcome(self.outcome)]


class ApprovalPolicy(models.TextChoices):
    """Who decides whether new apps wait for approval."""

    OFF = "off", "Never: new apps are available at once"
    PER_TOKEN = "per_token", "As each VPP token says (its “App approval” policy)"
    MANDATORY = "mandatory", "Always: every new app waits for approval"


class CatalogSettings(models.Model):
    """The settings of the App Catalog as a whole: one row."""

    approval = models.CharField("App approval", max_length=10, choices=ApprovalPolicy, default=ApprovalPolicy.PER_TOKEN)
    update_mode = models.CharField(
        "Automatic updates", max_length=14, choices=UpdateMode, default=UpdateMode.ADMINISTRATORS
    )
    time_zone = models.CharField(max_length=64, default="UTC", help_text="Of devices whose own time zone is not known.")

    class Meta:
        verbose_name_plural = "catalog settings"
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="one_set_of_catalog_settings")]

    def __str__(self) -> str:
        return "App Settings"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the one row, whichever page it comes from."""
        self.pk = 1
        super().save(*args, **kwargs)

    @classmethod
    def load(cls) -> CatalogSettings:
        """Return the settings in force: the stored row, or the defaults where none was ever stored."""
        return cls.objects.filter(pk=1).first() or cls(pk=1)

    def requires_approval(self, token: ContentToken | None, *, was_unapproved: bool = False) -> bool:
        """Do new apps of this token wait for an approver? Those that left the catalog unapproved do for any token."""
        if self.approval == ApprovalPolicy.PER_TOKEN:
            return was_unapproved or (token is not None and token.require_approval)
        return self.approval == ApprovalPolicy.MANDATORY
