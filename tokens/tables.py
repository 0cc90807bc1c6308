"""The list of VPP tokens: its columns, filters, and the numbers beside each token."""

from __future__ import annotations

from typing import Any

import django_filters
import django_tables2 as tables
from django.db.models import Count, Exists, IntegerField, OuterRef, Prefetch, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from tokens.models import Asset, ContentToken, SyncRun, TokenStatus
from tokens.regions import REGIONS
from vppportal.columns import NAMED, Actions, Cell, Number, Pill, When
from vppportal.lists import Search


def token_rows() -> QuerySet[ContentToken]:
    """Return the kept tokens with what their row shows: apps, licenses without unlimited ones, the sync under way."""
    assets = Asset.objects.filter(token=OuterRef("pk"), gone_at=None)
    counted = assets.filter(is_unlimited=False)
    return (
        ContentToken.objects.kept()
        .annotate(
            app_count=_one(assets.values("token").annotate(number=Count("adam_id", distinct=True))),
            license_count=_one(counted.values("token").annotate(number=Sum("total"))),
            assigned_count=_one(counted.values("token").annotate(number=Sum("assigned"))),
            available_count=_one(counted.values("token").annotate(number=Sum("available"))),
            has_unlimited=Exists(assets.filter(is_unlimited=True)),
        )
        .prefetch_related(Prefetch("sync_runs", SyncRun.objects.open(), to_attr="open_runs"))
    )


def _one(numbers: QuerySet[Any, Any]) -> Coalesce:
    return Coalesce(Subquery(numbers.order_by().values("number"), output_field=IntegerField()), 0)


class TokenTable(tables.Table):
    """VPP tokens."""

    name = Cell("tokens/_name.html", verbose_name="Token", attrs=NAMED)
    location_name = tables.Column(verbose_name="Location", visible=False)
    organization = tables.Column(visible=False)
    region = tables.Column()
    status = Pill()
    app_count = Number(verbose_name="Apps")
    license_count = Cell("tokens/_licenses.html", verbose_name="Licenses", initial_sort_descending=True)
    assigned_count = Number(verbose_name="Assigned", visible=False)
    available_count = Number(verbose_name="Available", visible=False)
    preference = Number(verbose_name="Order")
    synced_at = Cell("tokens/_synced.html", verbose_name="Last sync")
    expires_at = Cell("tokens/_expires.html", verbose_name="Expires")
    uploaded_at = When(verbose_name="Uploaded", visible=False)
    actions = Actions("tokens/_row_actions.html")

    class Meta:
        order_by = "name"


def used_regions() -> list[tuple[str, str]]:
    """Return the regions that tokens have."""
    codes = ContentToken.objects.kept().order_by("region").values_list("region", flat=True).distinct()
    return sorted(((code, REGIONS.get(code, code)) for code in codes), key=lambda region: region[1])


class TokenFilter(django_filters.FilterSet):
    """Finds tokens."""

    q = Search("name", "location_name", "organization")
    status = django_filters.ChoiceFilter(choices=TokenStatus.choices, empty_label="All")
    region = django_filters.ChoiceFilter(choices=used_regions, empty_label="All")

    class Meta:
        model = ContentToken
        fields: list[str] = []
