"""The lists of a token's licenses: what it owns, who holds it, and the changes asked of Apple."""

from __future__ import annotations

from typing import Any

import django_filters
import django_tables2 as tables
from django.db.models import CharField, Count, Exists, IntegerField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, NullIf, Upper

from tokens.models import (
    Asset,
    Assignment,
    ClientUser,
    ContentToken,
    Listing,
    OperationKind,
    ProductType,
    Target,
    TargetState,
)
from vppportal.columns import ICON, NAMED, Actions, Cell, LicenseCount, Number, When
from vppportal.groups.models import Device, ManagedUser, UserGroup
from vppportal.lists import Search


def asset_rows(token: ContentToken) -> QuerySet[Asset]:
    """Return what the token owns, with the store's name and icon and the licenses that are being assigned."""
    listing = Listing.objects.filter(adam_id=OuterRef("adam_id"), storefront=token.region)
    coming = Target.objects.filter(
        asset=OuterRef("pk"), state=TargetState.OPEN, operation__kind=OperationKind.ASSIGN
    ).order_by()
    counted = coming.values("asset").annotate(number=Count("pk")).values("number")
    return token.assets.annotate(
        name=NullIf(Subquery(listing.values("name")[:1], output_field=CharField()), Value("")),
        icon_url=Subquery(listing.values("icon_url")[:1], output_field=CharField()),
        reserved=Coalesce(Subquery(counted, output_field=IntegerField()), 0),
    )


class AssetTable(tables.Table):
    """What a token owns."""

    icon_url = Cell(
        "catalog/_icon.html", verbose_name="Icon", orderable=False, attrs=ICON, exclude_from_export=True, default=""
    )
    name = Cell("tokens/_asset_name.html", verbose_name="Product", attrs=NAMED, empty_values=())
    adam_id = tables.Column("iTunes App ID", attrs={"td": {"class": "font-tabular"}})
    total = LicenseCount()
    assigned = Number()
    available = LicenseCount()
    reserved = Number(verbose_name="Being assigned")
    is_device_assignable = tables.Column("For devices")
    is_revocable = tables.Column("Can come back")

    class Meta:
        order_by = "name"

    def value_name(self, record: Any) -> str:
        """Return the bare name."""
        return record.name or ""

    def render_is_device_assignable(self, value: bool) -> str:
        """Return the word."""
        return "yes" if value else "no"

    def render_is_revocable(self, value: bool) -> str:
        """Return the word."""
        return "yes" if value else "no"


def by_what_is_left(rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
    """Keep assets by what is left of their licenses."""
    if value == "unlimited":
        return rows.filter(is_unlimited=True)
    if value == "none_left":
        return rows.filter(is_unlimited=False, available__lte=0)
    return rows.filter(is_unlimited=False, available__gt=0)


class AssetFilter(django_filters.FilterSet):
    """Finds products of a token."""

    q = Search("name", "adam_id")
    product_type = django_filters.ChoiceFilter(label="Type", choices=ProductType.choices, empty_label="All")
    licenses = django_filters.ChoiceFilter(
        choices=[("none_left", "None left"), ("left", "Some left"), ("unlimited", "Unlimited")],
        method=by_what_is_left,
        label="Licenses",
        empty_label="All",
    )
    for_devices = django_filters.ChoiceFilter(
        "is_device_assignable",
        label="For devices",
        choices=[("True", "Yes"), ("False", "No, for people only")],
        empty_label="All",
    )

    class Meta:
        model = Asset
        fields: list[str] = []


class HolderColumn(Cell):
    """A device, a person, or a stranger; sorted as the index of the holders is."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("order_by", ("serial_number", "client_user_id"))
        super().__init__("tokens/_holder.html", attrs=NAMED, empty_values=(), **kwargs)

    def value(self, record: Any) -> str:
        """Return the name the portal knows."""
        return str(record.known)


class HolderTable(tables.Table):
    """Who holds the licenses of an asset."""

    holder = HolderColumn(verbose_name="Held by")
    serial_number = tables.Column("Serial number", visible=False, default="")
    client_user_id = tables.Column("Client user ID", visible=False, default="")
    kind = tables.Column("Kind", empty_values=(), orderable=False)
    since = When(verbose_name="First seen")
    origin = Cell("tokens/_origin.html", verbose_name="How it came", empty_values=(), orderable=False)
    change = Cell("tokens/_change.html", verbose_name="Under way", empty_values=(), orderable=False)
    actions = Actions("tokens/_holder_actions.html")

    class Meta:
        order_by = "holder"

    def render_kind(self, record: Any) -> str:
        """Return what holds it."""
        return "Device" if record.serial_number else "Person"

    def value_origin(self, record: Any) -> str:
        """Return who asked for it, and why."""
        origin = record.origin
        return f"{origin.why} ({origin.requested_by or 'Portal'})" if origin else "not asked for here"

    def value_change(self, record: Any) -> str:
        """Return the change's word."""
        return record.change.get_kind_display() if record.change else ""


def named(words: str) -> tuple[QuerySet[Any, Any], QuerySet[Any, Any]]:
    """Return the serial numbers and the client user ids of whom these words name."""
    devices, people = Device.objects.exclude(serial_number=""), ClientUser.objects.all()
    for word in words.split()[:8]:
        devices = devices.filter(
            Q(serial_number__icontains=word)
            | Q(name__icontains=word)
            | Q(owner__name__icontains=word)
            | Q(owner__email__icontains=word)
        )
        people = people.filter(
            Q(person__name__icontains=word) | Q(person__email__icontains=word) | Q(email__icontains=word)
        )
    return devices.values(serial=Upper("serial_number")), people.values("client_user_id")


class HolderSearch(Search):
    """Finds holders by number or id, and by the names of the devices and people behind them."""

    def filter(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        """Narrow the rows down."""
        words = (value or "").strip()
        if not words:
            return rows
        serials, ids = named(words)
        bare = Q(serial_number__istartswith=words) | Q(client_user_id__istartswith=words)
        return rows.filter(bare | Q(serial_number__in=serials) | Q(client_user_id__in=ids))


HOLDERS = [("devices", "Devices"), ("people", "People"), ("unknown", "Unknown to the portal")]


def by_holder(rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
    """Keep rows by what holds the license."""
    if value == "devices":
        return rows.exclude(serial_number="")
    if value == "people":
        return rows.filter(serial_number="")
    # Read once and hashed: SQLite would look through all devices for each of a million licenses.
    devices = Device.objects.exclude(serial_number="").values(serial=Upper("serial_number"))
    people = ClientUser.objects.filter(
        token=OuterRef("asset__token"), client_user_id=OuterRef("client_user_id"), person__isnull=False
    )
    strange_devices = ~Q(serial_number="") & ~Q(serial_number__in=devices)
    return rows.filter(strange_devices | Q(~Exists(people), serial_number=""))


def of_group(rows: QuerySet[Any], name: str, value: UserGroup | None) -> QuerySet[Any]:
    """Keep rows held by people of a user group, and by their devices."""
    if value is None:
        return rows
    members = ManagedUser.groups.through.objects.filter(usergroup=value).values("manageduser")
    devices = Device.objects.exclude(serial_number="").filter(owner__in=members).values(serial=Upper("serial_number"))
    people = ClientUser.objects.filter(
        token=OuterRef("asset__token"), client_user_id=OuterRef("client_user_id"), person__in=members
    )
    return rows.filter(Q(serial_number__in=devices) | (Q(serial_number="") & Exists(people)))


class HolderFilter(django_filters.FilterSet):
    """Finds holders of licenses."""

    q = HolderSearch()
    holder = django_filters.ChoiceFilter(choices=HOLDERS, method=by_holder, label="Held by", empty_label="All")
    group = django_filters.ModelChoiceFilter(
        queryset=UserGroup.objects.all(), method=of_group, label="User group", empty_label="All"
    )

    class Meta:
        model = Assignment
        fields: list[str] = []
