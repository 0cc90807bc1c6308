"""The queue of apps that wait for approval: its rows, columns and filters."""

from __future__ import annotations

from typing import Any

import django_filters
import django_tables2 as tables
from django.contrib.auth.models import User
from django.db.models import QuerySet

from catalog.approval.approvers import with_mine
from catalog.models import App, ApprovalStep, AppStatus
from catalog.rows import TYPES, app_rows
from catalog.tables import TYPE_NAMES, Icon, kept_tokens
from vppportal.columns import NAMED, Actions, Cell, LicenseCount, When
from vppportal.lists import Search
from vppportal.templatetags.portal import spaced


def approval_rows(viewer: User) -> QuerySet[Any]:
    """Return the apps that wait for a decision or were rejected, with whether they wait for this person."""
    undecided = app_rows().exclude(status=AppStatus.AVAILABLE)
    return with_mine(undecided.select_related("added_from"), viewer)


class OnlyFile(tables.Column):
    """A column that only a file has: the page shows the value inside another."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(visible=False, **kwargs)


class ApprovalTable(tables.Table):
    """What is known of apps that wait for a decision."""

    icon_url = Icon(accessor="listing__icon_url", verbose_name="Icon")
    name = Cell("catalog/_app_name.html", verbose_name="App", attrs=NAMED)
    adam_id = OnlyFile(verbose_name="iTunes App ID")
    developer = OnlyFile(accessor="listing__developer")
    is_custom = Cell("catalog/_approval_type.html", verbose_name="Type")
    price = OnlyFile(accessor="listing__price")
    platforms = Cell("catalog/_approval_platforms.html", accessor="listing__platforms", default="not known")
    minimum_os = OnlyFile(accessor="listing__minimum_os")
    genres = Cell("catalog/_approval_listing.html", verbose_name="Listing", orderable=False, empty_values=())
    content_rating = OnlyFile(verbose_name="Age rating", accessor="listing__content_rating")
    has_in_app_purchases = OnlyFile(
        verbose_name="In-app purchases", accessor="listing__has_in_app_purchases", default="not known"
    )
    total = LicenseCount(verbose_name="Licenses")
    added_from = tables.Column("VPP token", linkify=True, default="deleted", order_by="added_from__name")
    step = Cell(
        "catalog/_approval_step.html", verbose_name="Step", order_by=("-is_mine", "step_position"), empty_values=()
    )
    waiting_since = When(verbose_name="Since", default="")
    actions = Actions("catalog/_approval_actions.html")

    class Meta:
        order_by = ("step", "waiting_since")

    def value_is_custom(self, value: bool) -> str:
        """Return the type's name."""
        return TYPE_NAMES["b2b" if value else "itunes"]

    def value_platforms(self, value: str) -> str:
        """Return the platforms in readable form."""
        return spaced(value)

    def value_genres(self, record: App) -> str:
        """Return the genres."""
        return ", ".join(record.listing.genres)

    def value_has_in_app_purchases(self, value: bool) -> str:
        """Return yes or no."""
        return "yes" if value else "no"

    def value_step(self, record: Any) -> str:
        """Return where the app stands, in words."""
        if record.rejection:
            return f"Rejected: {record.rejection.reason}"
        return ": ".join(filter(None, (record.place.count, record.place.step)))


class ByStatus(django_filters.ChoiceFilter):
    """Finds pending apps, unless the rejected ones are asked for."""

    def __init__(self) -> None:
        super().__init__(
            label="Status", choices=[(AppStatus.REJECTED.value, AppStatus.REJECTED.label)], empty_label="Pending"
        )

    def filter(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        """Narrow the rows down; without a choice, too."""
        return rows.filter(status=value or AppStatus.PENDING)


class ApprovalFilter(django_filters.FilterSet):
    """Finds apps that wait for a decision."""

    q = Search("name", "adam_id", "listing__bundle_id", "listing__developer")
    whose = django_filters.ChoiceFilter(
        label="Waiting", choices=[("me", "For me")], method="by_whose", empty_label="For anybody"
    )
    step = django_filters.ModelChoiceFilter(
        queryset=ApprovalStep.objects.all(), method="by_step", empty_label="All", label="Step"
    )
    status = ByStatus()
    is_custom = django_filters.TypedChoiceFilter(
        label="Type", choices=[("", "All"), *TYPES[:2]], coerce=lambda value: value == "b2b"
    )
    token = django_filters.ModelChoiceFilter("added_from", queryset=kept_tokens, empty_label="All", label="VPP token")

    class Meta:
        model = App
        fields: list[str] = []

    def by_step(self, apps: QuerySet[Any], name: str, step: ApprovalStep) -> QuerySet[Any]:
        """Keep what waits at a step."""
        return apps.filter(step_id=step.pk)

    def by_whose(self, apps: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Keep what waits for the viewer."""
        return apps.filter(is_mine=True)
