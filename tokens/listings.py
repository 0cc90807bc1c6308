"""Look apps up in the App Store: in batches, and each (app, storefront) once for the whole installation."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from tokens.apple import AppleClient, AppleError, StoreItem
from tokens.models import Asset, ContentToken, Listing, ListingOutcome
from vppportal.work import WorkQuerySet, WorkState, backoff

IDS_PER_CALL: Final = 50
"""How many ids one lookup may carry is not published; working clients send this many."""
REFRESH_AFTER: Final = timedelta(hours=24)
SOONEST: Final = 0.9
LANGUAGE: Final = "en"

PLATFORMS: Final = {
    "iphone": "iOS",
    "ipad": "iOS",
    "ipod": "iOS",
    "mac": "macOS",
    "tvos": "tvOS",
    "watch": "watchOS",
    "vision": "visionOS",
    "realityDevice": "visionOS",
}
STORED: Final = (
    "outcome",
    "checked_at",
    "checked_with",
    "name",
    "developer",
    "bundle_id",
    "icon_url",
    "store_url",
    "description",
    "genres",
    "platforms",
    "is_custom",
    "price",
    "minimum_os",
    "version",
    "external_version_id",
    "released_on",
    "release_notes",
    "state",
    "attempt",
    "deaths",
    "next_attempt_at",
    "lease_until",
    "last_error",
)


def enroll(token: ContentToken) -> None:
    """Make sure that every product of the token has a listing, and that it is due where only this token can find it."""
    known = Listing.objects.filter(adam_id=OuterRef("adam_id"), storefront=token.region)
    missing = token.assets.filter(gone_at=None).exclude(Exists(known)).values_list("adam_id", flat=True).distinct()
    # In one order everywhere: two tokens that enroll the same apps would otherwise wait for each other for ever.
    Listing.objects.bulk_create(
        [Listing(adam_id=adam_id, storefront=token.region) for adam_id in missing.order_by("adam_id")],
        ignore_conflicts=True,
        batch_size=500,
    )
    by_others = _of(token).filter(outcome=ListingOutcome.NOT_FOUND).exclude(checked_with=token)
    by_others.filter(lease_until=None).update(next_attempt_at=timezone.now())


def ask_again(token: ContentToken, adam_ids: Collection[str]) -> None:
    """Make the listings of these apps due now, as far as they were not found."""
    asked = Listing.objects.filter(storefront=token.region, adam_id__in=adam_ids, outcome=ListingOutcome.NOT_FOUND)
    asked.update(outcome=ListingOutcome.UNKNOWN, next_attempt_at=timezone.now())


def due(token: ContentToken) -> WorkQuerySet[Listing]:
    """Return the listings to look up with this token now.

    One that this very token did not find today may be due for the sake of another token, which it is left to.
    """
    return _of(token).due().exclude(_asked_in_vain(token))


def look_up(token: ContentToken, client: AppleClient, lookup_url: str) -> Iterator[int]:
    """Look up what is due of the token's apps; yield the number answered after each call; raises AppleError.

    Two tokens, or two workers, that own the same app share the work: a listing is claimed by one of them.
    """
    while claimed := _claim(token):
        wanted = [listing.adam_id for listing in claimed if not listing.is_poison]
        try:
            items = client.store_items(
                lookup_url, wanted, country=token.region.lower(), language=LANGUAGE, platform=token.store_platform
            )
        except AppleError as error:
            _put_off(claimed, error)
            raise
        _store(claimed, items, token)
        yield len(claimed)


def _claim(token: ContentToken) -> list[Listing]:
    """Claim a batch; what was in the hands of a worker that died is looked up alone, lest it takes others along."""
    return due(token).filter(deaths=0, lease_until=None).claim(IDS_PER_CALL) or due(token).claim(1)


def count_unknown(token: ContentToken) -> int:
    """Return how many of the token's products the store was never asked about."""
    return _of(token).filter(outcome=ListingOutcome.UNKNOWN).count()


def tokens_with_work() -> list[int]:
    """Return the usable tokens that own something whose listing is due."""
    due = Listing.objects.due().filter(storefront=OuterRef(OuterRef("region")), adam_id=OuterRef("adam_id"))
    due = due.exclude(_asked_in_vain(OuterRef(OuterRef("pk"))))
    assets = Asset.objects.filter(token=OuterRef("pk"), gone_at=None).filter(Exists(due))
    return list(ContentToken.objects.usable().filter(Exists(assets)).values_list("pk", flat=True))


def _of(token: ContentToken) -> WorkQuerySet[Listing]:
    owned = Asset.objects.filter(token=token, adam_id=OuterRef("adam_id"), gone_at=None)
    return Listing.objects.filter(storefront=token.region).filter(Exists(owned))


def _asked_in_vain(token: object) -> Q:
    today = timezone.now() - REFRESH_AFTER * SOONEST
    return Q(outcome=ListingOutcome.NOT_FOUND, checked_with=token, checked_at__gt=today)


def _put_off(claimed: Collection[Listing], error: AppleError) -> None:
    now = timezone.now()
    with transaction.atomic():
        held = Listing.objects.still_held(claimed)
        for listing in held:
            pause = max(backoff(listing.attempt), timedelta(seconds=error.retry_after or 0))
            listing.next_attempt_at = now + pause
            listing.last_error = str(error)[:500]
            listing.state, listing.lease_until, listing.deaths = WorkState.WAITING, None, 0
        Listing.objects.bulk_update(held, ["next_attempt_at", "last_error", "state", "lease_until", "deaths"])


def _store(claimed: Collection[Listing], items: dict[str, StoreItem], token: ContentToken) -> None:
    now = timezone.now()
    with transaction.atomic():
        held = Listing.objects.still_held(claimed)
        for listing in held:
            item = items.get(listing.adam_id)
            error = "Looking this app up ended without an answer several times." if listing.is_poison else ""
            if item is None:
                listing.outcome = ListingOutcome.NOT_FOUND
            else:
                _fill(listing, item)
            listing.checked_at, listing.checked_with = now, token
            _make_due(listing, now, error)
        # An upsert of rows that exist: one plain statement where bulk_update would write a CASE per row and column.
        Listing.objects.bulk_create(held, update_conflicts=True, unique_fields=["pk"], update_fields=STORED)


def _make_due(listing: Listing, now: datetime, error: str) -> None:
    """What was learned gets old: the row waits for its next turn, spread so that not all come at once."""
    listing.next_attempt_at = now + REFRESH_AFTER * random.uniform(SOONEST, 1.1)  # noqa: S311  (spreads load, guards nothing)
    listing.state, listing.lease_until = WorkState.WAITING, None
    listing.attempt = listing.deaths = 0
    listing.last_error = error


def _fill(listing: Listing, item: StoreItem) -> None:
    listing.outcome = ListingOutcome.FOUND
    for name in ("name", "developer", "bundle_id"):
        setattr(listing, name, getattr(item, name)[:250])
    listing.icon_url = item.icon_url if len(item.icon_url) <= 500 else ""
    listing.store_url = item.store_url if len(item.store_url) <= 500 else ""
    listing.description, listing.release_notes = item.description, item.release_notes
    listing.genres = list(item.genres)
    listing.platforms = ",".join(
        dict.fromkeys(PLATFORMS[family] for family in item.device_families if family in PLATFORMS)
    )
    listing.is_custom = item.is_custom
    listing.price = item.price_formatted[:40]
    listing.minimum_os, listing.version = item.minimum_os[:20], item.version[:60]
    listing.external_version_id = item.external_version_id
    listing.released_on = item.released_on
