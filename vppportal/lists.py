"""One way of listing things: search, filters kept in the address, sorting, paging, CSV export, four empty states.

A view builds a `Listed` and lets it answer: the CSV file, the refreshed fragment, or (None) the whole page. The page
includes the same `_list.html` that the refresh sends.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Protocol, TypeVar

import django_filters
import django_tables2 as tables
from django import forms
from django.contrib.auth.context_processors import PermWrapper
from django.core.paginator import EmptyPage
from django.db.models import F, Model, OrderBy, Q, QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.template import Context
from django.utils import timezone

M = TypeVar("M", bound=Model)

PAGE_SIZES = (25, 50, 100)
LONGEST_KEY = 18
CHUNK = 500
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Empty:
    """What a list says while there is nothing yet, and the next step."""

    title: str
    text: str
    icon: str = "inbox"
    action_url: str = ""
    action_label: str = ""
    opens_window: bool = False


@dataclass(frozen=True, slots=True)
class Bulk:
    """Something that can be done to the selected rows; where it `is_dated`, the form says when they were shown."""

    url: str
    label: str
    icon: str
    is_dated: bool = False


class Search(django_filters.CharFilter):
    """Finds rows in which every word typed occurs in one of the given fields."""

    def __init__(self, *fields: str, label: str = "Search") -> None:
        super().__init__(label=label, widget=forms.TextInput(attrs={"type": "search", "placeholder": "Search"}))
        self.fields = fields

    def filter(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        """Narrow the rows down word by word."""
        for word in (value or "").split()[:8]:
            anywhere = Q()
            for field in self.fields:
                anywhere |= Q(**{f"{field}__icontains": word})
            rows = rows.filter(anywhere)
        return rows


class Narrowing(Protocol):
    """What a list needs of a set of filters; those of django-filter are such sets."""

    def __init__(self, data: Any, rows: Any, *, request: HttpRequest) -> None: ...

    @property
    def form(self) -> forms.Form:
        """The form of the filters."""

    @property
    def qs(self) -> Any:
        """The rows that match."""


class Listed:
    """A list as one request asked for it; `rows` come from the database or, as a list, from memory.

    `working` says that rows are still coming (the fragment then refreshes itself), `unknown` why nothing can be shown.
    `fetch` gets the rows about to be shown, to put on them what would be too much to look up for all.
    """

    def __init__(
        self,
        request: HttpRequest,
        table_class: type[tables.Table],
        filterset_class: type[Narrowing],
        rows: QuerySet[Any] | list[Any],
        *,
        empty: Empty,
        file_name: str,
        working: str = "",
        unknown: str = "",
        bulk: Iterable[Bulk] = (),
        hides: Iterable[str] = (),
        fetch: Callable[[list[Any]], None] | None = None,
    ) -> None:
        self.request, self.fetch = request, fetch
        self.filterset = filterset_class(request.GET, rows, request=request)
        # A window over the list may have fields of the same names.
        self.filterset.form.auto_id = "filter_%s"
        self.hides = tuple(hides)
        self.table_class = table_class
        self.table = self._table(self.filterset.qs)
        self.empty, self.file_name = empty, file_name
        self.working, self.unknown, self.bulk = working, unknown, list(bulk)
        self._turn_to_page()

    def answer(self) -> HttpResponseBase | None:
        """Return the CSV file or the refreshed fragment where one was asked for; None means: the whole page."""
        if self.request.GET.get("export") == "csv":
            return self._export()
        if self.request.headers.get("HX-Target") == "list":
            return render(self.request, "_list.html", {"list": self})
        return None

    def page_or_part(self, template: str = "list.html", **context: Any) -> HttpResponseBase:
        """Answer whatever was asked for; `context` is what the whole page shows beside the list."""
        return self.answer() or render(self.request, template, {"list": self, **context})

    @cached_property
    def filters(self) -> list[forms.BoundField]:
        """The filter's fields, the search first, drawn small."""
        fields = list(self.filterset.form)
        for field in fields:
            is_select = isinstance(field.field.widget, forms.Select)
            field.field.widget.attrs["class"] = (
                "form-select form-select-sm" if is_select else "form-control form-control-sm"
            )
        return sorted(fields, key=lambda field: field.name != "q")

    @cached_property
    def is_filtered(self) -> bool:
        """Did the viewer narrow the list down?"""
        values = self.filterset.form.cleaned_data.values() if self.filterset.form.is_valid() else self.request.GET
        return any(value not in (None, "") for value in values)

    @cached_property
    def count(self) -> int:
        """How many rows match."""
        return int(self.table.paginator.count)

    @property
    def state(self) -> str:
        """Which of the four empty states it is; empty when there are rows."""
        if self.count:
            return ""
        if self.is_filtered:
            return "no_match"
        if self.working:
            return "working"
        return "unknown" if self.unknown else "nothing"

    @property
    def has_filters(self) -> bool:
        """Is there, or may there soon be, anything to narrow down?"""
        return self.state not in ("nothing", "unknown")

    @property
    def pages(self) -> list[Any]:
        """Page numbers to offer, with gaps."""
        return list(self.table.paginator.get_elided_page_range(self.table.page.number, on_each_side=1, on_ends=1))

    @property
    def page_sizes(self) -> tuple[int, ...]:
        """The page sizes to offer."""
        return PAGE_SIZES

    def _table(self, rows: Any) -> tables.Table:
        # Not told of the request: it would turn to a page by itself, of any size that is asked for.
        table = self.table_class(rows, order_by=self.request.GET.get("sort") or None, exclude=self.hides)
        table.context = Context(
            {
                "request": self.request,
                "perms": PermWrapper(self.request.user),
                "csrf_token": get_token(self.request),
            }
        )
        if isinstance(rows, QuerySet):
            sorted_rows = table.data.data
            table.data.data = sorted_rows.order_by(*_order(sorted_rows), "pk")
        return table

    def _turn_to_page(self) -> None:
        size, page = self.request.GET.get("per_page", ""), self.request.GET.get("page", "")
        per_page = int(size) if size in map(str, PAGE_SIZES) else PAGE_SIZES[0]
        try:
            self.table.paginate(page=int(page) if is_key(page) else 1, per_page=per_page)
        except EmptyPage:
            self.table.page = self.table.paginator.page(self.table.paginator.num_pages)
        if self.fetch:
            self.fetch([row.record for row in self.table.page.object_list])

    def _export(self) -> StreamingHttpResponse:
        name = f"{self.file_name}-{timezone.localdate():%Y-%m-%d}.csv"
        return StreamingHttpResponse(
            self._csv_lines(),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    def _csv_lines(self) -> Iterator[str]:
        writer = csv.writer(_Line())
        found = self.table.data.data
        rows = found.iterator(chunk_size=CHUNK) if isinstance(found, QuerySet) else iter(found)
        # Without its mark Excel takes the file for Latin-1.
        yield "\ufeff" + writer.writerow(next(iter(self.table.as_values())))
        while chunk := list(islice(rows, CHUNK)):
            if self.fetch:
                self.fetch(chunk)
            for values in islice(self._table(chunk).as_values(), 1, None):
                yield writer.writerow([defused(value) for value in values])


class _Line:
    """Hands a written CSV line back instead of storing it."""

    def write(self, line: str) -> str:
        return line


def defused(value: Any) -> Any:
    """Return a CSV cell that no spreadsheet takes for a formula; an import takes exactly that apostrophe away again."""
    if isinstance(value, str) and value.lstrip("'").startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


def selected(request: HttpRequest, filterset_class: type[django_filters.FilterSet], rows: QuerySet[M]) -> QuerySet[M]:
    """Return the rows a bulk form was sent for: those ticked, or all that match the filters in the address."""
    if request.POST.get("all_matching"):
        matching: QuerySet[M] = filterset_class(request.GET, rows, request=request).qs
        return matching
    return rows.filter(pk__in=[key for key in request.POST.getlist("selected") if is_key(key)])


def is_key(text: str) -> bool:
    """Can this be the key of a row? Python and SQLite give up on numbers that are much longer."""
    return text.isascii() and text.isdigit() and len(text) <= LONGEST_KEY


def _order(rows: QuerySet[Any]) -> Iterator[str | OrderBy]:
    """Yield what rows are sorted by; unknown values come last, whatever the database thinks of them."""
    names: Iterable[Any] = rows.query.order_by or rows.model._meta.ordering
    for name in names:
        bare = name.removeprefix("-")
        if bare in _never_empty(rows.model):
            yield name
        else:
            yield F(bare).desc(nulls_last=True) if name.startswith("-") else F(bare).asc(nulls_last=True)


def _never_empty(model: type[Model]) -> set[str]:
    return {"pk", *(field.name for field in model._meta.concrete_fields if not field.null)}
