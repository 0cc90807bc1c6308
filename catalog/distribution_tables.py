"""The list of distributions: its columns, its filters, and the numbers of the rows that are shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

import django_filters
import django_tables2 as tables
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from catalog.audience import describe
from catalog.models import IN_NEED, ON_THE_WAY, App, Distribution, DistributionState, Installation, InstallState
from vppportal.columns import NAMED, Cell, Number, Pill, When
from vppportal.groups.models import UserGroup
from vppportal.lists import Search

COUNTED: Final = {
    "installed": (InstallState.INSTALLED,),
    "on_the_way": (InstallState.LICENSING, *ON_THE_WAY),
    "waiting": IN_NEED,
    "failed": (InstallState.FAILED,),
}

SHOWN: Final = 10


def distribution_rows() -> QuerySet[Distribution]:
    """Return all distributions that were ever started."""
    started = Distribution.objects.exclude(state=DistributionState.DRAFT)
    return started.select_related("app__listing", "created_by")


def put_numbers_on(rows: list[Any]) -> None:
    """Put the audience in words and the counts of installations on distributions: two queries for all of them."""
    audiences = describe(rows)
    counted: dict[int, dict[str, int]] = defaultdict(dict)
    installations = Installation.objects.filter(distribution__in=[row.pk for row in rows]).order_by()
    numbers = installations.values_list("distribution", "state").annotate(number=Count("pk"))
    for distribution, state, number in numbers.values_list("distribution", "state", "number"):
        counted[distribution][state] = number
    for row in rows:
        row.audience = audiences[row.pk]
        for name, states in COUNTED.items():
            setattr(row, name, _sum(counted[row.pk], states))


def app_distributions(app: App) -> list[Distribution]:
    """Return the newest distributions of an app that are in force, with their numbers."""
    in_force = app.distributions.in_force().select_related("app__listing", "created_by")
    rows = list(in_force.order_by("-started_at", "-pk")[:SHOWN])
    put_numbers_on(rows)
    return rows


def _sum(counted: dict[str, int], states: Iterable[str]) -> int:
    return sum(counted.get(state, 0) for state in states)


class DistributionTable(tables.Table):
    """Distributions with how far they are."""

    app = Cell("catalog/_distribution_name.html", order_by="app__listing__name", attrs=NAMED)
    audience = tables.Column("For", orderable=False, empty_values=())
    state = Pill()
    installed = Number(orderable=False)
    on_the_way = Number(orderable=False)
    waiting = Number(orderable=False)
    failed = Number(orderable=False)
    license_kind = tables.Column("License", visible=False)
    when = tables.Column("Install", visible=False)
    priority = tables.Column(visible=False)
    created_by = tables.Column("By", default="a deleted account", order_by="created_by__username")
    started_at = When(verbose_name="Started")

    class Meta:
        order_by = "-started_at"

    def value_app(self, record: Distribution) -> str:
        """Return the app's name."""
        return str(record.app)


def distributed_apps(request: HttpRequest | None) -> QuerySet[App]:
    """Return the apps that were ever distributed."""
    apps = App.objects.filter(pk__in=distribution_rows().order_by().values("app"))
    return apps.select_related("listing").order_by("listing__name", "pk")


class DistributionFilter(django_filters.FilterSet):
    """Finds distributions."""

    q = Search("app__listing__name", "app__adam_id", "created_by__username")
    state = django_filters.ChoiceFilter(
        choices=[(state.value, state.label) for state in DistributionState if state != DistributionState.DRAFT],
        empty_label="All",
    )
    app = django_filters.ModelChoiceFilter(queryset=distributed_apps, empty_label="All")
    group = django_filters.ModelChoiceFilter(
        "groups", queryset=UserGroup.objects.all(), label="User group", empty_label="All"
    )

    class Meta:
        model = Distribution
        fields: list[str] = []
