"""Rows for tests: one factory a model, with traits for the states that matter."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

import factory
from django.contrib.auth.models import Group, User
from django.utils import timezone
from factory.django import DjangoModelFactory

from catalog.models import (
    Addition,
    App,
    ApprovalStep,
    AppStatus,
    Command,
    CommandKind,
    Distribution,
    DistributionState,
    Installation,
    InstallState,
    Outcome,
    UpdateWindow,
)
from tokens.fields import Sealed
from tokens.models import (
    Asset,
    Assignment,
    ClientUser,
    ContentToken,
    Listing,
    ListingOutcome,
    Operation,
    OperationKind,
    ProductType,
    Quota,
    SyncPhase,
    SyncReason,
    SyncRun,
    TokenStatus,
)
from tokens.secret import Secret
from vppportal.activity.models import Entry
from vppportal.groups.models import Device, Import, ImportKind, ImportPhase, ManagedUser, UserGroup
from vppportal.work import WorkState

PASSWORD = "correct horse battery staple"
SECRET = "c2VjcmV0LW9mLWEtdG9rZW4tdGhhdC1tdXN0LW5ldmVyLWJlLXNlZW4="


class UserFactory(DjangoModelFactory):
    """An administrator; `role` gives the permissions of Viewer, Operator or Token manager."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"administrator{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@portal.example")
    password = factory.django.Password(PASSWORD)

    @factory.post_generation
    def role(self: Any, create: bool, extracted: str | None, **kwargs: Any) -> None:
        """Give the role of this name."""
        if extracted:
            self.groups.add(Group.objects.get(name=extracted))


class UserGroupFactory(DjangoModelFactory):
    """A user group."""

    class Meta:
        model = UserGroup

    name = factory.Sequence(lambda n: f"Department {n:04}")
    description = factory.LazyAttribute(lambda group: f"Everybody in {group.name}")


class ManagedUserFactory(DjangoModelFactory):
    """A person."""

    class Meta:
        model = ManagedUser
        skip_postgeneration_save = True

    name = factory.Sequence(lambda n: f"Person {n:04}")
    email = factory.Sequence(lambda n: f"person{n:04}@company.example")

    @factory.post_generation
    def groups(self: Any, create: bool, extracted: Any, **kwargs: Any) -> None:
        """Put the person into these groups."""
        if extracted:
            self.groups.add(*extracted)


class DeviceFactory(DjangoModelFactory):
    """A device; `enrolled` makes the MDM server reach it."""

    class Meta:
        model = Device

    class Params:
        enrolled = factory.Trait(
            enrollment_id=factory.Sequence(lambda n: f"00000000-0000-4000-8000-{n:012}"),
            enrolled_at=factory.LazyFunction(timezone.now),
            last_seen_at=factory.LazyFunction(timezone.now),
        )
        in_user_enrollment = factory.Trait(enrolled=True, enrollment_type="user", serial_number="")

    serial_number = factory.Sequence(lambda n: f"TEST{n:08}")
    name = factory.Sequence(lambda n: f"iPad {n}")
    model = "iPad"
    os_version = "19.1"


class ImportFactory(DjangoModelFactory):
    """An import of people that was compared and waits for somebody's decision."""

    class Meta:
        model = Import

    kind = ImportKind.PEOPLE
    file_name = "people.csv"
    encoding = "utf-8"
    separator = ","
    header = ["Name", "E-mail"]
    total = 1
    state = WorkState.DONE
    phase = ImportPhase.REVIEW


class ContentTokenFactory(DjangoModelFactory):
    """A VPP token that works, unless a trait says otherwise."""

    class Meta:
        model = ContentToken

    class Params:
        expired = factory.Trait(
            status=TokenStatus.EXPIRED,
            status_number=9621,
            expires_at=factory.LazyFunction(lambda: timezone.now() - timedelta(days=3)),
        )
        expiring = factory.Trait(
            expires_at=factory.LazyFunction(lambda: timezone.now() + timedelta(days=12, minutes=5))
        )
        revoked = factory.Trait(status=TokenStatus.REVOKED, status_number=9625)
        invalid = factory.Trait(status=TokenStatus.INVALID, status_number=9622)
        claimed_elsewhere = factory.Trait(status=TokenStatus.CLAIMED_ELSEWHERE, claimed_by="Other MDM (mdm.example)")
        deleted = factory.Trait(deleted_at=factory.LazyFunction(timezone.now))
        never_synced = factory.Trait(synced_at=None)

    name = factory.Sequence(lambda n: f"Token {n:03}")
    region = "US"
    organization = "Example Company"
    location_id = factory.Sequence(lambda n: f"location-{n}")
    location_name = factory.Sequence(lambda n: f"Office {n}")
    country = "US"
    fingerprint = factory.Sequence(lambda n: f"{n:064x}")
    secret = factory.LazyAttribute(lambda token: Sealed.seal(Secret(SECRET), bound_to=token.location_id))
    expires_at = factory.LazyFunction(lambda: timezone.now() + timedelta(days=200))
    synced_at = factory.LazyFunction(lambda: timezone.now() - timedelta(minutes=40))


class SyncRunFactory(DjangoModelFactory):
    """A sync that is done, unless a trait says otherwise."""

    class Meta:
        model = SyncRun

    class Params:
        waiting = factory.Trait(state=WorkState.WAITING, started_at=None, finished_at=None)
        running = factory.Trait(
            state=WorkState.RUNNING,
            finished_at=None,
            phase=SyncPhase.ASSIGNMENTS,
            phase_started_at=factory.LazyFunction(lambda: timezone.now() - timedelta(seconds=10)),
            done=21_000,
            total=50_000,
        )
        failed = factory.Trait(state=WorkState.FAILED, last_error="Apple refused the request (9604).")

    token = factory.SubFactory(ContentTokenFactory)
    reason = SyncReason.MANUAL
    state = WorkState.DONE
    phase = SyncPhase.FINISHED
    created_at = factory.LazyFunction(lambda: timezone.now() - timedelta(minutes=41))
    started_at = factory.LazyFunction(lambda: timezone.now() - timedelta(minutes=41))
    finished_at = factory.LazyFunction(lambda: timezone.now() - timedelta(minutes=40))
    changes = factory.LazyFunction(lambda: {"assets": {"added": 40, "changed": 2, "removed": 0}})


class ListingFactory(DjangoModelFactory):
    """A store entry that was found, unless a trait says otherwise."""

    class Meta:
        model = Listing

    class Params:
        unknown = factory.Trait(
            outcome=ListingOutcome.UNKNOWN, checked_at=None, asked_at=None, name="", platforms="", version=""
        )
        not_found = factory.Trait(outcome=ListingOutcome.NOT_FOUND, name="", platforms="", version="")
        custom = factory.Trait(is_custom=True, price="")
        mac = factory.Trait(platforms="macOS")

    adam_id = factory.Sequence(lambda n: str(900_000_000 + n))
    storefront = "US"
    outcome = ListingOutcome.FOUND
    state = WorkState.DONE
    checked_at = factory.LazyFunction(lambda: timezone.now() - timedelta(minutes=40))
    asked_at = factory.SelfAttribute("checked_at")
    name = factory.Sequence(lambda n: f"App {n:04}")
    developer = "Invented Software"
    bundle_id = factory.LazyAttribute(lambda listing: f"example.app{listing.adam_id}")
    platforms = "iOS"
    version = "3.2.1"
    minimum_os = "17.0"
    price = "Free"


class AssetFactory(DjangoModelFactory):
    """A product of a token: 100 licenses, 40 assigned, unless a trait says otherwise."""

    class Meta:
        model = Asset

    class Params:
        book = factory.Trait(
            product_type=ProductType.BOOK, platforms="", is_revocable=False, is_device_assignable=False
        )
        mac = factory.Trait(platforms="macOS")
        unlimited = factory.Trait(is_unlimited=True, total=0, available=0)
        used_up = factory.Trait(total=40, available=0, assigned=40)
        gone = factory.Trait(gone_at=factory.LazyFunction(timezone.now))

    token = factory.SubFactory(ContentTokenFactory)
    adam_id = factory.Sequence(lambda n: str(920_000_000 + n))
    total = 100
    available = 60
    assigned = 40
    platforms = "iOS"


class AssignmentFactory(DjangoModelFactory):
    """A license on a device."""

    class Meta:
        model = Assignment

    asset = factory.SubFactory(AssetFactory)
    serial_number = factory.Sequence(lambda n: f"TEST{n:08}")
    since = factory.LazyFunction(timezone.now)


class ClientUserFactory(DjangoModelFactory):
    """A person as registered at a location."""

    class Meta:
        model = ClientUser

    token = factory.SubFactory(ContentTokenFactory)
    client_user_id = factory.Sequence(lambda n: f"client-{n}")
    email = factory.Sequence(lambda n: f"client{n}@company.example")
    status = "Registered"


class AppFactory(DjangoModelFactory):
    """An app of the catalog."""

    class Meta:
        model = App

    class Params:
        pending = factory.Trait(
            status=AppStatus.PENDING, waiting_since=factory.LazyFunction(lambda: timezone.now() - timedelta(hours=3))
        )
        rejected = factory.Trait(status=AppStatus.REJECTED)

    listing = factory.SubFactory(ListingFactory)
    adam_id = factory.SelfAttribute("listing.adam_id")


class ApprovalStepFactory(DjangoModelFactory):
    """An approval step after the others, at which the members of the given groups decide."""

    class Meta:
        model = ApprovalStep
        skip_postgeneration_save = True

    name = factory.Sequence(lambda n: f"Step {n:04}")
    position = factory.LazyFunction(lambda: ApprovalStep.objects.count() + 1)

    @factory.post_generation
    def groups(self: Any, create: bool, extracted: Any, **kwargs: Any) -> None:
        """Let these groups decide."""
        if extracted:
            self.groups.add(*extracted)


class AdditionFactory(DjangoModelFactory):
    """A token's row of Token Details: added to the catalog, unless a trait says otherwise."""

    class Meta:
        model = Addition

    class Params:
        waiting = factory.Trait(outcome=Outcome.WAITING, settled_at=None, app=None)
        not_found = factory.Trait(outcome=Outcome.NOT_FOUND, app=None)
        mac_only = factory.Trait(outcome=Outcome.MAC_ONLY, settled_at=None, app=None)
        book = factory.Trait(outcome=Outcome.BOOK, settled_at=None, app=None)
        switched_off = factory.Trait(outcome=Outcome.SWITCHED_OFF, settled_at=None, app=None)
        pending = factory.Trait(outcome=Outcome.PENDING)

    token = factory.SubFactory(ContentTokenFactory)
    adam_id = factory.Sequence(lambda n: str(940_000_000 + n))
    outcome = Outcome.ADDED
    settled_at = factory.LazyFunction(timezone.now)


class EntryFactory(DjangoModelFactory):
    """Something that was done."""

    class Meta:
        model = Entry

    actor_name = "Portal"
    verb = "added apps to the App Catalog from"
    object_type = "contenttoken"
    object_id = 1
    object_name = factory.Sequence(lambda n: f"Token {n:03}")


def bring_app(token: ContentToken, **listing: Any) -> Addition:
    """Return the addition of an app that a token owns and that is in the catalog."""
    facts = {f"listing__{name}": value for name, value in listing.items()}
    app = AppFactory(listing__storefront=token.region, added_from=token, **facts)
    AssetFactory(token=token, adam_id=app.adam_id, platforms=app.listing.platforms)
    addition: Addition = AdditionFactory(token=token, adam_id=app.adam_id, app=app)
    return addition


class OperationFactory(DjangoModelFactory):
    """A change to be asked of Apple: licenses of an asset to be assigned."""

    class Meta:
        model = Operation

    asset = factory.SubFactory(AssetFactory)
    token = factory.SelfAttribute("asset.token")
    kind = OperationKind.ASSIGN


class QuotaFactory(DjangoModelFactory):
    """At most ten licenses for a group."""

    class Meta:
        model = Quota

    token = factory.SubFactory(ContentTokenFactory)
    adam_id = factory.Sequence(lambda n: str(960_000_000 + n))
    group = factory.SubFactory(UserGroupFactory)
    limit = 10


class UpdateWindowFactory(DjangoModelFactory):
    """The nights of working days."""

    class Meta:
        model = UpdateWindow

    name = factory.Sequence(lambda n: f"Nights {n:03}")
    weekdays = factory.LazyFunction(lambda: [0, 1, 2, 3, 4])
    start = time(22)
    end = time(5)


class DistributionFactory(DjangoModelFactory):
    """A distribution in force that includes nobody yet."""

    class Meta:
        model = Distribution

    class Params:
        draft = factory.Trait(state=DistributionState.DRAFT)
        paused = factory.Trait(state=DistributionState.PAUSED)
        stopped = factory.Trait(state=DistributionState.STOPPED)

    app = factory.SubFactory(AppFactory)
    state = DistributionState.ACTIVE


class InstallationFactory(DjangoModelFactory):
    """An app that is to go to an enrolled device, without a license so far."""

    class Meta:
        model = Installation

    class Params:
        installed = factory.Trait(state=InstallState.INSTALLED, license_kind="device")
        in_line = factory.Trait(state=InstallState.IN_LINE, queued_at=factory.LazyFunction(timezone.now))
        failed = factory.Trait(state=InstallState.FAILED, details="The device refused it.")

    app = factory.SubFactory(AppFactory)
    device = factory.SubFactory(DeviceFactory, enrolled=True)
    state = InstallState.READY


class CommandFactory(DjangoModelFactory):
    """A command that waits to be sent."""

    class Meta:
        model = Command

    device = factory.SubFactory(DeviceFactory, enrolled=True)
    enrollment_id = factory.SelfAttribute("device.enrollment_id")
    kind = CommandKind.MANAGED_LIST
