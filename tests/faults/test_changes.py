"""Whatever happens to a change on its way to Apple and back: it is done once, and the portal knows what was done."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
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
from tests.factories import ClientUserFactory, ManagedUserFactory
from tests.locations import Location
from tokens import licenses, operations
from tokens.licenses import Holder
from tokens.models import Asset, ClientUser, ContentToken, Operation, OperationKind, OperationStep, TargetState

pytestmark = pytest.mark.django_db


# --- Apple wants a pause, is away, or talks nonsense ------------------------------------------------------------------


@pytest.mark.parametrize("answer", [{"error_number": 9646}, {"error_number": 9603}, {"error_number": 9644}])
def test_a_refusal_for_the_moment_is_no_send(
    location: Location, token: ContentToken, asset: Asset, answer: dict[str, Any]
) -> None:
    trouble(location, ASSOCIATE, times=3, **answer)
    give(asset, known_devices(3))
    settle_all(location)
    assert_agreed(token, location)
    assert Operation.objects.get().sends == 1
    assert states() == {"done": 3}


def test_a_pause_that_apple_asks_for_is_kept(location: Location, asset: Asset) -> None:
    trouble(location, ASSOCIATE, status=503, error_number=9729, headers={"Retry-After": "120"})
    give(asset, known_devices(1))
    carry_out_due()
    assert Operation.objects.get().next_attempt_at - timezone.now() > timedelta(seconds=115)


@pytest.mark.parametrize("number", [9644, 9603, 9646])
def test_maintenance_told_afterwards_puts_the_change_off(
    location: Location, token: ContentToken, asset: Asset, number: int
) -> None:
    events(location, {"fail": 3, "errorNumber": number}, {"fail": 1, "errorNumber": number})
    give(asset, known_devices(3))
    assert settle_all(location) > timedelta(seconds=30)
    assert_agreed(token, location)
    assert sent(location) == [3, 3, 1]
    assert states() == {"done": 3}


UNREADABLE: list[dict[str, Any]] = [
    {"body": "<html>Bad Gateway</html>", "status": 502},
    {"body": "<html>Welcome</html>"},
    {"body": ""},
    {"status": 500},
]


APPLIED: list[dict[str, Any]] = [*({**answer, "apply": True} for answer in UNREADABLE), {"truncate": 20}]


@pytest.mark.parametrize("answer", [*UNREADABLE, *APPLIED])
def test_an_answer_that_cannot_be_read_may_mean_that_it_is_done(
    location: Location, token: ContentToken, asset: Asset, answer: dict[str, Any]
) -> None:
    trouble(location, ASSOCIATE, **answer)
    give(asset, known_devices(3))
    settle_all(location)
    assert_agreed(token, location)
    assert sent(location) == ([3] if answer in APPLIED else [0, 3])


# --- The answer is lost -----------------------------------------------------------------------------------------------


def test_what_never_reached_apple_is_sent_again_after_looking(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    trouble(location, ASSOCIATE, drop="before")
    give(asset, known_devices(3))
    took = settle_all(location)
    assert_agreed(token, location)
    assert sent(location) == [0, 3]
    assert timedelta(minutes=2) <= took < timedelta(minutes=3), "the list may lag behind for two minutes"


def test_apple_that_cannot_be_reached_costs_no_reading_back(
    location: Location, token: ContentToken, asset: Asset, settings: Any
) -> None:
    give(asset, known_devices(3))
    apple, settings.APPLE_VPP_URL = settings.APPLE_VPP_URL, "http://127.0.0.1:9/mdm/v2"
    carry_out_due()
    settings.APPLE_VPP_URL = apple
    assert Operation.objects.get().step == OperationStep.QUEUED
    settle_all(location)
    assert_agreed(token, location)
    assert location.asked("/assignments")[1:] == []


def test_what_was_done_is_found_and_not_sent_again(location: Location, token: ContentToken, asset: Asset) -> None:
    trouble(location, ASSOCIATE, drop="after")
    give(asset, known_devices(3))
    took = settle_all(location)
    assert_agreed(token, location)
    assert sent(location) == [3]
    assert took < timedelta(seconds=30)


def test_only_what_was_not_done_is_sent_again(location: Location, token: ContentToken, asset: Asset) -> None:
    events(location, {"fail": 2, "errorNumber": 9603})
    trouble(location, ASSOCIATE, drop="after")
    give(asset, known_devices(10))
    settle_all(location)
    assert_agreed(token, location)
    assert sent(location) == [10, 2]
    assert states() == {"done": 10}


def test_few_holders_are_asked_for_one_by_one_and_many_in_one_list(location: Location, asset: Asset) -> None:
    trouble(location, ASSOCIATE, drop="after", times=2)
    give(asset, known_devices(2))
    settle_all(location)
    one_by_one = [entry["query"] for entry in location.asked("/assignments")[1:]]
    assert [{*query} for query in one_by_one] == [{"adamId", "pricingParam", "serialNumber"}] * 2
    give(asset, known_devices(12))
    settle_all(location)
    assert {*location.asked("/assignments")[-1]["query"]} == {"adamId", "pricingParam"}


def test_a_license_taken_back_is_found_taken_back(location: Location, token: ContentToken, asset: Asset) -> None:
    devices = given(location, asset)
    trouble(location, DISASSOCIATE, drop="after")
    take(asset, devices)
    settle_all(location)
    assert_agreed(token, location)
    assert sent(location, DISASSOCIATE) == [3]
    assert states(kind=OperationKind.REVOKE) == {"done": 3}


def test_a_license_that_somebody_gave_again_meanwhile_is_not_taken_blindly(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    devices = given(location, asset)
    trouble(location, DISASSOCIATE, drop="after")
    take(asset, devices)
    carry_out_due()
    location.sim.control("settle")
    location.tell("assign", adam_id=asset.adam_id, serial_numbers=[devices[0].serial_number])
    settle_all(location)
    assert_agreed(token, location)
    assert sent(location, DISASSOCIATE) == [3]
    assert states(kind=OperationKind.REVOKE) == {"done": 2, "dropped": 1}
    assert messages(TargetState.DROPPED) == {(None, operations.HELD_AGAIN)}
    assert take(asset, devices).taken == (devices[0],), "and whoever still wants it back asks again"


def test_a_list_that_moves_while_it_is_read_proves_nothing_missing(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    location.sim.control("page-size", size=3)
    trouble(location, ASSOCIATE, drop="after")
    give(asset, known_devices(12))
    location.tell("move-version", listing="assignments", page=2, times=2)
    settle_all(location)
    assert_agreed(token, location)
    assert sent(location) == [12]


def test_an_answer_lost_again_and_again_is_given_up_in_the_end(location: Location, asset: Asset) -> None:
    trouble(location, ASSOCIATE, drop="before", times=-1)
    give(asset, known_devices(2))
    settle_all(location)
    assert sent(location) == [0] * operations.MOST_SENDS
    assert messages() == {(None, operations.GIVEN_UP)}
    assert licenses.free([Asset.objects.get(pk=asset.pk)])[asset.pk] == 21, "nothing stays reserved"


# --- A part fails -----------------------------------------------------------------------------------------------------


def test_fourteen_of_sixteen(location: Location, token: ContentToken, asset: Asset) -> None:
    events(location, {"fail": 2, "errorNumber": 9610})
    give(asset, known_devices(16))
    settle_all(location)
    assert_agreed(token, location)
    assert states() == {"done": 14, "failed": 2}
    assert messages() == {(9610, "Apple does not know this license.")}
    assert len(sent(location)) == 1


def test_a_failure_that_names_nobody_is_sorted_out_by_reading(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    events(location, {"fail": 2, "errorNumber": 9610})
    failures = [{"errorNumber": 9610, "errorMessage": "License not found"}]
    trouble(location, STATUS, merge={"failures": failures})
    give(asset, known_devices(16))
    settle_all(location)
    assert_agreed(token, location)
    assert states() == {"done": 14, "failed": 2}


def test_a_failure_without_a_reason_is_sorted_out_by_reading(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    events(location, {"fail": 2, "errorNumber": 9610})
    trouble(location, STATUS, remove=["failures"])
    give(asset, known_devices(16))
    settle_all(location)
    assert_agreed(token, location)
    assert sent(location) == [16, 2]
    assert states() == {"done": 16}


def test_a_refusal_that_says_it_is_so_already_is_success(location: Location, asset: Asset) -> None:
    events(location, {"fail": 1, "errorNumber": 9616})
    give(asset, known_devices(1))
    settle_all(location)
    assert states() == {"done": 1}


def test_somebody_apple_has_forgotten_is_registered_again_and_asked_for_once_more(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    person = ManagedUserFactory(email="", managed_apple_account=f"ada@{location.world.identity.domain}")
    user = ClientUserFactory(
        token=token, person=person, status="Associated", managed_apple_account=person.managed_apple_account, email=""
    )
    give(asset, [Holder(client_user_id=user.client_user_id)])
    settle_all(location)
    assert_agreed(token, location)
    assert sent(location) == [1, 1]
    assert states(kind=OperationKind.ASSIGN) == {"done": 1}
    assert ClientUser.objects.get(pk=user.pk).status == "Associated"


def test_somebody_apple_does_not_want_to_know_is_tried_twice_and_no_more(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    person = ManagedUserFactory(managed_apple_account=f"ada@{location.world.identity.domain}")
    user = ClientUserFactory(token=token, person=person, status="Associated")
    stranger = ClientUserFactory(token=token, person=None, status="Associated")
    ids = [user.client_user_id, stranger.client_user_id]
    events(location, failing=dict.fromkeys(ids, 9609))
    give(asset, [Holder(client_user_id=name) for name in ids])
    settle_all(location)
    assert sent(location) == [2, 1]
    assert states(kind=OperationKind.ASSIGN) == {"failed": 2}
    assert (9609, "Apple does not know this user.") in messages()
