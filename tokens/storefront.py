"""Ask App Stores about public apps, as anybody may: no token has to work for that, and none is asked with.

An app that a store does not show to everybody (any more) is left to the tokens that own it. Where none of them works,
it is asked for here again: what was not sold for a while comes back.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby
from typing import Final

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from tokens import connection, entries
from tokens.apple import AppleUnavailable, RequestRefused, StoreItem
from tokens.models import Asset, AssetQuerySet, ContentToken, ContentTokenQuerySet, Listing, ListingOutcome
from vppportal.work import WorkQuerySet

log = structlog.get_logger(__name__)

PLATFORM: Final = "enterprisestore"
"""Whose store to ask, unless all tokens that own an app are of another (the one for schools)."""
NOT_SHOWN: Final = "This App Store does not show the app, and no VPP token that owns it can be asked with."


def due() -> WorkQuerySet[Listing]:
    """Return the listings to look up now without a token: of what a token that is kept owns or the catalog holds."""
    is_known = ~Q(outcome=ListingOutcome.UNKNOWN) & Q(is_custom=False)
    is_open = Q(needs_token=False) | (is_known & ~Exists(_owned(ContentToken.objects.usable())))
    is_in_use = Exists(_owned(ContentToken.objects.kept())) | Q(apps__isnull=False)
    return Listing.objects.due().filter(is_open).filter(is_in_use)


def look_up() -> int:
    """Look up what is due, a batch of one storefront at a time; return how many apps were answered.

    Two workers share the work. A storefront that does not answer is left alone for now, and holds no other up.
    """
    return sum(map(_look_up_in, list(due().order_by("storefront").values_list("storefront", flat=True).distinct())))


def _look_up_in(storefront: str) -> int:
    answered = 0
    try:
        while claimed := entries.claim(due().filter(storefront=storefront)):
            answered += _look_up(claimed, storefront)
    except AppleUnavailable as error:
        log.warning("store_check_put_off", storefront=storefront, error=str(error))
    return answered


def _look_up(claimed: list[Listing], storefront: str) -> int:
    platforms = _platforms(claimed, storefront)
    claimed.sort(key=lambda listing: platforms[listing.adam_id])
    try:
        for platform, listings in groupby(claimed, lambda listing: platforms[listing.adam_id]):
            batch = list(listings)
            _store(batch, _ask(batch, storefront, platform), storefront)
    except AppleUnavailable as error:
        entries.put_off(claimed, error)
        raise
    return len(claimed)


def _ask(batch: Collection[Listing], storefront: str, platform: str) -> dict[str, StoreItem]:
    """Return what the store shows everybody: nothing where it wants a credential for an answer."""
    wanted = [listing.adam_id for listing in batch if not listing.is_poison]
    where = {"country": storefront.lower(), "language": entries.LANGUAGE, "platform": platform}
    try:
        return connection.public_items(wanted, **where)
    except RequestRefused as error:
        log.warning("store_check_refused", storefront=storefront, error=str(error))
        return {}


def _store(batch: Collection[Listing], items: dict[str, StoreItem], storefront: str) -> None:
    """Write down what was answered; what was not goes to the tokens that own it, its old facts and age unchanged."""
    owners = _assets(batch, storefront).filter(token__in=ContentToken.objects.usable())
    owned = set(owners.values_list("adam_id", flat=True))
    now = timezone.now()
    with transaction.atomic():
        held = Listing.objects.still_held(batch)
        handed_over = []
        for listing in held:
            if listing.adam_id in items:
                listing.checked_at, listing.asked_at, listing.checked_with = now, now, None
            elif listing.adam_id in owned and not listing.is_poison:
                listing.needs_token = True
                handed_over.append(listing)
            elif listing.is_poison:
                listing.last_error = entries.GIVEN_UP
            else:
                listing.asked_at, listing.last_error = now, NOT_SHOWN
        entries.store(held, items, at_once=handed_over)


def _platforms(claimed: Collection[Listing], storefront: str) -> dict[str, str]:
    """Return, for each app, the platform of all tokens that own it, or the usual one where they differ."""
    found: dict[str, set[str]] = {listing.adam_id: set() for listing in claimed}
    owners = _assets(claimed, storefront).filter(token__in=ContentToken.objects.kept())
    for adam_id, platform in owners.values_list("adam_id", "token__store_platform").distinct():
        found[adam_id].add(platform)
    return {adam_id: platforms.pop() if len(platforms) == 1 else PLATFORM for adam_id, platforms in found.items()}


def _assets(listings: Collection[Listing], storefront: str) -> AssetQuerySet:
    adam_ids = [listing.adam_id for listing in listings]
    return Asset.objects.filter(adam_id__in=adam_ids, gone_at=None, token__region=storefront)


def _owned(tokens: ContentTokenQuerySet) -> AssetQuerySet:
    return Asset.objects.filter(
        adam_id=OuterRef("adam_id"), gone_at=None, token__region=OuterRef("storefront"), token__in=tokens
    )
