"""Have Apple notify this portal of what changes at a location, where Apple can reach it."""

from __future__ import annotations

import secrets
import uuid
from typing import Final

import structlog
from django.conf import settings
from django.urls import reverse

from tokens import connection
from tokens.apple import AppleClient, AppleUnavailable, ClientConfig, RequestRefused
from tokens.fields import CannotOpen, Sealed
from tokens.models import ContentToken
from tokens.secret import Secret

log = structlog.get_logger(__name__)

WANTED: Final = ("ASSET_COUNT", "ASSET_MANAGEMENT", "USER_MANAGEMENT", "USER_ASSOCIATED")


def keep(token: ContentToken, client: AppleClient, facts: ClientConfig) -> None:
    """Subscribe where what Apple has differs from ours; without notifications everything works, later.

    Apple tries the address during the very call, so the web server must find the token's secret stored by then. A
    refusal, mostly because Apple cannot reach the portal, is tried again with the next sync.
    """
    if not settings.HEARS_APPLE:
        _note(token, "")
        return
    secret = _secret(token)
    url = settings.PORTAL_URL + reverse("apple-notifications", args=[token.notification_id])
    known = connection.service().notification_types
    types = [kind for kind in WANTED if kind in known] or list(WANTED)
    if token.subscribed_to == facts.notification_url == url and {*types} <= {*facts.subscribed_notification_types}:
        return
    try:
        client.subscribe(url, secret, types)
    except (AppleUnavailable, RequestRefused) as error:
        log.warning("notifications_not_subscribed", token=token.pk, error=str(error))
        _note(token, "")
    else:
        _note(token, url)


def _secret(token: ContentToken) -> Secret:
    """Return the bearer that Apple is to show, a new one where there is none that opens."""
    if token.notification_id is not None and token.notification_secret is not None:
        try:
            return token.notification_secret.open(bound_to=token.location_id)
        except CannotOpen:
            token.subscribed_to = ""
    secret = Secret(secrets.token_urlsafe(32))
    token.notification_id = token.notification_id or uuid.uuid4()
    token.notification_secret = Sealed.seal(secret, bound_to=token.location_id)
    token.save(update_fields=["notification_id", "notification_secret"])
    return secret


def _note(token: ContentToken, url: str) -> None:
    if token.subscribed_to != url:
        token.subscribed_to = url
        ContentToken.objects.filter(pk=token.pk).update(subscribed_to=url)
