"""A sync claims the location, levels the mirror, and ends in a state that says what happened."""

from __future__ import annotations

import pytest

from tests.locations import Location, assert_level

pytestmark = pytest.mark.django_db


def test_a_first_sync_mirrors_the_location(location: Location) -> None:
    token = location.mirrored()
    assert_level(token, location)
    assert token.synced_at
