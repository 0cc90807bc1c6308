"""The list of what was done: its columns and filters."""

from __future__ import annotations

import django_filters
import django_tables2 as tables
from django import forms
from django.db.models import QuerySet

from vppportal.activity.models import Entry
from vppportal.columns import Cell, When
from vppportal.lists import Search
from vppportal.templatetags.portal import told

KINDS = [
    ("contenttoken", "VPP token"),
    ("app", "App"),
    ("catalogsettings", "App Settings"),
    ("usergroup", "User group"),
    ("manageduser", "Person"),
    ("device", "Device"),
    ("import", "Import"),
]


class EntryTable(tables.Table):
    """Who did what to which object, when; newest first."""

    at = When(verbose_name="When")
    actor_name = tables.Column(verbose_name="Who")
    verb = Cell("activity/_deed.html", verbose_name="What", orderable=False)
    object_name = tables.Column(verbose_name="Object", visible=False)
    details = Cell("activity/_details.html", orderable=False)

    class Meta:
        order_by = "-at"

    def value_details(self, value: dict[str, object]) -> str:
        """Return the details in one line."""
        return "; ".join(f"{name}: {told(detail)}" for name, detail in value.items())


class EntryFilter(django_filters.FilterSet):
    """Finds entries by words, kind of object, actor and day."""

    q = Search("object_name", "verb", "actor_name")
    object_type = django_filters.ChoiceFilter(label="Kind", choices=KINDS, empty_label="All")
    object_id = django_filters.NumberFilter(widget=forms.HiddenInput())
    by = django_filters.ChoiceFilter(
        label="Who",
        choices=[("people", "People"), ("portal", "The portal itself")],
        method="by_whom",
        empty_label="All",
    )
    since = django_filters.DateFilter(
        "at", "date__gte", label="From", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    until = django_filters.DateFilter(
        "at", "date__lte", label="To", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )

    class Meta:
        model = Entry
        fields: list[str] = []

    def by_whom(self, entries: QuerySet[Entry], name: str, value: str) -> QuerySet[Entry]:
        """Keep what people did, or what the portal did by itself."""
        return (
            entries.filter(actor=None, actor_name="Portal")
            if value == "portal"
            else entries.exclude(actor_name="Portal")
        )
