"""A version is seen once, whatever a store shows after it, and nothing it shows makes a storm."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from tests.deliveries import taken
from tests.factories import ListingFactory
from tests.locations import Location
from tests.stores import looked_up, owner_of, questions, show
from tokens import storefront, versions
from tokens.apple import StoreItem
from tokens.models import Listing, ListingVersion
from tokens.queue import PROPAGATE

pytestmark = pytest.mark.django_db
START = datetime(2026, 11, 2, 8, tzinfo=UTC)


def checked(location: Location, hours: float) -> Listing:
    """Look everything up so many hours after the start; return the first app."""
    with time_machine.travel(START + timedelta(hours=hours)):
        Listing.objects.update(next_attempt_at=timezone.now())
        storefront.look_up()
    return Listing.objects.get(adam_id=location.adam_ids[0])


@pytest.fixture
def app(location: Location) -> Listing:
    """The first app of the location, looked up at the start."""
    with time_machine.travel(START):
        looked_up(owner_of(location))
    return Listing.objects.get(adam_id=location.adam_ids[0])


def seen(listing: Listing) -> dict[int, timedelta]:
    """Return how long after the start each version of the app was seen first."""
    rows = listing.versions.values_list("external_version_id", "seen_at")
    return {number: timedelta(hours=round((at - START).total_seconds() / 3600)) for number, at in rows}


def test_the_first_version_is_seen_when_the_app_is(app: Listing) -> None:
    (row,) = app.versions.all()
    assert (row.external_version_id, row.version) == (app.external_version_id, app.version)
    assert row.seen_at == app.version_seen_at
    assert abs(row.seen_at - START) < timedelta(minutes=1)


def test_a_new_version_is_kept_with_all_that_is_said_of_it(location: Location, app: Listing) -> None:
    shipped = location.sim.control("ship", adam_id=app.adam_id, version="9.0", notes="All new.", minimum_os="26.0")
    now = checked(location, 5)
    newest = now.versions.all()[0]
    assert newest.external_version_id == now.external_version_id == shipped["externalId"]
    facts = (newest.version, newest.minimum_os, newest.release_notes)
    assert facts == (now.version, now.minimum_os, now.release_notes) == ("9.0", "26.0", "All new.")
    assert newest.released_on == now.released_on == datetime.now(UTC).date()
    assert newest.seen_at == now.version_seen_at
    assert list(seen(now).values()) == [timedelta(hours=5), timedelta()]
    assert Listing.objects.exclude(pk=app.pk).filter(version_seen_at__gt=START + timedelta(hours=1)).count() == 0


def test_a_new_version_of_a_custom_app_is_seen_with_the_token(location: Location) -> None:
    location.tell("add-app", adam_id="1999", custom=True)
    token = owner_of(location, ["1999"])
    looked_up(token)
    shipped = location.sim.control("ship", adam_id="1999")
    Listing.objects.update(next_attempt_at=timezone.now())
    assert storefront.look_up() == 0
    assert looked_up(token) == 1
    listing = Listing.objects.get()
    assert listing.external_version_id == shipped["externalId"]
    assert listing.versions.count() == 2


def test_a_store_that_goes_back_shows_nothing_new(location: Location, app: Listing) -> None:
    location.sim.control("ship", adam_id=app.adam_id)
    newer = checked(location, 5).external_version_id
    assert show(location.sim, app.adam_id, -2) == app.external_version_id
    back = checked(location, 10)
    assert (back.external_version_id, back.version) == (app.external_version_id, app.version)
    assert back.version_seen_at == app.version_seen_at
    assert seen(back) == {newer: timedelta(hours=5), app.external_version_id: timedelta()}


def test_an_older_version_that_was_never_seen_is_seen_now(location: Location, app: Listing) -> None:
    number = show(location.sim, app.adam_id, 0)
    back = checked(location, 5)
    assert back.external_version_id == number < (app.external_version_id or 0)
    assert seen(back)[number] == timedelta(hours=5)


def test_two_stores_that_take_turns_make_no_storm(location: Location, app: Listing) -> None:
    location.sim.control("ship", adam_id=app.adam_id)
    checked(location, 5)
    for turn in range(2, 8):
        show(location.sim, app.adam_id, -2)
        checked(location, 5 * turn)
    assert sorted(seen(app).values()) == [timedelta(), timedelta(hours=5)]
    assert len(questions(location.sim)) == 8


def test_a_version_that_disappears_and_comes_back_was_seen_before(location: Location, app: Listing) -> None:
    location.sim.control("storefronts", adam_id=app.adam_id, missing=["us"])
    gone = checked(location, 5)
    assert (gone.external_version_id, gone.version) == (app.external_version_id, app.version)
    location.sim.control("storefronts", adam_id=app.adam_id, missing=[])
    Listing.objects.update(needs_token=False)
    back = checked(location, 10)
    assert (back.version_seen_at, back.versions.count()) == (app.version_seen_at, 1)


def test_an_answer_without_a_version_keeps_the_one_that_is_known() -> None:
    listing = ListingFactory(external_version_id=7, released_on=date(2026, 1, 1), release_notes="Old.")
    assert not versions.take(listing, StoreItem(listing.adam_id, "Name"))
    assert (listing.version, listing.minimum_os, listing.external_version_id) == ("3.2.1", "17.0", 7)
    assert (listing.released_on, listing.release_notes) == (date(2026, 1, 1), "Old.")


def test_an_app_that_never_had_a_version_has_no_rows() -> None:
    listing = ListingFactory(version="")
    assert not versions.take(listing, StoreItem(listing.adam_id, "A book"))
    versions.keep([listing], timezone.now())
    assert (listing.version_seen_at, ListingVersion.objects.count()) == (None, 0)


def test_what_was_known_before_versions_were_kept_is_seen_at_the_next_check(location: Location, app: Listing) -> None:
    Listing.objects.update(version_seen_at=None)
    ListingVersion.objects.all().delete()
    now = checked(location, 5)
    assert seen(now) == {app.external_version_id: timedelta(hours=5)}


@pytest.mark.django_db(transaction=True)
def test_updates_are_sent_out_for_another_version_and_for_nothing_else(
    location: Location, app: Listing, make_location: Callable[..., Location]
) -> None:
    checked(location, 5)
    assert PROPAGATE not in {task for task, _ in taken()}
    for adam_id in location.adam_ids[:3]:
        location.sim.control("ship", adam_id=adam_id)
    checked(location, 10)
    assert [task for task, _ in taken()].count(PROPAGATE) == 1, "once for all apps of a call"
