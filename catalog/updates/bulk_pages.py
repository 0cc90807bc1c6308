"""Updating many at once: chosen devices of an app, chosen apps, and the same update rules for chosen apps."""

from __future__ import annotations

from collections import Counter
from typing import Final, cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from catalog.installation_pages import back_to_list, chosen_installations, list_address
from catalog.models import App, CatalogSettings, Installation, UpdateMode
from catalog.rows import app_rows
from catalog.tables import AppFilter
from catalog.updates import updating, wishes
from catalog.updates.forms import DOES_NOT_COUNT, ManyRulesForm
from catalog.updates.pages import CHANGES, DISTRIBUTES, say_what_is_updated
from catalog.updates.rows import rulings_of_behind
from catalog.updates.sentences import ByHand
from vppportal.chosen import ChosenForm
from vppportal.lists import selected
from vppportal.wording import number

APPS: Final = ("app", "apps")


@require_POST
@permission_required(DISTRIBUTES, raise_exception=True)
def installations_update(request: HttpRequest, pk: int) -> HttpResponse:
    """Update an app on the chosen devices at once, after saying what that does."""
    app = get_object_or_404(App.objects.kept().select_related("listing"), pk=pk)
    chosen = chosen_installations(request, pk)
    if "confirmed" in request.POST:
        say_what_is_updated(request, updating.update_now(chosen, cast(User, request.user)))
        return back_to_list(request, pk)
    return _confirm(request, chosen, f"“{app}”", list_address(request, pk))


@require_POST
@permission_required(DISTRIBUTES, raise_exception=True)
def apps_update(request: HttpRequest) -> HttpResponse:
    """Update the chosen apps on all devices that are behind, after saying what that does."""
    apps = _apps(request)
    chosen = Installation.objects.filter(app__in=apps.values("pk"))
    if "confirmed" in request.POST:
        say_what_is_updated(request, updating.update_now(chosen, cast(User, request.user)))
        return redirect("catalog")
    return _confirm(request, chosen, number(apps.count(), *APPS), reverse("catalog"))


@require_POST
@permission_required(CHANGES, raise_exception=True)
def apps_updates(request: HttpRequest) -> HttpResponse:
    """Give the chosen apps the same window, or the same switch, after asking which."""
    apps = _apps(request)
    count = apps.count()
    if not count:
        messages.info(request, "No app was chosen.")
        return redirect("catalog")
    data = {"data": request.POST} if "confirmed" in request.POST else {}
    form = ManyRulesForm(request.POST, **data)
    if form.is_bound and form.is_valid():
        changed = wishes.store_for(apps, form.rules, request.user)
        messages.success(request, f"The update rules of {number(changed, *APPS)} are saved.")
        return redirect("catalog")
    mode = CatalogSettings.load().update_mode
    why_not = [f"“Update automatically”: {DOES_NOT_COUNT[UpdateMode(mode)]}"] if mode in DOES_NOT_COUNT else []
    context = {
        "title": f"Update rules of {number(count, *APPS)}",
        "sentences": [f"What is chosen here holds for {number(count, *APPS)} from the moment it is saved.", *why_not],
        "form": form,
        "verb": "Save",
        "back": reverse("catalog"),
    }
    return render(request, "confirm.html", context, status=422 if form.errors else 200)


def _apps(request: HttpRequest) -> QuerySet[App]:
    """Return the chosen apps as a query of their own: nothing joined, so that it may be updated."""
    rows = selected(request, AppFilter, app_rows())
    return App.objects.kept().filter(pk__in=rows.order_by().values("pk"))


def _confirm(request: HttpRequest, chosen: QuerySet[Installation], what: str, back: str) -> HttpResponse:
    """Ask whether it is meant so; where nothing can be done, say why instead."""
    by_hand = ByHand.of(Counter(ruling.verdict for ruling in rulings_of_behind(chosen).values()))
    if not by_hand.is_possible:
        messages.info(request, " ".join(["Nothing was sent.", *by_hand.sentences]))
        return redirect(back)
    context = {
        "title": by_hand.title(what),
        "sentences": by_hand.sentences,
        "form": ChosenForm(request.POST),
        "verb": "Update now",
        "back": back,
    }
    return render(request, "confirm.html", context)
