"""The page about the channel to devices: how it is set up, how it is, and a test of it."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from catalog import channel


@permission_required("groups.view_device", raise_exception=True)
def device_channel(request: HttpRequest) -> HttpResponse:
    """Show how devices are reached. The keys are never shown, only whether they are set."""
    context = {
        "url": channel.address(),
        "has_api_key": bool(settings.NANOMDM_API_KEY),
        "has_webhook_key": bool(settings.NANOMDM_WEBHOOK_KEY),
        "pushes": settings.NANOMDM_PUSH,
        "profile": settings.MDM_PROFILE_IDENTIFIER,
        "webhook_url": settings.PORTAL_URL + reverse("mdm-events"),
        **channel.state(),
    }
    return render(request, "catalog/channel.html", context)


@require_POST
@permission_required("catalog.change_catalogsettings", raise_exception=True)
def device_channel_test(request: HttpRequest) -> HttpResponse:
    """Try the channel and say what came of it."""
    result = channel.test()
    (messages.success if result.works else messages.error)(request, result.words)
    return redirect("device-channel")
