"""A change is sent once, looked after until Apple has carried it out, and written into the mirror with its reasons."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from tests.changes import (
    assert_agreed,
    asset_of,
    carry_out_due,
    give,
    known_devices,
    messages,
    settle_all,
    states,
    take,
)
from tests.factories import OperationFactory, UserFactory
from tests.locations import Location
from tokens import operations, removal, tasks
from tokens.apple import RequestRefused
from tokens.apple.errors import Targets
from tokens.licenses import Holder
from tokens.models import Asset, ContentToken, Operation, OperationStep, Target, TargetState
from tokens.signals import Changes, token_changed
from vppportal.work import LeaseLost, WorkState

pytestmark = pytest.mark.django_db


@pytest.fixture
def token(location: Location) -> ContentToken:
    """A token whose mirror is level."""
    return location.mirrored()


@pytest.fixture
def asset(token: ContentToken) -> Asset:
    """An app of it: 27 licenses, 6 of them in use."""
    return asset_of(token)


def step() -> str:
    return str(Operation.objects.get().step)


# --- There and back ---------------------------------------------------------------------------------------------------


def test_licenses_are_given_and_taken_back(location: Location, token: ContentToken, asset: Asset) -> None:
    devices = known_devices(3)
    give(asset, devices)
    settle_all(location)
    assert_agreed(token, location)
    assert asset.assignments.count() == 6 + 3
    take(asset, devices)
    settle_all(location)
    assert_agreed(token, location)
    assert asset.assignments.count() == 6
    assert states() == {"done": 6}


def test_a_change_costs_three_requests(location: Location, asset: Asset) -> None:
    before = len(location.asked())
    give(asset, known_devices(3))
    settle_all(location)
    asked = [(entry["method"], entry["path"].rpartition("/")[2]) for entry in location.asked()[before:]]
    assert asked == [("POST", "associate"), ("GET", "status"), ("GET", "assets")]


def test_ten_thousand_devices_are_ten_calls(location: Location, token: ContentToken, asset: Asset) -> None:
    location.tell("buy", adam_id=asset.adam_id, count=20_000)
    Asset.objects.filter(pk=asset.pk).update(total=20_027, available=20_021)
    give(asset, known_devices(10_000))
    settle_all(location)
    sent = [entry["body"] for entry in location.asked("/assets/associate")]
    assert sent == [{"assets": 1, "serialNumbers": 1_000}] * 10
    assert len(location.asked("/status")) == 10
    assert asset.assignments.count() == 6 + 10_000


def test_people_receive_licenses_by_their_client_user_id(location: Location, token: ContentToken, asset: Asset) -> None:
    holding = {row[3] for row in location.assignments if row[0] == asset.adam_id}
    give(asset, [Holder(client_user_id=next(user for user in location.users if user not in holding))])
    settle_all(location)
    assert_agreed(token, location)
    assert states() == {"done": 1}


def test_each_step_is_stored(location: Location, asset: Asset) -> None:
    location.sim.control("events", following=[{"pending": True}])
    give(asset, known_devices(1))
    assert step() == OperationStep.QUEUED
    carry_out_due()
    operation = Operation.objects.get()
    assert (operation.step, operation.state, operation.sends) == (OperationStep.PENDING, WorkState.WAITING, 1)
    assert operation.event_id
    assert operation.sent_at is not None
    location.sim.control("release-events")
    settle_all(location)
    operation.refresh_from_db()
    assert (operation.step, operation.state) == (OperationStep.SETTLED, WorkState.DONE)
    assert operation.settled_at is not None


def test_whoever_listens_is_told_when_it_is_settled(location: Location, asset: Asset) -> None:
    heard: list[Changes] = []

    def listen(changes: Changes, **kwargs: object) -> None:
        heard.append(changes)

    token_changed.connect(listen)
    try:
        give(asset, known_devices(2))
        settle_all(location)
    finally:
        token_changed.disconnect(listen)
    assert heard == [Changes("assignments", added=2)]


def test_the_first_look_is_soon_and_the_next_ones_half_a_minute_apart(location: Location, asset: Asset) -> None:
    location.sim.control("events", following=[{"pending": True}])
    give(asset, known_devices(1))
    looks = []
    with time_machine.travel(timezone.now(), tick=False) as clock:
        start = timezone.now()
        for _ in range(4):
            carry_out_due()
            looks.append((Operation.objects.get().next_attempt_at - start).total_seconds())
            clock.move_to(Operation.objects.get().next_attempt_at)
    assert looks == [2.5, 32.5, 62.5, 92.5]


def test_with_notifications_the_first_look_may_wait(location: Location, token: ContentToken, asset: Asset) -> None:
    ContentToken.objects.update(subscribed_to="https://portal.example/apple/notifications/1/")
    give(asset, known_devices(1))
    carry_out_due()
    wait = Operation.objects.get().next_attempt_at - timezone.now()
    assert timedelta(minutes=4) < wait <= timedelta(minutes=5)


def test_an_operation_somebody_else_is_at_is_left_alone(location: Location, asset: Asset) -> None:
    give(asset, known_devices(1))
    asked = len(location.asked())
    Operation.objects.all().claim(1)
    tasks.carry_out_operation(Operation.objects.get().pk)
    assert len(location.asked()) == asked


def test_whoever_lost_the_lease_writes_nothing(
    location: Location, asset: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(asset, known_devices(1))
    carry_out_due()
    location.sim.control("settle")
    Operation.objects.update(next_attempt_at=timezone.now())
    (slow,) = Operation.objects.select_related("token", "asset").claim(1)
    Operation.objects.update(lease_until="2020-01-01T00:00:00Z")
    tasks.carry_out_operation(slow.pk)
    with pytest.raises(LeaseLost):
        operations.carry_out(slow)
    assert Operation.objects.get().state == WorkState.DONE
    assert asset.assignments.count() == 7


def test_what_kills_its_workers_is_given_up(location: Location, asset: Asset) -> None:
    give(asset, known_devices(1))
    Operation.objects.update(deaths=Operation.max_deaths)
    carry_out_due()
    assert Operation.objects.get().state == WorkState.DONE
    assert messages(TargetState.DROPPED) == {(None, operations.POISON)}


def test_settled_changes_are_forgotten_after_ninety_days() -> None:
    old = OperationFactory(state=WorkState.DONE, settled_at=timezone.now() - timedelta(days=91))
    still_open = OperationFactory(settled_at=timezone.now() - timedelta(days=91))
    recent = OperationFactory(state=WorkState.DONE, settled_at=timezone.now() - timedelta(days=89))
    Target.objects.create(operation=old, asset=old.asset, serial_number="A", state=TargetState.DONE)
    tasks.forget_old_runs()
    assert {*Operation.objects.all()} == {still_open, recent}
    assert not Target.objects.exists()


# --- Tokens that cannot be used ---------------------------------------------------------------------------------------


def test_a_token_that_may_only_read_is_found_out_once(location: Location, token: ContentToken, asset: Asset) -> None:
    location.tell("read-only")
    give(asset, known_devices(1))
    settle_all(location)
    token.refresh_from_db()
    assert token.is_read_only
    assert token.is_usable
    assert {number for number, _ in messages()} == {9637}
    operation = Operation.objects.get()
    assert operation.state == WorkState.FAILED
    assert "not allowed" in operation.last_error


def test_what_was_asked_before_is_not_sent_with_a_token_that_may_only_read(location: Location, asset: Asset) -> None:
    give(asset, known_devices(1))
    ContentToken.objects.update(is_read_only=True)
    settle_all(location)
    assert location.asked("/assets/associate") == []
    assert {number for number, _ in messages()} == {9637}


def test_a_deleted_token_sends_nothing_more(location: Location, token: ContentToken, asset: Asset) -> None:
    give(asset, known_devices(2))
    removal.delete(token, by=UserFactory())
    carry_out_due()
    assert location.asked("/assets/associate") == []
    assert messages(TargetState.DROPPED) == {(None, operations.DELETED)}
    removal.purge(token.pk)
    assert not Operation.objects.exists()
    assert not ContentToken.objects.exists()


def test_a_deleted_token_waits_for_what_was_sent(location: Location, token: ContentToken, asset: Asset) -> None:
    location.sim.control("events", following=[{"pending": True}])
    give(asset, known_devices(2))
    carry_out_due()
    removal.delete(token, by=UserFactory())
    removal.purge(token.pk)
    assert ContentToken.objects.exists()
    location.sim.control("release-events")
    settle_all(location)
    assert states() == {"done": 2}
    removal.purge(token.pk)
    assert not ContentToken.objects.exists()


@pytest.mark.parametrize("trouble", [{"revoke": {}}, {"claim": {}}])
def test_a_deleted_token_that_is_refused_waits_for_nothing(
    location: Location, token: ContentToken, asset: Asset, trouble: dict[str, Any]
) -> None:
    location.sim.control("events", following=[{"pending": True}])
    give(asset, known_devices(1))
    carry_out_due()
    removal.delete(token, by=UserFactory())
    for verb, members in trouble.items():
        location.tell(verb, **members)
    assert settle_all(location) < timedelta(minutes=1)
    removal.purge(token.pk)
    assert not ContentToken.objects.exists()


def test_a_deleted_token_waits_for_apple_a_day_at_most(location: Location, token: ContentToken, asset: Asset) -> None:
    location.sim.control("events", following=[{"pending": True}])
    give(asset, known_devices(1))
    carry_out_due()
    removal.delete(token, by=UserFactory())
    location.sim.control("faults", status=503, times=-1)
    assert settle_all(location, within=timedelta(hours=30)) > timedelta(hours=23)
    assert states() == {"failed": 1}


def test_a_refusal_that_names_somebody_else_is_not_asked_for_again_for_ever() -> None:
    operation = OperationFactory(state=WorkState.RUNNING, sends=operations.MOST_SENDS, step=OperationStep.SENDING)
    target = Target.objects.create(operation=operation, asset=operation.asset, serial_number="OURS1")
    error = RequestRefused("No.", number=9999, error_info=Targets(serial_numbers=("ANOTHER1",)))
    operations._take_refusal(operation, None, [target], error)  # type: ignore[arg-type]
    target.refresh_from_db()
    assert (target.state, operation.step) == (TargetState.FAILED, OperationStep.SETTLED)
