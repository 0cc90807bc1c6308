"""The pages of people registered at a location: their standing, inviting again, retiring, registering more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.factories import (
    AssignmentFactory,
    ClientUserFactory,
    ContentTokenFactory,
    ManagedUserFactory,
    OperationFactory,
    UserGroupFactory,
)
from tests.signed_in import LIST, sign_in
from tokens.fields import Sealed
from tokens.models import ClientUser, ContentToken, Invitation, Operation, OperationKind, Target
from tokens.people_tables import registration_rows
from tokens.secret import Secret
from vppportal.activity.models import Entry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sim")]

CODE = "code-nobody-else-may-see"


@pytest.fixture
def operator() -> Client:
    return sign_in("Operator")


@pytest.fixture
def token() -> ContentToken:
    made: ContentToken = ContentTokenFactory()
    return made


def invited(token: ContentToken, **facts: Any) -> ClientUser:
    person = facts.pop("person", None) or ManagedUserFactory()
    row: ClientUser = ClientUserFactory(token=token, person=person, email=person.email, **facts)
    row.invite_code = Sealed.seal(Secret(CODE), bound_to=row.client_user_id)
    row.save()
    return row


def page(browser: Client, token: ContentToken, query: str = "") -> str:
    return browser.get(f"/tokens/{token.pk}/people/{query}").content.decode()


def under_way(row: ClientUser, kind: str) -> None:
    operation = Operation.objects.create(token=row.token, kind=kind)
    Target.objects.create(operation=operation, client_user_id=row.client_user_id)


def test_everybody_is_listed_with_the_standing_and_the_licenses(operator: Client, token: ContentToken) -> None:
    ada = ClientUserFactory(token=token, person=ManagedUserFactory(name="Ada"), status="Associated")
    AssignmentFactory(asset__token=token, serial_number="", client_user_id=ada.client_user_id)
    AssignmentFactory(serial_number="", client_user_id=ada.client_user_id)
    invited(token, person=ManagedUserFactory(name="Alan"))
    under_way(ClientUserFactory(token=token, status="", email="being@company.example"), OperationKind.REGISTER)
    refused = ClientUserFactory(token=token, status="", email="failed@company.example", trouble="Apple said no.")
    under_way(ClientUserFactory(token=token, email="leaving@company.example"), OperationKind.RETIRE)
    ClientUserFactory(token=token, status="Retired", email="retired@company.example")
    lines = operator.get(f"/tokens/{token.pk}/people/?export=csv&sort=name").getvalue().decode().splitlines()[1:]
    found = {line.split(",")[0]: line.split(",")[4:6] for line in lines}
    assert found == {
        "Ada": ["Registered", "1"],
        "Alan": ["Invited", "0"],
        "being@company.example": ["Being registered", "0"],
        "failed@company.example": ["Not registered", "0"],
        "leaving@company.example": ["Being retired", "0"],
        "retired@company.example": ["Retired", "0"],
    }
    shown = page(operator, token)
    assert refused.trouble in shown
    assert ada.person.get_absolute_url() in shown
    assert 'hx-trigger="every 2s' in shown


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=ada", 1),
        ("standing=Registered", 2),
        ("standing=failed", 1),
        ("standing=misfit", 1),
        ("known=yes", 1),
        ("held=1", 1),
    ],
)
def test_the_list_can_be_narrowed_down(operator: Client, token: ContentToken, query: str, found: int) -> None:
    ada = ClientUserFactory(token=token, person=ManagedUserFactory(name="Ada"), status="Associated", email="")
    AssignmentFactory(asset__token=token, serial_number="", client_user_id=ada.client_user_id)
    ClientUserFactory(token=token, status="", person=(grace := ManagedUserFactory()), email=grace.email)
    ClientUserFactory(token=token, person=ManagedUserFactory(), email="old@company.example")
    ClientUserFactory(token=token)
    shown = operator.get(f"/tokens/{token.pk}/people/?export=csv&{query}").getvalue().decode()
    assert len(shown.splitlines()) - 1 == found


def test_whose_address_changed_is_told_what_to_do(operator: Client, token: ContentToken) -> None:
    person = ManagedUserFactory()
    ClientUserFactory(token=token, person=person, email="old@company.example")
    shown = " ".join(page(operator, token).split())
    assert f"e-mail address is {person.email} now : retire, then register again" in shown.replace("now:", "now :")


@pytest.mark.parametrize("status", ["", "Registered", "Associated"])
@pytest.mark.parametrize("own", ["", "ada@school.example"])
@pytest.mark.parametrize("known", ["", "ADA@school.example", "other@school.example"])
@pytest.mark.parametrize("email", ["", "ADA@company.example", "old@company.example"])
def test_the_database_finds_the_same_misfits_as_the_row(
    token: ContentToken, status: str, own: str, known: str, email: str
) -> None:
    person = ManagedUserFactory(email="ada@company.example", managed_apple_account=known)
    row = ClientUserFactory(token=token, person=person, status=status, email=email, managed_apple_account=own)
    listed: Any = registration_rows(token).get()
    assert listed.is_misfit is not row.fits(person)


def test_many_people_cost_no_more_queries_than_few(operator: Client, token: ContentToken) -> None:
    def fill(many: int) -> int:
        for _ in range(many):
            row = invited(token)
            Invitation.objects.ask_again([row])
            AssignmentFactory(asset__token=token, serial_number="", client_user_id=row.client_user_id)
        with CaptureQueriesContext(connection) as queries:
            page(operator, token, "?per_page=100")
        return len(queries)

    assert fill(3) == fill(60) <= 16


def test_the_invitation_code_is_on_no_list(operator: Client, token: ContentToken) -> None:
    row = invited(token)
    assert CODE not in page(operator, token)
    assert CODE not in operator.get(f"/tokens/{token.pk}/people/?export=csv").getvalue().decode()
    at = f"/tokens/{token.pk}/people/{row.pk}/invitation/"
    assert CODE not in operator.get(at).content.decode()


def test_the_link_is_shown_on_request_and_that_is_written_down(operator: Client, token: ContentToken) -> None:
    row = invited(token)
    at = f"/tokens/{token.pk}/people/{row.pk}/invitation/"
    assert CODE in operator.post(at).content.decode()
    entry = Entry.objects.get(verb__startswith="looked at the invitation link")
    assert entry.details == {"person": str(row.person)}
    assert CODE not in json.dumps(list(Entry.objects.values("details", "verb", "object_name")))
    assert sign_in("Viewer").post(at).status_code == 403


def test_who_has_no_invitation_has_no_link(operator: Client, token: ContentToken) -> None:
    row = ClientUserFactory(token=token, person=ManagedUserFactory(), status="Associated")
    shown = operator.post(f"/tokens/{token.pk}/people/{row.pk}/invitation/").content.decode()
    assert "Apple has given no invitation for this person." in shown


def post(browser: Client, token: ContentToken, verb: str, query: str = "", **typed: Any) -> Any:
    return browser.post(f"/tokens/{token.pk}/people/{verb}/{query}", typed)


def test_one_person_is_invited_again_at_once(operator: Client, token: ContentToken) -> None:
    row = invited(token)
    answer = post(operator, token, "resend", selected=[row.pk])
    assert answer["Location"] == f"/tokens/{token.pk}/people/"
    assert Invitation.objects.get().client_user == row


def test_many_are_invited_again_after_a_question(operator: Client, token: ContentToken) -> None:
    rows: list[Any] = [invited(token), invited(token), ClientUserFactory(token=token, status="Associated")]
    keys = [row.pk for row in rows]
    shown = post(operator, token, "resend", selected=keys).content.decode()
    assert "2 people who have not accepted yet get another mail" in shown
    assert "1 person of the selected need" in shown
    assert not Invitation.objects.exists()
    post(operator, token, "resend", selected=keys, confirmed="yes")
    assert Invitation.objects.count() == 2


def test_retiring_says_how_many_licenses_return(operator: Client, token: ContentToken) -> None:
    row = invited(token)
    AssignmentFactory(asset__token=token, serial_number="", client_user_id=row.client_user_id)
    shown = post(operator, token, "retire", selected=[row.pk]).content.decode()
    assert "Apple is asked to retire 1 person" in shown
    assert "They hold 1 license, which return" in shown
    assert not Operation.objects.exists()
    post(operator, token, "retire", selected=[row.pk], confirmed="yes")
    assert Operation.objects.get().kind == OperationKind.RETIRE
    assert Target.objects.get().client_user_id == row.client_user_id


def test_all_that_match_are_retired(operator: Client, token: ContentToken) -> None:
    for number in range(3):
        invited(token, person=ManagedUserFactory(name=f"Lab {number}"))
    invited(token, person=ManagedUserFactory(name="Somebody else"))
    post(operator, token, "retire", "?q=lab", all_matching="1", confirmed="yes")
    assert Target.objects.count() == 3


def test_who_was_invited_and_has_an_account_by_now_counts_as_registered_at_once(
    operator: Client, token: ContentToken
) -> None:
    person = ManagedUserFactory(groups=[UserGroupFactory()], managed_apple_account="ben@school.example")
    ClientUserFactory(token=token, person=person, status="Registered")
    shown = post(operator, token, "register", groups=[person.groups.get().pk]).content.decode()
    assert "1 person registered at once, with the Managed Apple Account." in shown
    assert "left alone" not in shown


def test_registering_a_group_says_beforehand_what_happens_to_whom(operator: Client, token: ContentToken) -> None:
    group, other = UserGroupFactory(), UserGroupFactory()
    token.restricted_to.add(other)
    ManagedUserFactory(groups=[group, other], managed_apple_account="ada@school.example")
    ManagedUserFactory.create_batch(2, groups=[group])
    ManagedUserFactory(groups=[group], is_active=False)
    ClientUserFactory(token=token, person=ManagedUserFactory(groups=[group]), status="Associated")
    shown = post(operator, token, "register", groups=[group.pk]).content.decode()
    assert "1 person registered at once, with the Managed Apple Account." in shown
    assert "2 people invited by mail" in shown
    assert "1 person left alone: registered or invited already." in shown
    assert "1 person left out: not active any more." in shown
    assert "2 people of these outside the user groups" in shown
    assert not Operation.objects.exists()
    post(operator, token, "register", groups=[group.pk], confirmed="yes")
    assert Target.objects.count() == 3


@pytest.mark.parametrize("facts", [{"is_read_only": True}, {"expired": True}])
def test_where_nothing_can_be_changed_the_buttons_are_off_with_the_reason(
    operator: Client, facts: dict[str, Any]
) -> None:
    token = ContentTokenFactory(**facts)
    row = invited(token)
    shown = page(operator, token)
    assert 'class="alert alert-warning"' in shown
    assert "disabled" in shown
    assert "retire/" not in shown
    post(operator, token, "retire", selected=[row.pk], confirmed="yes")
    post(operator, token, "register", people=[ManagedUserFactory().pk], confirmed="yes")
    assert not Operation.objects.exists()


def test_the_changes_of_people_are_shown_there(operator: Client, token: ContentToken) -> None:
    row = invited(token)
    under_way(row, OperationKind.RETIRE)
    OperationFactory(asset__token=token)
    operation = Operation.objects.get(asset=None)
    assert f"/tokens/{token.pk}/operations/{operation.pk}/" in page(operator, token)
    shown = operator.get(f"/tokens/{token.pk}/operations/{operation.pk}/").content.decode()
    assert str(row.person) in shown
    narrowed = operator.get(f"/tokens/{token.pk}/people/?standing=retiring", headers=LIST).content.decode()
    assert str(row.person) in narrowed
