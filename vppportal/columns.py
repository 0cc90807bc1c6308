"""The columns that lists share: numbers, times, status pills, yes or no, and a row's actions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import django_tables2 as tables
from django.utils.formats import number_format
from django.utils.safestring import SafeString

from vppportal.templatetags.portal import pill, when

ICON = {"td": {"class": "pic"}}
NAMED = {"td": {"class": "named"}}
RIGHT = {"th": {"class": "text-end"}, "td": {"class": "text-end font-tabular"}}


def exact(value: Any) -> Any:
    """Return a value as a file has it: times to the microsecond, with their zone."""
    return value.isoformat() if isinstance(value, datetime) else value


class Number(tables.Column):
    """A count, right-aligned, largest first when sorted; zero is “0”, unknown is said in words."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("attrs", RIGHT)
        super().__init__(initial_sort_descending=True, **kwargs)

    def render(self, value: int) -> str:
        """Return the number in the viewer's way of writing."""
        return number_format(value)

    def value(self, value: int) -> int | str:
        """Return the bare number."""
        return value


class LicenseCount(Number):
    """A count of licenses; where they are unlimited the word says so."""

    def render(self, value: int, record: Any = None) -> str:
        """Return the number, or “Unlimited”."""
        return "Unlimited" if record.is_unlimited else super().render(value)

    def value(self, value: int, record: Any = None) -> int | str:
        """Return the bare number, or “Unlimited”."""
        return "Unlimited" if record.is_unlimited else value


class When(tables.Column):
    """A time as people say it, with the exact one on hover; `default` is the word for never."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("default", "never")
        super().__init__(**kwargs)

    def render(self, value: Any) -> SafeString:
        """Return the time in words."""
        return when(value)

    def value(self, value: Any) -> Any:
        """Return the exact time."""
        return exact(value)


class Pill(tables.Column):
    """A status with its word, its colour and its icon."""

    def render(self, record: Any, bound_column: Any) -> SafeString:
        """Return the pill."""
        return pill(record, bound_column.accessor)

    def value(self, record: Any, bound_column: Any) -> str:
        """Return the status' word."""
        return str(getattr(record, f"get_{bound_column.accessor}_display")())


class Cell(tables.TemplateColumn):
    """A cell with a template of its own; the template knows the row as `record`, a file has the bare value."""

    def __init__(self, template_name: str, **kwargs: Any) -> None:
        super().__init__(template_name=template_name, **kwargs)

    def value(self, value: Any) -> Any:
        """Return the bare value."""
        return exact(value)


class Actions(Cell):
    """What can be done to a row."""

    def __init__(self, template_name: str) -> None:
        super().__init__(
            template_name,
            verbose_name="Actions",
            orderable=False,
            exclude_from_export=True,
            attrs={"th": {"class": "w-1 hushed"}, "td": {"class": "text-end text-nowrap acts"}},
        )
