"""The lists of installations: an app's installations, and the line of those who wait for a license."""

from __future__ import annotations

from typing import Any

import django_filters
import django_tables2 as tables
from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber
from django.http import HttpRequest

from catalog.models import App, Distribution, Installation, InstallState, Reason
from catalog.updates.rows import CHOICES, by_update
from vppportal.columns import NAMED, RIGHT, Cell, Number, Pill, When
from vppportal.groups.models import Platform, UserGroup
from vppportal.lists import Search

BY_DEVICE = ("device__name", "device__serial_number")
LICENSES = [("device", "Device"), ("user", "User"), ("none", "Without a license")]
FIND = ("device__serial_number", "device__name", "device__model", "device__owner__name", "device__owner__email")


class Why(Cell):
    """Why an installation is where it is; where there is nothing to say the cell is empty."""

    def __init__(self) -> None:
        super().__init__("catalog/_reason.html", verbose_name="Reason", empty_values=())

    def render(self, record: Installation, **named: Any) -> Any:
        """Return the reason with what the device or Apple said."""
        return super().render(record=record, **named) if record.reason or record.details or record.retry_at else ""


class Version(Cell):
    """The version a device reported, and the newest where it is behind; before the app is there the cell is empty."""

    def __init__(self) -> None:
        super().__init__("catalog/_version.html", empty_values=())

    def render(self, record: Installation, **named: Any) -> Any:
        """Return the versions."""
        return super().render(record=record, **named) if version_of(record) else ""


class Update(Cell):
    """What is done about the version; where the app is not installed the cell is empty."""

    def __init__(self) -> None:
        super().__init__("catalog/_update.html", empty_values=(), orderable=False, attrs={"td": {"class": "whole-row"}})

    def render(self, record: Any, **named: Any) -> Any:
        """Return the ruling in words."""
        return super().render(record=record, **named) if record.ruling else ""


def installation_rows() -> QuerySet[Installation]:
    """Return installations with their app, device, owner, and the token their license comes from."""
    return Installation.objects.select_related("app__listing", "device__owner", "asset__token")


def line_rows() -> QuerySet[Installation]:
    """Return who waits for a license."""
    return installation_rows().filter(state=InstallState.IN_LINE, app__deleted_at=None)


class Places:
    """Puts on the rows of a list each one's place in the line of its app, whatever the list leaves out."""

    def __init__(self) -> None:
        self._known: dict[int, dict[int, int]] = {}

    def __call__(self, rows: list[Installation]) -> None:
        """Find the places of these rows; each app's line is numbered once."""
        new = {row.app_id for row in rows} - self._known.keys()
        self._known |= {app_id: {} for app_id in new}
        order = ("priority", "queued_at", "device")
        number = Window(RowNumber(), partition_by="app", order_by=order)
        waiting = Installation.objects.filter(state=InstallState.IN_LINE, app__in=new).annotate(place=number)
        for app_id, key, place in waiting.values_list("app", "pk", "place") if new else ():
            self._known[app_id][key] = place
        for row in rows:
            vars(row)["place"] = self._known[row.app_id].get(row.pk)


class InstallationTable(tables.Table):
    """An app on its devices."""

    device = Cell("catalog/_device.html", order_by=BY_DEVICE, attrs=NAMED)
    serial_number = tables.Column("Serial number", accessor="device__serial_number", visible=False)
    owner = tables.Column(
        accessor="device__owner", linkify=True, default="nobody: shared", order_by="device__owner__name"
    )
    platform = tables.Column(accessor="device__platform", order_by=("device__platform", "device__os_version"))
    state = Pill()
    reason = Why()
    license_kind = Cell("catalog/_license.html", verbose_name="License", empty_values=())
    since = When(verbose_name="Since")
    tries = Number()
    version = Version()
    update = Update()

    class Meta:
        order_by = "device"

    def render_platform(self, record: Installation) -> str:
        """Return the platform with the version of its operating system."""
        return platform_of(record)

    def value_version(self, record: Installation) -> str:
        """Return what the device reported; where the app is not installed there is nothing to know."""
        return version_of(record)

    def value_update(self, record: Any) -> str:
        """Return what is done about the version."""
        return record.ruling.words if record.ruling else ""

    def value_reason(self, record: Installation) -> str:
        """Return the reason as one sentence."""
        return ": ".join(filter(None, (record.get_reason_display(), record.details)))

    def value_license_kind(self, record: Installation) -> str:
        """Return the kind of license and where it comes from."""
        return license_of(record)

    def value_device(self, record: Installation) -> str:
        """Return the device's name."""
        return str(record.device)


class LineTable(tables.Table):
    """Who waits for a license, the next one first."""

    app = tables.Column(linkify=True, order_by="app__listing__name", attrs=NAMED)
    place = Number(verbose_name="Place", orderable=False)
    owner = tables.Column(
        "Person", accessor="device__owner", linkify=True, default="nobody: shared", order_by="device__owner__name"
    )
    device = Cell("catalog/_device.html", order_by=BY_DEVICE)
    serial_number = tables.Column("Serial number", accessor="device__serial_number", visible=False)
    queued_at = When(verbose_name="Waits since", default="not known")
    priority = tables.Column(attrs=RIGHT)
    reason = Why()

    class Meta:
        order_by = ("priority", "queued_at")

    value_reason = InstallationTable.value_reason
    value_device = InstallationTable.value_device


def distributions_of_the_app(request: HttpRequest | None) -> QuerySet[Distribution]:
    """Return the distributions that serve devices of the app the page is about."""
    match = request.resolver_match if request else None
    of_the_app = Distribution.objects.in_force().filter(app=match.kwargs["pk"] if match else None)
    return of_the_app.select_related("app__listing")


class InstallationFilter(django_filters.FilterSet):
    """Finds installations of an app."""

    q = Search(*FIND)
    state = django_filters.ChoiceFilter(choices=InstallState.choices, empty_label="All")
    reason = django_filters.ChoiceFilter(choices=Reason.choices[1:], empty_label="All")
    license = django_filters.ChoiceFilter("license_kind", choices=LICENSES, label="License", empty_label="All")
    group = django_filters.ModelChoiceFilter(
        "device__owner__groups", queryset=UserGroup.objects.all(), label="User group", empty_label="All"
    )
    platform = django_filters.ChoiceFilter(
        "device__platform", choices=Platform.choices, label="Platform", empty_label="All"
    )
    distribution = django_filters.ModelChoiceFilter(queryset=distributions_of_the_app, empty_label="All")
    update = django_filters.ChoiceFilter(choices=CHOICES, method="that_wait_so", label="Update", empty_label="All")

    class Meta:
        model = Installation
        fields: list[str] = []

    def that_wait_so(self, rows: QuerySet[Installation], name: str, value: str) -> QuerySet[Installation]:
        """Keep installations by how far their update is."""
        return by_update(rows, value)


def apps_in_line(request: HttpRequest | None) -> QuerySet[App]:
    """Return the apps somebody waits for."""
    waiting = Installation.objects.filter(state=InstallState.IN_LINE)
    return App.objects.filter(pk__in=waiting.values("app")).select_related("listing").order_by("listing__name", "pk")


class LineFilter(django_filters.FilterSet):
    """Finds those who wait."""

    q = Search(*FIND, "app__listing__name")
    app = django_filters.ModelChoiceFilter(queryset=apps_in_line, empty_label="All")
    reason = django_filters.ChoiceFilter(
        choices=[(reason.value, reason.label) for reason in (Reason.NO_LICENSE_LEFT, Reason.QUOTA)], empty_label="All"
    )

    class Meta:
        model = Installation
        fields: list[str] = []


def platform_of(installation: Installation) -> str:
    """Return a device's platform with the version of its operating system."""
    device = installation.device
    return f"{device.platform} {device.os_version}".strip()


def license_of(installation: Installation) -> str:
    """Return the kind of an installation's license and the token it comes from."""
    kind: Any = installation.get_license_kind_display() or "none yet"
    return f"{kind} from {installation.asset.token}" if installation.asset else kind


def version_of(installation: Installation) -> str:
    """Return the version a device reported, or that it reported none."""
    return installation.version or ("not known" if installation.state == InstallState.INSTALLED else "")


def in_order(rows: QuerySet[Installation]) -> QuerySet[Installation]:
    """Return installations by the name of the app, then of the device."""
    return rows.order_by(F("app__listing__name"), *BY_DEVICE, "pk")
