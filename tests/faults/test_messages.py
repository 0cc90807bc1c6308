"""Messages to workers may be lost, doubled, mixed up or carried out at the same time: the end is the same."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from catalog import additions
from catalog.models import Addition, App, Outcome
from tests.deliveries import deliver, run, sweep, taken
from tests.factories import UserFactory
from tests.locations import Location, assert_level
from tests.processes import Valkey
from tokens import registration, removal, tasks
from tokens.models import ContentToken, Listing, SyncReason, SyncRun
from vppportal.activity.models import Entry
from vppportal.work import WorkState, nudge

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shared(make_location: Callable[..., Location]) -> list[Location]:
    """Two locations that own some of the same apps, a custom one and one that the store lacks among them."""
    first, second = make_location(assets=6, assignments=20, users=2, devices=5), make_location(assets=2)
    for key in list(first.world.assets)[:3]:
        second.world.assets[key] = first.world.assets[key]
    first.tell("add-app", adam_id="1999", custom=True)
    second.tell("add-app", adam_id="1998")
    second.sim.control("storefronts", adam_id="1998", missing=["us"])
    second.tell("add-app", adam_id="1997", kind="mac")
    return [first, second]


def upload(locations: list[Location]) -> list[ContentToken]:
    by = UserFactory()
    runs = [location.upload(by=by) for location in locations]
    for sync in runs:
        nudge(tasks.sync_token, sync.pk)
    return [sync.token for sync in runs]


def assert_settled(tokens: list[ContentToken], locations: list[Location]) -> None:
    """Check that everything is mirrored and added, each app once, and that nobody has anything left to do."""
    for token, location in zip(tokens, locations, strict=True):
        token.refresh_from_db()
        assert_level(token, location)
    outcomes = sorted(Addition.objects.values_list("outcome", flat=True))
    assert outcomes == ["added"] * 9 + ["exists"] * 3 + ["mac_only", "not_found"]
    assert App.objects.count() == 9
    assert Listing.objects.count() == 11
    assert set(SyncRun.objects.values_list("state", "deaths")) == {(WorkState.DONE, 0)}
    added = Entry.objects.filter(verb__startswith="added").exclude(actor=None)
    assert added.count() == len(tokens)
    sweep()
    assert list(taken()) == []


def lookups(location: Location) -> list[str]:
    entries = location.sim.requests(path="/metadata/lookup")
    return [adam_id for entry in entries for adam_id in entry["query"]["id"].split(",")]


def test_every_message_once(shared: list[Location]) -> None:
    tokens = upload(shared)
    deliver()
    assert_settled(tokens, shared)
    assert len(lookups(shared[0])) == len(set(lookups(shared[0]))) == 11


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_message_several_times_in_disorder(shared: list[Location], times: int, seed: int) -> None:
    tokens = upload(shared)
    sweep()
    deliver(times=times, disorder=random.Random(seed))
    assert_settled(tokens, shared)
    assert len(lookups(shared[0])) == 11


def test_every_message_twice_at_the_same_time(shared: list[Location]) -> None:
    tokens = upload(shared)
    sweep()
    while messages := list(taken()):
        start = threading.Barrier(2)

        def work(messages=messages, start=start) -> None:
            start.wait()
            run(messages)
            connection.close()

        with ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(work) for _ in range(2)]:
                future.result()
    assert_settled(tokens, shared)
    assert len(lookups(shared[0])) == 11


def test_no_message_but_the_sweepers(shared: list[Location], valkey: Valkey) -> None:
    tokens = upload(shared)
    valkey.flush()
    sweep()
    deliver()
    assert_settled(tokens, shared)


def test_messages_lost_after_every_round(shared: list[Location], valkey: Valkey) -> None:
    tokens = upload(shared)
    for _ in range(4):
        valkey.flush()
        sweep()
        run(list(taken()))
    assert_settled(tokens, shared)


def test_two_beats_and_late_ticks(shared: list[Location]) -> None:
    tokens = upload(shared)
    for _ in range(5):
        tasks.schedule_syncs()
        sweep()
    deliver()
    assert_settled(tokens, shared)
    assert SyncRun.objects.count() == 2


# --- Each deed whose own message is lost ------------------------------------------------------------------------------


@pytest.fixture
def token(location: Location) -> ContentToken:
    """A token whose apps are all in the catalog."""
    token = location.mirrored()
    additions.add(token)
    return token


def later() -> None:
    """Let the sweepers come, and carry out what they ask for."""
    list(taken())
    sweep()
    deliver()


def test_a_retry_is_found(location: Location, token: ContentToken) -> None:
    adam_id = location.adam_ids[0]
    location.sim.control("storefronts", adam_id=adam_id, missing=["us"])
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        later()
    Addition.objects.filter(adam_id=adam_id).update(outcome=Outcome.NOT_FOUND, app=None)
    App.objects.filter(adam_id=adam_id).delete()
    location.sim.control("storefronts", adam_id=adam_id, missing=[])
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        assert additions.retry(token, UserFactory()) == 1
        later()
    assert Addition.objects.get(adam_id=adam_id).outcome == Outcome.ADDED


def test_a_switch_is_found(token: ContentToken) -> None:
    Addition.objects.update(outcome=Outcome.SWITCHED_OFF, app=None)
    App.objects.all().delete()
    later()
    assert App.objects.count() == 5


def test_a_new_region_is_found(location: Location, token: ContentToken) -> None:
    registration.edit(token, {"region": "FR"}, by=UserFactory(), version=0)
    later()
    assert set(App.objects.values_list("listing__storefront", flat=True)) == {"FR"}


def test_a_sync_asked_for_is_found(location: Location, token: ContentToken) -> None:
    location.tell("add-app", adam_id="1999", custom=True)
    registration.ask_for_sync(token, SyncReason.MANUAL, UserFactory())
    later()
    assert App.objects.filter(adam_id="1999").exists()


def test_a_renewal_is_found(location: Location, token: ContentToken) -> None:
    location.tell("tokens", revoke_others=True)
    facts = registration.examine(location.file, renews=token)
    registration.renew(token, location.file, facts, by=UserFactory())
    later()
    assert SyncRun.objects.latest("pk").state == WorkState.DONE


def test_a_deletion_is_found(token: ContentToken) -> None:
    removal.delete(token, by=UserFactory())
    later()
    assert not ContentToken.objects.exists()
    assert App.objects.count() == 5
