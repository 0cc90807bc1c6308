"""Workers that settle changes, syncs, and people who ask for licenses write at the same time, on either database."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from tests.changes import assert_agreed, asset_of, carry_out_due, give, known_devices, settle_all, states, take
from tests.faults.test_at_once import at_once
from tests.locations import Location
from tokens import connection, registration, tasks
from tokens.models import Operation, SyncReason

pytestmark = pytest.mark.django_db(transaction=True)


def test_operations_settled_while_a_sync_reads_the_same_licenses(make_location: Callable[..., Location]) -> None:
    location = make_location(assets=2, assignments=2_000, users=1, devices=1_000)
    token = location.mirrored()
    asset = asset_of(token)
    location.sim.control("limits", maxSerialNumbers=50)
    connection.forget_service()
    give(asset, known_devices(250))
    carry_out_due()
    location.sim.control("settle")
    Operation.objects.update(next_attempt_at="2020-01-01T00:00:00Z")
    run = registration.ask_for_sync(token, SyncReason.MANUAL, None)
    settle = [partial(tasks.carry_out_operation, pk) for pk in Operation.objects.values_list("pk", flat=True)]
    at_once(partial(tasks.sync_token, run.pk), *settle)
    settle_all(location)
    assert states() == {"done": 250}
    assert_agreed(token, location)


def test_ten_workers_at_one_operation_send_it_once(location: Location) -> None:
    token = location.mirrored()
    give(asset_of(token), known_devices(3))
    (pk,) = Operation.objects.values_list("pk", flat=True)
    at_once(*[partial(tasks.carry_out_operation, pk)] * 10)
    settle_all(location)
    assert len(location.asked("/assets/associate")) == 1
    assert_agreed(token, location)


def test_taking_back_what_is_just_being_sent_never_loses_a_license(location: Location) -> None:
    token = location.mirrored()
    asset = asset_of(token)
    for _ in range(5):
        devices = known_devices(2)
        give(asset, devices)
        (pk,) = Operation.objects.due().values_list("pk", flat=True)
        at_once(partial(tasks.carry_out_operation, pk), partial(take, asset, devices))
        settle_all(location)
        take(asset, devices)
        settle_all(location)
        assert_agreed(token, location)
        assert asset.assignments.count() == 6
