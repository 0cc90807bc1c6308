"""A deleted token is out of the way at once; its mirror follows in batches, whoever else is at work on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import Addition, App
from tests.factories import AssetFactory, AssignmentFactory, ContentTokenFactory, UserFactory, bring_app
from tests.locations import Location, finish
from tokens import registration, removal, sync
from tokens.models import Asset, Assignment, ClientUser, ContentToken, Listing, SyncReason, SyncRun
from vppportal.activity.models import Entry
from vppportal.work import LeaseLost

pytestmark = pytest.mark.django_db
OF_A_TOKEN = (ContentToken, SyncRun, Asset, Assignment, ClientUser, Addition)


def leftovers() -> dict[str, int]:
    return {model.__name__: count for model in OF_A_TOKEN if (count := model.objects.count())}


@pytest.fixture
def two_rows_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "BATCH", 2)


def test_a_deleted_token_frees_its_name_file_and_location_at_once(location: Location) -> None:
    first = location.mirrored(name="Head office")
    removal.delete(first, by=UserFactory())
    second = location.upload(name="Head office").token
    assert second != first
    assert finish(SyncRun.objects.get(token=second)).state == "done"


def test_a_deletion_is_recorded_once() -> None:
    token, by = ContentTokenFactory(), UserFactory()
    assert removal.delete(token, by=by)
    assert not removal.delete(token, by=by)
    assert Entry.objects.get().verb == "deleted the VPP token"


def test_a_purge_leaves_nothing_of_the_token_and_keeps_what_is_not_its_own(
    location: Location, two_rows_a_batch: None
) -> None:
    token = location.mirrored()
    app = bring_app(token).app
    other = AssignmentFactory()
    removal.delete(token, by=UserFactory())
    removal.purge(token.pk)
    assert leftovers() == {"ContentToken": 1, "Asset": 1, "Assignment": 1}
    assert Assignment.objects.get() == other
    assert App.objects.get() == app
    assert App.objects.get().added_from is None
    assert Listing.objects.count() == len(location.adam_ids) + 1
    assert Entry.objects.filter(object_id=token.pk, object_type="contenttoken").exists()


def test_a_token_that_is_not_deleted_is_not_purged() -> None:
    asset = AssetFactory()
    removal.purge(asset.token_id)
    assert ContentToken.objects.exists()


def test_a_purge_of_what_is_gone_does_nothing() -> None:
    removal.purge(4711)


def test_no_statement_of_a_purge_deletes_more_assignments_than_a_batch(two_rows_a_batch: None) -> None:
    asset = AssetFactory(token__deleted=True)
    AssignmentFactory.create_batch(5, asset=asset)
    with CaptureQueriesContext(connection) as queries:
        removal.purge(asset.token_id)
    deletes = [query["sql"] for query in queries if 'DELETE FROM "tokens_assignment"' in query["sql"]]
    assert len(deletes) == 3
    assert all(sql.count(",") < 2 for sql in deletes)


def test_a_purge_that_dies_half_way_is_finished_by_the_next(
    two_rows_a_batch: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = AssetFactory(token__deleted=True)
    AssignmentFactory.create_batch(5, asset=asset)
    whole = removal._delete_batch
    budget = iter([True])

    def dying(rows) -> int:
        if not next(budget, False):
            raise KeyboardInterrupt
        return whole(rows)

    with monkeypatch.context() as dies, pytest.raises(KeyboardInterrupt):
        dies.setattr(removal, "_delete_batch", dying)
        removal.purge(asset.token_id)
    assert Assignment.objects.count() == 3
    removal.purge(asset.token_id)
    assert leftovers() == {}


def test_a_sync_in_the_middle_of_a_purge_writes_nothing_more(location: Location) -> None:
    token = location.mirrored()
    registration.ask_for_sync(token, SyncReason.MANUAL, None)
    (run,) = SyncRun.objects.select_related("token").claim(1)
    steps: Iterator[object] = sync.carry_out(run)
    next(steps)
    removal.delete(token, by=UserFactory())
    removal.purge(token.pk)
    with pytest.raises(LeaseLost):
        list(steps)
    assert leftovers() == {}


def test_a_sync_that_writes_while_a_purge_deletes_leaves_nothing_behind(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = location.mirrored()
    location.tell("assign", adam_id=location.adam_ids[0], serial_numbers=["NEWSERIAL1"])
    registration.ask_for_sync(token, SyncReason.MANUAL, None)
    (run,) = SyncRun.objects.select_related("token").claim(1)
    steps = sync.carry_out(run)
    next(steps)
    delete_batch = removal._delete_batch

    def write_once_nothing_is_left(rows) -> int:
        deleted = delete_batch(rows)
        if not deleted:
            with pytest.raises(LeaseLost):
                list(steps)
            monkeypatch.undo()
        return deleted

    monkeypatch.setattr(removal, "_delete_batch", write_once_nothing_is_left)
    removal.delete(token, by=UserFactory())
    removal.purge(token.pk)
    assert leftovers() == {}


@pytest.mark.django_db(transaction=True)
def test_two_purges_at_once_share_the_work(two_rows_a_batch: None) -> None:
    asset = AssetFactory(token__deleted=True)
    AssignmentFactory.create_batch(30, asset=asset)
    start = threading.Barrier(3)

    def purge() -> None:
        start.wait()
        removal.purge(asset.token_id)
        connection.close()

    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(purge) for _ in range(3)]:
            future.result()
    removal.purge(asset.token_id)
    assert leftovers() == {}
