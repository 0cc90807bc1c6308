"""Whatever is asked of Apple, and whatever goes wrong: never more than there is, never twice, and all is explained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.changes import assert_agreed, asset_of, carry_out_due, end_pauses, known_devices, settle_all
from tests.factories import UserFactory
from tests.locations import Location, assert_level, sync_now
from tokens import connection, licenses
from tokens.licenses import Holder
from tokens.models import Asset, ContentToken, Operation, OperationStep, Target, TargetState

pytestmark = pytest.mark.django_db
DEVICES = 12
ASSOCIATE, DISASSOCIATE, STATUS, LISTS = "/assets/associate", "/assets/disassociate", "/status", "/assignments"
FAULTS: list[dict[str, Any]] = [
    *(
        {"path": path, "drop": drop}
        for path in (ASSOCIATE, DISASSOCIATE, STATUS, LISTS)
        for drop in ("before", "after")
    ),
    *({"path": path, "error_number": 9603} for path in (ASSOCIATE, DISASSOCIATE, STATUS, "/assets")),
    *({"path": path, "body": "<html>", "apply": True} for path in (ASSOCIATE, DISASSOCIATE)),
    {"path": ASSOCIATE, "error_number": 9702},
    {"path": STATUS, "error_number": 9708},
    {"path": STATUS, "remove": ["failures"]},
    {"path": STATUS, "merge": {"eventStatus": "PENDING"}, "times": 3},
]
ORDERS: list[dict[str, Any]] = [
    {"pending": True},
    {"forget": True},
    {"fail": 1, "errorNumber": 9610},
    {"fail": 2, "errorNumber": 9644},
    {"seconds": 0.05},
]

Holders = list[int]
HOLDERS = st.lists(st.integers(0, DEVICES - 1), min_size=1, max_size=8)


class World:
    """A location, its token, and devices to do things to."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self.token = location.mirrored(by=UserFactory())
        self.devices = known_devices(DEVICES)

    @property
    def asset(self) -> Asset:
        return asset_of(self.token)

    def named(self, numbers: Holders) -> list[Holder]:
        return [self.devices[number] for number in numbers]

    def serials(self, numbers: Holders) -> list[str]:
        return [holder.serial_number for holder in self.named(numbers)]

    def assign(self, numbers: Holders) -> None:
        licenses.assign(self.asset, self.named(numbers), by=None, why="Property")

    def revoke(self, numbers: Holders) -> None:
        licenses.revoke(self.asset, self.named(numbers), by=None, why="Property")

    def others_assign(self, numbers: Holders) -> None:
        self.location.tell("assign", adam_id=self.asset.adam_id, serial_numbers=self.serials(numbers))

    def others_take(self, numbers: Holders) -> None:
        self.location.tell("take-back", adam_id=self.asset.adam_id, serial_numbers=self.serials(numbers))

    def buy(self, numbers: Holders) -> None:
        self.location.tell("buy", adam_id=self.asset.adam_id, count=len(numbers))

    def go_wrong(self, numbers: Holders) -> None:
        self.location.sim.control("faults", **FAULTS[sum(numbers) % len(FAULTS)])

    def order(self, numbers: Holders) -> None:
        self.location.sim.control("events", following=[ORDERS[sum(numbers) % len(ORDERS)]])

    def limit(self, numbers: Holders) -> None:
        self.location.sim.control("limits", maxSerialNumbers=len(numbers))
        if numbers[0] % 2:
            connection.forget_service()

    def release(self, numbers: Holders) -> None:
        self.location.sim.control("release-events")

    def sync(self, numbers: Holders) -> None:
        sync_now(self.token)

    def work(self, numbers: Holders) -> None:
        carry_out_due()


DEEDS = (
    *(World.assign, World.assign, World.revoke, World.work, World.work, World.work),
    *(World.others_assign, World.others_take, World.buy),
    *(World.go_wrong, World.go_wrong, World.order, World.limit, World.release, World.sync),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(DEEDS), HOLDERS, st.integers(0, 90)), min_size=3, max_size=14))
def test_any_history_ends_with_every_license_once_and_every_change_explained(
    make_location: Callable[..., Location], history: list[tuple[Callable[[World, Holders], None], Holders, int]]
) -> None:
    Operation.objects.all().delete()
    ContentToken.objects.all().delete()
    location = make_location(assets=1, assignments=2, users=1, devices=2)
    world = World(location)
    try:
        with time_machine.travel(timezone.now(), tick=True) as clock:
            for deed, holders, seconds in history:
                deed(world, holders)
                assert_safe(world)
                clock.shift(timedelta(seconds=seconds))
                end_pauses()
        heal(location)
        settle_all(location, within=timedelta(hours=30))
        assert_safe(world)
        assert_explained()
        # What an event that was stuck did late, and others at any time, the next sync finds.
        with time_machine.travel(timezone.now() + timedelta(hours=12)):
            end_pauses()
            sync_now(world.token)
        assert_level(world.token, location)
        assert_agreed(world.token, location)
    finally:
        location.sim.control("limits", maxSerialNumbers=1_000)
        connection.forget_service()


def heal(location: Location) -> None:
    """Let everything go right from now on."""
    location.sim.world.faults.clear()
    location.sim.world.events.orders.clear()
    location.sim.control("release-events")
    location.sim.control("settle")
    end_pauses()


def assert_safe(world: World) -> None:
    """Check what must hold at any moment."""
    for asset in world.location.world.assets.values():
        assert asset.assigned + asset.retired <= asset.total
    open_ones = Target.objects.filter(state=TargetState.OPEN).values_list("asset", "serial_number", "client_user_id")
    assert max(Counter(open_ones).values(), default=1) == 1


def assert_explained() -> None:
    """Check that all changes are settled, and say why, of each holder for whom it is not as it was asked."""
    assert not Operation.objects.exclude(step=OperationStep.SETTLED).exists()
    assert not Operation.objects.open().exists()
    assert not Target.objects.filter(state=TargetState.OPEN).exists()
    unexplained = Target.objects.exclude(state=TargetState.DONE).filter(message="")
    assert not unexplained.exists()
