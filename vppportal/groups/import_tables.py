"""The lists of imports and of what became of their lines: columns and filters."""

from __future__ import annotations

import django_filters
import django_tables2 as tables

from vppportal.columns import NAMED, Cell, Number, Pill, When
from vppportal.groups.models import Import, ImportedRow, ImportKind, RowOutcome
from vppportal.lists import Search


class ImportTable(tables.Table):
    """Past imports with their counts."""

    file_name = tables.Column(verbose_name="File", linkify=True, attrs=NAMED)
    kind = tables.Column()
    status = Pill(orderable=False)
    new = Number()
    changed = Number()
    same = Number(verbose_name="The same")
    bad = Number(verbose_name="Not taken")
    requested_by = tables.Column(verbose_name="By", default="Portal", order_by="requested_by__username")
    created_at = When(verbose_name="When")

    class Meta:
        order_by = "-created_at"


class ImportFilter(django_filters.FilterSet):
    """Finds imports."""

    q = Search("file_name", "requested_by__username")
    kind = django_filters.ChoiceFilter(choices=ImportKind.choices, empty_label="All")

    class Meta:
        model = Import
        fields: list[str] = []


class RowTable(tables.Table):
    """Lines of a file with what becomes of them."""

    line = tables.Column(attrs={"td": {"class": "font-tabular"}})
    outcome = Pill()
    key = tables.Column(attrs=NAMED, default="")
    told = Cell("groups/_imported_row.html", verbose_name="What", orderable=False, empty_values=())

    class Meta:
        order_by = "line"

    def value_told(self, record: ImportedRow) -> str:
        """Return changes and reasons in one line."""
        changes = [f"{column}: {before} → {after}" for column, before, after in record.changes]
        return "; ".join([*changes, *(f"{column} {value}: {why}".strip(" :") for column, value, why in record.errors)])


class RowFilter(django_filters.FilterSet):
    """Finds lines."""

    q = Search("key")
    outcome = django_filters.ChoiceFilter(label="Shown", choices=RowOutcome.choices, empty_label="All")

    class Meta:
        model = ImportedRow
        fields: list[str] = []
