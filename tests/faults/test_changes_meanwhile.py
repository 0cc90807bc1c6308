"""Counts, tokens, limits, products and rules that change while a change is under way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from tests.changes import (
    ASSOCIATE,
    DISASSOCIATE,
    STATUS,
    assert_agreed,
    carry_out_due,
    events,
    give,
    given,
    known_devices,
    messages,
    sent,
    settle_all,
    states,
    take,
    trouble,
)
from tests.deliveries import deliver
from tests.factories import DeviceFactory, ManagedUserFactory, UserFactory, UserGroupFactory
from tests.locations import Location, Mirror, assert_level, sync_now
from tokens import connection, fence, licenses, registration, removal
from tokens.licenses import Holder
from tokens.models import Asset, ContentToken, Operation, OperationStep, Target, TargetState, TokenStatus
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db


# --- Counts that do not fit, and others who take licenses -------------------------------------------------------------


def test_counts_that_promise_too_much_are_not_believed(location: Location, token: ContentToken, asset: Asset) -> None:
    location.tell("counts", adam_id=asset.adam_id, assigned=0)
    sync_now(token)
    asset.refresh_from_db()
    assert (asset.available, asset.assigned) == (27, 0), "both sides are shown as they are"
    assert licenses.free([asset])[asset.pk] == 21


def test_counts_that_promise_too_little_are_believed(location: Location, token: ContentToken, asset: Asset) -> None:
    location.tell("counts", adam_id=asset.adam_id, assigned=24)
    sync_now(token)
    assert len(give(asset, known_devices(5)).taken) == 3


def test_licenses_that_others_took_meanwhile_are_missing_and_the_count_says_so(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    give(asset, known_devices(10))
    location.tell("assign", adam_id=asset.adam_id, serial_numbers=[f"THEIRS{number}" for number in range(15)])
    settle_all(location)
    assert states() == {"done": 6, "failed": 4}
    assert messages() == {(9709, "There are not enough licenses.")}
    asset.refresh_from_db()
    assert (asset.available, asset.assigned) == (0, 27)
    assert licenses.free([asset])[asset.pk] == 0
    location.tell("buy", adam_id=asset.adam_id, count=4)
    sync_now(token)
    assert_level(token, location)
    asset.refresh_from_db()
    assert len(give(asset, known_devices(5)).taken) == 4


def test_an_app_transferred_away_meanwhile_fails_with_apples_reason(location: Location, asset: Asset) -> None:
    give(asset, known_devices(2))
    location.tell("transfer-away", adam_id=asset.adam_id)
    settle_all(location)
    assert {number for number, _ in messages()} == {9709}


# --- The token --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"error_number": 9625}, TokenStatus.REVOKED),
        ({"error_number": 9621}, TokenStatus.EXPIRED),
        ({"error_number": 9622}, TokenStatus.INVALID),
    ],
)
@pytest.mark.parametrize("path", [ASSOCIATE, STATUS])
def test_a_token_refused_in_the_middle_waits_and_goes_on_when_it_is_renewed(
    location: Location, token: ContentToken, asset: Asset, members: dict[str, Any], status: TokenStatus, path: str
) -> None:
    location.sim.control("limits", maxSerialNumbers=2)
    connection.forget_service()
    trouble(location, path, nth=2, times=-1, **members)
    give(asset, known_devices(6))
    with time_machine.travel(timezone.now(), tick=True) as clock:
        for _ in range(10):
            carry_out_due()
            location.sim.control("settle")
            clock.shift(timedelta(seconds=10))
    token.refresh_from_db()
    assert token.status == status
    assert "refused" in Operation.objects.open()[0].last_error
    assert len([entry for entry in location.asked(path) if entry["fault"]]) == 1, "it is not tried again and again"
    location.sim.world.faults.clear()
    location.tell("tokens", revoke_others=True)
    facts = registration.examine(location.file, renews=ContentToken.objects.get())
    registration.renew(ContentToken.objects.get(), location.file, facts, by=UserFactory())
    assert settle_all(location) < timedelta(minutes=1)
    assert_agreed(token, location)
    assert sum(sent(location)) == 6, "what was refused is sent again, nothing else"
    assert states() == {"done": 6}


def test_a_location_claimed_in_the_middle_is_left_alone(location: Location, token: ContentToken, asset: Asset) -> None:
    give(asset, known_devices(2))
    location.tell("claim")
    carry_out_due()
    token.refresh_from_db()
    assert token.status == TokenStatus.CLAIMED_ELSEWHERE
    give(asset, known_devices(2))
    operation = Operation.objects.get()
    assert (operation.step, operation.state) == (OperationStep.PENDING, WorkState.WAITING), "Apple had queued it"
    facts = registration.examine(location.file, ["take_over"], renews=token) if location.tell("tokens") else None
    assert facts is not None
    registration.renew(token, location.file, facts, by=UserFactory())
    sync_now(token)
    settle_all(location)
    assert Mirror(token).assignments == location.assignments
    assert sent(location) == [2]


# --- Limits -----------------------------------------------------------------------------------------------------------


def test_limits_that_fall_in_the_middle_cut_the_rest_smaller(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    give(asset, known_devices(20))
    location.sim.control("limits", maxSerialNumbers=8)
    settle_all(location)
    assert_agreed(token, location)
    assert sent(location)[0] == 20
    assert sorted(sent(location)[1:]) == [4, 8, 8]
    assert states() == {"done": 20}
    assert Operation.objects.count() == 3


def test_a_limit_that_apple_keeps_to_itself_is_found_by_halving(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    trouble(location, ASSOCIATE, error_number=9702)
    give(asset, known_devices(20))
    settle_all(location)
    assert_agreed(token, location)
    assert sent(location) == [0, 10, 10]


def test_a_limit_of_less_than_one_ends_with_the_reason(location: Location, asset: Asset) -> None:
    trouble(location, ASSOCIATE, times=-1, error_number=9702)
    give(asset, known_devices(3))
    settle_all(location)
    assert {number for number, _ in messages()} == {9702}


# --- What cannot be done ----------------------------------------------------------------------------------------------


def test_what_turned_out_not_to_be_taken_back_is_asked_once(location: Location, asset: Asset) -> None:
    devices = given(location, asset, 1)
    next(iter(location.world.assets.values())).revocable = False
    take(asset, devices)
    settle_all(location)
    assert messages() == {(9706, "A license of this product cannot be taken back.")}
    assert take(Asset.objects.get(pk=asset.pk), devices) == licenses.Asked((), tuple(devices))
    assert len(sent(location, DISASSOCIATE)) == 1


def test_what_turned_out_not_to_be_for_devices_is_asked_once(location: Location, asset: Asset) -> None:
    next(iter(location.world.assets.values())).device_assignable = False
    give(asset, known_devices(1))
    settle_all(location)
    assert messages() == {(9707, "This product cannot be assigned to devices, only to users.")}
    assert give(Asset.objects.get(pk=asset.pk), known_devices(1)).taken == ()


def test_a_serial_number_that_apple_takes_though_it_is_nonsense_is_ours_to_take_back(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    DeviceFactory(serial_number="NONSENSE")
    give(asset, [Holder("NONSENSE"), Holder("NEVERSEEN")])
    settle_all(location)
    assert_agreed(token, location)
    assert Target.objects.get(serial_number="NEVERSEEN").message == fence.UNKNOWN_DEVICE
    assert take(asset, [Holder("NONSENSE")]).taken == (Holder("NONSENSE"),)
    settle_all(location)
    assert_agreed(token, location)


def test_a_number_nobody_has_heard_of_is_told_in_apples_words(location: Location, asset: Asset) -> None:
    failure = {"errorNumber": 9999, "errorMessage": "The license service is out of tea."}
    trouble(location, STATUS, merge={"eventStatus": "FAILED", "failures": [failure]})
    events(location, {"fail": 1, "errorNumber": 9610})
    give(asset, known_devices(1))
    settle_all(location)
    assert messages() == {(9999, "The license service is out of tea.")}


# --- Rules ------------------------------------------------------------------------------------------------------------


def test_each_batch_obeys_the_rules_of_its_own_moment(location: Location, token: ContentToken, asset: Asset) -> None:
    location.sim.control("limits", maxSerialNumbers=3)
    connection.forget_service()
    group = UserGroupFactory()
    inside, outside = ManagedUserFactory(groups=[group]), ManagedUserFactory()
    devices = [*known_devices(3, owner=inside), *known_devices(3, owner=outside)]
    give(asset, devices[::-1])
    first, second = Operation.objects.order_by("pk")
    Operation.objects.filter(pk=second.pk).update(next_attempt_at=timezone.now() + timedelta(seconds=20))
    carry_out_due()
    token.restricted_to.add(group)
    settle_all(location)
    assert {*first.targets.values_list("state", flat=True)} == {"done"}, "they were sent before the rule"
    assert {*second.targets.values_list("state", flat=True)} == {"done"}, "they are inside"
    give(asset, known_devices(2, owner=outside))
    settle_all(location)
    assert messages(TargetState.DROPPED) == {(None, fence.OUTSIDE)}
    assert_agreed(token, location)


def test_whoever_leaves_the_group_before_it_is_sent_gets_no_license(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    group = UserGroupFactory()
    person = ManagedUserFactory(groups=[group])
    token.restricted_to.add(group)
    give(asset, known_devices(1, owner=person))
    person.groups.clear()
    settle_all(location)
    assert sent(location) == []
    assert messages(TargetState.DROPPED) == {(None, fence.OUTSIDE)}
    assert location.assets[asset.adam_id, "STDQ"][0] == 6, "the license count stays as it is"


def test_a_change_sent_again_is_checked_again(location: Location, token: ContentToken, asset: Asset) -> None:
    group = UserGroupFactory()
    person = ManagedUserFactory(groups=[group])
    token.restricted_to.add(group)
    trouble(location, ASSOCIATE, drop="before")
    give(asset, known_devices(1, owner=person))
    carry_out_due()
    person.groups.clear()
    settle_all(location)
    assert sent(location) == [0]
    assert messages(TargetState.DROPPED) == {(None, fence.OUTSIDE)}


@pytest.mark.django_db(transaction=True)
def test_a_token_deleted_in_the_middle_of_a_bulk_change_leaks_nothing(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    location.sim.control("limits", maxSerialNumbers=5)
    connection.forget_service()
    give(asset, known_devices(20))
    first = Operation.objects.order_by("pk")[0]
    Operation.objects.exclude(pk=first.pk).update(next_attempt_at=timezone.now() + timedelta(seconds=20))
    carry_out_due()
    removal.delete(token, by=UserFactory())
    removal.purge(token.pk)
    settle_all(location)
    assert sent(location) == [5]
    assert states() == {"done": 5, "dropped": 15}
    assert Mirror(token).assignments == location.assignments, "what was sent is known"
    removal.purge(token.pk)
    deliver()
    assert not ContentToken.objects.exists()
    assert not Target.objects.exists()
