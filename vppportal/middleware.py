"""What every request passes through: known methods, no NUL, the viewer's time zone, pages that no cache may keep."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

Handler = Callable[[HttpRequest], HttpResponse]
TIME_ZONES = frozenset(available_timezones())

known_methods = require_http_methods(["GET", "HEAD", "POST"])
"""Refuse what no page of ours sends, so that a view may take what is no POST for a GET."""


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
    """Forbid caches to keep pages: each was made for one person, or for nobody yet."""

    def handle(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return handle
