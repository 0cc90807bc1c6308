"""The license pages: what a token owns, who holds it and how it came, and assigning and taking back by hand."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.factories import (
    AssetFactory,
    AssignmentFactory,
    ClientUserFactory,
    ContentTokenFactory,
    DeviceFactory,
    ListingFactory,
    ManagedUserFactory,
    OperationFactory,
    QuotaFactory,
    UserFactory,
    UserGroupFactory,
)
from tests.signed_in import LIST, sign_in
from tokens.models import Asset, ContentToken, Operation, OperationKind, OperationStep, Target, TargetState
from vppportal.activity.models import Entry
from vppportal.work import WorkState

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sim")]


@pytest.fixture
def operator() -> Client:
    return sign_in("Operator")


@pytest.fixture
def asset() -> Asset:
    listing = ListingFactory(name="Field Notes")
    made: Asset = AssetFactory(adam_id=listing.adam_id, total=10, available=10, assigned=0)
    return made


def page(browser: Client, asset: Asset, tail: str = "", **typed: Any) -> str:
    return browser.get(f"{address(asset)}{tail}", typed).content.decode()


def address(asset: Asset) -> str:
    return f"/tokens/{asset.token_id}/licenses/{asset.pk}/"


def open_target(asset: Asset, serial: str, kind: str = OperationKind.ASSIGN) -> Target:
    operation = OperationFactory(asset=asset, kind=kind)
    return Target.objects.create(operation=operation, asset=asset, serial_number=serial)


def test_the_list_shows_what_the_token_owns_with_names_and_what_is_being_assigned(
    operator: Client, asset: Asset
) -> None:
    open_target(asset, "TESTSERIAL1")
    AssetFactory(token=asset.token, book=True, adam_id="900000777")
    AssetFactory(adam_id="911111111")
    shown = operator.get(f"/tokens/{asset.token_id}/licenses/").content.decode()
    assert "Field Notes" in shown
    assert "900000777" in shown
    assert "911111111" not in shown
    lines = operator.get(f"/tokens/{asset.token_id}/licenses/?export=csv").getvalue().decode().splitlines()
    assert lines[0].endswith("Product,iTunes App ID,Total,Assigned,Available,Being assigned,For devices,Can come back")
    assert f"Field Notes,{asset.adam_id},10,0,10,1,yes,yes" in lines


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=field", 1),
        ("product_type=Book", 1),
        ("licenses=none_left", 1),
        ("licenses=unlimited", 0),
        ("for_devices=False", 1),
    ],
)
def test_the_list_can_be_narrowed_down(operator: Client, asset: Asset, query: str, found: int) -> None:
    AssetFactory(token=asset.token, book=True, used_up=True)
    shown = operator.get(f"/tokens/{asset.token_id}/licenses/?{query}", headers=LIST).content.decode()
    assert shown.count('class="fw-bold"') == found


def test_holders_are_named_with_how_their_license_came(operator: Client, asset: Asset) -> None:
    device = DeviceFactory(owner=ManagedUserFactory(name="Ada Example"))
    operation = OperationFactory(asset=asset, requested_by=UserFactory(username="grace"), why="By hand")
    name = {"asset": asset, "serial_number": device.serial_number}
    Target.objects.create(operation=operation, state=TargetState.DONE, **name)
    AssignmentFactory(**name)
    person = ManagedUserFactory(name="Alan Example")
    user = ClientUserFactory(token=asset.token, person=person)
    AssignmentFactory(asset=asset, serial_number="", client_user_id=user.client_user_id)
    AssignmentFactory(asset=asset, serial_number="STRANGER1")
    shown = page(operator, asset)
    assert device.get_absolute_url() in shown
    assert person.get_absolute_url() in shown
    assert "Ada Example" in shown
    assert "grace" in shown
    assert f"/tokens/{asset.token_id}/operations/{operation.pk}/" in shown
    assert shown.count("found at Apple") == 2
    assert shown.count("unknown to the portal") == 1
    lines = operator.get(f"{address(asset)}?export=csv").getvalue().decode().splitlines()
    assert any(line.startswith("Alan Example,,") for line in lines)
    assert any("By hand (grace)" in line for line in lines)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=ada", ["TESTOFADA"]),
        ("q=alan", ["client-of-alan"]),
        ("q=strang", ["STRANGER1"]),
        ("holder=devices", ["STRANGER1", "TESTOFADA"]),
        ("holder=people", ["client-of-alan"]),
        ("holder=unknown", ["STRANGER1"]),
        ("q=nobody", []),
    ],
)
def test_holders_can_be_narrowed_down(operator: Client, asset: Asset, query: str, found: list[str]) -> None:
    DeviceFactory(serial_number="TESTOFADA", name="", owner=ManagedUserFactory(name="Ada Example"))
    ClientUserFactory(token=asset.token, person=ManagedUserFactory(name="Alan"), client_user_id="client-of-alan")
    for serial in ("TESTOFADA", "STRANGER1"):
        AssignmentFactory(asset=asset, serial_number=serial)
    AssignmentFactory(asset=asset, serial_number="", client_user_id="client-of-alan")
    lines = operator.get(f"{address(asset)}?export=csv&{query}").getvalue().decode().splitlines()[1:]
    assert sorted(line.split(",")[1] or line.split(",")[2] for line in lines) == found


def test_the_licenses_of_a_user_group_are_found_and_taken_back_together(operator: Client, asset: Asset) -> None:
    group = UserGroupFactory(name="Leaving")
    members = ManagedUserFactory.create_batch(2, groups=[group, UserGroupFactory()])
    stays = ManagedUserFactory()
    for person in (*members, stays):
        AssignmentFactory(asset=asset, serial_number=DeviceFactory(owner=person).serial_number)
        user = ClientUserFactory(token=asset.token, person=person)
        AssignmentFactory(asset=asset, serial_number="", client_user_id=user.client_user_id)
    namesake = ClientUserFactory(person=members[0], client_user_id="namesake")
    AssignmentFactory(asset=asset, serial_number="", client_user_id=namesake.client_user_id)
    AssignmentFactory(asset=asset, serial_number="STRANGER1")
    query = f"?group={group.pk}"
    lines = operator.get(f"{address(asset)}{query}&export=csv").getvalue().decode().splitlines()[1:]
    assert len(lines) == 4
    assert all(member.name in "".join(lines) for member in members)
    shown = revoke(operator, asset, query, all_matching="1").content.decode()
    assert "Apple is asked to revoke 4 licenses. Held by devices: 2; by people: 2." in shown
    revoke(operator, asset, query, all_matching="1", confirmed="yes")
    assert Target.objects.filter(state=TargetState.OPEN).count() == 4


def test_many_holders_cost_no_more_queries_than_few(operator: Client, asset: Asset) -> None:
    def fill(many: int) -> int:
        for _ in range(many):
            device = DeviceFactory(owner=ManagedUserFactory())
            AssignmentFactory(asset=asset, serial_number=device.serial_number)
            operation = OperationFactory(asset=asset, state=WorkState.DONE)
            Target.objects.create(
                operation=operation, asset=asset, serial_number=device.serial_number, state=TargetState.DONE
            )
        with CaptureQueriesContext(connection) as queries:
            page(operator, asset, per_page="100")
        return len(queries)

    assert fill(3) == fill(60) <= 20


def test_a_change_under_way_shows_and_the_list_refreshes_itself(operator: Client, asset: Asset) -> None:
    AssignmentFactory(asset=asset, serial_number="TESTSERIAL1")
    assert 'hx-trigger="every 2s' not in page(operator, asset)
    open_target(asset, "TESTSERIAL1", OperationKind.REVOKE)
    shown = page(operator, asset)
    assert "Being revoked" in shown
    assert 'hx-trigger="every 2s' in shown


def assign(browser: Client, asset: Asset, **typed: Any) -> Any:
    return browser.post(f"{address(asset)}assign/", typed)


def test_assigning_to_a_group_says_beforehand_what_happens_to_whom(operator: Client, asset: Asset) -> None:
    inside, outside = UserGroupFactory(), UserGroupFactory()
    asset.token.restricted_to.add(inside)
    people = ManagedUserFactory.create_batch(4, groups=[inside, outside])
    for person in people:
        DeviceFactory(owner=person)
    holding = DeviceFactory(owner=people[0])
    AssignmentFactory(asset=asset, serial_number=holding.serial_number)
    DeviceFactory(owner=ManagedUserFactory(groups=[outside]))
    DeviceFactory(owner=people[1], in_user_enrollment=True)
    Asset.objects.filter(pk=asset.pk).update(available=3)
    shown = assign(operator, asset, kind="device", groups=[inside.pk, outside.pk]).content.decode()
    assert "Apple is asked for 3 licenses, one for each device." in shown
    assert "1 device more would need one, but only 3 are free" in shown
    assert "1 device left out: a license is there already." in shown
    assert "1 device left out: outside the user groups that the token is restricted to." in shown
    assert "1 device left out: in user enrollment, where the person must hold the license." in shown
    assert not Operation.objects.exists()


def test_after_the_question_apple_is_asked(operator: Client, asset: Asset) -> None:
    devices = DeviceFactory.create_batch(2)
    keys = [device.pk for device in devices]
    asked = assign(operator, asset, kind="device", devices=keys)
    assert asked.content.decode().count('name="devices"') == 2
    answer = assign(operator, asset, kind="device", devices=keys, confirmed="yes")
    operation = Operation.objects.get()
    assert answer["Location"] == f"/tokens/{asset.token_id}/operations/{operation.pk}/"
    assert (operation.kind, operation.why) == (OperationKind.ASSIGN, "By hand")
    assert set(operation.targets.values_list("serial_number", flat=True)) == {row.serial_number for row in devices}
    entry = Entry.objects.get(verb="asked Apple to assign licenses of")
    assert entry.details == {"app": asset.adam_id, "licenses": 2, "why": "By hand"}
    assign(operator, asset, kind="device", devices=keys, confirmed="yes")
    assert Operation.objects.count() == 1


def test_people_receive_user_licenses_once_they_are_registered(operator: Client, asset: Asset) -> None:
    group = UserGroupFactory()
    registered, invited, stranger = (ManagedUserFactory(groups=[group]) for _ in range(3))
    ManagedUserFactory(groups=[group], is_active=False)
    user = ClientUserFactory(token=asset.token, person=registered, status="Associated")
    ClientUserFactory(token=asset.token, person=invited, status="Registered")
    DeviceFactory(owner=stranger)
    shown = assign(operator, asset, kind="user", groups=[group.pk]).content.decode()
    assert "Apple is asked for 1 license, one for each person." in shown
    assert "1 person left out: invited, but not accepted yet." in shown
    assert "1 person left out: not registered at this location yet." in shown
    assert "1 person left out: not active any more." in shown
    assign(operator, asset, kind="user", groups=[group.pk], confirmed="yes")
    assert Target.objects.get().client_user_id == user.client_user_id


def test_who_holds_a_license_of_the_app_from_another_token_is_left_out_by_its_name(
    operator: Client, asset: Asset
) -> None:
    other = AssetFactory(adam_id=asset.adam_id, token__name="Head office")
    group = UserGroupFactory()
    holding, coming, new = (DeviceFactory(owner=ManagedUserFactory(groups=[group])) for _ in range(3))
    AssignmentFactory(asset=other, serial_number=holding.serial_number)
    open_target(other, coming.serial_number)
    shown = assign(operator, asset, kind="device", groups=[group.pk]).content.decode()
    assert "Apple is asked for 1 license, one for each device." in shown
    assert "1 device left out: a license of this app is there already, from “Head office”." in shown
    assert "1 device left out: an earlier change is still under way." in shown
    assign(operator, asset, kind="device", groups=[group.pk], confirmed="yes")
    assert Target.objects.get(asset=asset).serial_number == new.serial_number


def test_a_person_registered_at_two_locations_holds_one_user_license(operator: Client, asset: Asset) -> None:
    other = AssetFactory(adam_id=asset.adam_id, token__name="Head office")
    person = ManagedUserFactory()
    there = ClientUserFactory(token=other.token, person=person, status="Associated")
    ClientUserFactory(token=asset.token, person=person, status="Associated")
    AssignmentFactory(asset=other, serial_number="", client_user_id=there.client_user_id)
    shown = assign(operator, asset, kind="user", people=[person.pk]).content.decode()
    assert "1 person left out: a license of this app is there already, from “Head office”." in shown


def test_nobody_chosen_is_said_and_searching_asks_nothing(operator: Client, asset: Asset) -> None:
    answer = assign(operator, asset, kind="device")
    assert answer.status_code == 422
    assert "Choose at least one." in answer.content.decode()
    answer = assign(operator, asset, kind="device", search_choices="yes", people_search="x")
    assert answer.status_code == 200
    assert "Choose at least one." not in answer.content.decode()


def test_with_nobody_left_there_is_no_button(operator: Client, asset: Asset) -> None:
    device = DeviceFactory(retired_at="2026-01-01T00:00:00Z")
    shown = assign(operator, asset, kind="device", devices=[device.pk]).content.decode()
    assert "1 device left out: retired." in shown
    assert 'class="btn btn-primary"' not in shown


def test_what_apple_gives_to_people_only_offers_no_devices(operator: Client) -> None:
    book = AssetFactory(book=True)
    assert 'value="device"' not in page(operator, book, "assign/")
    assert assign(operator, book, kind="device", devices=[DeviceFactory().pk]).status_code == 422


def revoke(browser: Client, asset: Asset, query: str = "", **typed: Any) -> Any:
    return browser.post(f"{address(asset)}revoke/{query}", typed)


def test_taking_back_says_beforehand_what_it_does(operator: Client, asset: Asset) -> None:
    device = AssignmentFactory(asset=asset)
    person = AssignmentFactory(asset=asset, serial_number="", client_user_id="client-1")
    shown = revoke(operator, asset, selected=[device.pk, person.pk]).content.decode()
    assert "Apple is asked to revoke 2 licenses. Held by devices: 1; by people: 1." in shown
    assert "30 days" in shown
    assert "Revoke 2 licenses" in shown
    assert not Operation.objects.exists()
    revoke(operator, asset, selected=[device.pk, person.pk], confirmed="yes")
    assert {operation.kind for operation in Operation.objects.all()} == {OperationKind.REVOKE}
    assert Target.objects.filter(state=TargetState.OPEN).count() == 2


def test_all_that_match_are_taken_back_and_nothing_else(operator: Client, asset: Asset) -> None:
    for serial in ("LABIPAD1", "LABIPAD2", "OTHER1"):
        AssignmentFactory(asset=asset, serial_number=serial)
    AssignmentFactory(serial_number="LABIPAD3")
    shown = revoke(operator, asset, "?q=labipad", all_matching="1").content.decode()
    assert "revoke 2 licenses" in shown
    revoke(operator, asset, "?q=labipad", all_matching="1", confirmed="yes")
    assert set(Target.objects.values_list("serial_number", flat=True)) == {"LABIPAD1", "LABIPAD2"}


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"book": True}, "This is a book: Apple does not take licenses of books back"),
        ({"is_revocable": False}, "Apple does not take licenses of this product back"),
        ({"token__is_read_only": True}, "only read"),
        ({"token__revoked": True}, "Apple has revoked the token"),
    ],
)
def test_what_cannot_come_back_says_so_and_has_no_button(operator: Client, facts: dict[str, Any], words: str) -> None:
    asset = AssetFactory(**facts)
    holding = AssignmentFactory(asset=asset, serial_number="TESTSERIAL1")
    shown = page(operator, asset)
    assert words in shown
    assert "/revoke/" not in shown
    answer = revoke(operator, asset, selected=[holding.pk], confirmed="yes")
    assert answer["Location"] == address(asset)
    assert not Operation.objects.exists()


@pytest.mark.parametrize("facts", [{"token__is_read_only": True}, {"token__expired": True}, {"gone": True}])
def test_where_nothing_can_be_assigned_the_button_is_off_with_the_reason(
    operator: Client, facts: dict[str, Any]
) -> None:
    asset = AssetFactory(**facts)
    shown = page(operator, asset)
    assert 'disabled aria-describedby="why-not"' in shown
    assert 'class="alert alert-warning"' in shown
    device = DeviceFactory()
    assert "See what happens" not in assign(operator, asset, kind="device", devices=[device.pk]).content.decode()
    assert not Operation.objects.exists()


def test_viewers_see_holders_and_no_buttons(asset: Asset) -> None:
    AssignmentFactory(asset=asset, serial_number="TESTSERIAL1")
    shown = page(sign_in("Viewer"), asset)
    assert "TESTSERIAL1" in shown
    assert "/revoke/" not in shown
    assert "/assign/" not in shown


def test_a_change_shows_what_became_of_each_holder(operator: Client, asset: Asset) -> None:
    operation = OperationFactory(asset=asset, step=OperationStep.SETTLED, state=WorkState.DONE, event_id="event-1")
    device = DeviceFactory(name="Reception iPad")
    Target.objects.create(operation=operation, asset=asset, serial_number=device.serial_number, state="done")
    refused = {"state": "failed", "number": 9709, "message": "There are not enough licenses."}
    Target.objects.create(operation=operation, asset=asset, serial_number="OTHER1", **refused)
    at = f"/tokens/{asset.token_id}/operations/{operation.pk}/"
    shown = operator.get(at).content.decode()
    assert "Reception iPad" in shown
    assert "There are not enough licenses." in shown
    assert "Apple error 9709" in shown
    assert "Done in part" in shown
    assert "2 of 2 answered" in shown
    assert "data-polls" not in shown
    assert "OTHER1" not in operator.get(at, {"state": "done"}, headers=LIST).content.decode()


def test_a_change_under_way_refreshes_itself(operator: Client, asset: Asset) -> None:
    target = open_target(asset, "TESTSERIAL1")
    at = f"/tokens/{asset.token_id}/operations/{target.operation_id}/"
    assert operator.get(at).content.decode().count("data-polls") == 2
    part = operator.get(f"{at}progress/").content.decode()
    assert "0 of 1 answered" in part
    assert "<html" not in part


def test_the_changes_of_a_token_are_listed(operator: Client, asset: Asset) -> None:
    open_target(asset, "TESTSERIAL1")
    OperationFactory()
    shown = operator.get(f"/tokens/{asset.token_id}/operations/").content.decode()
    assert shown.count("Assign licenses") - shown.count("<option") == 1 or "Field Notes" in shown
    narrowed = operator.get(f"/tokens/{asset.token_id}/operations/?state=done", headers=LIST).content.decode()
    assert "Nothing matches" in narrowed


@pytest.mark.parametrize("name", ["licenses", "operations", "operation", "quotas"])
def test_long_lists_cost_no_more_queries_than_short_ones(operator: Client, asset: Asset, name: str) -> None:
    operation = OperationFactory(asset=asset)
    path = {
        "licenses": f"/tokens/{asset.token_id}/licenses/",
        "operations": f"/tokens/{asset.token_id}/operations/",
        "operation": f"/tokens/{asset.token_id}/operations/{operation.pk}/",
        "quotas": f"{address(asset)}quotas/",
    }[name]

    def fill(many: int) -> int:
        for _ in range(many):
            AssetFactory(token=asset.token)
            OperationFactory(asset=asset, requested_by=UserFactory())
            QuotaFactory(token=asset.token, adam_id=asset.adam_id)
            name = DeviceFactory(owner=ManagedUserFactory()).serial_number
            Target.objects.create(operation=operation, asset=asset, serial_number=name)
        with CaptureQueriesContext(connection) as queries:
            operator.get(path, {"per_page": "100"})
        return len(queries)

    assert fill(3) == fill(60) <= 14


def test_pages_of_another_token_are_not_found(operator: Client, asset: Asset) -> None:
    other: ContentToken = ContentTokenFactory()
    for tail in ("", "assign/", "quotas/"):
        assert operator.get(f"/tokens/{other.pk}/licenses/{asset.pk}/{tail}").status_code == 404


def test_quotas_are_set_changed_and_lifted(asset: Asset) -> None:
    manager = sign_in("Token manager")
    group = UserGroupFactory(name="Sales")
    device = DeviceFactory(owner=ManagedUserFactory(groups=[group]))
    AssignmentFactory(asset=asset, serial_number=device.serial_number)
    user = ClientUserFactory(token=asset.token, person=ManagedUserFactory(groups=[group]))
    AssignmentFactory(asset=asset, serial_number="", client_user_id=user.client_user_id)
    manager.post(f"{address(asset)}quotas/add/", {"groups": [group.pk], "limit": "5"})
    quota = asset.token.quotas.get()
    assert (quota.adam_id, quota.group, quota.limit) == (asset.adam_id, group, 5)
    lines = manager.get(f"{address(asset)}quotas/?export=csv").getvalue().decode().splitlines()
    assert lines[1] == "Sales,5,2"
    again = manager.post(f"{address(asset)}quotas/add/", {"groups": [group.pk], "limit": "6"})
    assert "There is already a quota of this app for Sales." in again.content.decode()
    manager.post(f"{address(asset)}quotas/{quota.pk}/", {"limit": "7"})
    quota.refresh_from_db()
    assert quota.limit == 7
    shown = manager.get(f"{address(asset)}quotas/{quota.pk}/delete/").content.decode()
    assert "hold 2 licenses" in shown
    manager.post(f"{address(asset)}quotas/{quota.pk}/delete/")
    assert not asset.token.quotas.exists()


@pytest.mark.parametrize("limit", ["", "-1", "many", "99999999999999999999"])
def test_a_quota_that_is_no_number_is_refused(asset: Asset, limit: str) -> None:
    group = UserGroupFactory()
    answer = sign_in("Token manager").post(f"{address(asset)}quotas/add/", {"groups": [group.pk], "limit": limit})
    assert answer.status_code == 422


def test_quotas_are_named_where_licenses_are_assigned_by_hand(operator: Client, asset: Asset) -> None:
    QuotaFactory(token=asset.token, adam_id=asset.adam_id)
    shown = assign(operator, asset, kind="device", devices=[DeviceFactory().pk]).content.decode()
    assert "The quotas of this app do not hold back what is assigned by hand." in shown
