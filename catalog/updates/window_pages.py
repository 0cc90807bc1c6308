"""The pages of update windows: the hours in which updates may be sent, shared by the apps that name them."""

from __future__ import annotations

import django_filters
import django_tables2 as tables
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from catalog.models import App, UpdateWindow, WindowKind
from catalog.updates import wishes
from catalog.updates.window_forms import WindowForm
from catalog.updates.window_words import in_words
from vppportal.columns import NAMED, RIGHT, Actions, Cell
from vppportal.lists import Empty, Listed, Search
from vppportal.wording import number

NAMED_APPS = 5
OF_KEPT_APPS = Q(apps__deleted_at=None)
NO_WINDOWS = Empty(
    "No update windows yet",
    "Without one updates are sent at any time. Add a window, for example the nights, and let apps update in it.",
    icon="calendar-week",
)


class WindowTable(tables.Table):
    """Update windows with the apps that use them."""

    name = Cell("catalog/_window_name.html", attrs=NAMED)
    opens = tables.Column("Open", accessor="kind", order_by=("kind", "date", "start"))
    app_count = Cell("catalog/_window_apps.html", verbose_name="Apps", attrs=RIGHT, initial_sort_descending=True)
    actions = Actions("catalog/_window_actions.html")

    class Meta:
        order_by = "name"

    def render_opens(self, record: UpdateWindow) -> str:
        """Return when it is open."""
        said = in_words(record)
        return said[:1].upper() + said[1:]


class WindowFilter(django_filters.FilterSet):
    """Finds update windows."""

    q = Search("name")
    kind = django_filters.ChoiceFilter(label="Opens", choices=WindowKind.choices, empty_label="All")

    class Meta:
        model = UpdateWindow
        fields: list[str] = []


@permission_required("catalog.view_updatewindow", raise_exception=True)
def windows(request: HttpRequest) -> HttpResponseBase:
    """List the update windows."""
    rows = UpdateWindow.objects.annotate(app_count=Count("apps", filter=OF_KEPT_APPS))
    listed = Listed(request, WindowTable, WindowFilter, rows, empty=NO_WINDOWS, file_name="update-windows")
    return listed.page_or_part("catalog/windows.html")


@permission_required("catalog.add_updatewindow", raise_exception=True)
def window_add(request: HttpRequest) -> HttpResponse:
    """Add an update window."""
    return _edit(request, WindowForm(request.POST or None), "Add an update window", [])


@permission_required("catalog.change_updatewindow", raise_exception=True)
def window_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change an update window, saying which apps that concerns."""
    window = get_object_or_404(UpdateWindow, pk=pk)
    opens = f"It is open {in_words(window)}, in the time zone of each device."
    users = _users(window)
    concerns = f"{_told(users)} {'follows' if len(users) == 1 else 'follow'} it from the moment it is saved."
    sentences = [opens, concerns if users else "No app uses it yet."]
    return _edit(request, WindowForm(request.POST or None, instance=window), f"Edit “{window}”", sentences)


@permission_required("catalog.delete_updatewindow", raise_exception=True)
def window_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete an update window, unless apps use it."""
    window = get_object_or_404(UpdateWindow, pk=pk)
    if request.method == "POST" and wishes.remove_window(window, request.user):
        messages.success(request, f"“{window}” is deleted.")
        return redirect("windows")
    users = _users(window)
    if users:
        sentences = [
            f"{_told(users)} {'updates' if len(users) == 1 else 'update'} in this window.",
            "Choose another window there, or none, and delete this one then; “Update rules” in the App Catalog does"
            " that for many apps at once. An app that lost its window by the way would update at any time.",
        ]
    else:
        sentences = [f"It is open {in_words(window)}. No app uses it."]
    context = {
        "title": f"“{window}” cannot be deleted yet" if users else f"Delete “{window}”?",
        "sentences": sentences,
        "verb": "" if users else "Delete",
        "back": reverse("windows"),
        "is_grave": not users,
    }
    return render(request, "confirm.html", context, status=409 if request.method == "POST" else 200)


def _edit(request: HttpRequest, form: WindowForm, title: str, sentences: list[str]) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        window = wishes.keep_window(form, request.user)
        if window is not None:
            messages.success(request, f"“{window}” is saved. It is open {in_words(window)}.")
            return redirect("windows")
    context = {
        "title": title,
        "form": form,
        "sentences": sentences,
        "back": reverse("windows"),
        "back_label": "Update windows",
    }
    return render(request, "form.html", context, status=422 if form.errors else 200)


def _users(window: UpdateWindow) -> list[App]:
    """Return the apps that update in a window."""
    return list(window.apps.kept().select_related("listing").order_by("listing__name", "pk"))


def _told(apps: list[App]) -> str:
    """Return how many apps these are, and the names of the first."""
    names = ", ".join(f"“{app}”" for app in apps[:NAMED_APPS])
    more = f" and {len(apps) - NAMED_APPS:,} more" if len(apps) > NAMED_APPS else ""
    return f"{number(len(apps), 'app', 'apps')} ({names}{more})"
