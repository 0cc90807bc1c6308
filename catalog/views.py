"""The pages of the App Catalog."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html

from catalog import additions, consequences, policies, removal
from catalog.approval.facts import approval_of
from catalog.distribution_tables import app_distributions
from catalog.models import ADDABLE_BY_HAND, Addition, App, AppStatus
from catalog.progress import progress_of
from catalog.rows import addition_rows, app_rows
from catalog.tables import AddableFilter, AdditionTable, AppFilter, AppTable
from catalog.token_page import say_what_was_added
from catalog.updates.card import card
from catalog.updates.rows import put_numbers_on
from tokens.models import Asset, ContentToken
from vppportal.activity.models import Entry
from vppportal.lists import Bulk, Empty, Listed, selected
from vppportal.wording import number

HISTORY_SHOWN = 20
NOTHING_TO_ADD = Empty(
    "Nothing to add by hand",
    "Everything your VPP tokens own is in the App Catalog, or on its way into it by itself.",
    icon="check2-circle",
)


@permission_required("catalog.view_app", raise_exception=True)
def catalog(request: HttpRequest) -> HttpResponseBase:
    """List the apps of the catalog."""
    has_tokens = ContentToken.objects.kept().exists()
    listed = Listed(
        request,
        AppTable,
        AppFilter,
        app_rows(),
        empty=Empty(
            "No apps yet",
            "Apps arrive from your VPP tokens. None has brought one yet."
            if has_tokens
            else "Apps arrive from VPP tokens. Add the first one, and its apps appear here.",
            icon="grid",
            action_url=reverse("tokens"),
            action_label="Apple VPP Licenses",
        ),
        file_name="app-catalog",
        bulk=_bulk(request),
        fetch=put_numbers_on,
    )
    return listed.page_or_part(title="App Catalog", actions="catalog/_more.html")


@permission_required("catalog.view_app", raise_exception=True)
def app(request: HttpRequest, pk: int) -> HttpResponse:
    """Show an app: what the store says, its licenses token by token, its policies and history."""
    related = ("listing", "added_by", "added_from", "update_window", "pilot_group")
    app = get_object_or_404(App.objects.select_related(*related), pk=pk)
    assets = Asset.objects.filter(adam_id=app.adam_id, gone_at=None, token__deleted_at=None).select_related("token")
    context = {
        "app": app,
        "listing": app.listing,
        "assets": assets.order_by("token__name", "pricing_param"),
        "approval": approval_of(app, cast(User, request.user)),
        "policies": [(policies.named(name), getattr(app, name)) for name in policies.OF_AN_APP],
        "history": Entry.objects.filter(object_type="app", object_id=app.pk)[:HISTORY_SHOWN],
        "distributions": app_distributions(app),
        **card(app),
        **progress_of(app),
    }
    return render(request, "catalog/app.html", context)


@permission_required("catalog.delete_app", raise_exception=True)
def app_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete an app from the catalog, after saying what goes with it."""
    app = get_object_or_404(App.objects.kept().select_related("listing"), pk=pk)
    if request.method == "POST":
        if removal.delete_app(app, cast(User, request.user)):
            messages.success(request, _what_became_of(app))
        return redirect("catalog")
    in_force = app.distributions.in_force().count()
    ends = f"{number(in_force, 'distribution of it ends', 'distributions of it end')}."
    context = {
        "title": f"Delete “{app}”?",
        "sentences": [
            "The app leaves the App Catalog and all lists at once.",
            *([ends] if in_force else []),
            *consequences.of_delete(app).sentences(),
            "No VPP token brings it back by itself; it can be added again by hand.",
        ],
        "verb": "Delete this app",
        "back": app.get_absolute_url(),
        "is_grave": True,
    }
    return render(request, "confirm.html", context)


@permission_required("catalog.add_app", raise_exception=True)
def catalog_add(request: HttpRequest) -> HttpResponseBase:
    """List what tokens own and is not added automatically; add what is ticked."""
    rows = addition_rows().filter(outcome__in=ADDABLE_BY_HAND, token__deleted_at=None)
    if request.method == "POST":
        _add_by_hand(request, list(selected(request, AddableFilter, rows)))
        return redirect("catalog")
    listed = Listed(
        request,
        AdditionTable,
        AddableFilter,
        rows,
        empty=NOTHING_TO_ADD,
        file_name="apps-to-add",
        bulk=[Bulk(reverse("catalog-add"), "Add to catalog", "plus-lg")],
        hides=("settled_at", "retired", "comment"),
    )
    return listed.page_or_part(title="Add apps from VPP tokens")


def _what_became_of(app: App) -> str:
    """Return that an app is deleted, and where to watch it go from the devices."""
    said = f"“{app}” is deleted."
    if not app.installations.exists():
        return said
    url = reverse("installations", args=[app.pk])
    return format_html('{} <a href="{}">See how far its removal from devices is.</a>', said, url)


def _bulk(request: HttpRequest) -> list[Bulk]:
    """Return what can be done to apps; those that wait are decided on in a list of their own."""
    if request.GET.get("status") in (AppStatus.PENDING, AppStatus.REJECTED):
        return []
    offered = []
    if request.user.has_perm("catalog.distribute_app"):
        offered.append(Bulk(reverse("apps-distribute"), "Distribute", "send"))
        offered.append(Bulk(reverse("apps-update"), "Update now", "arrow-up-circle"))
    if request.user.has_perm("catalog.change_app"):
        offered.append(Bulk(reverse("apps-updates"), "Update rules", "calendar-week"))
    return offered


def _add_by_hand(request: HttpRequest, rows: list[Addition]) -> None:
    by_token: dict[ContentToken, list[str]] = {}
    for row in rows:
        by_token.setdefault(row.token, []).append(row.adam_id)
    user = cast(User, request.user)
    say_what_was_added(request, sum(len(additions.add_by_hand(token, user, ids)) for token, ids in by_token.items()))
