"""Whatever a store shows, in whatever order: each version is seen once, and the listing says what was shown last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import ListingFactory
from tokens import versions
from tokens.apple import StoreItem
from tokens.models import Listing

pytestmark = pytest.mark.django_db
START = datetime(2026, 11, 2, tzinfo=UTC)


@given(shown=st.lists(st.none() | st.integers(1, 4), min_size=1, max_size=12))
def test_each_version_is_seen_once_and_first(shown: list[int | None]) -> None:
    listing: Listing = ListingFactory(version="")
    told = 0
    for hour, number in enumerate(shown):
        item = StoreItem(listing.adam_id, "Name", version=f"1.{number}", external_version_id=number)
        told += versions.take(listing, item)
        versions.keep([listing], START + timedelta(hours=hour))
        listing.save()
    listing = Listing.objects.get(pk=listing.pk)
    numbers = [number for number in shown if number is not None]
    first = {number: START + timedelta(hours=shown.index(number)) for number in numbers}
    assert dict(listing.versions.values_list("external_version_id", "seen_at")) == first
    if numbers:
        assert listing.external_version_id == numbers[-1]
        assert listing.version_seen_at == first[numbers[-1]]
    assert told == sum(before != after for before, after in pairwise(numbers))
