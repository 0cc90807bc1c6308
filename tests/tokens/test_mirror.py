"""The mirror is levelled with Apple's lists as sets, writes only what differs, and forgets only after a clean walk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from tests.locations import MIRROR, Location, Mirror, assert_level, sync_now, written_rows
from tokens import mirror, staging
from tokens.models import Asset, Assignment, ClientUser, ContentToken, SyncRun
from vppportal.work import LeaseLost, WorkState

pytestmark = pytest.mark.django_db


def test_everything_of_the_business_sample_is_mirrored(sim) -> None:
    location = Location(sim, "business")
    token = location.mirrored(consents=("accept_region",), region="US")
    assert_level(token, location)
    unlimited = Asset.objects.get(token=token, is_unlimited=True)
    assert (unlimited.total, unlimited.available) == (0, 0)
    book = Asset.objects.filter(token=token, product_type="Book").first()
    assert book is not None
    assert (book.is_revocable, book.is_device_assignable) == (False, False)
    assert sum(asset.is_mac_only for asset in token.assets.all()) == 4
    assert Asset.objects.filter(token=token).values("adam_id").distinct().count() == Asset.objects.count() - 1


def test_a_second_sync_with_nothing_changed_writes_no_row(location: Location) -> None:
    token = location.mirrored()
    with written_rows() as rows:
        run = sync_now(token)
    assert run.state == WorkState.DONE
    assert rows == {}
    assert {name: set(counts.values()) for name, counts in run.changes.items()} == {
        "assets": {0},
        "users": {0},
        "assignments": {0},
    }


def test_the_number_of_statements_does_not_grow_with_the_number_of_assignments(
    make_location: Callable[..., Location],
) -> None:
    counts = []
    for size in (50, 500):
        token = make_location(assets=5, assignments=size, users=3, devices=size // 2).mirrored()
        with CaptureQueriesContext(connection) as queries:
            sync_now(token)
        # SQLite has no COPY: rows are staged 300 at a time. How far a sync is, is written every so many seconds.
        uncounted = "INSERT INTO staged", 'UPDATE "tokens_syncrun" SET "lease_until"'
        counts.append(len([query for query in queries if not query["sql"].startswith(uncounted)]))
    assert counts[0] == counts[1]


def test_what_is_written_is_noticed(location: Location) -> None:
    with written_rows() as rows:
        location.mirrored()
    # On PostgreSQL a first import COPYs its assignments, which is no statement; a later sync never does.
    noticed = set(MIRROR) - ({"tokens_assignment"} if connection.vendor == "postgresql" else set())
    assert {table for table in MIRROR if any(f" {table} " in statement for statement in rows)} == noticed
    token = ContentToken.objects.get()
    location.tell("assign", adam_id=location.adam_ids[0], serial_numbers=["NEWSERIAL1"])
    with written_rows() as rows:
        sync_now(token)
    assert any(" tokens_assignment " in statement for statement in rows)


def test_licenses_bought_and_used_are_followed(location: Location) -> None:
    token = location.mirrored()
    first, second = location.adam_ids[:2]
    location.tell("buy", adam_id=first, count=7)
    location.tell("assign", adam_id=second, serial_numbers=["NEWSERIAL1"])
    run = sync_now(token)
    assert run.changes["assets"] == {"added": 0, "changed": 2, "removed": 0}
    assert run.changes["assignments"] == {"added": 1, "changed": 0, "removed": 0}
    assert_level(token, location)


def test_licenses_taken_back_at_apple_are_taken_back_here(location: Location) -> None:
    token = location.mirrored()
    row = next(iter(location.world.holdings))
    location.tell("take-back", adam_id=row.adam_id, serial_numbers=[row.serial_number])
    assert sync_now(token).changes["assignments"]["removed"] == 1
    assert_level(token, location)


def test_an_app_that_apple_no_longer_lists_is_marked_gone_with_its_assignments_kept(location: Location) -> None:
    token = location.mirrored()
    adam_id = location.adam_ids[0]
    location.tell("transfer-away", adam_id=adam_id)
    assert sync_now(token).changes["assets"]["removed"] == 1
    gone = Asset.objects.get(token=token, adam_id=adam_id)
    assert gone.gone_at
    assert gone.assignments.exists()
    assert Mirror(token).assignments == location.assignments
    marked = gone.gone_at
    assert sync_now(token).changes["assets"]["removed"] == 0
    gone.refresh_from_db()
    assert gone.gone_at == marked


def test_an_app_that_comes_back_is_no_longer_gone(location: Location) -> None:
    token = location.mirrored()
    adam_id = location.adam_ids[0]
    location.tell("transfer-away", adam_id=adam_id)
    sync_now(token)
    world = location.world
    world.assets[next(iter(world.departed))] = next(iter(world.departed.values()))
    assert sync_now(token).changes["assets"]["changed"] == 1
    assert_level(token, location)


def test_users_are_followed(location: Location) -> None:
    token = location.mirrored()
    world = location.world
    retired, stays, *_ = list(world.users.active.values())
    world.retire(retired)
    world.users.rows.remove(world.users.active.pop(stays.client_user_id))
    world.register("newcomer", "new@company.example", "")
    assert sync_now(token).changes["users"] == {"added": 1, "changed": 1, "removed": 1}
    assert Mirror(token).users == location.users


def test_of_registrations_that_share_an_id_the_one_in_use_counts(location: Location) -> None:
    world = location.world
    for email in ("first@company.example", "second@company.example"):
        world.retire(world.register("shared", email, ""))
    world.register("shared", "third@company.example", "")
    location.mirrored()
    user = ClientUser.objects.get(client_user_id="shared")
    assert (user.status, user.email) == ("Registered", "third@company.example")


@pytest.mark.parametrize("listing", ["assets", "users", "assignments"])
def test_a_list_that_moves_once_is_read_once_more(location: Location, listing: str) -> None:
    token = location.mirrored()
    location.sim.control("page-size", size=2)
    location.tell("move-version", listing=listing, page=1)
    sync_now(token)
    assert_level(token, location)
    first_pages = [entry for entry in location.asked(f"/{listing}") if "pageIndex" not in entry["query"]]
    assert len(first_pages) == 3


def test_a_list_that_keeps_moving_takes_nothing_away_and_the_next_sync_does(location: Location) -> None:
    token = location.mirrored()
    before = Mirror(token).assignments
    row = next(iter(location.world.holdings))
    location.tell("take-back", adam_id=row.adam_id, serial_numbers=[row.serial_number])
    location.tell("assign", adam_id=row.adam_id, serial_numbers=["NEWSERIAL1"])
    location.sim.control("page-size", size=5)
    location.tell("move-version", listing="assignments", page=1, times=2)
    run = sync_now(token)
    assert run.state == WorkState.DONE
    assert run.changes["assignments"] == {"added": 1, "changed": 0, "removed": 0}
    assert before < Mirror(token).assignments
    sync_now(token)
    assert_level(token, location)


def test_people_and_apps_missing_from_a_list_that_keeps_moving_stay_until_it_stands_still(location: Location) -> None:
    token = location.mirrored()
    world = location.world
    world.users.rows.remove(world.users.active.popitem()[1])
    location.tell("transfer-away", adam_id=location.adam_ids[0])
    location.sim.control("page-size", size=1)
    for listing in ("users", "assets"):
        location.tell("move-version", listing=listing, page=1, times=2)
    changes = sync_now(token).changes
    assert changes["users"]["removed"] == changes["assets"]["removed"] == 0
    changes = sync_now(token).changes
    assert changes["users"]["removed"] == changes["assets"]["removed"] == 1


@pytest.mark.parametrize("verb", ["insert", "delete"])
def test_a_worker_overtaken_between_two_batches_writes_no_second_one(
    location: Location, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    token = location.mirrored()
    before = Mirror(token).assignments
    if verb == "insert":
        location.tell("assign", adam_id=location.adam_ids[0], serial_numbers=["NEWSERIAL1", "NEWSERIAL2"])
    else:
        for row in list(location.world.holdings)[:2]:
            location.tell("take-back", adam_id=row.adam_id, serial_numbers=[row.serial_number])
    monkeypatch.setattr(mirror, "WRITE_ROWS", 1)
    write = getattr(staging.Stage, verb)

    def write_and_be_overtaken(stage: staging.Stage, *arguments: Any) -> int:
        written = write(stage, *arguments)
        SyncRun.objects.update(epoch=F("epoch") + 1)
        return int(written)

    monkeypatch.setattr(staging.Stage, verb, write_and_be_overtaken)
    with pytest.raises(LeaseLost):
        sync_now(token)
    assert len(Mirror(token).assignments ^ before) == 1


def test_a_list_that_shrinks_while_it_is_read_takes_nothing_away_by_mistake(location: Location) -> None:
    token = location.mirrored()
    location.sim.control("page-size", size=4)
    location.tell("move-version", listing="assignments", page=3, times=2, take_back=6)
    sync_now(token)
    assert Mirror(token).assignments >= location.assignments
    sync_now(token)
    assert_level(token, location)


@pytest.mark.parametrize("missing", ["versionId", "totalPages"])
def test_pages_without_their_usual_members_are_taken_in(location: Location, missing: str) -> None:
    token = location.mirrored()
    location.sim.control("page-size", size=3)
    location.sim.control("faults", path="/assignments", remove=[missing], times=-1)
    location.tell("assign", adam_id=location.adam_ids[0], serial_numbers=["NEWSERIAL1"])
    assert sync_now(token).state == WorkState.DONE
    assert location.assignments <= Mirror(token).assignments


def test_an_assignment_of_an_app_that_is_not_listed_waits_for_the_app(location: Location) -> None:
    adam_id = location.adam_ids[0]
    location.tell("transfer-away", adam_id=adam_id)
    token = location.mirrored()
    assert Mirror(token).assignments == {row for row in location.assignments if row[0] != adam_id}


def test_odd_serial_numbers_and_ids_arrive_as_they_are(location: Location) -> None:
    world = location.world
    odd = ["TAB\tTAB", "BACK\\SLASH\\N", "NEW\nLINE", "ÜMLAUT", "\\.", "\\N", "😀"]
    for user in odd:
        world.register(f"user {user}", "", "")
    for serial in odd:
        location.tell("assign", adam_id=location.adam_ids[0], serial_numbers=[serial])
    for user in odd:
        location.tell("assign", adam_id=location.adam_ids[1], client_user_ids=[f"user {user}"])
    token = location.mirrored()
    assert_level(token, location)
    assert sync_now(token).changes["assignments"] == {"added": 0, "changed": 0, "removed": 0}
    assert Assignment.objects.filter(serial_number="TAB\tTAB").exists()
