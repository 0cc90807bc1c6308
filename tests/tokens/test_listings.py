"""Apps are looked up in batches, each once for the whole installation, and never stay without an answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from tests.deliveries import taken
from tests.factories import AssetFactory, ContentTokenFactory, ListingFactory
from tests.locations import Location, finish, sync_now
from tests.stores import LOOKUP, looked_up, outcomes, owner_of
from tests.stores import questions as all_questions
from tokens import entries, listings, storefront
from tokens.apple import AppleUnavailable
from tokens.models import Asset, ContentToken, Listing, ListingOutcome, TokenStatus
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db
FOUND, NOT_FOUND, UNKNOWN = ListingOutcome.FOUND, ListingOutcome.NOT_FOUND, ListingOutcome.UNKNOWN


def owner(*adam_ids: str, region: str = "US", **fields) -> ContentToken:
    """Return a token that owns these apps, with their listings enrolled."""
    token = ContentTokenFactory(region=region, **fields)
    for adam_id in adam_ids:
        AssetFactory(token=token, adam_id=adam_id)
    listings.enroll(token)
    return token


def questions(location: Location) -> list[list[str]]:
    """Return the ids of each lookup made so far."""
    return [question.adam_ids for question in all_questions(location.sim)]


# --- Which are due ----------------------------------------------------------------------------------------------------


def test_each_product_is_enrolled_once_a_storefront() -> None:
    token = owner("1", "2")
    AssetFactory(token=token, adam_id="2", pricing_param="PLUS")
    owner("2", "3")
    owner("3", region="DE")
    listings.enroll(token)
    rows = Listing.objects.order_by("storefront", "adam_id").values_list("adam_id", "storefront")
    assert list(rows) == [("3", "DE"), ("1", "US"), ("2", "US"), ("3", "US")]


def test_what_is_gone_from_the_token_is_not_enrolled() -> None:
    token = ContentTokenFactory()
    AssetFactory(token=token, gone=True)
    listings.enroll(token)
    assert not Listing.objects.exists()


def test_only_usable_tokens_that_own_something_due_have_work() -> None:
    token = owner("1")
    owner("2", revoked=True)
    owner("3", deleted=True)
    owner("4", region="DE")
    Listing.objects.filter(storefront="DE").update(next_attempt_at=timezone.now() + timedelta(hours=1))
    assert listings.tokens_with_work() == [token.pk]


# --- Looking up -------------------------------------------------------------------------------------------------------


def test_a_lookup_stores_what_the_store_says(location: Location) -> None:
    token = owner_of(location)
    assert looked_up(token) == 5
    listing = Listing.objects.get(adam_id=location.adam_ids[0])
    product = location.sim.world.store.find(listing.adam_id)
    assert product is not None
    assert (listing.name, listing.developer, listing.bundle_id) == (product.name, product.developer, product.bundle_id)
    assert (listing.outcome, listing.checked_with, listing.state) == (FOUND, token, WorkState.WAITING)
    assert listing.icon_url.startswith(location.sim.url)
    assert listing.version
    assert listing.external_version_id


def test_apps_are_asked_for_in_batches(make_location: Callable[..., Location]) -> None:
    location = make_location(assets=120)
    assert looked_up(owner_of(location)) == 120
    assert [len(ids) for ids in questions(location)] == [50, 50, 20]


def test_what_was_looked_up_is_due_again_after_the_set_time_and_not_sooner(
    make_location: Callable[..., Location], settings: Any
) -> None:
    settings.STORE_CHECK_HOURS = 10
    token, before = owner_of(make_location(assets=60)), timezone.now()
    looked_up(token)
    assert looked_up(token) == 0
    times = sorted(Listing.objects.values_list("next_attempt_at", flat=True))
    assert before + timedelta(hours=10) <= times[0] <= times[-1] <= timezone.now() + timedelta(hours=12, minutes=13)
    assert len(set(times)) <= 2, "what was asked for in one call is due together"


def test_calls_come_spread_over_time_and_in_slots() -> None:
    now = timezone.now()
    turns = {entries._turn(now, is_found=True) for _ in range(300)}
    assert 10 <= len(turns) <= 11
    assert max(turns) - min(turns) > timedelta(minutes=40)


def test_what_was_not_found_is_left_alone_for_a_day(location: Location) -> None:
    token = owner_of(location, ["4711"])
    looked_up(token)
    pause = Listing.objects.get().next_attempt_at - timezone.now()
    assert timedelta(hours=24) - timedelta(minutes=1) < pause < timedelta(hours=30)


def test_custom_apps_are_asked_for_with_a_token_for_ever_and_public_ones_once(location: Location) -> None:
    location.tell("add-app", adam_id="1999", custom=True)
    token = owner_of(location)
    looked_up(token)
    assert list(Listing.objects.filter(needs_token=True).values_list("adam_id", flat=True)) == ["1999"]
    with time_machine.travel(timezone.now() + timedelta(hours=6)):
        assert listings.tokens_with_work() == [token.pk]
        assert looked_up(token) == 1
    assert questions(location)[-1] == ["1999"]


def test_an_app_of_two_tokens_is_looked_up_once(make_location: Callable[..., Location]) -> None:
    first, second = make_location(assets=4), make_location(assets=0)
    for key, asset in first.world.assets.items():
        second.world.assets[key] = asset
    for location in (first, second):
        assert finish(location.upload()).state == WorkState.DONE
    asked = [adam_id for ids in questions(first) for adam_id in ids]
    assert sorted(asked) == first.adam_ids


def test_a_custom_app_that_one_token_cannot_see_is_asked_for_with_the_other(
    make_location: Callable[..., Location],
) -> None:
    """A custom app is shown to its owners only, and here one owner does not own it at Apple any more."""
    stranger, real_owner = make_location(assets=1), make_location(assets=1)
    real_owner.tell("add-app", adam_id="1999", custom=True)
    without, with_it = owner_of(stranger, ["1999"]), owner_of(real_owner, ["1999"])
    looked_up(without)
    assert outcomes()["1999"] == NOT_FOUND
    listings.enroll(with_it)
    assert looked_up(without) == 0, "left to the token that has not asked yet"
    assert listings.tokens_with_work() == [with_it.pk]
    assert looked_up(with_it) == 1
    assert outcomes()["1999"] == FOUND
    assert Listing.objects.get().is_custom


def test_an_app_nobody_finds_is_not_asked_for_in_turns(make_location: Callable[..., Location]) -> None:
    first, second = (owner_of(make_location(assets=1), ["4711"]) for _ in range(2))
    looked_up(first)
    listings.enroll(second)
    looked_up(second)
    assert listings.tokens_with_work() == []


def test_asking_again_is_about_what_was_not_found_only() -> None:
    token = owner("1", "2", "3")
    Listing.objects.update(next_attempt_at=timezone.now() + timedelta(hours=1))
    Listing.objects.filter(adam_id__in=["1", "2"]).update(outcome=NOT_FOUND, checked_with=token)
    Listing.objects.filter(adam_id="3").update(outcome=FOUND)
    listings.ask_again(token, ["1", "3"])
    assert outcomes() == {"1": UNKNOWN, "2": NOT_FOUND, "3": FOUND}
    assert [listing.adam_id for listing in listings.due(token)] == ["1"]


def test_an_app_that_left_the_store_keeps_its_name(location: Location) -> None:
    token = owner_of(location)
    looked_up(token)
    adam_id = location.adam_ids[0]
    name = Listing.objects.get(adam_id=adam_id).name
    location.sim.control("storefronts", adam_id=adam_id, missing=["us"])
    with time_machine.travel(timezone.now() + timedelta(hours=28)):
        storefront.look_up()
        looked_up(token)
    gone = Listing.objects.get(adam_id=adam_id)
    assert (gone.outcome, gone.name) == (NOT_FOUND, name)


# --- Now ------------------------------------------------------------------------------------------------------------


def test_an_app_is_checked_now_in_the_stores_that_list_it() -> None:
    owner("1", "2")
    owner("1", region="DE")
    Listing.objects.update(next_attempt_at=timezone.now() + timedelta(hours=1))
    assert listings.check_now(["1"]) == 2
    assert set(Listing.objects.due().values_list("adam_id", "storefront")) == {("1", "US"), ("1", "DE")}
    assert listings.check_now(["4711"]) == 0


@pytest.mark.django_db(transaction=True)
def test_checking_now_hurries_the_tokens_that_own_the_app_and_the_check_without_one() -> None:
    first, _revoked = owner("1"), owner("1", revoked=True)
    Listing.objects.update(next_attempt_at=timezone.now() + timedelta(hours=1))
    listings.check_now(["1"])
    assert set(taken()) == {("tokens.tasks.check_store", ()), ("tokens.tasks.look_up_listings", (first.pk,))}
    listings.check_now(["4711"])
    assert list(taken()) == []


def test_what_is_being_looked_up_is_not_asked_for_twice() -> None:
    token = owner("1")
    entries.claim(listings.due(token))
    assert listings.check_now(["1"]) == 0


def test_an_app_that_was_not_found_today_can_be_checked_now(location: Location) -> None:
    token = owner_of(location, ["1999"])
    looked_up(token)
    assert outcomes() == {"1999": NOT_FOUND}
    location.tell("add-app", adam_id="1999", custom=True)
    assert looked_up(token) == 0
    listings.check_now(["1999"])
    assert looked_up(token) == 1
    assert outcomes() == {"1999": FOUND}


# --- Trouble ----------------------------------------------------------------------------------------------------------


def test_a_store_that_is_down_puts_the_apps_off_with_growing_pauses(location: Location) -> None:
    token = owner_of(location)
    location.sim.control("faults", path=LOOKUP, status=503, body="down", times=-1)
    pauses = []
    for _ in range(3):
        Listing.objects.update(next_attempt_at=timezone.now())
        assert looked_up(token) == 0
        listing = Listing.objects.order_by("pk")[0]
        pauses.append((listing.next_attempt_at - timezone.now()).total_seconds())
        assert (listing.state, listing.lease_until, listing.outcome) == (WorkState.WAITING, None, UNKNOWN)
        assert listing.last_error
    assert 14 < pauses[0] < 19 < 28 < pauses[1] < 37 < 57 < pauses[2] < 73


def test_the_store_is_left_alone_for_as_long_as_it_asks(location: Location) -> None:
    token = owner_of(location)
    location.sim.control("faults", path=LOOKUP, status=503, body="down", headers={"Retry-After": "600"})
    looked_up(token)
    pauses = [due - timezone.now() for due in Listing.objects.values_list("next_attempt_at", flat=True)]
    assert min(pauses) > timedelta(seconds=590)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_store_that_refuses_says_nothing_about_the_token(location: Location, status: int) -> None:
    token = owner_of(location)
    location.sim.control("faults", path=LOOKUP, status=status, body="no", times=-1)
    assert looked_up(token) == 0
    assert ContentToken.objects.get().status == TokenStatus.ACTIVE
    assert set(outcomes().values()) == {UNKNOWN}


def test_a_revoked_token_is_noticed_before_its_custom_apps_seem_to_be_gone(location: Location) -> None:
    location.tell("add-app", adam_id="1999", custom=True)
    token = owner_of(location)
    looked_up(token)
    location.tell("revoke")
    with time_machine.travel(timezone.now() + timedelta(hours=28)):
        assert looked_up(token) == 0
    assert outcomes()["1999"] == FOUND
    assert ContentToken.objects.get().status == TokenStatus.REVOKED


def test_nothing_due_asks_nobody(location: Location) -> None:
    token = owner_of(location)
    looked_up(token)
    asked = len(location.asked())
    assert looked_up(token) == 0
    assert len(location.asked()) == asked


def test_a_worker_that_lost_its_claim_stores_nothing(location: Location) -> None:
    token = owner_of(location)
    claimed = entries.claim(listings.due(token))
    Listing.objects.update(epoch=99, name="Theirs")
    listings.store(claimed, {}, token)
    entries.put_off(claimed, AppleUnavailable())
    assert set(Listing.objects.values_list("name", "outcome", "state")) == {("Theirs", UNKNOWN, WorkState.RUNNING)}


def test_what_took_a_worker_down_is_looked_up_alone(location: Location) -> None:
    token = owner_of(location)
    assert len(entries.claim(listings.due(token))) == 5
    with time_machine.travel(timezone.now() + Listing.lease + timedelta(seconds=1)):
        looked_up(token)
    assert [len(ids) for ids in questions(location)] == [1] * 5
    assert set(Listing.objects.values_list("deaths", "outcome")) == {(0, FOUND)}


def test_what_takes_every_worker_down_is_given_up_without_asking(location: Location) -> None:
    token = owner_of(location)
    Listing.objects.filter(adam_id=location.adam_ids[0]).update(deaths=Listing.max_deaths)
    looked_up(token)
    assert location.adam_ids[0] not in [adam_id for ids in questions(location) for adam_id in ids]
    poison = Listing.objects.get(adam_id=location.adam_ids[0])
    assert (poison.outcome, poison.deaths) == (NOT_FOUND, 0)
    assert "several times" in poison.last_error
    assert list(outcomes().values()).count(FOUND) == 4


def test_a_store_that_is_down_does_not_hold_a_sync_up(location: Location) -> None:
    location.sim.control("faults", path=LOOKUP, status=503, body="down", times=-1)
    token = location.mirrored()
    assert Asset.objects.filter(token=token).count() == 5
    assert set(outcomes().values()) == {UNKNOWN}
    location.sim.world.faults.clear()
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        assert listings.tokens_with_work() == [token.pk]
        assert looked_up(token) == 5


def test_a_sync_asks_again_for_what_only_this_token_may_find(make_location: Callable[..., Location]) -> None:
    location = make_location(assets=1)
    location.tell("add-app", adam_id="1999", custom=True)
    stranger = ContentTokenFactory()
    ListingFactory(adam_id="1999", not_found=True, state=WorkState.WAITING, checked_with=stranger)
    Listing.objects.update(next_attempt_at=timezone.now() + timedelta(hours=20))
    token = location.mirrored()
    assert outcomes()["1999"] == FOUND
    assert len(questions(location)) == 1
    sync_now(token)
    assert len(questions(location)) == 1
