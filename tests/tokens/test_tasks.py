"""The tasks on tokens are thin shells: they may come twice, late, for rows that are gone, or never."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.utils import timezone
from structlog.testing import capture_logs

from tests.deliveries import taken
from tests.factories import AssetFactory, ContentTokenFactory, SyncRunFactory, UserFactory
from tests.locations import Location, assert_level, sync_now
from tokens import listings, removal, tasks
from tokens.models import ContentToken, Listing, SyncRun
from tokens.signals import Changes, token_changed
from vppportal.celery import app
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db(transaction=True)
PAST_THE_LEASE = SyncRun.lease + timedelta(seconds=1)
CHECK_STORE = "tokens.tasks.check_store"
SYNC, LOOK_UP, PURGE = "tokens.tasks.sync_token", "tokens.tasks.look_up_listings", "tokens.tasks.purge_token"


@pytest.fixture
def told() -> Iterator[list[Changes]]:
    """What listeners are told while the test runs."""
    heard: list[Changes] = []

    def listen(changes: Changes, **kwargs: object) -> None:
        heard.append(changes)

    token_changed.connect(listen)
    yield heard
    token_changed.disconnect(listen)


def test_a_sync_tells_its_listeners_each_step(location: Location, told: list[Changes]) -> None:
    tasks.sync_token(location.upload().pk)
    assert [change.phase for change in told] == ["assets", "listings", "users", "assignments"]


def test_a_sync_that_comes_twice_is_carried_out_once(location: Location, told: list[Changes]) -> None:
    run = location.upload()
    for _ in range(2):
        tasks.sync_token(run.pk)
    assert len(location.asked("/assets")) == 1
    assert_level(run.token, location)


def test_a_sync_somebody_else_is_at_is_left_alone(location: Location) -> None:
    run = location.upload()
    SyncRun.objects.filter(pk=run.pk).claim(1)
    asked = len(location.asked())
    tasks.sync_token(run.pk)
    assert len(location.asked()) == asked


def test_a_sync_that_was_taken_over_ends_with_a_line_in_the_log(location: Location) -> None:
    run = location.upload()

    def take_over(**kwargs: object) -> None:
        SyncRun.objects.update(epoch=99)

    token_changed.connect(take_over)
    try:
        with capture_logs() as logs:
            tasks.sync_token(run.pk)
    finally:
        token_changed.disconnect(take_over)
    assert [(line["event"], line["run"], line["log_level"]) for line in logs if "run" in line] == [
        ("sync_taken_over", run.pk, "info")
    ]
    assert SyncRun.objects.get().state == WorkState.RUNNING


@pytest.mark.parametrize("task", [tasks.sync_token, tasks.look_up_listings, tasks.purge_token])
def test_a_row_that_is_gone_is_no_error(task: Callable[[int], None]) -> None:
    task(4711)


def test_a_bug_leaves_the_sync_to_its_lease_and_counts_as_a_death(location: Location) -> None:
    run = location.upload()

    def fail(execute, sql, *arguments):
        if "tokens_clientuser" in sql:
            raise ZeroDivisionError
        return execute(sql, *arguments)

    with connection.execute_wrapper(fail):
        for death in range(SyncRun.max_deaths):
            with time_machine.travel(timezone.now() + death * PAST_THE_LEASE), pytest.raises(ZeroDivisionError):
                tasks.sync_token(run.pk)
        with time_machine.travel(timezone.now() + SyncRun.max_deaths * PAST_THE_LEASE):
            tasks.sync_token(run.pk)
    given_up = SyncRun.objects.get()
    assert (given_up.state, given_up.deaths) == (WorkState.FAILED, SyncRun.max_deaths)
    assert "several times" in given_up.last_error


def test_a_listener_that_fails_does_not_end_the_sync(location: Location) -> None:
    def fail(**kwargs: object) -> None:
        raise ZeroDivisionError

    token_changed.connect(fail)
    try:
        tasks.sync_token(location.upload().pk)
    finally:
        token_changed.disconnect(fail)
    assert SyncRun.objects.get().state == WorkState.DONE


def test_apps_are_looked_up_for_usable_tokens_only(location: Location) -> None:
    token = location.upload().token
    AssetFactory(token=token, adam_id=location.adam_ids[0])
    listings.enroll(token)
    ContentToken.objects.update(status="revoked")
    tasks.look_up_listings(token.pk)
    assert location.sim.requests(path="/metadata/lookup") == []
    ContentToken.objects.update(status="active")
    tasks.look_up_listings(token.pk)
    assert len(location.sim.requests(path="/metadata/lookup")) == 1


def test_the_sweeper_finds_everything_that_is_due(location: Location) -> None:
    token = location.mirrored()
    run = SyncRunFactory(waiting=True)
    SyncRunFactory(waiting=True, next_attempt_at=timezone.now() + timedelta(hours=1))
    deleted = ContentTokenFactory(deleted=True)
    listings.enroll(AssetFactory(token=token).token)
    tasks.sweep()
    assert sorted(taken()) == [(LOOK_UP, (token.pk,)), (PURGE, (deleted.pk,)), (SYNC, (run.pk,))]


def test_the_sweeper_has_public_apps_checked_without_a_token(location: Location) -> None:
    location.mirrored()
    Listing.objects.update(next_attempt_at=timezone.now())
    tasks.sweep()
    assert list(taken()) == [(CHECK_STORE, ())]
    tasks.check_store()
    tasks.sweep()
    assert list(taken()) == []


def test_the_sweeper_finds_a_sync_whose_worker_died(location: Location) -> None:
    run = location.upload()
    SyncRun.objects.all().claim(1)
    tasks.sweep()
    assert list(taken()) == []
    SyncRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    tasks.sweep()
    assert list(taken()) == [(SYNC, (run.pk,))]


def test_the_sweeper_asks_nobody_when_nothing_is_due(location: Location, django_assert_max_num_queries) -> None:
    sync_now(location.mirrored())
    with django_assert_max_num_queries(7):
        tasks.sweep()
    assert list(taken()) == []


def test_the_timetable_asks_for_syncs_that_the_sweeper_hands_out() -> None:
    token = ContentTokenFactory()
    tasks.schedule_syncs()
    tasks.sweep()
    assert list(taken()) == [(SYNC, (SyncRun.objects.get(token=token).pk,))]


def test_a_deleted_token_is_purged() -> None:
    asset = AssetFactory()
    tasks.purge_token(asset.token_id)
    assert ContentToken.objects.exists()
    removal.delete(asset.token, by=UserFactory())
    tasks.purge_token(asset.token_id)
    assert not ContentToken.objects.exists()


def test_old_records_are_forgotten() -> None:
    now = timezone.now()
    SyncRunFactory(finished_at=now - timedelta(days=91))
    recent, running = SyncRunFactory(finished_at=now - timedelta(days=89)), SyncRunFactory(running=True)
    tasks.forget_old_runs()
    assert set(SyncRun.objects.all()) == {recent, running}


def test_every_entry_of_the_timetable_is_a_task(settings) -> None:
    app.loader.import_default_modules()
    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} <= set(app.tasks)


def test_no_task_takes_anything_but_one_key() -> None:
    ours = [task for name, task in app.tasks.items() if name.startswith(("tokens.", "catalog."))]
    assert ours
    for task in ours:
        arguments = task.run.__annotations__
        assert [kind for name, kind in arguments.items() if name != "return"] in ([], ["int"])
