"""Licenses are promised as far as they are free, to one holder once, however many ask at the same time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.changes import assert_agreed, asset_of, known_devices, settle_all, states
from tests.deliveries import taken
from tests.factories import (
    AssetFactory,
    AssignmentFactory,
    ClientUserFactory,
    ContentTokenFactory,
    ManagedUserFactory,
    UserFactory,
    UserGroupFactory,
)
from tests.faults.test_at_once import at_once
from tests.locations import Location
from tokens import connection, licenses
from tokens.apple import AppleUnavailable, Limits
from tokens.licenses import Asked, Holder
from tokens.models import Asset, Assignment, Operation, OperationKind, OperationStep, Target, TargetState
from tokens.queue import CARRY_OUT
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db


def holders(*serials: str) -> tuple[Holder, ...]:
    return tuple(Holder(serial) for serial in serials)


def many(count: int, first: int = 0) -> list[Holder]:
    return [Holder(f"SERIAL{number:06}") for number in range(first, first + count)]


def ask(asset: Asset, *serials: str) -> Asked:
    return licenses.assign(asset, holders(*serials), by=None, why="Test")


@pytest.fixture(autouse=True)
def usual_limits(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Answer for Apple's service config where no simulator does."""
    if "sim" not in request.fixturenames:
        monkeypatch.setattr(connection, "limits", Limits)


# --- How many are free ------------------------------------------------------------------------------------------------


def test_apples_count_and_the_mirror_are_each_believed_when_they_promise_less() -> None:
    apple_says_less = AssetFactory(total=10, available=3, assigned=7)
    mirror_says_less = AssetFactory(total=5, available=5, assigned=0)
    AssignmentFactory.create_batch(4, asset=mirror_says_less)
    assert licenses.free([apple_says_less, mirror_says_less]) == {apple_says_less.pk: 3, mirror_says_less.pk: 1}


def test_what_is_reserved_counts_as_taken_until_it_is_mirrored() -> None:
    asset = AssetFactory(total=10, available=10, assigned=0)
    ask(asset, "A", "B")
    assert licenses.free([asset]) == {asset.pk: 8}
    AssignmentFactory(asset=asset, serial_number="A")
    assert licenses.free([asset]) == {asset.pk: 8}


def test_what_is_being_taken_back_is_not_free_yet() -> None:
    asset = AssetFactory(total=1, available=0, assigned=1)
    AssignmentFactory(asset=asset, serial_number="A")
    licenses.revoke(asset, holders("A"), by=None, why="Test")
    assert licenses.free([asset]) == {asset.pk: 0}


def test_unlimited_gone_and_overdrawn_assets() -> None:
    unlimited, gone = AssetFactory(unlimited=True), AssetFactory(gone=True)
    overdrawn = AssetFactory(total=1, available=0, assigned=3)
    AssignmentFactory.create_batch(3, asset=overdrawn)
    assert licenses.free([unlimited, gone, overdrawn]) == {unlimited.pk: None, gone.pk: 0, overdrawn.pk: 0}


def test_a_thousand_assets_cost_no_more_queries_than_one(django_assert_num_queries: Any) -> None:
    assets = AssetFactory.create_batch(30, token=ContentTokenFactory())
    with django_assert_num_queries(2):
        licenses.free(assets)


# --- Asking for licenses ----------------------------------------------------------------------------------------------


def test_the_first_ones_get_what_is_free(location: Location) -> None:
    asset = AssetFactory(total=3, available=2, assigned=1)
    assert ask(asset, "A", "B", "C") == Asked(holders("A", "B"), holders("C"))
    operation = Operation.objects.get()
    assert (operation.kind, operation.step, operation.state) == ("assign", OperationStep.QUEUED, WorkState.WAITING)
    assert operation.why == "Test"
    assert set(operation.targets.values_list("serial_number", flat=True)) == {"A", "B"}


def test_who_asked_is_kept() -> None:
    by = UserFactory()
    licenses.assign(AssetFactory(), holders("A"), by=by, why="By hand")
    assert Operation.objects.get().requested_by == by


def test_a_holder_named_twice_or_in_lower_case_is_one() -> None:
    asked = ask(AssetFactory(), "abc", "ABC", " ABC ")
    assert asked.taken == holders("ABC")
    assert Target.objects.count() == 1


def test_who_has_it_already_is_neither_asked_for_nor_refused() -> None:
    asset = AssetFactory()
    AssignmentFactory(asset=asset, serial_number="A")
    assert ask(asset, "A", "B") == Asked(holders("B"), ())


def test_nobody_is_asked_for_twice() -> None:
    asset = AssetFactory()
    ask(asset, "A")
    assert ask(asset, "A", "B") == Asked(holders("B"), holders("A"))
    assert Target.objects.filter(serial_number="A").count() == 1


def test_a_change_that_was_settled_does_not_stand_in_the_way_of_the_next() -> None:
    asset = AssetFactory()
    ask(asset, "A")
    Target.objects.update(state=TargetState.FAILED)
    assert ask(asset, "A").taken == holders("A")


def test_devices_and_people_are_asked_for_in_operations_of_their_own() -> None:
    asset = AssetFactory()
    licenses.assign(asset, [Holder("A"), Holder(client_user_id="p"), Holder("B")], by=None, why="Test")
    kinds = [{*operation.targets.values_list("serial_number", flat=True)} for operation in Operation.objects.all()]
    assert sorted(kinds, key=len) == [{""}, {"A", "B"}]


def test_an_app_that_is_not_for_devices_goes_to_people_only() -> None:
    asset = AssetFactory(is_device_assignable=False)
    asked = licenses.assign(asset, [Holder("A"), Holder(client_user_id="p")], by=None, why="Test")
    assert asked == Asked((Holder(client_user_id="p"),), (Holder("A"),))


@pytest.mark.parametrize(
    "token", [{"deleted": True}, {"revoked": True}, {"claimed_elsewhere": True}, {"is_read_only": True}]
)
def test_a_token_that_cannot_be_used_promises_nothing(token: dict[str, bool]) -> None:
    asset = AssetFactory(**{f"token__{name}": value for name, value in token.items()})
    assert ask(asset, "A") == Asked((), holders("A"))
    assert not Operation.objects.exists()


def test_an_asset_that_left_the_list_promises_nothing() -> None:
    assert ask(AssetFactory(unlimited=True, gone_at=timezone.now()), "A").refused == holders("A")


def test_an_unlimited_asset_promises_as_many_as_are_wanted() -> None:
    assert len(licenses.assign(AssetFactory(unlimited=True), many(3_000), by=None, why="").taken) == 3_000


def test_few_large_batches_and_a_constant_number_of_queries(location: Location) -> None:
    asset = AssetFactory(total=30_000, available=30_000, assigned=0)
    connection.limits()  # Apple's limits are in the cache from now on
    with CaptureQueriesContext(database) as few:
        licenses.assign(asset, many(1_001), by=None, why="")
    with CaptureQueriesContext(database) as more:
        licenses.assign(asset, many(10_000, first=1_001), by=None, why="")
    assert Operation.objects.count() == 2 + 10
    assert max(operation.targets.count() for operation in Operation.objects.all()) == 1_000
    inserts = [query for query in more if 'INSERT INTO "tokens_target"' in query["sql"]]
    assert len(more) - len(inserts) <= len(few)
    assert len(inserts) <= 10_000 / 100


def test_apple_away_costs_nothing_but_the_knowledge_of_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()

    def away() -> None:
        raise AppleUnavailable

    monkeypatch.setattr(connection, "service", away)
    assert len(licenses.assign(AssetFactory(total=9_999, available=9_999), many(1_500), by=None, why="").taken) == 1_500
    assert Operation.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_worker_is_nudged_for_each_operation() -> None:
    ask(AssetFactory(), "A")
    assert [*taken()] == [(CARRY_OUT, (Operation.objects.get().pk,))]


# --- One license of an app for each holder, whichever token it comes from --------------------------------------------


def app_of_two_tokens() -> tuple[Asset, Asset]:
    first = AssetFactory(token__name="First")
    return first, AssetFactory(adam_id=first.adam_id, token__name="Second")


def test_who_holds_a_license_of_the_app_from_another_token_is_given_no_second_one() -> None:
    first, second = app_of_two_tokens()
    AssignmentFactory(asset=first, serial_number="A")
    assert licenses.elsewhere(second, holders("A", "B")) == ({Holder("A"): "First"}, set())
    assert ask(second, "A", "B") == Asked(holders("B"), ())


def test_whose_license_from_another_token_is_on_its_way_waits_for_it() -> None:
    first, second = app_of_two_tokens()
    ask(first, "A")
    assert licenses.elsewhere(second, holders("A")) == ({}, {Holder("A")})
    assert ask(second, "A") == Asked((), holders("A"))


def test_a_person_is_one_holder_under_each_id() -> None:
    first, second = app_of_two_tokens()
    person, other = ManagedUserFactory.create_batch(2)
    there = ClientUserFactory(token=first.token, person=person)
    here, alone = (ClientUserFactory(token=second.token, person=one) for one in (person, other))
    AssignmentFactory(asset=first, serial_number="", client_user_id=there.client_user_id)
    wanted = [Holder(client_user_id=row.client_user_id) for row in (here, alone)]
    assert licenses.elsewhere(second, wanted) == ({wanted[0]: "First"}, set())
    assert licenses.assign(second, wanted, by=None, why="Test") == Asked((wanted[1],), ())


def test_a_license_of_the_same_token_with_another_pricing_is_one_of_the_app() -> None:
    plus = AssetFactory(pricing_param="PLUS")
    standard = AssetFactory(token=plus.token, adam_id=plus.adam_id)
    AssignmentFactory(asset=plus, serial_number="A")
    AssignmentFactory(asset=plus, serial_number="", client_user_id="stranger")
    wanted = [Holder("A"), Holder(client_user_id="stranger")]
    assert licenses.assign(standard, wanted, by=None, why="Test") == Asked()


@pytest.mark.parametrize("facts", [{"gone": True}, {"token__deleted": True}])
def test_a_license_that_no_token_in_the_portal_lists_stands_in_nobodys_way(facts: dict[str, Any]) -> None:
    lost = AssetFactory(**facts)
    AssignmentFactory(asset=lost, serial_number="A")
    assert ask(AssetFactory(adam_id=lost.adam_id), "A").taken == holders("A")


@pytest.mark.django_db(transaction=True)
def test_two_tokens_asked_at_once_give_a_holder_one_license() -> None:
    first, second = app_of_two_tokens()
    names = [f"S{number}" for number in range(20)]
    at_once(partial(ask, first, *names), partial(ask, second, *reversed(names)))
    assert sorted(Target.objects.values_list("serial_number", flat=True)) == sorted(names)


# --- Asking for them back ---------------------------------------------------------------------------------------------


def test_only_who_has_it_can_give_it_back() -> None:
    asset = AssetFactory()
    AssignmentFactory(asset=asset, serial_number="A")
    assert licenses.revoke(asset, holders("A", "B"), by=None, why="Stopped") == Asked(holders("A"), ())
    assert [target.serial_number for target in Target.objects.all()] == ["A"]
    assert Operation.objects.get().kind == OperationKind.REVOKE


def test_nothing_is_taken_back_twice() -> None:
    asset = AssetFactory()
    AssignmentFactory(asset=asset, serial_number="A")
    licenses.revoke(asset, holders("A"), by=None, why="")
    assert licenses.revoke(asset, holders("A"), by=None, why="") == Asked((), holders("A"))


@pytest.mark.parametrize("asset", [{"book": True}, {"is_revocable": False}, {"token__is_read_only": True}])
def test_what_apple_does_not_take_back_is_refused(asset: dict[str, bool]) -> None:
    row = AssignmentFactory(asset=AssetFactory(**asset), serial_number="A")
    assert licenses.revoke(row.asset, holders("A"), by=None, why="") == Asked((), holders("A"))
    assert not Operation.objects.exists()


def test_a_license_asked_for_and_never_sent_is_struck_out() -> None:
    asset = AssetFactory()
    ask(asset, "A", "B")
    assert licenses.revoke(asset, holders("A"), by=None, why="") == Asked(holders("A"), ())
    assert dict(Target.objects.values_list("serial_number", "state")) == {"A": "dropped", "B": "open"}
    assert Operation.objects.count() == 1


@pytest.mark.parametrize("sent", [{"step": "sending", "sends": 1}, {"step": "pending"}, {"step": "queued", "sends": 1}])
def test_a_license_that_may_be_at_apple_is_not_struck_out(sent: dict[str, Any]) -> None:
    asset = AssetFactory()
    ask(asset, "A")
    Operation.objects.update(**sent)
    assert licenses.revoke(asset, holders("A"), by=None, why="") == Asked((), holders("A"))
    assert states() == {"open": 1}


def test_a_refused_token_takes_licenses_back_when_it_is_renewed() -> None:
    row = AssignmentFactory(asset__token__revoked=True, serial_number="A")
    assert licenses.revoke(row.asset, holders("A"), by=None, why="").taken == holders("A")


# --- Whom a token admits ----------------------------------------------------------------------------------------------


def test_a_token_without_restriction_admits_everybody() -> None:
    people = {ManagedUserFactory().pk for _ in range(3)}
    assert licenses.admits(ContentTokenFactory(), people) == people


def test_a_restricted_token_admits_members_of_its_groups() -> None:
    first, second = UserGroupFactory.create_batch(2)
    inside, in_both = ManagedUserFactory(groups=[first]), ManagedUserFactory(groups=[first, second])
    outside = ManagedUserFactory(groups=[UserGroupFactory()])
    token = ContentTokenFactory()
    token.restricted_to.set([first, second])
    assert licenses.admits(token, [inside.pk, in_both.pk, outside.pk]) == {inside.pk, in_both.pk}


def promised_at_once(asset: Asset, *wanted: list[Holder]) -> list[int]:
    """Let several ask for licenses at the same moment; return how many each was promised."""
    promised: list[int] = []

    def ask(holders: list[Holder]) -> None:
        promised.append(len(licenses.assign(asset, holders, by=None, why="").taken))

    at_once(*(partial(ask, holders) for holders in wanted))
    return promised


# --- Several at once --------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_who_ask_at_once_are_not_promised_the_same_license() -> None:
    asset = AssetFactory(total=100, available=100, assigned=0)
    promised = promised_at_once(asset, *(many(30, n * 30) for n in range(6)))
    assert sum(promised) == 100
    assert Target.objects.filter(state=TargetState.OPEN).count() == 100


@pytest.mark.django_db(transaction=True)
def test_two_who_ask_for_the_same_holders_at_once_reserve_each_once() -> None:
    asset = AssetFactory(total=100, available=100, assigned=0)
    assert sorted(promised_at_once(asset, *[many(40)] * 4)) == [0, 0, 0, 40]
    assert Target.objects.count() == 40


@pytest.mark.django_db(transaction=True)
def test_giving_and_taking_back_at_once_never_leaves_two_changes_of_one_holder() -> None:
    asset = AssetFactory(total=200, available=150, assigned=50)
    Assignment.objects.bulk_create(
        Assignment(asset=asset, serial_number=holder.serial_number, since=timezone.now()) for holder in many(50)
    )
    at_once(
        lambda: licenses.assign(asset, many(100), by=None, why=""),
        lambda: licenses.revoke(asset, many(100), by=None, why=""),
        lambda: licenses.assign(asset, many(100), by=None, why=""),
        lambda: licenses.revoke(asset, many(100), by=None, why=""),
    )
    open_ones = [*Target.objects.filter(state=TargetState.OPEN).values_list("serial_number", flat=True)]
    assert len(open_ones) == len({*open_ones})
    assert {holder.serial_number for holder in many(50)} <= {*open_ones}


@pytest.mark.django_db(transaction=True)
def test_what_many_asked_for_at_once_is_used_up_and_no_more(make_location: Callable[..., Location]) -> None:
    location = make_location(assets=1)
    token = location.mirrored()
    asset = asset_of(token)
    devices = known_devices(40)
    at_once(*(lambda part=part: ask_one_by_one(asset, devices[part::4]) for part in range(4)))
    settle_all(location)
    assert_agreed(token, location)
    assert asset.assignments.count() == min(40, asset.total - asset.assigned)


def ask_one_by_one(asset: Asset, wanted: list[Holder]) -> None:
    for holder in wanted:
        licenses.assign(asset, [holder], by=None, why="")
