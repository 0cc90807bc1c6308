"""What every request passes through: no NUL, the viewer's time zone, and pages that no cache may keep."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

Handler = Callable[[HttpRequest], HttpResponse]
TIME_ZONES = frozenset(available_timezones())


def time_zone(get_response: Handler) -> Handler:
    """Show times in the zone of the browser, which portal.js tells in a cookie."""

    def handle(request: HttpRequest) -> HttpResponse:
        name = request.COOKIES.get("timezone", "")
        if name in TIME_ZONES:
            with timezone.override(ZoneInfo(name)):
                return get_response(request)
        return get_response(request)

    return handle


def no_nul(get_response: Handler) -> Handler:
    """Refuse requests with a NUL in them: PostgreSQL stores and compares none, and nobody types one."""

    def handle(request: HttpRequest) -> HttpResponse:
        for sent in (request.GET, request.POST):
            if any("\0" in text for name, values in sent.lists() for text in (name, *values)):
                raise BadRequest("There is a NUL in the request.")
        return get_response(request)

    return handle


def private_pages(get_response: Handler) -> Handler:
    """Forbid caches to keep pages that were made for a signed-in person."""

    def handle(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.user.is_authenticated:
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    return handle
