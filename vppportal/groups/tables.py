"""The lists of user groups, people and devices: their columns and filters."""

from __future__ import annotations

import django_filters
import django_tables2 as tables

from vppportal.columns import NAMED, Cell, Number, When
from vppportal.groups.models import Device, ManagedUser, UserGroup
from vppportal.lists import Search


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

    class Meta:
        model = UserGroup
        fields: list[str] = []


class PersonTable(tables.Table):
    """People with their groups and devices."""

    name = Cell("groups/_person.html", order_by="name", attrs=NAMED)
    email = tables.Column(verbose_name="E-mail", visible=False)
    managed_apple_account = tables.Column(verbose_name="Managed Apple Account", default="none")
    groups = Cell("groups/_groups.html", verbose_name="User groups", orderable=False)
    device_count = Number(verbose_name="Devices")

    class Meta:
        order_by = "name"

    def value_groups(self, record: ManagedUser) -> str:
        """Return all the groups."""
        return ", ".join(group.name for group in record.groups.all())


class PersonFilter(django_filters.FilterSet):
    """Finds people."""

    q = Search("name", "email", "managed_apple_account")
    is_active = django_filters.ChoiceFilter(
        label="State", choices=[("True", "Active"), ("False", "Left")], empty_label="Everybody"
    )

    class Meta:
        model = ManagedUser
        fields: list[str] = []


class DeviceTable(tables.Table):
    """Devices with their owners."""

    serial_number = tables.Column(linkify=True, attrs=NAMED)
    name = tables.Column(default="")
    platform = tables.Column()
    model = tables.Column(default="not known")
    os_version = tables.Column(verbose_name="OS version", default="not known")
    owner = tables.Column(linkify=True, default="nobody", order_by="owner__name")

    class Meta:
        order_by = "serial_number"


class DeviceFilter(django_filters.FilterSet):
    """Finds devices."""

    q = Search("serial_number", "name", "model", "owner__name", "owner__email")
    platform = django_filters.ChoiceFilter(choices=Device._meta.get_field("platform").choices, empty_label="All")
    owned = django_filters.TypedChoiceFilter(
        field_name="owner",
        lookup_expr="isnull",
        label="Owner",
        choices=[("", "All"), ("no", "With an owner"), ("yes", "Shared")],
        coerce=lambda value: value == "yes",
    )

    class Meta:
        model = Device
        fields: list[str] = []
