"""Assigning licenses by hand, as far as the App Catalog allows it: of apps that nobody approved, none is given out."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from catalog.models import App, AppStatus
from tokens import license_pages


@permission_required("tokens.manage_licenses", raise_exception=True)
def asset_assign(request: HttpRequest, pk: int, asset_pk: int) -> HttpResponse:
    """Choose who receives a license of an app; of one that waits for approval, or was rejected, say why not."""
    asset = license_pages.kept_asset(pk, asset_pk)
    unseen = App.objects.kept().filter(adam_id=asset.adam_id).exclude(status=AppStatus.AVAILABLE)
    if app := unseen.select_related("listing").first():
        state = "was rejected" if app.status == AppStatus.REJECTED else "waits for approval"
        messages.error(request, f"“{app}” {state}: until it is approved, nobody is given a license of it.")
        return redirect("asset-holders", pk, asset_pk)
    return license_pages.asset_assign(request, asset)
