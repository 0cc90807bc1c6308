"""The home page: what needs attention, and some totals. It looks down on everything."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from catalog.attention import needing_attention
from catalog.models import App
from tokens.models import Asset, ContentToken
from vppportal.activity.models import Entry


def home(request: HttpRequest) -> HttpResponse:
    """Show what needs attention; before the first token the three steps to it."""
    may_see = request.user.has_perm("tokens.view_contenttoken") and request.user.has_perm("catalog.view_app")
    if not may_see:
        return render(request, "home_without_role.html")
    if not ContentToken.objects.kept().exists():
        return render(request, "home_first.html")
    context: dict[str, Any] = {"attention": list(needing_attention(request.user)), "totals": _totals()}
    if request.user.has_perm("activity.view_entry"):
        context["history"] = Entry.objects.all()[:8]
    return render(request, "home.html", context)


def _totals() -> list[tuple[str, int, str]]:
    licenses = Asset.objects.filter(token__deleted_at=None).counted_licenses()
    return [
        ("VPP tokens", ContentToken.objects.kept().count(), reverse("tokens")),
        ("Apps in the catalog", App.objects.kept().count(), reverse("catalog")),
        ("Licenses", licenses["total"], reverse("tokens")),
        ("Assigned", licenses["assigned"], reverse("tokens")),
        ("Available", licenses["available"], reverse("catalog")),
    ]
