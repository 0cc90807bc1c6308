"""The catalog's lists: columns and filters of the App Catalog and of a token's apps."""

from __future__ import annotations

from typing import Any

import django_filters
import django_tables2 as tables
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.html import format_html

from catalog.models import Addition, App, AppStatus, Installation, InstallState, Outcome, UpdateWindow
from catalog.rows import TYPES
from catalog.updates.rows import OF_APPS, apps_by_update
from tokens.models import Asset, ContentToken
from vppportal.columns import ICON, NAMED, Cell, LicenseCount, Number, Pill, When
from vppportal.groups.models import Platform
from vppportal.lists import Search
from vppportal.templatetags.portal import spaced

TYPE_NAMES = dict(TYPES)
ON_WIDE_SCREENS = {"th": {"class": "text-end wide-only"}, "td": {"class": "text-end font-tabular wide-only"}}
LEFT = [("none_left", "None left"), ("left", "Some left"), ("unlimited", "Unlimited")]


class Icon(Cell):
    """An app's icon, which a file does without."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("catalog/_icon.html", orderable=False, attrs=ICON, exclude_from_export=True, **kwargs)


class AdditionTable(tables.Table):
    """The reference's Token Details columns, and what else an administrator asks about."""

    adam_id = tables.Column("iTunes App ID", attrs={"td": {"class": "font-tabular"}})
    icon_url = Icon(verbose_name="App Icon")
    name = Cell("catalog/_addition_name.html", verbose_name="App Name", attrs=NAMED)
    token = tables.Column(linkify=True)
    type = tables.Column()
    platforms = tables.Column(default="not known")
    total = LicenseCount(verbose_name="Total License")
    available = LicenseCount(verbose_name="Available License")
    assigned = Number()
    retired = Number(attrs=ON_WIDE_SCREENS)
    settled_at = When(verbose_name="Added Time", default="not yet")
    outcome = Pill()
    comment = Cell("catalog/_comment.html", verbose_name="Comments", orderable=False)

    class Meta:
        order_by = "name"

    def render_type(self, value: str) -> str:
        """Return the type's name."""
        return TYPE_NAMES[value]

    def render_platforms(self, value: str) -> str:
        """Return the platforms in readable form."""
        return spaced(value)

    def render_assigned(self, value: int, record: Any) -> str:
        """Return the number, with the retired ones below it where the screen has no room for their column."""
        if not record.retired:
            return number_format(value)
        below = '{}<div class="narrow-only small text-secondary">{} retired</div>'
        return format_html(below, number_format(value), number_format(record.retired))

    def value_assigned(self, value: int) -> int:
        """Return the bare number."""
        return value


def by_licenses(rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
    """Keep rows by what is left of their licenses."""
    if value == "unlimited":
        return rows.filter(is_unlimited=True)
    if value == "none_left":
        return rows.filter(is_unlimited=False, available__lte=0)
    return rows.filter(available__gt=0)


class AdditionFilter(django_filters.FilterSet):
    """Finds rows of the Token Details page."""

    q = Search("name", "adam_id")
    outcome = django_filters.ChoiceFilter(label="Status", choices=Outcome.choices, empty_label="All")
    type = django_filters.ChoiceFilter(label="Type", choices=TYPES, empty_label="All")
    platform = django_filters.ChoiceFilter(
        "platforms", "contains", choices=Platform.choices, label="Platform", empty_label="All"
    )
    licenses = django_filters.ChoiceFilter(choices=LEFT, method=by_licenses, label="Licenses", empty_label="All")

    class Meta:
        model = Addition
        fields: list[str] = []


def kept_tokens(request: HttpRequest | None) -> QuerySet[ContentToken]:
    """Return the tokens to choose from."""
    return ContentToken.objects.kept()


class AddableFilter(AdditionFilter):
    """The same across tokens."""

    outcome = None
    token = django_filters.ModelChoiceFilter(queryset=kept_tokens, empty_label="All", label="VPP token")


class Behind(Cell):
    """How many devices are behind the newest version of an app; where none is the cell is empty."""

    def __init__(self) -> None:
        super().__init__("catalog/_app_behind.html", verbose_name="Updates", empty_values=(), orderable=False)

    def render(self, record: Any, **named: Any) -> Any:
        """Return the numbers that lead to the devices."""
        return super().render(record=record, **named) if record.behind else ""


class AppTable(tables.Table):
    """The apps of the catalog."""

    icon_url = Icon(accessor="listing__icon_url", verbose_name="Icon")
    name = Cell("catalog/_app_name.html", verbose_name="App", attrs=NAMED)
    adam_id = tables.Column("iTunes App ID", visible=False)
    bundle_id = tables.Column("Bundle ID", accessor="listing__bundle_id", visible=False)
    is_custom = tables.Column("Type")
    platforms = tables.Column(accessor="listing__platforms", default="not known")
    version = Cell("catalog/_app_version.html", accessor="listing__version", empty_values=(), orderable=False)
    behind = Behind()
    total = LicenseCount(verbose_name="Licenses")
    available = LicenseCount()
    assigned = Number()
    token_count = Number(verbose_name="Tokens", attrs=ON_WIDE_SCREENS)
    status = Pill()
    added_at = When(verbose_name="Added")

    class Meta:
        order_by = "name"

    def render_is_custom(self, value: bool) -> str:
        """Return the type's name."""
        return "B2B" if value else "iTunes"

    def render_platforms(self, value: str) -> str:
        """Return the platforms in readable form."""
        return spaced(value)

    def value_version(self, record: App) -> str:
        """Return the newest version."""
        return record.listing.version

    def value_behind(self, record: Any) -> int:
        """Return how many devices are behind."""
        count: int = record.behind
        return count


class AppFilter(django_filters.FilterSet):
    """Finds apps."""

    q = Search("name", "adam_id", "listing__bundle_id", "listing__developer")
    is_custom = django_filters.TypedChoiceFilter(
        label="Type", choices=[("", "All"), *TYPES[:2]], coerce=lambda value: value == "b2b"
    )
    platform = django_filters.ChoiceFilter(
        "listing__platforms", "contains", choices=Platform.choices, label="Platform", empty_label="All"
    )
    status = django_filters.ChoiceFilter(choices=AppStatus.choices, empty_label="All")
    token = django_filters.ModelChoiceFilter(
        queryset=kept_tokens, method="by_token", empty_label="All", label="VPP token"
    )
    licenses = django_filters.ChoiceFilter(choices=LEFT, method=by_licenses, label="Licenses", empty_label="All")
    installations = django_filters.ChoiceFilter(
        choices=InstallState.choices, method="by_installations", empty_label="All", label="Installations"
    )
    update = django_filters.ChoiceFilter(choices=OF_APPS, method="by_update", empty_label="All", label="Updates")
    window = django_filters.ModelChoiceFilter(
        "update_window", queryset=UpdateWindow.objects.all(), empty_label="All", label="Update window"
    )

    class Meta:
        model = App
        fields: list[str] = []

    def by_installations(self, apps: QuerySet[App], name: str, state: str) -> QuerySet[App]:
        """Keep the apps with installations in a state."""
        return apps.filter(Exists(Installation.objects.filter(app=OuterRef("pk"), state=state)))

    def by_token(self, apps: QuerySet[App], name: str, token: ContentToken) -> QuerySet[App]:
        """Keep the apps a token holds licenses of."""
        return apps.filter(Exists(Asset.objects.filter(token=token, adam_id=OuterRef("adam_id"), gone_at=None)))

    def by_update(self, apps: QuerySet[App], name: str, value: str) -> QuerySet[App]:
        """Keep apps by how far the updates of their devices are."""
        return apps_by_update(apps, value)
