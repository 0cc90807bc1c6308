"""What Apple lists at a location: assets, who holds them, and the people registered there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q, Sum

from tokens.fields import CannotOpen, SealedTextField
from tokens.models.token import ContentToken
from vppportal.groups.models import ManagedUser

if TYPE_CHECKING:
    from tokens.secret import Secret


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


class ClientUserStatus(models.TextChoices):
    """What Apple says of a person registered at a location."""

    REGISTERED = "Registered", "Invited"
    ASSOCIATED = "Associated", "Registered"
    RETIRED = "Retired", "Retired"
    DELETED = "Deleted", "Deleted"


GONE = (ClientUserStatus.RETIRED, ClientUserStatus.DELETED)


class ClientUserQuerySet(models.QuerySet["ClientUser"]):
    """Questions about people registered at locations."""

    def live(self) -> ClientUserQuerySet:
        """Those not retired; some of them Apple has not confirmed yet."""
        return self.exclude(status__in=GONE)

    def to_invite(self) -> ClientUserQuerySet:
        """Those the portal registered who have not accepted Apple's invitation yet, as far as they may be invited.

        `invited_at` is when they were last sent the mail: whoever invites through devices does so once after that.
        """
        return self.filter(
            status=ClientUserStatus.REGISTERED,
            invite_code__isnull=False,
            person__is_active=True,
            token__deleted_at=None,
        )

    def to_associate(self, *, again: bool = False) -> ClientUserQuerySet:
        """Those invited who have a Managed Apple Account by now that Apple was not told of; `again`, or refused.

        With that account nobody has to accept anything.
        """
        is_told = Q(managed_apple_account__iexact=F("person__managed_apple_account"))
        asked = self.filter(status=ClientUserStatus.REGISTERED, person__is_active=True, token__deleted_at=None)
        return asked.exclude(person__managed_apple_account="").exclude(is_told & Q(trouble="") if again else is_told)


class ClientUser(models.Model):
    """A person as registered at one location of Apple, under an id that says nothing about the person."""

    token = models.ForeignKey(ContentToken, models.CASCADE, related_name="client_users", db_index=False)
    client_user_id = models.CharField(max_length=100)
    person = models.ForeignKey(
        ManagedUser, models.SET_NULL, null=True, related_name="client_users", help_text="Whom the portal registered."
    )
    email = models.CharField(max_length=254, blank=True, default="")
    managed_apple_account = models.CharField(max_length=254, blank=True, default="")
    status = models.CharField(max_length=20, help_text="In Apple's words; empty until Apple has confirmed it.")
    id_hash = models.CharField(max_length=100, blank=True, default="")
    invite_code = SealedTextField(null=True)
    invited_at = models.DateTimeField(null=True, help_text="When the portal last sent the invitation.")
    invitations = models.PositiveSmallIntegerField(default=0)
    trouble = models.CharField(
        max_length=250, blank=True, default="", help_text="Why the last change did not happen, in words."
    )

    objects = ClientUserQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["token", "client_user_id"], name="one_client_user_of_a_location"),
            models.UniqueConstraint(
                fields=["token", "person"],
                condition=Q(person__isnull=False) & ~Q(status__in=("Retired", "Deleted")),
                name="one_registration_of_a_person_at_a_location",
            ),
        ]

    def __str__(self) -> str:
        return self.email or self.client_user_id

    @property
    def is_associated(self) -> bool:
        """May the person's Apple Account receive licenses?"""
        return self.status == ClientUserStatus.ASSOCIATED

    def open_invite_code(self) -> Secret:
        """Decrypt the code that lets somebody register as this person; raises CannotOpen."""
        if self.invite_code is None:
            raise CannotOpen("Apple has given no invitation for this person")
        return self.invite_code.open(bound_to=self.client_user_id)

    def fits(self, person: ManagedUser) -> bool:
        """Is the person registered with the account and address the portal knows now?"""
        if self.managed_apple_account or (person.managed_apple_account and not self.is_associated):
            return self.managed_apple_account.lower() == person.managed_apple_account.lower()
        return not self.email or self.email.lower() == person.email.lower()
