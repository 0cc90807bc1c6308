"""Public apps are asked for once for everybody, and no token has to work for that."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from tests.factories import AppFactory, AssetFactory, ContentTokenFactory
from tests.faults.test_at_once import at_once
from tests.locations import Location
from tests.production import PRODUCTION
from tests.stores import LOOKUP, looked_up, outcomes, owner_of, questions
from tokens import entries, listings, storefront, tasks
from tokens.models import ContentToken, Listing, ListingOutcome, TokenStatus
from vppportal.embedded import make_encryption_key, make_secret_key
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db
FOUND, NOT_FOUND, UNKNOWN = ListingOutcome.FOUND, ListingOutcome.NOT_FOUND, ListingOutcome.UNKNOWN


@contextmanager
def hours_later(hours: float = 6) -> Iterator[None]:
    """Let some hours pass: those after which everything that was found is due again."""
    with time_machine.travel(timezone.now() + timedelta(hours=hours)):
        yield


def known(location: Location, **fields) -> ContentToken:
    """Return a token of the location whose apps were looked up once; that lookup is not counted."""
    token = owner_of(location, **fields)
    looked_up(token)
    location.sim.world.log.clear()
    return token


def public() -> list[str]:
    """Return the apps that anybody may ask for; large locations own custom ones as well."""
    return sorted(Listing.objects.filter(needs_token=False).values_list("adam_id", flat=True))


def adam_ids_due() -> list[str]:
    return sorted(storefront.due().values_list("adam_id", flat=True))


# --- Which are due ----------------------------------------------------------------------------------------------------


def test_what_everybody_may_see_is_asked_for_without_a_token(location: Location) -> None:
    token = known(location)
    assert storefront.look_up() == 0
    with hours_later():
        assert listings.tokens_with_work() == []
        assert storefront.look_up() == 5
        assert storefront.look_up() == 0
        assert not Listing.objects.filter(checked_at__lt=timezone.now() - timedelta(minutes=1)).exists()
    assert [(len(question.adam_ids), question.location) for question in questions(location.sim)] == [(5, "")]
    assert Listing.objects.filter(outcome=FOUND, checked_with=None, needs_token=False).count() == 5
    assert token.is_usable


def test_an_app_of_two_tokens_is_asked_for_once(make_location: Callable[..., Location]) -> None:
    first, second = make_location(assets=4), make_location(assets=0)
    known(first)
    known(second, adam_ids=first.adam_ids)
    with hours_later():
        storefront.look_up()
    assert [(sorted(question.adam_ids), question.location) for question in questions(first.sim)] == [
        (first.adam_ids, "")
    ]


def test_what_was_never_looked_up_or_is_a_custom_app_is_left_to_the_tokens(location: Location) -> None:
    location.tell("add-app", adam_id="1999", custom=True)
    known(location)
    unknown = AssetFactory(token=ContentTokenFactory(revoked=True))
    listings.enroll(unknown.token)
    with hours_later():
        assert adam_ids_due() == sorted(set(location.adam_ids) - {"1999"})
        storefront.look_up()
    assert outcomes()[unknown.adam_id] == UNKNOWN
    assert not any("1999" in question.adam_ids for question in questions(location.sim))


def test_what_nobody_owns_and_the_catalog_does_not_hold_is_not_asked_for(location: Location) -> None:
    known(location)
    ContentToken.objects.update(deleted_at=timezone.now())
    used = Listing.objects.order_by("pk")[0]
    AppFactory(listing=used)
    with hours_later():
        assert adam_ids_due() == [used.adam_id]


def test_what_left_the_token_is_not_asked_for(location: Location) -> None:
    token = known(location)
    token.assets.update(gone_at=timezone.now())
    with hours_later():
        assert adam_ids_due() == []


@pytest.mark.parametrize("status", [TokenStatus.REVOKED, TokenStatus.EXPIRED, TokenStatus.CLAIMED_ELSEWHERE])
def test_a_token_that_apple_refuses_stops_nothing(location: Location, status: TokenStatus) -> None:
    known(location)
    ContentToken.objects.update(status=status)
    with hours_later():
        assert storefront.look_up() == 5
    assert [question.location for question in questions(location.sim)] == [""]


# --- How they are asked for -------------------------------------------------------------------------------------------


def test_apps_are_asked_for_in_batches(make_location: Callable[..., Location]) -> None:
    location = make_location(assets=120)
    known(location)
    number = len(public())
    with hours_later():
        assert storefront.look_up() == number > 100
    assert sorted(len(question.adam_ids) for question in questions(location.sim)) == [number - 100, 50, 50]


def test_each_store_is_asked_about_its_own(make_location: Callable[..., Location]) -> None:
    here, abroad = make_location(assets=2), make_location(assets=2)
    known(here, region="US")
    known(abroad, adam_ids=here.adam_ids, region="DE", consents=("accept_region",))
    with hours_later():
        assert storefront.look_up() == 4
    assert sorted(question.storefront for question in questions(here.sim)) == ["de", "us"]


@pytest.mark.parametrize(
    ("platforms", "asked"),
    [
        (["enterprisestore"], "enterprisestore"),
        (["volumestore", "volumestore"], "volumestore"),
        (["volumestore", "enterprisestore"], "enterprisestore"),
    ],
)
def test_the_store_is_that_of_all_who_own_the_app(location: Location, platforms: list[str], asked: str) -> None:
    known(location)
    ContentToken.objects.update(store_platform=platforms[0])
    for platform in platforms[1:]:
        other = ContentTokenFactory(store_platform=platform)
        for adam_id in location.adam_ids:
            AssetFactory(token=other, adam_id=adam_id)
    with hours_later():
        assert storefront.look_up() == 5
    assert [question.platform for question in questions(location.sim)] == [asked]


def test_schools_and_companies_are_asked_for_apart(make_location: Callable[..., Location]) -> None:
    school, company = known(make_location(assets=2)), known(make_location(assets=3))
    ContentToken.objects.filter(pk=school.pk).update(store_platform="volumestore")
    sim = make_location(assets=0).sim
    with hours_later():
        assert storefront.look_up() == 5
    assert company.is_usable
    asked = [(question.platform, len(question.adam_ids)) for question in questions(sim)]
    assert asked == [("enterprisestore", 3), ("volumestore", 2)]


# --- What the store does not show -------------------------------------------------------------------------------------


def test_what_is_not_sold_any_more_is_asked_for_with_a_token_that_owns_it(location: Location) -> None:
    token, adam_id = known(location), location.adam_ids[0]
    location.sim.control("delist", adam_id=adam_id)
    before = Listing.objects.get(adam_id=adam_id)
    with hours_later():
        storefront.look_up()
        handed_over = Listing.objects.get(adam_id=adam_id)
        assert (handed_over.outcome, handed_over.name, handed_over.needs_token) == (FOUND, before.name, True)
        assert handed_over.checked_at == before.checked_at, "what is known is as old as before"
        assert not handed_over.is_lost, "a token is still to be asked with"
        assert listings.tokens_with_work() == [token.pk]
        assert adam_ids_due() == []
        assert looked_up(token) == 1
        assert looked_up(token) == storefront.look_up() == 0
    after = Listing.objects.get(adam_id=adam_id)
    assert (after.outcome, after.checked_with, after.needs_token) == (FOUND, token, False)
    assert [question.location for question in questions(location.sim)] == ["", location.key]


def test_what_no_token_finds_either_is_gone_and_left_alone_for_a_day(location: Location) -> None:
    token, adam_id = known(location), location.adam_ids[0]
    before = Listing.objects.get(adam_id=adam_id)
    location.sim.control("storefronts", adam_id=adam_id, missing=["us"])
    with hours_later(6):
        storefront.look_up()
        looked_up(token)
    assert outcomes()[adam_id] == NOT_FOUND
    lost = Listing.objects.get(adam_id=adam_id)
    assert lost.checked_at == before.checked_at, "what is known is as old as before"
    assert lost.asked_at is not None
    assert lost.asked_at > timezone.now() + timedelta(hours=5)
    assert lost.is_lost
    with hours_later(24):
        storefront.look_up()
        looked_up(token)
    assert sum(adam_id in question.adam_ids for question in questions(location.sim)) == 2
    location.sim.control("storefronts", adam_id=adam_id, missing=[])
    with hours_later(48):
        looked_up(token)
    assert outcomes()[adam_id] == FOUND
    assert not Listing.objects.get(adam_id=adam_id).is_lost


def test_without_a_usable_token_what_is_not_shown_keeps_its_facts_until_it_comes_back(location: Location) -> None:
    known(location)
    ContentToken.objects.update(status=TokenStatus.REVOKED)
    adam_id = location.adam_ids[0]
    location.sim.control("delist", adam_id=adam_id)
    with hours_later(6):
        storefront.look_up()
        assert storefront.look_up() == 0, "not asked for again at once"
        missing = Listing.objects.get(adam_id=adam_id)
    assert (missing.outcome, bool(missing.name), missing.last_error) == (FOUND, True, storefront.NOT_SHOWN)
    assert missing.is_lost
    location.sim.control("delist", adam_id=adam_id, back=True)
    with hours_later(12):
        storefront.look_up()
        back = Listing.objects.get(adam_id=adam_id)
        assert back.checked_at is not None
        assert back.checked_at > timezone.now() - timedelta(minutes=1)
    assert (back.last_error, back.is_lost) == ("", False)


def test_what_was_left_to_a_token_that_is_refused_then_is_asked_for_by_everybody_again(location: Location) -> None:
    known(location)
    adam_id = location.adam_ids[0]
    Listing.objects.filter(adam_id=adam_id).update(needs_token=True)
    Listing.objects.exclude(adam_id=adam_id).delete()
    with hours_later():
        assert storefront.look_up() == 0
        ContentToken.objects.update(status=TokenStatus.EXPIRED)
        assert storefront.look_up() == 1
    assert not Listing.objects.get().needs_token


# --- Trouble ----------------------------------------------------------------------------------------------------------


def test_a_store_that_is_down_puts_the_apps_off_with_growing_pauses(location: Location) -> None:
    known(location)
    location.sim.control("faults", path=LOOKUP, status=503, body="down", times=-1)
    pauses = []
    for _ in range(3):
        Listing.objects.update(next_attempt_at=timezone.now())
        assert storefront.look_up() == 0
        listing = Listing.objects.order_by("pk")[0]
        pauses.append((listing.next_attempt_at - timezone.now()).total_seconds())
        assert (listing.state, listing.lease_until, listing.outcome) == (WorkState.WAITING, None, FOUND)
        assert listing.last_error
    assert 14 < pauses[0] < 19 < 28 < pauses[1] < 37 < 57 < pauses[2] < 73


def test_the_store_is_left_alone_for_as_long_as_it_asks(location: Location) -> None:
    known(location)
    Listing.objects.update(next_attempt_at=timezone.now())
    location.sim.control("faults", path=LOOKUP, status=503, body="down", headers={"Retry-After": "600"})
    storefront.look_up()
    pauses = [due - timezone.now() for due in Listing.objects.values_list("next_attempt_at", flat=True)]
    assert min(pauses) > timedelta(seconds=590)
    Listing.objects.update(next_attempt_at=timezone.now())
    storefront.look_up()
    assert len(questions(location.sim)) == 1


def test_one_store_that_is_down_holds_no_other_up(make_location: Callable[..., Location]) -> None:
    here, abroad = make_location(assets=2), make_location(assets=2)
    known(abroad, adam_ids=here.adam_ids, region="DE", consents=("accept_region",))
    known(here, region="US")
    Listing.objects.update(next_attempt_at=timezone.now())
    here.sim.control("faults", path=LOOKUP, status=500, body="down", times=3)
    assert storefront.look_up() == 2
    assert [question.storefront for question in questions(here.sim)] == ["de", "de", "de", "us"]
    assert set(Listing.objects.due().values_list("storefront", flat=True)) == set()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_store_that_answers_to_tokens_only_is_asked_with_them(location: Location, status: int) -> None:
    token = known(location)
    location.sim.control("faults", path=LOOKUP, status=status, body="no")
    with hours_later():
        storefront.look_up()
        assert looked_up(token) == 5
    assert [question.location for question in questions(location.sim)] == ["", location.key]
    assert set(outcomes().values()) == {FOUND}


def test_what_took_a_worker_down_is_looked_up_alone(location: Location) -> None:
    known(location)
    with hours_later():
        assert len(entries.claim(storefront.due())) == 5
        with time_machine.travel(timezone.now() + Listing.lease + timedelta(seconds=1)):
            assert storefront.look_up() == 5
    assert [len(question.adam_ids) for question in questions(location.sim)] == [1] * 5


def test_what_takes_every_worker_down_is_given_up_without_asking_and_keeps_its_facts(location: Location) -> None:
    known(location)
    poison = Listing.objects.order_by("pk")[0]
    Listing.objects.filter(pk=poison.pk).update(deaths=Listing.max_deaths)
    with hours_later():
        storefront.look_up()
        assert storefront.look_up() == 0
    assert not any(poison.adam_id in question.adam_ids for question in questions(location.sim))
    poison.refresh_from_db()
    assert (poison.outcome, poison.deaths, poison.needs_token) == (FOUND, 0, False)
    assert "several times" in poison.last_error


@pytest.mark.django_db(transaction=True)
def test_two_workers_ask_for_each_app_once(make_location: Callable[..., Location]) -> None:
    location = make_location(assets=180)
    known(location)
    Listing.objects.update(next_attempt_at=timezone.now())
    at_once(*[tasks.check_store] * 3)
    asked = [adam_id for question in questions(location.sim) for adam_id in question.adam_ids]
    assert sorted(asked) == public()
    assert set(Listing.objects.values_list("state", "deaths")) == {(WorkState.WAITING, 0)}


@pytest.mark.parametrize("number", [10, 40])
def test_a_batch_costs_the_same_whatever_its_size(
    make_location: Callable[..., Location], number: int, django_assert_max_num_queries
) -> None:
    known(make_location(assets=number))
    Listing.objects.update(next_attempt_at=timezone.now(), version_seen_at=None)
    with django_assert_max_num_queries(30):
        assert storefront.look_up() == len(public())


@pytest.mark.once
@pytest.mark.parametrize("hours", ["0", "-4", "9000"])
def test_asking_all_the_time_or_never_stops_the_start(hours: str) -> None:
    keys = {"SECRET_KEY": make_secret_key(), "TOKEN_ENCRYPTION_KEYS": make_encryption_key()}
    command = [sys.executable, "-c", "from vppportal import settings"]
    given = {**os.environ, **PRODUCTION, **keys, "STORE_CHECK_HOURS": hours}
    ended = subprocess.run(command, env=given, capture_output=True, check=False)
    assert ended.returncode == 1
    assert "STORE_CHECK_HOURS must be" in ended.stderr.decode()
