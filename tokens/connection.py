"""Open the Apple client for a token: addresses and limits from Apple's service config, a rate shared through Redis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.cache import cache
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tokens.apple import (
    AppleClient,
    AppleError,
    AppleUnavailable,
    Limits,
    MdmInfo,
    ServiceConfig,
    StoreItem,
    Timeout,
    public_store_items,
    service_config,
)
from tokens.models import ContentToken, PortalIdentity
from tokens.pace import RedisPace
from tokens.secret import Secret

PRODUCT_NAME = "VPP Portal"
SERVICE_CONFIG_SECONDS = 300
"""Apple: limits and addresses change without notice, read them again every five minutes (Service Config)."""

PATIENT = Timeout()
HASTY = Timeout(connect=3, read=8, total=12)
"""For the two occasions when a person waits for Apple in the browser."""


@lru_cache(maxsize=1)
def pace() -> RedisPace:
    """Return the pace all processes of the portal share."""
    # One retry: the default ones would make a dead Redis cost five seconds before every process paces itself.
    once = Retry(NoBackoff(), 1)
    return RedisPace(Redis.from_url(settings.REDIS_URL, socket_timeout=3, socket_connect_timeout=2, retry=once))


def service() -> ServiceConfig:
    """Return Apple's service config, fetched once every five minutes for the whole installation.

    Raises AppleUnavailable only: the request carries no token, so its failure says nothing about one.
    """
    known = cache.get(_service_key())
    if known is not None:
        return _restored(known)
    try:
        config = service_config(settings.APPLE_VPP_URL, timeout=HASTY)
    except AppleUnavailable:
        raise
    except AppleError as error:
        raise AppleUnavailable(f"Apple's service config cannot be read: {error}") from error
    cache.set(_service_key(), asdict(config), SERVICE_CONFIG_SECONDS)
    return config


def forget_service() -> None:
    """Have Apple's service config fetched anew the next time: it was found to be out of date."""
    cache.delete(_service_key())


def _service_key() -> str:
    return f"apple-service-config:{settings.APPLE_VPP_URL}"


def limits() -> Limits:
    """Return how much Apple takes in one request; Apple's published samples while it cannot be asked."""
    try:
        return service().limits
    except AppleUnavailable:
        return Limits()


def _restored(kept: dict[str, Any]) -> ServiceConfig:
    """Return a service config from what JSON makes of its members."""
    return ServiceConfig(
        urls=kept["urls"],
        limits=Limits(**kept["limits"]),
        error_messages={int(number): text for number, text in kept["error_messages"].items()},
        notification_types=tuple(kept["notification_types"]),
    )


def public_items(adam_ids: Iterable[str], *, country: str, language: str, platform: str) -> dict[str, StoreItem]:
    """Look products up in the store as anybody may, at the pace all share who ask it; raises AppleError."""
    where = {"base_url": settings.APPLE_VPP_URL, "country": country, "language": language, "platform": platform}
    return public_store_items(service().lookup_url, adam_ids, **where, timeout=PATIENT, pace=pace())


def our_claim() -> MdmInfo:
    """Return what this portal writes into a location to say that it manages it."""
    identity, _ = PortalIdentity.objects.get_or_create(pk=1)
    return MdmInfo(id=str(identity.mdm_id), name=PRODUCT_NAME, metadata=settings.PORTAL_URL[:255])


@contextmanager
def connect(token: ContentToken, *, is_claimed: bool = True) -> Iterator[AppleClient]:
    """Open a client for a stored token; raises CannotOpen and AppleError.

    With `is_claimed` every answer is checked for another MDM's claim, and a foreign one raises ClaimedElsewhere.
    """
    with AppleClient(
        settings.APPLE_VPP_URL,
        token.open_secret(),
        mdm_id=our_claim().id if is_claimed else None,
        pace=pace(),
        location_key=token.location_id,
        timeout=PATIENT,
        limits=service().limits,
    ) as client:
        yield client


@contextmanager
def introduce(secret: Secret, fingerprint: str) -> Iterator[AppleClient]:
    """Open a client for a token that is just being uploaded, with short time-outs: somebody is waiting.

    Its location is not known yet, so it takes its turns under the file's fingerprint.
    """
    with AppleClient(
        settings.APPLE_VPP_URL, secret, mdm_id=None, pace=pace(), location_key=fingerprint, timeout=HASTY
    ) as client:
        yield client
