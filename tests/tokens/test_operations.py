"""A change is sent once, looked after until Apple has carried it out, and written into the mirror with its reasons."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from tests.changes import (
    assert_agreed,
    asset_of,
    carry_out_due,
    known_devices,
    messages,
    settle_all,
    states,
)
from tests.factories import (
    AssetFactory,
    AssignmentFactory,
    ClientUserFactory,
    ContentTokenFactory,
    DeviceFactory,
    ManagedUserFactory,
    OperationFactory,
    UserFactory,
    UserGroupFactory,
)
from tests.locations import Location, Mirror
from tokens import fence, licenses, operations, people, removal, tasks
from tokens.licenses import Holder
from tokens.models import (
    Asset,
    ClientUser,
    ContentToken,
    Operation,
    OperationKind,
    OperationStep,
    Target,
    TargetState,
)
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


def give(asset: Asset, *wanted: Holder) -> licenses.Asked:
    return licenses.assign(asset, wanted, by=None, why="Test")


def take(asset: Asset, *wanted: Holder) -> licenses.Asked:
    return licenses.revoke(asset, wanted, by=None, why="Test")


def step() -> str:
    return str(Operation.objects.get().step)


# --- There and back ---------------------------------------------------------------------------------------------------


def test_licenses_are_given_and_taken_back(location: Location, token: ContentToken, asset: Asset) -> None:
    devices = known_devices(3)
    give(asset, *devices)
    settle_all(location)
    assert_agreed(token, location)
    assert asset.assignments.count() == 6 + 3
    take(asset, *devices)
    settle_all(location)
    assert_agreed(token, location)
    assert asset.assignments.count() == 6
    assert states() == {"done": 6}


def test_a_change_costs_three_requests(location: Location, asset: Asset) -> None:
    before = len(location.asked())
    give(asset, *known_devices(3))
    settle_all(location)
    asked = [(entry["method"], entry["path"].rpartition("/")[2]) for entry in location.asked()[before:]]
    assert asked == [("POST", "associate"), ("GET", "status"), ("GET", "assets")]


def test_ten_thousand_devices_are_ten_calls(location: Location, token: ContentToken, asset: Asset) -> None:
    location.tell("buy", adam_id=asset.adam_id, count=20_000)
    Asset.objects.filter(pk=asset.pk).update(total=20_027, available=20_021)
    give(asset, *known_devices(10_000))
    settle_all(location)
    sent = [entry["body"] for entry in location.asked("/assets/associate")]
    assert sent == [{"assets": 1, "serialNumbers": 1_000}] * 10
    assert len(location.asked("/status")) == 10
    assert asset.assignments.count() == 6 + 10_000


def test_people_receive_licenses_by_their_client_user_id(location: Location, token: ContentToken, asset: Asset) -> None:
    holding = {row[3] for row in location.assignments if row[0] == asset.adam_id}
    give(asset, Holder(client_user_id=next(user for user in location.users if user not in holding)))
    settle_all(location)
    assert_agreed(token, location)
    assert states() == {"done": 1}


def test_each_step_is_stored(location: Location, asset: Asset) -> None:
    location.sim.control("events", following=[{"pending": True}])
    give(asset, *known_devices(1))
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
        give(asset, *known_devices(2))
        settle_all(location)
    finally:
        token_changed.disconnect(listen)
    assert heard == [Changes("assignments", added=2)]


def test_the_first_look_is_soon_and_the_next_ones_half_a_minute_apart(location: Location, asset: Asset) -> None:
    location.sim.control("events", following=[{"pending": True}])
    give(asset, *known_devices(1))
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
    give(asset, *known_devices(1))
    carry_out_due()
    wait = Operation.objects.get().next_attempt_at - timezone.now()
    assert timedelta(minutes=4) < wait <= timedelta(minutes=5)


def test_an_operation_somebody_else_is_at_is_left_alone(location: Location, asset: Asset) -> None:
    give(asset, *known_devices(1))
    asked = len(location.asked())
    Operation.objects.all().claim(1)
    tasks.carry_out_operation(Operation.objects.get().pk)
    assert len(location.asked()) == asked


def test_whoever_lost_the_lease_writes_nothing(
    location: Location, asset: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(asset, *known_devices(1))
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
    give(asset, *known_devices(1))
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


# --- What is looked at once more when it is sent ----------------------------------------------------------------------


def objections(kind: str = "assign", **asset: Any) -> Callable[[Holder], str]:
    """Return what is said of one holder of an operation by the fence, empty where it may be sent."""
    operation = OperationFactory(kind=kind, **{f"asset__{name}": value for name, value in asset.items()})

    def of(holder: Holder) -> str:
        names = {"serial_number": holder.serial_number, "client_user_id": holder.client_user_id}
        target = Target.objects.create(operation=operation, asset=operation.asset, **names)
        return fence.objections(operation, [target]).get(target.pk, "")

    return of


def test_a_device_we_know_may_have_a_license() -> None:
    DeviceFactory(serial_number="c02abc")
    assert objections()(Holder("C02ABC")) == ""


def test_a_device_we_do_not_know_gets_no_license() -> None:
    assert objections()(Holder("NEVERSEEN")) == fence.UNKNOWN_DEVICE


def test_a_retired_device_gets_no_license_and_gives_its_own_back() -> None:
    device = DeviceFactory(retired_at=timezone.now())
    assert objections()(Holder(device.serial_number)) == fence.RETIRED_DEVICE
    assert objections(kind="revoke")(Holder(device.serial_number)) == ""


def test_of_a_restricted_token_only_devices_of_members_get_licenses() -> None:
    group = UserGroupFactory()
    token = ContentTokenFactory()
    token.restricted_to.add(group)
    of = objections(token=token)
    assert of(Holder(DeviceFactory(owner=ManagedUserFactory(groups=[group])).serial_number)) == ""
    assert of(Holder(DeviceFactory(owner=ManagedUserFactory()).serial_number)) == fence.OUTSIDE
    assert of(Holder(DeviceFactory(owner=None).serial_number)) == fence.OUTSIDE


def test_of_a_restricted_token_only_members_get_licenses() -> None:
    group = UserGroupFactory()
    token = ContentTokenFactory()
    token.restricted_to.add(group)
    inside = ClientUserFactory(token=token, person=ManagedUserFactory(groups=[group]))
    outside = ClientUserFactory(token=token, person=ManagedUserFactory())
    nobody = ClientUserFactory(token=token, person=None)
    of = objections(token=token)
    assert of(Holder(client_user_id=inside.client_user_id)) == ""
    assert of(Holder(client_user_id=outside.client_user_id)) == fence.OUTSIDE
    assert of(Holder(client_user_id=nobody.client_user_id)) == fence.OUTSIDE


def test_without_a_restriction_anybody_registered_may_have_a_license() -> None:
    user = ClientUserFactory(person=None)
    retired = ClientUserFactory(token=user.token, status="Retired")
    of = objections(token=user.token)
    assert of(Holder(client_user_id=user.client_user_id)) == ""
    assert of(Holder(client_user_id=retired.client_user_id)) == fence.RETIRED_PERSON


def test_what_apple_does_not_take_back_or_give_to_devices_is_not_sent() -> None:
    assert objections(kind="revoke", is_revocable=False)(Holder("A")) == fence.NOT_REVOCABLE
    assert objections(is_device_assignable=False)(Holder("A")) == fence.NOT_FOR_DEVICES


def test_a_thousand_targets_are_checked_in_a_constant_number_of_queries(django_assert_num_queries: Any) -> None:
    group = UserGroupFactory()
    token = ContentTokenFactory()
    token.restricted_to.add(group)
    operation = OperationFactory(asset__token=token)
    owner = ManagedUserFactory(groups=[group])
    Target.objects.bulk_create(
        Target(operation=operation, asset=operation.asset, serial_number=holder.serial_number)
        for holder in known_devices(1_000, owner=owner)
    )
    targets = [*operation.targets.all()]
    with django_assert_num_queries(4):
        assert fence.objections(operation, targets) == {}


def test_what_may_not_be_sent_is_said_and_the_rest_is_sent(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    known, retired = known_devices(1), known_devices(1, retired_at=timezone.now())
    give(asset, *known, *retired, Holder("NEVERSEEN"))
    settle_all(location)
    assert_agreed(token, location)
    assert states() == {"done": 1, "dropped": 2}
    assert {text for _, text in messages(TargetState.DROPPED)} == {fence.UNKNOWN_DEVICE, fence.RETIRED_DEVICE}


def test_where_nothing_may_be_sent_apple_is_not_asked(location: Location, asset: Asset) -> None:
    give(asset, Holder("NEVERSEEN"))
    settle_all(location)
    assert location.asked("/assets/associate") == []
    assert Operation.objects.get().step == OperationStep.SETTLED
    assert licenses.free([asset])[asset.pk] == 21


# --- Tokens that cannot be used ---------------------------------------------------------------------------------------


def test_a_token_that_may_only_read_is_found_out_once(location: Location, token: ContentToken, asset: Asset) -> None:
    location.tell("read-only")
    give(asset, *known_devices(1))
    settle_all(location)
    token.refresh_from_db()
    assert token.is_read_only
    assert token.is_usable
    assert {number for number, _ in messages()} == {9637}
    operation = Operation.objects.get()
    assert operation.state == WorkState.FAILED
    assert "not allowed" in operation.last_error


def test_what_was_asked_before_is_not_sent_with_a_token_that_may_only_read(location: Location, asset: Asset) -> None:
    give(asset, *known_devices(1))
    ContentToken.objects.update(is_read_only=True)
    settle_all(location)
    assert location.asked("/assets/associate") == []
    assert {number for number, _ in messages()} == {9637}


def test_a_deleted_token_sends_nothing_more(location: Location, token: ContentToken, asset: Asset) -> None:
    give(asset, *known_devices(2))
    removal.delete(token, by=UserFactory())
    carry_out_due()
    assert location.asked("/assets/associate") == []
    assert messages(TargetState.DROPPED) == {(None, operations.DELETED)}
    removal.purge(token.pk)
    assert not Operation.objects.exists()
    assert not ContentToken.objects.exists()


def test_a_deleted_token_waits_for_what_was_sent(location: Location, token: ContentToken, asset: Asset) -> None:
    location.sim.control("events", following=[{"pending": True}])
    give(asset, *known_devices(2))
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
    give(asset, *known_devices(1))
    carry_out_due()
    removal.delete(token, by=UserFactory())
    for verb, members in trouble.items():
        location.tell(verb, **members)
    assert settle_all(location) < timedelta(minutes=1)
    removal.purge(token.pk)
    assert not ContentToken.objects.exists()


def test_a_deleted_token_waits_for_apple_a_day_at_most(location: Location, token: ContentToken, asset: Asset) -> None:
    location.sim.control("events", following=[{"pending": True}])
    give(asset, *known_devices(1))
    carry_out_due()
    removal.delete(token, by=UserFactory())
    location.sim.control("faults", status=503, times=-1)
    assert settle_all(location, within=timedelta(hours=30)) > timedelta(hours=23)
    assert states() == {"failed": 1}


# --- People -----------------------------------------------------------------------------------------------------------


def test_people_are_registered_and_retired(location: Location, token: ContentToken) -> None:
    person = ManagedUserFactory(email="new@company.example")
    people.register(token, [person], by=None)
    settle_all(location)
    user = ClientUser.objects.get(person=person)
    assert user.status == "Registered"
    assert Mirror(token).users == location.users
    people.retire([user], by=None)
    settle_all(location)
    user.refresh_from_db()
    assert user.status == "Retired"
    assert states() == {"done": 2}


def test_a_registration_whose_answer_is_lost_is_read_back(location: Location, token: ContentToken) -> None:
    location.sim.control("faults", path="/users/create", drop="after")
    people.register(token, [ManagedUserFactory(email="new@company.example")], by=None)
    settle_all(location)
    assert len(location.asked("/users/create")) == 1
    assert states() == {"done": 1}
    assert Mirror(token).users == location.users


def test_a_registration_that_never_arrived_is_sent_again(location: Location, token: ContentToken) -> None:
    location.sim.control("faults", path="/users/create", drop="before")
    people.register(token, [ManagedUserFactory(email="new@company.example")], by=None)
    settle_all(location)
    assert len(location.asked("/users/create")) == 2
    assert states() == {"done": 1}


def test_a_retirement_of_somebody_already_retired_is_done(location: Location, token: ContentToken) -> None:
    person = ManagedUserFactory(email="new@company.example")
    people.register(token, [person], by=None)
    settle_all(location)
    user = ClientUser.objects.get(person=person)
    location.world.retire(location.world.users.active[user.client_user_id])
    people.retire([user], by=None)
    settle_all(location)
    assert states(kind=OperationKind.RETIRE) == {"done": 1}


def test_a_hundred_people_are_one_call(location: Location, token: ContentToken) -> None:
    people.register(token, ManagedUserFactory.create_batch(101), by=None)
    settle_all(location)
    assert [entry["body"]["users"] for entry in location.asked("/users/create")] == [100, 1]
    assert states() == {"done": 101}


def test_an_operation_of_an_asset_without_assignments_is_carried_out(location: Location) -> None:
    """The asset of this operation is unknown at Apple: its refusal is told, not tried again."""
    token = location.mirrored(name="Other")
    asset = AssetFactory(token=token, adam_id="4711")
    AssignmentFactory(asset=asset, serial_number="A")
    give(asset, *known_devices(1))
    settle_all(location)
    assert {number for number, _ in messages()} == {9709}
