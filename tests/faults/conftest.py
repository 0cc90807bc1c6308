"""What most of these tests begin with: a token whose mirror is level, and one of its apps."""

from __future__ import annotations

import pytest

from tests.changes import asset_of
from tests.locations import Location
from tokens.models import Asset, ContentToken


@pytest.fixture
def token(location: Location) -> ContentToken:
    """A token whose mirror is level."""
    return location.mirrored()


@pytest.fixture
def asset(token: ContentToken) -> Asset:
    """An app of it: 27 licenses, 6 of them in use."""
    return asset_of(token)
