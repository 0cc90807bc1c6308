"""Lists are read whole each time: there is no version of an earlier read that Apple could refuse or leave empty."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.locations import Location, finish
from tokens.models import Assignment, ClientUser, SyncReason, SyncRun

pytestmark = pytest.mark.django_db


def test_no_sync_asks_since_a_version(make_location: Callable[..., Location]) -> None:
    location = make_location(assets=3, assignments=12, users=2, devices=6)
    token = location.mirrored()
    again = finish(SyncRun.objects.create(token=token, reason=SyncReason.MANUAL))
    assert again.state == "done"
    asked = [*location.asked("/assignments"), *location.asked("/users")]
    assert len(asked) >= 4
    assert not [one for one in asked if "sinceVersionId" in one["query"]]


def test_what_a_lost_delta_would_hide_is_seen_by_the_next_sync(make_location: Callable[..., Location]) -> None:
    location = make_location(assets=3, assignments=12, users=2, devices=6)
    token = location.mirrored()
    Assignment.objects.filter(asset__token=token).order_by("pk").first().delete()  # type: ignore[union-attr]  # there are 12
    ClientUser.objects.filter(token=token).delete()
    finish(SyncRun.objects.create(token=token, reason=SyncReason.MANUAL))
    assert Assignment.objects.filter(asset__token=token).count() == 12
    assert ClientUser.objects.filter(token=token).count() == 2
