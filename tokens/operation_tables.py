"""The lists of changes asked of Apple: the operations of a token, and what became of each of their holders."""

from __future__ import annotations

from typing import Any

import django_filters
import django_tables2 as tables
from django.db.models import CharField, Count, IntegerField, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from tokens.license_tables import HolderColumn, HolderSearch
from tokens.models import ContentToken, Listing, Operation, OperationKind, Target, TargetState
from vppportal.columns import NAMED, Cell, Number, Pill
from vppportal.lists import Search
from vppportal.work import OPEN_STATES, WorkState


def operation_rows(token: ContentToken) -> QuerySet[Operation]:
    """Return the changes asked of Apple; for how many holders each was asked, is done, and will not be done."""
    targets = Target.objects.filter(operation=OuterRef("pk")).order_by()
    listing = Listing.objects.filter(adam_id=OuterRef("asset__adam_id"), storefront=token.region)

    def counted(rows: QuerySet[Target]) -> Coalesce:
        number = rows.values("operation").annotate(number=Count("pk")).values("number")
        return Coalesce(Subquery(number, output_field=IntegerField()), 0)

    return token.operations.select_related("requested_by", "asset").annotate(
        name=Coalesce(Subquery(listing.values("name")[:1], output_field=CharField()), Value("")),
        asked=counted(targets),
        done=counted(targets.filter(state=TargetState.DONE)),
        refused=counted(targets.filter(state__in=(TargetState.FAILED, TargetState.DROPPED))),
    )


class OperationTable(tables.Table):
    """Changes asked of Apple."""

    created_at = Cell("tokens/_operation_when.html", verbose_name="Asked", attrs=NAMED)
    kind = tables.Column("What")
    name = Cell("tokens/_operation_product.html", verbose_name="Product", empty_values=())
    requested_by = tables.Column("By", default="Portal", orderable=False)
    why = tables.Column()
    asked = Number(verbose_name="Holders")
    done = Number()
    refused = Number(verbose_name="Not done")
    state = Cell("tokens/_operation_state.html", verbose_name="State")

    class Meta:
        order_by = "-created_at"

    def value_name(self, record: Any) -> str:
        """Return the product's bare name."""
        return record.name or (record.asset.adam_id if record.asset else "")


OPERATION_STATES = [("open", "Under way"), (WorkState.DONE, "Done"), (WorkState.FAILED, "Failed")]


def by_operation_state(rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
    """Keep operations by how far they are."""
    if value == "open":
        return rows.filter(state__in=OPEN_STATES)
    return rows.filter(state=value)


class OperationFilter(django_filters.FilterSet):
    """Finds changes asked of Apple."""

    q = Search("name", "asset__adam_id", "why", "requested_by__username")
    kind = django_filters.ChoiceFilter(label="What", choices=OperationKind.choices, empty_label="All")
    state = django_filters.ChoiceFilter(choices=OPERATION_STATES, method=by_operation_state, empty_label="All")

    class Meta:
        model = Operation
        fields: list[str] = []


class TargetTable(tables.Table):
    """What became of each holder of an operation."""

    holder = HolderColumn(verbose_name="For")
    serial_number = tables.Column("Serial number", visible=False, default="")
    client_user_id = tables.Column("Client user ID", visible=False, default="")
    state = Pill()
    message = Cell("tokens/_target_message.html", verbose_name="Apple's answer", default="", orderable=False)

    class Meta:
        order_by = "holder"


class TargetFilter(django_filters.FilterSet):
    """Finds holders of an operation."""

    q = HolderSearch()
    state = django_filters.ChoiceFilter(choices=TargetState.choices, empty_label="All")

    class Meta:
        model = Target
        fields: list[str] = []
