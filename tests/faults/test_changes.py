"""Whatever happens to a change on its way to Apple and back: it is done once, and the portal knows what was done."""

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
    known_devices,
    messages,
    settle_all,
    states,
)
from tests.deliveries import deliver
from tests.factories import ClientUserFactory, DeviceFactory, ManagedUserFactory, UserFactory, UserGroupFactory
from tests.locations import Location, Mirror, assert_level, sync_now
from tokens import connection, fence, licenses, operations, registration, removal
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
    TokenStatus,
)
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db
OTHER_MDM = {"mdmInfo": {"id": "theirs", "name": "Other MDM", "metadata": "mdm.example"}}
ASSOCIATE, DISASSOCIATE, STATUS = "/assets/associate", "/assets/disassociate", "/status"


@pytest.fixture
def token(location: Location) -> ContentToken:
    """A token whose mirror is level."""
    return location.mirrored()


@pytest.fixture
def asset(token: ContentToken) -> Asset:
    """An app of it: 27 licenses, 6 of them in use."""
    return asset_of(token)


def give(asset: Asset, wanted: list[Holder]) -> licenses.Asked:
    return licenses.assign(asset, wanted, by=None, why="Test")


def take(asset: Asset, wanted: list[Holder]) -> licenses.Asked:
    return licenses.revoke(asset, wanted, by=None, why="Test")


def given(location: Location, asset: Asset, count: int = 3) -> list[Holder]:
    """Give licenses to so many devices, and wait until they have them."""
    devices = known_devices(count)
    give(asset, devices)
    settle_all(location)
    return devices


def trouble(location: Location, path: str, **members: Any) -> None:
    location.sim.control("faults", path=path, **members)


def events(location: Location, *following: dict[str, Any], **members: Any) -> None:
    location.sim.control("events", following=[*following], **members)


def sent(location: Location, path: str = ASSOCIATE) -> list[int]:
    """Return how many holders each call named; 0 for one that did not get through."""
    bodies = [entry.get("body", {}) for entry in location.asked(path)]
    return [body.get("serialNumbers", 0) + body.get("clientUserIds", 0) for body in bodies]


# --- Rows 7 to 12: Apple wants a pause, is away, or talks nonsense ----------------------------------------------------


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


# --- Rows 13 to 15: the answer is lost --------------------------------------------------------------------------------


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


# --- Row 16: a part fails ---------------------------------------------------------------------------------------------


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


# --- Rows 17 to 19: late, stuck and forgotten events ------------------------------------------------------------------


def test_a_list_that_lags_behind_takes_nothing_away(location: Location, token: ContentToken, asset: Asset) -> None:
    events(location, lag=1.5)
    devices = known_devices(3)
    give(asset, devices)
    with time_machine.travel(timezone.now(), tick=True) as clock:
        carry_out_due()
        clock.shift(timedelta(seconds=3))
        carry_out_due()
    assert states() == {"done": 3}
    assert len(location.assignments) == 30, "not listed yet"
    sync_now(token)
    assert asset.assignments.count() == 6 + 3
    location.sim.control("settle")
    sync_now(token)
    assert_level(token, location)


def test_after_two_minutes_the_list_is_believed(location: Location, token: ContentToken, asset: Asset) -> None:
    devices = given(location, asset)
    location.tell("take-back", adam_id=asset.adam_id, serial_numbers=[devices[0].serial_number])
    sync_now(token)
    assert asset.assignments.count() == 6 + 3
    with time_machine.travel(timezone.now() + timedelta(minutes=3)):
        sync_now(token)
    assert_level(token, location)


def test_a_license_taken_back_does_not_come_again_with_an_old_list(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    devices = given(location, asset)
    take(asset, devices)
    settle_all(location)
    location.tell(
        "assign", adam_id=asset.adam_id, serial_numbers=[devices[0].serial_number]
    )  # as an old list would show
    sync_now(token)
    assert asset.assignments.count() == 6
    with time_machine.travel(timezone.now() + timedelta(minutes=3)):
        sync_now(token)
    assert_level(token, location)


def test_an_event_that_stays_pending_is_sent_again_after_ten_minutes(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    events(location, {"pending": True})
    give(asset, known_devices(3))
    took = settle_all(location)
    assert_agreed(token, location)
    assert sent(location) == [3, 3]
    assert timedelta(minutes=10) < took < timedelta(minutes=11)
    looks = [entry["query"]["eventId"] for entry in location.asked(STATUS)]
    assert looks.count(looks[0]) <= 21, "not more often than every half minute"
    location.sim.control("release-events")
    location.sim.control("settle")
    assert_agreed(token, location)


def test_an_event_that_is_stuck_though_done_is_not_sent_again(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    trouble(location, STATUS, times=-1, merge={"eventStatus": "PENDING"})
    give(asset, known_devices(3))
    settle_all(location)
    assert_agreed(token, location)
    assert sent(location) == [3]


def test_events_that_are_all_stuck_are_given_up_in_the_end(location: Location, asset: Asset) -> None:
    events(location, *[{"pending": True}] * operations.MOST_SENDS)
    give(asset, known_devices(1))
    settle_all(location)
    assert len(sent(location)) == operations.MOST_SENDS
    assert messages() == {(None, operations.GIVEN_UP)}


@pytest.mark.parametrize("kind", ["give", "take"])
def test_an_event_apple_has_forgotten_is_looked_up_in_the_lists(
    location: Location, token: ContentToken, asset: Asset, kind: str
) -> None:
    devices = given(location, asset) if kind == "take" else known_devices(3)
    events(location, {"forget": True})
    take(asset, devices) if kind == "take" else give(asset, devices)
    settle_all(location)
    assert_agreed(token, location)
    assert sent(location, DISASSOCIATE if kind == "take" else ASSOCIATE) == [3]


@pytest.mark.parametrize("status", [{"status": 500}, {"status": 503, "headers": {"Retry-After": "60"}}, {"body": "?"}])
def test_a_look_that_fails_is_repeated(
    location: Location, token: ContentToken, asset: Asset, status: dict[str, Any]
) -> None:
    trouble(location, STATUS, times=4, **status)
    give(asset, known_devices(3))
    settle_all(location)
    assert_agreed(token, location)
    assert sent(location) == [3]


def test_counts_that_cannot_be_read_do_not_hold_up_the_license(
    location: Location, token: ContentToken, asset: Asset
) -> None:
    trouble(location, "/assets", times=4, status=500)
    give(asset, known_devices(3))
    settle_all(location)
    assert Mirror(token).assignments == location.assignments
    sync_now(token)
    assert_level(token, location)


# --- Rows 27 to 29: counts that do not fit, and others who take licenses ----------------------------------------------


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


# --- Rows 2, 30, 31 and 33: the token ---------------------------------------------------------------------------------


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


# --- Row 32: limits ---------------------------------------------------------------------------------------------------


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


# --- Rows 35 and 36: what cannot be done ------------------------------------------------------------------------------


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


# --- Rows 54 to 56: rules that change meanwhile -----------------------------------------------------------------------


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
