"""A sync claims the location, levels the mirror, and ends in a state that says what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from tests.factories import ContentTokenFactory, UserFactory
from tests.locations import Location, Mirror, assert_level, finish, sync_now
from tokens import connection, registration, removal, sync
from tokens.models import ContentToken, SyncPhase, SyncReason, SyncRun, TokenStatus
from tokens.signals import Changes
from vppportal.activity.models import Entry
from vppportal.work import LeaseLost, WorkState

pytestmark = pytest.mark.django_db


def claimed(token: ContentToken) -> SyncRun:
    registration.ask_for_sync(token, SyncReason.MANUAL, None)
    (run,) = SyncRun.objects.filter(token=token).select_related("token").claim(1)
    return run


# --- A sync that succeeds ---------------------------------------------------------------------------------------------


def test_a_first_sync_mirrors_the_location_and_claims_it(location: Location) -> None:
    token = location.mirrored()
    assert_level(token, location)
    assert token.synced_at is not None
    assert (location.world.mdm_info or {})["id"] == connection.our_claim().id


def test_the_run_tells_what_changed_and_when(location: Location) -> None:
    run = SyncRun.objects.get(token=location.mirrored())
    assert (run.state, run.phase, run.last_error, run.lease_until) == (WorkState.DONE, SyncPhase.FINISHED, "", None)
    assert run.changes["assets"]["added"] == 5
    assert run.changes["assignments"]["added"] == len(location.assignments)
    assert run.started_at is not None
    assert run.finished_at is not None
    assert run.created_at <= run.started_at <= run.finished_at


def test_every_step_is_told_after_its_rows_are_stored(location: Location) -> None:
    run = location.upload()
    (work,) = SyncRun.objects.filter(pk=run.pk).select_related("token").claim(1)
    steps: Iterator[Changes] = sync.carry_out(work)
    assert next(steps) == Changes(SyncPhase.ASSETS, added=5)
    assert Mirror(run.token).assets == location.assets
    assert next(steps) == Changes(SyncPhase.LISTINGS, changed=5)
    assert [step.phase for step in steps] == [SyncPhase.USERS, SyncPhase.ASSIGNMENTS]


def test_progress_is_stored_on_the_way(make_location: Callable[..., Location]) -> None:
    location = make_location(assets=120, assignments=300, users=3)
    run = location.upload()
    (work,) = SyncRun.objects.filter(pk=run.pk).select_related("token").claim(1)
    shown = []
    for _ in sync.carry_out(work):
        now = SyncRun.objects.get(pk=run.pk)
        shown.append((now.phase, now.done, now.total))
    lookups = [(done, total) for phase, done, total in shown if phase == SyncPhase.LISTINGS]
    assert lookups == [(50, 120), (100, 120), (120, 120)]
    assert shown[-1] == (SyncPhase.ASSIGNMENTS, 300, 300)


def test_a_claim_that_is_ours_is_not_written_again(location: Location) -> None:
    token = location.mirrored()
    sync_now(token)
    posts = [entry for entry in location.asked("/client/config") if entry["method"] == "POST"]
    assert len(posts) == 1


def test_an_unchanged_sync_asks_for_each_page_once(location: Location) -> None:
    token = location.mirrored()
    before = len(location.asked())
    sync_now(token)
    assert [entry["path"].removeprefix("/mdm/v2") for entry in location.asked()[before:]] == [
        "/client/config",
        "/assets",
        "/users",
        "/assignments",
    ]


def test_what_apple_says_of_the_location_is_followed(location: Location) -> None:
    token = location.mirrored()
    location.world.identity.name = "Renamed"
    sync_now(token)
    assert ContentToken.objects.get().location_name == "Renamed"


# --- A sync that is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "status", "number"),
    [("revoke", TokenStatus.REVOKED, 9625), ("expire", TokenStatus.EXPIRED, 9621)],
)
def test_a_refused_token_ends_the_sync_and_keeps_the_mirror(
    location: Location, order: str, status: TokenStatus, number: int
) -> None:
    token = location.mirrored()
    before = Mirror(token).assignments
    location.tell(order)
    run = sync_now(token)
    assert run.state == WorkState.FAILED
    assert str(number) in run.last_error
    now = ContentToken.objects.get()
    assert (now.status, now.status_number, now.synced_at) == (status, number, token.synced_at)
    assert Mirror(token).assignments == before
    assert Entry.objects.filter(verb=f"found the VPP token {status}:").count() == 1


def test_a_sync_of_a_refused_token_asks_apple_nothing(location: Location) -> None:
    token = location.mirrored()
    ContentToken.objects.update(status=TokenStatus.REVOKED)
    asked = len(location.asked())
    run = sync_now(token)
    assert (run.state, run.last_error) == (WorkState.FAILED, "The token is revoked.")
    assert len(location.asked()) == asked


def test_a_location_claimed_by_another_is_not_taken_back(location: Location) -> None:
    token = location.mirrored()
    location.tell("claim", name="Other MDM", metadata="mdm.example")
    assert sync_now(token).state == WorkState.FAILED
    now = ContentToken.objects.get()
    assert (now.status, now.claimed_by) == (TokenStatus.CLAIMED_ELSEWHERE, "Other MDM (mdm.example)")
    assert (location.world.mdm_info or {})["name"] == "Other MDM"


def test_a_location_without_a_claim_is_claimed(location: Location) -> None:
    token = location.mirrored()
    location.tell("unclaim")
    assert sync_now(token).state == WorkState.DONE
    assert (location.world.mdm_info or {})["name"] == "VPP Portal"


def test_a_token_that_may_only_read_is_mirrored_and_marked(location: Location) -> None:
    location.tell("read-only")
    token = location.mirrored()
    assert (token.status, token.is_read_only) == (TokenStatus.ACTIVE, True)
    assert_level(token, location)
    assert location.world.mdm_info is None


def test_the_mark_goes_when_apple_lets_the_token_write_again(location: Location) -> None:
    location.tell("read-only")
    token = location.mirrored()
    location.tell("restore")
    assert sync_now(token).state == WorkState.DONE
    assert not ContentToken.objects.get().is_read_only
    assert (location.world.mdm_info or {})["name"] == "VPP Portal"


def test_a_claim_that_may_not_be_replaced_stays_whose_it_is(location: Location) -> None:
    location.tell("claim", name="Other MDM")
    location.tell("read-only")
    assert finish(location.upload(consents=("take_over",))).state == WorkState.FAILED
    now = ContentToken.objects.get()
    assert (now.status, now.is_read_only) == (TokenStatus.CLAIMED_ELSEWHERE, True)


def test_a_secret_no_key_opens_fails_the_sync_and_stays_as_it_is(location: Location) -> None:
    run = location.upload()
    ContentToken.objects.update(secret=ContentTokenFactory.build().secret)
    sealed = ContentToken.objects.get().secret
    run = finish(run)
    assert run.state == WorkState.FAILED
    assert "sealed for another row" in run.last_error
    assert ContentToken.objects.get().secret == sealed
    assert ContentToken.objects.get().status == TokenStatus.ACTIVE


# --- A sync that Apple cannot serve now -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 503, "body": "down"},
        {"error_number": 9603},
        {"error_number": 9644},
        {"error_number": 9729},
        {"body": "<html>Welcome to the hotel</html>"},
        {"drop": "before"},
        {"truncate": 40},
        {"status": 302, "headers": {"Location": "http://127.0.0.1:9/"}, "body": ""},
    ],
    ids=str,
)
def test_trouble_puts_the_sync_off_and_says_so(location: Location, trouble: dict[str, Any]) -> None:
    run = location.upload()
    location.sim.control("faults", path="/assets", times=-1, **trouble)
    run = finish(run)
    assert run.state == WorkState.WAITING
    assert run.last_error
    assert timedelta(seconds=10) < run.next_attempt_at - timezone.now() < timedelta(seconds=20)
    assert ContentToken.objects.get().status == TokenStatus.ACTIVE


def test_a_sync_that_was_put_off_succeeds_later(location: Location) -> None:
    run = location.upload()
    location.sim.control("faults", path="/assignments", status=503, body="down")
    assert finish(run).state == WorkState.WAITING
    with time_machine.travel(timezone.now() + timedelta(seconds=20)):
        assert finish(run).state == WorkState.DONE
    assert_level(run.token, location)


def test_pauses_grow_with_every_attempt(location: Location) -> None:
    run = location.upload()
    location.sim.control("faults", path="/assets", status=503, body="down", times=-1)
    pauses = []
    for _ in range(3):
        SyncRun.objects.update(next_attempt_at=timezone.now())
        pauses.append((finish(run).next_attempt_at - timezone.now()).total_seconds())
    assert 14 < pauses[0] < 19 < 28 < pauses[1] < 37 < 57 < pauses[2] < 73


# --- A sync that is overtaken -----------------------------------------------------------------------------------------


def test_a_worker_that_lost_the_run_writes_nothing_more(location: Location) -> None:
    token = location.mirrored()
    for serial in ("NEWSERIAL1", "NEWSERIAL2"):
        location.tell("assign", adam_id=location.adam_ids[0], serial_numbers=[serial])
    steps = sync.carry_out(claimed(token))
    next(steps)
    with time_machine.travel(timezone.now() + SyncRun.lease + timedelta(seconds=1)):
        (theirs,) = SyncRun.objects.select_related("token").claim(1)
        before = Mirror(token).assignments
        with pytest.raises(LeaseLost):
            list(steps)
        assert Mirror(token).assignments == before
        list(sync.carry_out(theirs))
    assert_level(token, location)


def test_a_run_that_took_every_worker_down_is_given_up_without_asking_apple(location: Location) -> None:
    run = location.upload()
    asked = len(location.asked())
    SyncRun.objects.update(deaths=SyncRun.max_deaths)
    run = finish(run)
    assert run.state == WorkState.FAILED
    assert "several times" in run.last_error
    assert run.finished_at
    assert len(location.asked()) == asked


def test_a_refusal_of_a_file_that_was_renewed_meanwhile_starts_over_with_the_new_one(location: Location) -> None:
    run = claimed(location.mirrored())
    location.tell("tokens", revoke_others=True)
    facts = registration.examine(location.file, renews=run.token)
    renewal = registration.renew(ContentToken.objects.get(), location.file, facts, by=UserFactory())
    assert renewal == run
    list(sync.carry_out(run))
    assert ContentToken.objects.get().status == TokenStatus.ACTIVE
    assert SyncRun.objects.due().get() == run
    assert finish(run).state == WorkState.DONE


def test_a_token_deleted_meanwhile_ends_its_sync(location: Location) -> None:
    run = claimed(location.mirrored())
    removal.delete(run.token, by=UserFactory())
    again = SyncRun.objects.select_related("token").get(pk=run.pk)
    list(sync.carry_out(again))
    assert SyncRun.objects.get(pk=run.pk).state == WorkState.FAILED
