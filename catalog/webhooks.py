"""What the MDM server tells us: checked, stored, answered. A worker does the rest."""

from __future__ import annotations

import hmac

import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from catalog import events, tasks
from catalog.mdm import Unreadable, signature
from tokens.apple.answers import Unreadable as NotJson
from tokens.apple.answers import decode
from vppportal.work import nudge

log = structlog.get_logger(__name__)


@csrf_exempt
@login_not_required
@require_POST
def mdm_events(request: HttpRequest) -> HttpResponse:
    """Store an event that NanoMDM signed. It tells each event once and counts nothing but 200 as told."""
    key = settings.NANOMDM_WEBHOOK_KEY
    if not key:
        log.error("mdm_event_refused", why="NANOMDM_WEBHOOK_KEY is not set: nothing can be trusted.")
        return HttpResponse(status=401)
    try:
        raw = request.body
    except RequestDataTooBig:
        log.warning("mdm_event_refused", why="It is too large.")
        return HttpResponse(status=413)
    except RawPostDataException:  # it came as a form, and somebody has read that already
        return HttpResponse(status=400)
    given = request.headers.get("X-Hmac-Signature", "")
    if not hmac.compare_digest(given.encode(), signature(key, raw).encode()):
        log.warning("mdm_event_refused", why="Its signature is wrong: do both sides have the same webhook key?")
        return HttpResponse(status=401)
    try:
        is_new = events.store(decode(raw))
    except (NotJson, Unreadable) as flaw:
        log.warning("mdm_event_refused", why=f"It cannot be understood: {flaw}.")
        return HttpResponse(status=400)
    if is_new and events.ask_for_application():
        nudge(tasks.apply_events)
    return HttpResponse("", content_type="text/plain")
