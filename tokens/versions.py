"""Notice new versions of apps: Apple tells nobody about them, and keeps no list of those before."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from tokens.apple import StoreItem
from tokens.models import Listing, ListingVersion


def take(listing: Listing, item: StoreItem) -> bool:
    """Put the version the store shows into the listing; return whether it replaces another one.

    An answer without a version says nothing about versions: what was known stays.
    """
    before, shown = listing.external_version_id, item.external_version_id
    if shown is None and before is not None:
        return False
    listing.version, listing.minimum_os = item.version[:60], item.minimum_os[:20]
    listing.released_on, listing.release_notes = item.version_released_on, item.release_notes
    if shown == before:
        return False
    listing.external_version_id, listing.version_seen_at = shown, None
    return before is not None


def keep(listings: Iterable[Listing], now: datetime) -> None:
    """Give versions that were never seen their rows, and each listing the time when its version was seen first.

    A store that goes back to an older build, or to and fro between two, shows nothing that was not seen before.
    """
    unseen = [
        (entry, entry.external_version_id)
        for entry in listings
        if entry.external_version_id is not None and entry.version_seen_at is None
    ]
    if not unseen:
        return
    rows = [_row(entry, number, now) for entry, number in unseen]
    ListingVersion.objects.bulk_create(rows, ignore_conflicts=True)
    stored = ListingVersion.objects.filter(
        listing__in=[entry for entry, _ in unseen], external_version_id__in={number for _, number in unseen}
    )
    seen_at = {(row.listing_id, row.external_version_id): row.seen_at for row in stored}
    for entry, number in unseen:
        entry.version_seen_at = seen_at[entry.pk, number]


def _row(listing: Listing, number: int, now: datetime) -> ListingVersion:
    return ListingVersion(
        listing=listing,
        external_version_id=number,
        version=listing.version,
        minimum_os=listing.minimum_os,
        released_on=listing.released_on,
        release_notes=listing.release_notes,
        seen_at=now,
    )
