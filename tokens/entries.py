"""Write down what an App Store said of apps, or that it did not answer, and when it is asked again."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from tokens import versions
from tokens.apple import AppleError, StoreItem
from tokens.models import Listing, ListingOutcome
from tokens.queue import PROPAGATE
from vppportal.work import WorkQuerySet, WorkState, backoff, nudge

IDS_PER_CALL: Final = 50
"""How many ids one lookup may carry is not published; working clients send this many."""
LANGUAGE: Final = "en"
NOT_FOUND_FOR: Final = timedelta(hours=24)
"""How long an app that the store does not know is left alone."""
GIVEN_UP: Final = "Looking this app up ended without an answer several times."
LATEST: Final = 1.2
SLOTS: Final = 48

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
    "asked_at",
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
    "version_seen_at",
    "content_rating",
    "has_in_app_purchases",
    "needs_token",
    "state",
    "attempt",
    "deaths",
    "next_attempt_at",
    "lease_until",
    "last_error",
)


def claim(due: WorkQuerySet[Listing]) -> list[Listing]:
    """Claim a batch; what was in the hands of a worker that died is looked up alone, lest it takes others along."""
    return due.filter(deaths=0, lease_until=None).claim(IDS_PER_CALL) or due.claim(1)


def store(held: Collection[Listing], items: Mapping[str, StoreItem], *, at_once: Collection[Listing] = ()) -> None:
    """Write the store's answers into listings that the caller holds until the commit, and have new versions sent out.

    Listings without an answer keep their facts; what that says of them is the caller's to write. Those in `at_once` are
    asked for again without waiting for their turn.
    """
    now = timezone.now()
    changed = [listing for listing in held if listing.adam_id in items and _fill(listing, items[listing.adam_id])]
    versions.keep(held, now)
    # What was asked for together is due together again: it fits into one call. Other calls come at other times.
    turns = {is_found: _turn(now, is_found=is_found) for is_found in (True, False)}
    for listing in held:
        turn = turns[listing.outcome != ListingOutcome.NOT_FOUND]
        listing.next_attempt_at = now if listing in at_once else turn
        listing.state, listing.lease_until = WorkState.WAITING, None
        listing.attempt = listing.deaths = 0
    # An upsert of rows that exist: one plain statement where bulk_update would write a CASE per row and column.
    Listing.objects.bulk_create(held, update_conflicts=True, unique_fields=["pk"], update_fields=STORED)
    if changed:
        nudge(PROPAGATE)


def put_off(claimed: Collection[Listing], error: AppleError) -> None:
    """Let go of what was claimed and not stored, each for a growing pause."""
    now = timezone.now()
    with transaction.atomic():
        held = Listing.objects.still_held(claimed)
        for listing in held:
            pause = max(backoff(listing.attempt), timedelta(seconds=error.retry_after or 0))
            listing.next_attempt_at = now + pause
            listing.last_error = str(error)[:500]
            listing.state, listing.lease_until, listing.deaths = WorkState.WAITING, None, 0
        Listing.objects.bulk_update(held, ["next_attempt_at", "last_error", "state", "lease_until", "deaths"])


def _turn(now: datetime, *, is_found: bool) -> datetime:
    """Return when it is time again: never sooner than set, spread over some time, and at the full slot.

    Slots bring together what was asked for alone in between, so that calls stay few.
    """
    pause = timedelta(hours=settings.STORE_CHECK_HOURS) if is_found else NOT_FOUND_FOR
    slot = pause.total_seconds() / SLOTS
    at = now + pause * random.uniform(1, LATEST)  # noqa: S311  (spreads load, guards nothing)
    return datetime.fromtimestamp(math.ceil(at.timestamp() / slot) * slot, UTC)


def _fill(listing: Listing, item: StoreItem) -> bool:
    """Put what the store says into the listing; return whether it shows another version than before."""
    listing.outcome, listing.last_error = ListingOutcome.FOUND, ""
    for name in ("name", "developer", "bundle_id"):
        setattr(listing, name, getattr(item, name)[:250])
    listing.icon_url = item.icon_url if len(item.icon_url) <= 500 else ""
    listing.store_url = item.store_url if len(item.store_url) <= 500 else ""
    listing.description = item.description
    listing.genres = list(item.genres)
    listing.platforms = ",".join(
        dict.fromkeys(PLATFORMS[family] for family in item.device_families if family in PLATFORMS)
    )
    # Anybody may ask for what is no custom app; what is not sold any more will be missing then, and that is seen.
    listing.is_custom = listing.needs_token = item.is_custom
    listing.price = item.price_formatted[:40]
    listing.content_rating = item.content_rating[:20]
    listing.has_in_app_purchases = item.has_in_app_purchases
    return versions.take(listing, item)
