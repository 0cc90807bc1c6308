"""What must not be sent by the rules of the moment is not sent, and says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from tests.changes import assert_agreed, asset_of, give, known_devices, messages, settle_all, states
from tests.factories import (
    ClientUserFactory,
    ContentTokenFactory,
    DeviceFactory,
    ManagedUserFactory,
    OperationFactory,
    UserGroupFactory,
)
from tests.locations import Location
from tokens import fence, licenses
from tokens.licenses import Holder
from tokens.models import Asset, ContentToken, Operation, OperationStep, Target, TargetState

pytestmark = pytest.mark.django_db


@pytest.fixture
def token(location: Location) -> ContentToken:
    """A token whose mirror is level."""
    return location.mirrored()


@pytest.fixture
def asset(token: ContentToken) -> Asset:
    """An app of it: 27 licenses, 6 of them in use."""
    return asset_of(token)


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
    give(asset, [*known, *retired, Holder("NEVERSEEN")])
    settle_all(location)
    assert_agreed(token, location)
    assert states() == {"done": 1, "dropped": 2}
    assert {text for _, text in messages(TargetState.DROPPED)} == {fence.UNKNOWN_DEVICE, fence.RETIRED_DEVICE}


def test_where_nothing_may_be_sent_apple_is_not_asked(location: Location, asset: Asset) -> None:
    give(asset, [Holder("NEVERSEEN")])
    settle_all(location)
    assert location.asked("/assets/associate") == []
    assert Operation.objects.get().step == OperationStep.SETTLED
    assert licenses.free([asset])[asset.pk] == 21
