"""Events that are late, stuck or forgotten at Apple, and lists that lag behind: nothing is lost and nothing doubled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from tests.changes import (
    ASSOCIATE,
    DISASSOCIATE,
    STATUS,
    assert_agreed,
    carry_out_due,
    events,
    give,
    given,
    known_devices,
    messages,
    sent,
    settle_all,
    states,
    take,
    trouble,
)
from tests.locations import Location, Mirror, assert_level, sync_now
from tokens import operations
from tokens.models import Asset, ContentToken, OperationKind

pytestmark = pytest.mark.django_db


def test_a_list_that_lags_behind_takes_nothing_away(location: Location, token: ContentToken, asset: Asset) -> None:
    events(location, lag=1.5)
    devices = known_devices(3)
    give(asset, devices)
    with time_machine.travel(timezone.now(), tick=True) as clock:
        carry_out_due()
        clock.shift(timedelta(seconds=3))
        carry_out_due()
    assert states() == {"done": 3}
    assert len(location.assignments) == 30, "not listed yet"
    sync_now(token)
    assert asset.assignments.count() == 6 + 3
    location.sim.control("settle")
    sync_now(token)
    assert_level(token, location)


def test_after_two_minutes_the_list_is_believed(location: Location, token: ContentToken, asset: Asset) -> None:
    devices = given(location, asset)
    location.tell("take-back", adam_id=asset.adam_id, serial_numbers=[devices[0].serial_number])
    sync_now(token)
    assert asset.assignments.count() == 6 + 3
    with time_machine.travel(timezone.now() + timedelta(minutes=3)):
        sync_now(token)
    assert_level(token, location)


def test_a_license_taken_back_does_not_come_again_with_an_old_list(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    devices = given(location, asset)
    take(asset, devices)
    settle_all(location)
    location.tell(
        "assign", adam_id=asset.adam_id, serial_numbers=[devices[0].serial_number]
    )  # as an old list would show
    sync_now(token)
    assert asset.assignments.count() == 6
    with time_machine.travel(timezone.now() + timedelta(minutes=3)):
        sync_now(token)
    assert_level(token, location)


def test_an_event_that_stays_pending_is_sent_again_after_ten_minutes(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    events(location, {"pending": True})
    give(asset, known_devices(3))
    took = settle_all(location)
    assert_agreed(token, location)
    assert sent(location) == [3, 3]
    assert timedelta(minutes=10) < took < timedelta(minutes=11)
    looks = [entry["query"]["eventId"] for entry in location.asked(STATUS)]
    assert looks.count(looks[0]) <= 21, "not more often than every half minute"
    location.sim.control("release-events")
    location.sim.control("settle")
    assert_agreed(token, location)


def test_an_event_that_is_stuck_though_done_is_not_sent_again(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    trouble(location, STATUS, times=-1, merge={"eventStatus": "PENDING"})
    give(asset, known_devices(3))
    settle_all(location)
    assert_agreed(token, location)
    assert sent(location) == [3]


def test_events_that_are_all_stuck_are_given_up_in_the_end(location: Location, asset: Asset) -> None:
    events(location, *[{"pending": True}] * operations.MOST_SENDS)
    give(asset, known_devices(1))
    settle_all(location)
    assert len(sent(location)) == operations.MOST_SENDS
    assert messages() == {(None, operations.GIVEN_UP)}


@pytest.mark.parametrize("kind", ["give", "take"])
def test_an_event_apple_has_forgotten_is_looked_up_in_the_lists(
    location: Location, token: ContentToken, asset: Asset, kind: str
) -> None:
    devices = given(location, asset) if kind == "take" else known_devices(3)
    events(location, {"forget": True})
    take(asset, devices) if kind == "take" else give(asset, devices)
    settle_all(location)
    assert_agreed(token, location)
    assert sent(location, DISASSOCIATE if kind == "take" else ASSOCIATE) == [3]


@pytest.mark.parametrize("status", [{"status": 500}, {"status": 503, "headers": {"Retry-After": "60"}}, {"body": "?"}])
def test_a_look_that_fails_is_repeated(
    location: Location, token: ContentToken, asset: Asset, status: dict[str, Any]
) -> None:
    trouble(location, STATUS, times=4, **status)
    give(asset, known_devices(3))
    settle_all(location)
    assert_agreed(token, location)
    assert sent(location) == [3]


def test_counts_that_cannot_be_read_do_not_hold_up_the_license(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    trouble(location, "/assets", times=4, status=500)
    give(asset, known_devices(3))
    settle_all(location)
    assert Mirror(token).assignments == location.assignments
    sync_now(token)
    assert_level(token, location)


def test_a_license_is_not_taken_for_given_back_because_a_moving_list_lacks_it(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    location.sim.control("page-size", size=2)
    devices = given(location, asset, 8)
    trouble(location, DISASSOCIATE, drop="before")
    take(asset, devices)
    location.tell("move-version", listing="assignments", page=1, times=3)
    settle_all(location)
    assert_agreed(token, location)
    assert states(kind=OperationKind.REVOKE) == {"dropped": 8}
