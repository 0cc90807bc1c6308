"""Where Apple posts its notifications: check the bearer, store, answer. Everything else happens later."""

from __future__ import annotations

import hmac
import uuid
from typing import Final

import structlog
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from tokens import notifications
from tokens.apple.answers import Body, Unreadable, decode
from tokens.fields import CannotOpen
from tokens.models import ContentToken

log = structlog.get_logger(__name__)

LARGEST: Final = 1024 * 1024
NOBODYS: Final = b"the bearer of no token at all"


@csrf_exempt
@login_not_required
@require_POST
def apple_notifications(request: HttpRequest, notification_id: uuid.UUID) -> HttpResponse:
    """Take in one notification of the location whose address this is.

    A wrong bearer and an unknown location get the same answer. A deleted token still listens: changes that were sent
    with it are followed to their end.
    """
    token = ContentToken.objects.filter(notification_id=notification_id).first()
    if not _has_bearer(request, token) or token is None:
        return HttpResponse(status=403)
    try:
        if int(request.headers.get("Content-Length") or 0) > LARGEST:
            return HttpResponse(status=413)
        envelope = decode(request.body)
    except (Unreadable, ValueError, RawPostDataException):
        return HttpResponse(status=400)
    return _take_in(token, envelope)


def _has_bearer(request: HttpRequest, token: ContentToken | None) -> bool:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    expected = _expected(token)
    is_right = hmac.compare_digest(bearer.strip().encode(), expected or NOBODYS)
    return scheme.lower() == "bearer" and expected is not None and is_right


def _expected(token: ContentToken | None) -> bytes | None:
    if token is None or token.notification_secret is None:
        return None
    try:
        return token.notification_secret.open(bound_to=token.location_id).reveal().encode()
    except CannotOpen:
        return None


def _take_in(token: ContentToken, envelope: Body) -> HttpResponse:
    kind, number = envelope.get("notificationType"), envelope.get("notificationId")
    if not isinstance(kind, str) or not isinstance(number, str) or not number:
        return HttpResponse(status=400)
    if envelope.get("uId") != token.location_id:
        log.warning("notification_of_another_location", token=token.pk, type=kind[:40])
    elif kind != "TEST_NOTIFICATION":
        content = envelope.get("notification")
        notifications.take_in(token, number, kind, content if isinstance(content, dict) else {})
    return HttpResponse(status=200)
