"""The App Settings: who approves new apps, who decides on updates, and where to change what goes with them."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from catalog import app_settings
from catalog.forms import SettingsForm
from catalog.models import ApprovalStep, CatalogSettings, UpdateWindow


@permission_required("catalog.change_catalogsettings", raise_exception=True)
def catalog_settings(request: HttpRequest) -> HttpResponse:
    """Change the App Settings."""
    form = SettingsForm(request.POST or None, instance=CatalogSettings.load())
    if request.method == "POST" and form.is_valid():
        app_settings.store(form.instance, request.user)
        messages.success(request, "The App Settings are saved.")
        return redirect("catalog-settings")
    context = {
        "form": form,
        "check_hours": settings.STORE_CHECK_HOURS,
        "steps": ApprovalStep.objects.count(),
        "windows": UpdateWindow.objects.count(),
    }
    return render(request, "catalog/settings.html", context, status=422 if form.errors else 200)
