"""The list of a preview's targets: computed in memory, searched by the database, shown like any other list."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Any

import django_tables2 as tables
from django import forms
from django.http import HttpRequest

from catalog.preview import Fate, Row
from vppportal.columns import NAMED, Cell
from vppportal.groups.picker import DEVICES, PEOPLE
from vppportal.templatetags.portal import status_pill

KINDS = {"device": "Device", "user": "User"}


def _page(value: Any) -> str:
    return str(value.get_absolute_url())


class TargetTable(tables.Table):
    """Targets with their verdicts, in the order in which licenses are given out."""

    device = Cell("catalog/_target.html", verbose_name="Device", orderable=False, empty_values=(), attrs=NAMED)
    serial_number = tables.Column(accessor="device__serial_number", default="", visible=False)
    person = tables.Column(linkify=_page, orderable=False, default="nobody: shared")
    email = tables.Column("E-mail", accessor="person__email", default="", visible=False)
    app = tables.Column(linkify=_page, orderable=False)
    fate = tables.Column("What happens", orderable=False)
    reason = tables.Column("Why", orderable=False, default="")
    license_kind = tables.Column("License", accessor="verdict__license_kind", orderable=False, default="none")
    token = tables.Column("VPP token", default="none", visible=False)

    def render_fate(self, value: str) -> str:
        """Return what happens as a pill."""
        return status_pill(value, Fate(value).label)

    def value_fate(self, value: str) -> str:
        """Return what happens in words."""
        return str(Fate(value).label)

    def render_license_kind(self, value: str, record: Row) -> str:
        """Return what would hold the license, and where it would come from."""
        kind = KINDS.get(value, "none")
        return f"{kind}, from {record.token}" if record.token else kind

    def value_license_kind(self, value: str) -> str:
        """Return what would hold the license."""
        return KINDS.get(value, "none")

    def value_device(self, record: Row) -> str:
        """Return the device's name."""
        return str(record.device) if record.device else "no device"


class TargetForm(forms.Form):
    """The filters of a preview: only what there is to choose."""

    q = forms.CharField(
        label="Search", required=False, widget=forms.TextInput(attrs={"type": "search", "placeholder": "Search"})
    )
    fate = forms.ChoiceField(label="What happens", required=False)
    reason = forms.ChoiceField(label="Why", required=False)
    token = forms.ChoiceField(label="VPP token", required=False)
    app = forms.ChoiceField(required=False)

    def __init__(self, data: Any, rows: list[Row]) -> None:
        super().__init__(data)
        fates = Counter(row.fate for row in rows)
        self._offer("fate", [(fate.value, f"{fate.label} ({fates[fate]:,})") for fate in Fate if fates[fate]])
        self._offer("reason", sorted({(str(row.verdict.reason), row.reason) for row in rows if row.reason}))
        self._offer("token", sorted({(str(row.verdict.token_id), row.token) for row in rows if row.token}))
        self._offer("app", [(str(app.pk), str(app)) for app in {row.app.pk: row.app for row in rows}.values()])
        if len(self._choices("app")) <= 2:
            self._carry_app_unseen()

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        field: Any = self.fields[name]
        field.choices = [("", "All"), *choices]

    def _carry_app_unseen(self) -> None:
        if self.data.get("app"):
            self.fields["app"].widget = forms.HiddenInput()
        else:
            del self.fields["app"]

    def _choices(self, name: str) -> list[Any]:
        field: Any = self.fields[name]
        return list(field.choices)


class TargetFilter:
    """Finds targets."""

    def __init__(self, data: Any, rows: list[Row], *, request: HttpRequest) -> None:
        self.form, self.rows = TargetForm(data, rows), rows

    @cached_property
    def qs(self) -> list[Row]:
        """The targets that match."""
        if not self.form.is_valid():
            return self.rows
        wanted = self.form.cleaned_data
        rows = self.rows
        if fate := wanted["fate"]:
            rows = [row for row in rows if row.fate == fate]
        if reason := wanted["reason"]:
            rows = [row for row in rows if row.verdict.reason == reason]
        if token := wanted["token"]:
            rows = [row for row in rows if str(row.verdict.token_id) == token]
        if app := wanted.get("app"):
            rows = [row for row in rows if str(row.app.pk) == app]
        return _search(rows, wanted["q"]) if wanted["q"] else rows


def _search(rows: list[Row], text: str) -> list[Row]:
    """Keep targets in whose device or person every word occurs: two queries, however many targets."""
    device_ids = set(DEVICES.matching(text).values_list("pk", flat=True))
    person_ids = set(PEOPLE.matching(text).values_list("pk", flat=True))
    return [
        row
        for row in rows
        if row.verdict.device_id in device_ids
        or (row.verdict.device_id is None and row.verdict.person_id in person_ids)
    ]
