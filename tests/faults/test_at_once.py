"""Web server, workers and sweepers write at the same time, on either database: nobody is turned away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from catalog import additions
from tests.deliveries import deliver, sweep, taken
from tests.factories import UserFactory
from tests.locations import Location, Mirror, assert_level, finish
from tests.processes import eventually
from tokens import registration, removal, staging, sync, tasks
from tokens.models import ContentToken, SyncReason, SyncRun
from vppportal.activity.models import Entry
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*works: Callable[[], object]) -> list[object]:
    """Carry works out in a thread each, all starting at the same moment; return what they return."""
    start = threading.Barrier(len(works))

    def begin(work: Callable[[], object]) -> object:
        start.wait()
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result() for future in [pool.submit(begin, work) for work in works]]


def test_edits_go_through_while_a_large_sync_writes(make_location: Callable[..., Location]) -> None:
    location = make_location(assets=20, assignments=12_000, users=10, devices=3_000)
    location.upload()
    (run,) = SyncRun.objects.select_related("token").claim(1)
    by, over = UserFactory(), threading.Event()

    def edit() -> int:
        edits = 0
        while not over.is_set():
            token = ContentToken.objects.get()
            edits += registration.edit(token, {"block_backup": edits % 2 == 0}, by=by, version=token.version)
            registration.ask_for_sync(token, SyncReason.MANUAL, by)
        return edits

    def synchronize() -> None:
        try:
            list(sync.carry_out(run))
        finally:
            over.set()

    _, edits = at_once(synchronize, edit)
    assert isinstance(edits, int)
    assert edits > 0
    assert run.state == WorkState.DONE, run.last_error
    assert Entry.objects.filter(verb__startswith="changed").count() == edits
    list(taken())
    sweep()
    deliver()
    assert_level(run.token, location)


def test_a_token_deleted_in_the_middle_of_its_sync_is_gone(make_location: Callable[..., Location]) -> None:
    location = make_location(assets=20, assignments=6_000, users=10, devices=3_000)
    waiting, by = location.upload(), UserFactory()

    def delete() -> None:
        eventually(lambda: Mirror(waiting.token).assets, every=0.001)
        removal.delete(waiting.token, by=by)
        tasks.purge_token(waiting.token_id)

    at_once(lambda: tasks.sync_token(waiting.pk), delete)
    list(taken())
    for _ in range(2):
        sweep()
        deliver()
    assert not ContentToken.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tokens_assignment")
        assert cursor.fetchone() == (0,)


def test_two_syncs_in_two_threads_do_not_share_a_stage(make_location: Callable[..., Location]) -> None:
    locations = [make_location(assets=5, assignments=2_000, users=5, devices=500) for _ in range(2)]
    runs = [location.upload() for location in locations]
    at_once(*(lambda run=run: finish(run) for run in runs))
    for run, location in zip(runs, locations, strict=True):
        assert_level(run.token, location)


def test_a_worker_overtaken_while_it_writes_leaves_the_writing_to_the_other(
    make_location: Callable[..., Location], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first worker pauses between staging and writing; another takes the run over and finishes it."""
    location = make_location(assets=3, assignments=30, users=3, devices=9)
    token = location.mirrored()
    location.tell("assign", adam_id=location.adam_ids[0], serial_numbers=["NEWSERIAL1"])
    registration.ask_for_sync(token, SyncReason.MANUAL, None)
    (pk,) = SyncRun.objects.due().values_list("pk", flat=True)
    compare = staging.Stage.compare
    paused, resumed = threading.Event(), threading.Event()

    def pausing(stage: staging.Stage) -> None:
        compare(stage)
        if not paused.is_set():
            paused.set()
            assert resumed.wait(20)

    monkeypatch.setattr(staging.Stage, "compare", pausing)

    def overtake() -> None:
        assert paused.wait(20)
        SyncRun.objects.filter(pk=pk).update(lease_until="2020-01-01T00:00:00Z")
        tasks.sync_token(pk)
        location.tell("take-back", adam_id=location.adam_ids[0], serial_numbers=["NEWSERIAL1"])
        finish(registration.ask_for_sync(token, SyncReason.MANUAL, None))
        resumed.set()

    at_once(lambda: tasks.sync_token(pk), overtake)
    assert SyncRun.objects.get(pk=pk).state == WorkState.DONE
    assert_level(token, location)


def test_adding_approving_and_retrying_at_once(location: Location) -> None:
    token, by = location.mirrored(), UserFactory()
    at_once(
        lambda: additions.add(token),
        lambda: additions.add(token),
        lambda: additions.retry(token, by),
        lambda: additions.add_by_hand(token, by, location.adam_ids),
    )
    additions.add(token)
    assert set(token.additions.values_list("outcome", flat=True)) == {"added"}
