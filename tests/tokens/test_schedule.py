"""Syncs that nobody asked for: one a token, when the last is old, and never for a token that Apple refuses."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from tests.factories import ContentTokenFactory, SyncRunFactory
from tokens import schedule
from tokens.models import SyncReason, SyncRun
from vppportal.work import OPEN_STATES

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(days=2)


def asked_for() -> list[int]:
    before = set(SyncRun.objects.values_list("pk", flat=True))
    assert schedule.ask_for_due_syncs() == SyncRun.objects.exclude(pk__in=before).count()
    runs = SyncRun.objects.exclude(pk__in=before)
    assert set(runs.values_list("reason", flat=True)) <= {SyncReason.SCHEDULE}
    return sorted(runs.values_list("token_id", flat=True))


def test_a_token_whose_last_sync_is_old_is_due() -> None:
    never, old = ContentTokenFactory(), ContentTokenFactory()
    SyncRunFactory(token=old, created_at=timezone.now() - LONG_AGO)
    SyncRunFactory(created_at=timezone.now())
    assert asked_for() == [never.pk, old.pk]


def test_asking_again_asks_for_nothing() -> None:
    ContentTokenFactory.create_batch(3)
    assert len(asked_for()) == 3
    assert asked_for() == []


@pytest.mark.parametrize("trait", ["expired", "revoked", "invalid", "claimed_elsewhere", "deleted"])
def test_a_token_that_cannot_be_used_is_left_alone(trait: str) -> None:
    ContentTokenFactory(**{trait: True})
    assert asked_for() == []


@pytest.mark.parametrize("trait", ["waiting", "running"])
def test_an_open_sync_is_never_doubled(trait: str) -> None:
    SyncRunFactory(created_at=timezone.now() - LONG_AGO, **{trait: True})
    assert asked_for() == []


def test_a_sync_that_failed_is_tried_again_at_the_next_turn() -> None:
    run = SyncRunFactory(failed=True, created_at=timezone.now() - timedelta(minutes=5))
    assert asked_for() == []
    SyncRun.objects.update(created_at=timezone.now() - LONG_AGO)
    assert asked_for() == [run.token_id]


def test_how_often_is_a_setting(settings) -> None:
    SyncRunFactory(created_at=timezone.now() - timedelta(hours=3))
    settings.SYNC_EVERY_HOURS = 4
    assert asked_for() == []
    settings.SYNC_EVERY_HOURS = 2
    assert len(asked_for()) == 1


def test_many_tokens_cost_two_statements(django_assert_max_num_queries) -> None:
    ContentTokenFactory.create_batch(20)
    with django_assert_max_num_queries(4):  # with the savepoint of the bulk insert
        schedule.ask_for_due_syncs()


@pytest.mark.django_db(transaction=True)
def test_two_beats_at_once_ask_once() -> None:
    ContentTokenFactory.create_batch(5)
    start = threading.Barrier(3)

    def tick() -> None:
        start.wait()
        schedule.ask_for_due_syncs()
        connection.close()

    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(tick) for _ in range(3)]:
            future.result()
    assert SyncRun.objects.filter(state__in=OPEN_STATES).count() == SyncRun.objects.count() == 5
