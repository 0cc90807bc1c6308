"""The lists of user groups, people and devices: their columns and filters."""

from __future__ import annotations

from typing import Any

import django_filters
import django_tables2 as tables
from django import forms
from django.db.models import Count, Exists, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from vppportal.columns import NAMED, Cell, Number, Pill, When
from vppportal.groups.csvfile import join
from vppportal.groups.models import Device, DeviceQuerySet, EnrollmentType, ManagedUser, Platform, Standing, UserGroup
from vppportal.lists import Search

Membership = ManagedUser.groups.through


class WithOrWithout(django_filters.ChoiceFilter):
    """Finds rows that have something, or rows that lack it; the question is put to each row by a condition."""

    def __init__(self, label: str, condition: Any, *, having: str, lacking: str) -> None:
        super().__init__(label=label, choices=[("yes", having), ("no", lacking)], empty_label="All")
        self.condition = condition

    def filter(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        """Narrow the rows down."""
        if value == "yes":
            return rows.filter(self.condition)
        return rows.exclude(self.condition) if value == "no" else rows


class Typed(django_filters.CharFilter):
    """Finds rows by a word typed into a small field."""

    def __init__(self, label: str, **kwargs: Any) -> None:
        super().__init__(label=label, widget=forms.TextInput(attrs={"type": "search"}), **kwargs)


class GroupTable(tables.Table):
    """User groups with what hangs on them."""

    name = tables.Column(linkify=True, attrs=NAMED)
    description = tables.Column(default="")
    people_count = Number(verbose_name="People")
    token_count = Number(verbose_name="VPP tokens restricted to it")
    created_at = When(verbose_name="Added")

    class Meta:
        order_by = "name"


class GroupFilter(django_filters.FilterSet):
    """Finds user groups."""

    q = Search("name", "description")
    people = WithOrWithout(
        "People", Exists(Membership.objects.filter(usergroup=OuterRef("pk"))), having="With people", lacking="Empty"
    )

    class Meta:
        model = UserGroup
        fields: list[str] = []


class PersonTable(tables.Table):
    """People with their groups and devices."""

    name = Cell("groups/_person.html", order_by="name", attrs=NAMED)
    email = tables.Column(verbose_name="E-mail", visible=False)
    managed_apple_account = tables.Column(verbose_name="Managed Apple Account", default="none")
    groups = Cell("groups/_groups.html", verbose_name="User groups", orderable=False)
    is_active = tables.Column(visible=False)
    device_count = Number(verbose_name="Devices")

    class Meta:
        order_by = "name"

    def value_groups(self, record: ManagedUser) -> str:
        """Return all the groups, as an import takes them."""
        return join(group.name for group in record.groups.all())

    def value_is_active(self, value: bool) -> str:
        """Return yes or no, as an import takes it."""
        return "yes" if value else "no"


class PersonFilter(django_filters.FilterSet):
    """Finds people."""

    q = Search("name", "email", "managed_apple_account")
    is_active = django_filters.ChoiceFilter(
        label="State", choices=[("True", "Active"), ("False", "Left")], empty_label="Everybody"
    )
    group = Typed("User group", method="in_group")
    account = WithOrWithout(
        "Managed Apple Account", ~Q(managed_apple_account=""), having="With an account", lacking="Without"
    )
    device = WithOrWithout(
        "Device", Exists(Device.objects.filter(owner=OuterRef("pk"))), having="With a device", lacking="Without"
    )

    class Meta:
        model = ManagedUser
        fields: list[str] = []

    def in_group(self, people: QuerySet[ManagedUser], name: str, value: str) -> QuerySet[ManagedUser]:
        """Keep people who are in a group with this in its name."""
        named = Membership.objects.filter(manageduser=OuterRef("pk"), usergroup__name__icontains=value)
        return people.filter(Exists(named))


class DeviceTable(tables.Table):
    """Devices with their owners."""

    serial_number = Cell("groups/_device.html", order_by="serial_number", attrs=NAMED)
    name = tables.Column(default="")
    standing = Pill(verbose_name="State", orderable=False)
    platform = tables.Column()
    os_version = tables.Column(verbose_name="OS version", default="not known")
    model = tables.Column(default="not known")
    enrollment_type = tables.Column(visible=False)
    time_zone = tables.Column(visible=False)
    enrollment_id = tables.Column(verbose_name="Enrollment ID", visible=False, orderable=False)
    owner = tables.Column(linkify=True, default="nobody", order_by="owner__name")
    last_seen_at = When(verbose_name="Last seen")

    class Meta:
        order_by = "serial_number"

    def value_owner(self, value: ManagedUser) -> str:
        """Return the address, as an import takes it."""
        return value.email


class DeviceFilter(django_filters.FilterSet):
    """Finds devices."""

    q = Search("serial_number", "name", "model", "owner__name", "owner__email")
    standing = django_filters.ChoiceFilter(
        label="State", choices=Standing.choices, empty_label="All", method="that_stand"
    )
    platform = django_filters.ChoiceFilter(choices=Platform.choices, empty_label="All")
    os_version = Typed("OS version", lookup_expr="istartswith")
    enrollment_type = django_filters.ChoiceFilter(choices=EnrollmentType.choices, empty_label="All")
    seen = django_filters.ChoiceFilter(
        label="Last seen", choices=[("silent", "Not for 14 days")], empty_label="Whenever", method="that_are_silent"
    )
    owned = WithOrWithout("Owner", Q(owner__isnull=False), having="With an owner", lacking="Shared")

    class Meta:
        model = Device
        fields: list[str] = []

    def that_are_silent(self, devices: DeviceQuerySet, name: str, value: str) -> DeviceQuerySet:
        """Keep devices that should answer and do not."""
        return devices.silent()

    def that_stand(self, devices: DeviceQuerySet, name: str, value: str) -> DeviceQuerySet:
        """Keep devices that stand so."""
        return devices.standing(value)


def group_rows() -> QuerySet[UserGroup]:
    """Return user groups with how many people are in each, and how many VPP tokens are restricted to it."""
    tokens = UserGroup.tokens.through.objects.filter(usergroup=OuterRef("pk"), contenttoken__deleted_at=None)
    return UserGroup.objects.annotate(
        people_count=_count(Membership.objects.filter(usergroup=OuterRef("pk")), "usergroup"),
        token_count=_count(tokens, "usergroup"),
    )


def people_rows() -> QuerySet[ManagedUser]:
    """Return people with their groups and how many devices each has."""
    return ManagedUser.objects.prefetch_related("groups").annotate(
        device_count=_count(Device.objects.filter(owner=OuterRef("pk")), "owner")
    )


def _count(rows: QuerySet[Any], field: str) -> Coalesce:
    """Count the rows of a subquery: joining them would multiply rows, and a page needs the numbers of 25 only."""
    counted = rows.order_by().values(field).annotate(number=Count("*")).values("number")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)
