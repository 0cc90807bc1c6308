"""The home page: what needs attention, and some totals. It looks down on everything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from catalog.models import Addition, App, AppStatus, Outcome
from catalog.rows import app_rows
from catalog.tables import by_licenses
from tokens.diagnosis import diagnose
from tokens.models import Asset, ContentToken, SyncRun
from vppportal.activity.models import Entry
from vppportal.templatetags.portal import days_left
from vppportal.work import WorkState

SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Attention:
    """Something that needs a person: how bad it is (a tone of the status pills), what, and where to go."""

    tone: str
    sentence: str
    url: str
    step: str


def home(request: HttpRequest) -> HttpResponse:
    """Show what needs attention; before the first token the three steps to it."""
    may_see = request.user.has_perm("tokens.view_contenttoken") and request.user.has_perm("catalog.view_app")
    if not may_see:
        return render(request, "home_without_role.html")
    if not ContentToken.objects.kept().exists():
        return render(request, "home_first.html")
    context: dict[str, Any] = {"attention": list(_attention()), "totals": _totals()}
    if request.user.has_perm("activity.view_entry"):
        context["history"] = Entry.objects.all()[:8]
    return render(request, "home.html", context)


def _attention() -> Iterator[Attention]:
    yield from _tokens()
    failed = Addition.objects.filter(outcome=Outcome.NOT_FOUND, token__deleted_at=None)
    counted = failed.values_list("token", "token__name").annotate(number=Count("pk")).order_by("token__name")
    for token_id, name, number in counted:
        url = f"{reverse('token', args=[token_id])}?outcome={Outcome.NOT_FOUND}"
        yield Attention("orange", f"“{name}”: {_apps(number)} not found in the App Store.", url, "Show")
    if pending := App.objects.filter(status=AppStatus.PENDING).count():
        url = f"{reverse('catalog')}?status={AppStatus.PENDING}"
        yield Attention("yellow", f"{_apps(pending)} waiting for approval.", url, "Decide")
    if empty := by_licenses(app_rows(), "licenses", "none_left").count():
        yield Attention(
            "yellow", f"{_apps(empty)} out of licenses.", f"{reverse('catalog')}?licenses=none_left", "Show"
        )


def _tokens() -> Iterator[Attention]:
    for token in ContentToken.objects.refused():
        diagnosis = diagnose(token)
        if diagnosis is not None:
            yield Attention("red", diagnosis.headline, token.get_absolute_url(), "See what to do")
    usable = ContentToken.objects.usable()
    for token in usable.filter(expires_at__lt=timezone.now() + SOON).order_by("expires_at"):
        days = max(0, days_left(token.expires_at))
        sentence = f"“{token}” expires in {days} day{'' if days == 1 else 's'}."
        yield Attention("orange", sentence, reverse("token-renew", args=[token.pk]), "Renew")
    for token in usable.filter(is_read_only=True):
        sentence = f"Apple lets the account of “{token}” only read."
        yield Attention("orange", sentence, token.get_absolute_url(), "See what to do")
    newest = SyncRun.objects.filter(token=OuterRef("pk")).order_by("-pk").values("state")[:1]
    for token in usable.annotate(last_state=Subquery(newest)).filter(last_state=WorkState.FAILED):
        yield Attention("orange", f"The last sync of “{token}” failed.", token.get_absolute_url(), "Show")


def _totals() -> list[tuple[str, int, str]]:
    licenses = Asset.objects.filter(token__deleted_at=None).counted_licenses()
    return [
        ("VPP tokens", ContentToken.objects.kept().count(), reverse("tokens")),
        ("Apps in the catalog", App.objects.count(), reverse("catalog")),
        ("Licenses", licenses["total"], reverse("tokens")),
        ("Assigned", licenses["assigned"], reverse("tokens")),
        ("Available", licenses["available"], reverse("catalog")),
    ]


def _apps(number: int) -> str:
    return f"{number:,} app{' is' if number == 1 else 's are'}"
