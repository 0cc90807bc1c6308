"""Rows of work: due rows are claimed by one worker each, and only the holder of a row may write it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone
from structlog.testing import capture_logs

from tests.deliveries import taken
from tests.factories import SyncRunFactory
from tests.processes import Valkey
from tokens import tasks
from tokens.models import SyncRun
from vppportal.work import LeaseLost, WorkState, nudge

pytestmark = pytest.mark.django_db
AFTER_THE_LEASE = SyncRun.lease + timedelta(seconds=1)


def waiting(count: int = 1, **fields) -> list[SyncRun]:
    return SyncRunFactory.create_batch(count, waiting=True, **fields)


def claimed() -> SyncRun:
    waiting()
    (run,) = SyncRun.objects.all().claim(1)
    return run


def stored(run: SyncRun) -> SyncRun:
    return SyncRun.objects.get(pk=run.pk)


def test_a_claim_takes_as_many_as_asked_for_the_longest_waiting_first() -> None:
    now = timezone.now()
    third, first, second = (waiting(next_attempt_at=now - timedelta(minutes=age))[0] for age in (1, 3, 2))
    assert SyncRun.objects.all().claim(2) == [first, second]
    assert SyncRun.objects.all().claim(2) == [third]
    assert SyncRun.objects.all().claim(2) == []


def test_a_claim_gives_a_lease_a_new_epoch_and_one_more_attempt() -> None:
    run = claimed()
    assert (run.state, run.epoch, run.attempt, run.deaths) == (WorkState.RUNNING, 1, 1, 0)
    assert run.lease_until is not None
    assert timedelta(0) < run.lease_until - timezone.now() <= SyncRun.lease
    assert {f.attname: getattr(run, f.attname) for f in run._meta.fields} == {
        f.attname: getattr(stored(run), f.attname) for f in run._meta.fields
    }


@pytest.mark.parametrize("state", [WorkState.DONE, WorkState.FAILED])
def test_what_is_over_is_never_due(state: WorkState) -> None:
    waiting(state=state)
    assert not SyncRun.objects.due().exists()


def test_a_row_is_not_due_before_its_time() -> None:
    (run,) = waiting(next_attempt_at=timezone.now() + timedelta(hours=1))
    assert not SyncRun.objects.due().exists()
    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        assert SyncRun.objects.all().claim(9) == [run]


def test_a_row_whose_worker_died_is_due_again_when_the_lease_ends_and_the_death_is_counted() -> None:
    run = claimed()
    assert not SyncRun.objects.due().exists()
    with time_machine.travel(timezone.now() + AFTER_THE_LEASE):
        (again,) = SyncRun.objects.all().claim(1)
    assert again == run
    assert (again.deaths, again.epoch, again.attempt) == (1, 2, 2)
    assert stored(run).deaths == 1


def test_a_row_that_takes_every_worker_down_becomes_poison() -> None:
    run = claimed()
    for death in range(1, SyncRun.max_deaths + 1):
        assert not run.is_poison
        with time_machine.travel(timezone.now() + AFTER_THE_LEASE * death):
            (run,) = SyncRun.objects.all().claim(1)
    assert run.is_poison


def test_a_worker_that_answers_wipes_out_the_deaths_before() -> None:
    run = claimed()
    with time_machine.travel(timezone.now() + AFTER_THE_LEASE):
        (run,) = SyncRun.objects.all().claim(1)
        run.postpone("Apple is away.", timedelta(0))
    assert stored(run).deaths == 0


WRITES = {
    "renew": lambda run: run.renew(done=5),
    "finish": lambda run: run.finish(done=5),
    "fail": lambda run: run.fail("It broke.", done=5),
    "postpone": lambda run: run.postpone("Later.", timedelta(0), done=5),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_worker_paused_past_its_lease_writes_nothing(write: str) -> None:
    run = claimed()
    with time_machine.travel(timezone.now() + AFTER_THE_LEASE):
        (theirs,) = SyncRun.objects.all().claim(1)
        with pytest.raises(LeaseLost):
            WRITES[write](run)
        assert (stored(run).state, stored(run).done, stored(run).epoch) == (WorkState.RUNNING, 0, theirs.epoch)
        WRITES[write](theirs)
    assert stored(run).done == 5


@pytest.mark.parametrize("write", WRITES)
def test_a_row_that_is_gone_or_over_is_not_written(write: str) -> None:
    over, gone = claimed(), claimed()
    over.finish()
    SyncRun.objects.filter(pk=gone.pk).delete()
    for run in (over, gone):
        with pytest.raises(LeaseLost):
            WRITES[write](run)
    assert stored(over).done == 0


def test_a_renewal_prolongs_the_lease_and_stores_progress() -> None:
    run = claimed()
    with time_machine.travel(timezone.now() + timedelta(seconds=60)):
        run.renew(done=7)
    with time_machine.travel(timezone.now() + AFTER_THE_LEASE):
        assert not SyncRun.objects.due().exists()
    assert (run.done, stored(run).done) == (7, 7)


def test_a_finished_row_forgets_its_last_error() -> None:
    run = claimed()
    run.postpone("Apple is away.", timedelta(0))
    assert stored(run).last_error == "Apple is away."
    (run,) = SyncRun.objects.all().claim(1)
    run.finish()
    assert (stored(run).state, stored(run).last_error, stored(run).lease_until) == (WorkState.DONE, "", None)


def test_a_postponed_row_comes_back_after_the_delay() -> None:
    run = claimed()
    run.postpone("Apple is away.", timedelta(minutes=2))
    assert not SyncRun.objects.due().exists()
    with time_machine.travel(timezone.now() + timedelta(seconds=121)):
        assert SyncRun.objects.due().get() == run


def test_only_rows_still_held_are_handed_back() -> None:
    waiting(3)
    runs = SyncRun.objects.all().claim(3)
    lost, over, held = runs
    over.finish()
    SyncRun.objects.filter(pk=lost.pk).update(epoch=lost.epoch + 1)
    with transaction.atomic():
        assert SyncRun.objects.still_held(runs) == [held]


@pytest.mark.django_db(transaction=True)
def test_workers_that_claim_at_once_never_get_the_same_row() -> None:
    waiting(40)
    start = threading.Barrier(4)

    def work() -> list[int]:
        start.wait()
        mine: list[int] = []
        while rows := SyncRun.objects.all().claim(3):
            mine += [row.pk for row in rows]
        connection.close()
        return mine

    with ThreadPoolExecutor(4) as pool:
        claims = [future.result() for future in [pool.submit(work) for _ in range(4)]]
    taken_rows = [pk for mine in claims for pk in mine]
    assert len(taken_rows) == len(set(taken_rows)) == 40
    assert set(SyncRun.objects.values_list("epoch", "attempt", "deaths")) == {(1, 1, 0)}


@pytest.mark.django_db(transaction=True)
def test_a_nudge_waits_for_the_commit() -> None:
    with transaction.atomic():
        nudge(tasks.sync_token, 7)
        assert list(taken()) == []
    assert list(taken()) == [("tokens.tasks.sync_token", (7,))]


@pytest.mark.django_db(transaction=True)
def test_a_nudge_is_forgotten_when_nothing_is_committed() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        nudge(tasks.sync_token, 7)
        raise ZeroDivisionError
    assert list(taken()) == []


@pytest.mark.django_db(transaction=True)
def test_a_nudge_without_a_broker_costs_a_line_in_the_log_and_nothing_else(valkey: Valkey) -> None:
    valkey.process.kill()
    try:
        with capture_logs() as logs:
            nudge(tasks.sync_token, 7)
    finally:
        valkey.start()
    assert [(line["event"], line["task"]) for line in logs] == [("broker_unreachable", "tokens.tasks.sync_token")]


@pytest.mark.django_db(transaction=True)
def test_a_nudge_to_a_broker_that_is_full_costs_a_line_in_the_log_and_nothing_else(valkey: Valkey) -> None:
    valkey.client.config_set("maxmemory", "1mb")
    try:
        with capture_logs() as logs:
            nudge(tasks.sync_token, 7)
    finally:
        valkey.client.config_set("maxmemory", "0")
    assert [line["event"] for line in logs] == ["broker_unreachable"]
