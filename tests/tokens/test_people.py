"""People are registered at a location once, under an id that says nothing, by account at once or by invitation."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable

import pytest
from django.core import mail
from django.db import IntegrityError
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from tests.deliveries import run
from tests.factories import ClientUserFactory, ManagedUserFactory, UserFactory
from tests.locations import Location, assert_level, sync_now
from tokens import connection, people
from tokens.models import (
    Assignment,
    ClientUser,
    ContentToken,
    Invitation,
    Operation,
    OperationKind,
    Target,
    TargetState,
)
from vppportal.activity.models import Entry
from vppportal.groups.models import ManagedUser
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db


def carry_out(operations: Iterable[Operation] | None = None) -> None:
    """Send open operations to Apple and settle them, as the worker does."""
    for operation in operations if operations is not None else Operation.objects.open().order_by("pk"):
        with connection.connect(operation.token) as client:
            users = people.payload(operation)
            match operation.kind:
                case OperationKind.REGISTER:
                    receipt = client.create_users(users)
                case OperationKind.UPDATE:
                    receipt = client.update_users(users)
                case _:
                    receipt = client.retire_users(user.client_user_id for user in users)
            deadline = time.monotonic() + 10
            while (status := client.event_status(receipt.event_id)).status == "PENDING" and time.monotonic() < deadline:
                time.sleep(0.01)
            failed = {
                key: (fault.number, fault.message)
                for fault in status.failures
                for key in fault.client_user_ids
                if fault.number != 9716
            }
            done = {user.client_user_id for user in users} - failed.keys()
            operation.targets.filter(client_user_id__in=done).update(state=TargetState.DONE)
            for key, (number, message) in failed.items():
                refused = operation.targets.filter(client_user_id=key)
                refused.update(state=TargetState.FAILED, number=number, message=message)
            Operation.objects.filter(pk=operation.pk).update(state=WorkState.DONE)
            people.settled(operation, client, done, failed)


@pytest.fixture
def token(location: Location) -> ContentToken:
    return location.mirrored()


def member(location: Location, **facts: str) -> ManagedUser:
    """Return somebody whose Managed Apple Account the location's organization made."""
    person = ManagedUserFactory(**facts)
    person.managed_apple_account = f"{person.email.partition('@')[0]}@{location.world.identity.domain}"
    person.save()
    return person


def registration(person: ManagedUser) -> ClientUser:
    return ClientUser.objects.live().get(person=person)


def test_with_a_managed_apple_account_a_person_is_registered_at_once(location: Location, token: ContentToken) -> None:
    person = member(location)
    assert people.register(token, [person], by=None) == 1
    carry_out()
    row = registration(person)
    assert (row.status, row.invite_code, row.trouble) == ("Associated", None, "")
    assert uuid.UUID(row.client_user_id)
    assert person.email not in str(location.asked("/users/create"))
    run([("tokens.tasks.send_invitations", ())])
    assert mail.outbox == []


def test_without_one_the_person_is_invited_by_mail(location: Location, token: ContentToken) -> None:
    person = ManagedUserFactory(name="Ada Example")
    people.register(token, [person], by=UserFactory())
    carry_out()
    row = registration(person)
    code = location.world.users.active[row.client_user_id].invite_code
    assert (row.status, row.open_invite_code().reveal()) == ("Registered", code)
    assert list(ClientUser.objects.to_invite()) == [row]
    run([("tokens.tasks.send_invitations", ())])
    (sent,) = mail.outbox
    assert sent.to == [person.email]
    assert token.organization in sent.subject
    assert code in sent.body
    assert "Ada Example" in sent.body
    row.refresh_from_db()
    assert row.invited_at is not None
    assert row.invitations == 1
    run([("tokens.tasks.send_invitations", ())])
    assert len(mail.outbox) == 1


def test_the_code_is_sealed_and_in_no_record(location: Location, token: ContentToken) -> None:
    person = ManagedUserFactory()
    people.register(token, [person], by=None)
    carry_out()
    row = registration(person)
    code = row.open_invite_code().reveal()
    with database.cursor() as cursor:
        cursor.execute("SELECT invite_code FROM tokens_clientuser WHERE id = %s", [row.pk])
        assert code not in cursor.fetchone()[0]
    assert code not in str(list(Entry.objects.values()))
    assert code not in repr(row.__dict__)


def test_who_accepts_is_registered_and_not_invited_any_more(location: Location, token: ContentToken) -> None:
    person = ManagedUserFactory()
    people.register(token, [person], by=None)
    carry_out()
    location.tell("accept", client_user_id=registration(person).client_user_id)
    sync_now(token)
    row = registration(person)
    assert (row.status, row.person, row.invite_code) == ("Associated", person, None)
    run([("tokens.tasks.send_invitations", ())])
    assert mail.outbox == []
    assert Invitation.objects.get().state == WorkState.DONE
    assert not ClientUser.objects.to_invite().exists()


def test_who_was_invited_is_registered_by_an_account_that_came_later(location: Location, token: ContentToken) -> None:
    person = ManagedUserFactory()
    people.register(token, [person], by=None)
    carry_out()
    row = registration(person)
    person.managed_apple_account = f"ada@{location.world.identity.domain}"
    person.save()
    assert people.register(token, [person], by=None) == 1
    assert people.register(token, [person], by=None) == 0
    carry_out()
    row.refresh_from_db()
    assert (row.status, row.managed_apple_account, row.invite_code) == (
        "Associated",
        person.managed_apple_account,
        None,
    )
    assert registration(person) == row
    assert not ClientUser.objects.to_invite().exists()
    assert people.register(token, [person], by=UserFactory()) == 0


def test_an_account_that_apple_refuses_is_told_once_and_leaves_the_invitation(
    location: Location, token: ContentToken
) -> None:
    person = ManagedUserFactory()
    people.register(token, [person], by=None)
    carry_out()
    person.managed_apple_account = "ada@elsewhere.example"
    person.save()
    assert people.register(token, [person], by=None) == 1
    carry_out()
    row = registration(person)
    assert (row.status, row.trouble) == (
        "Registered",
        "The Apple Account does not belong to the organization of this token.",
    )
    assert list(ClientUser.objects.to_invite()) == [row]
    assert people.register(token, [person], by=None) == 0
    assert people.register(token, [person], by=UserFactory()) == 1
    carry_out()
    person.managed_apple_account = f"ada@{location.world.identity.domain}"
    person.save()
    assert people.register(token, [person], by=None) == 1
    carry_out()
    assert (registration(person).status, registration(person).trouble) == ("Associated", "")


def test_another_mail_address_of_somebody_invited_asks_nothing_of_apple(token: ContentToken) -> None:
    person = ManagedUserFactory()
    people.register(token, [person], by=None)
    carry_out()
    person.email = "other@company.example"
    person.save()
    assert people.register(token, [person], by=UserFactory()) == 0


def test_many_accounts_are_few_operations(location: Location, token: ContentToken) -> None:
    crowd = ManagedUserFactory.create_batch(120)
    people.register(token, crowd, by=None)
    carry_out()
    for person in crowd:
        person.managed_apple_account = f"{person.pk}@{location.world.identity.domain}"
    ManagedUser.objects.bulk_update(crowd, ["managed_apple_account"])
    with CaptureQueriesContext(database) as queries:
        assert people.register(token, crowd, by=None) == 120
    assert len(queries) < 30
    carry_out()
    assert len(location.asked("/users/update")) == 2
    assert ClientUser.objects.filter(person__in=crowd, status="Associated").count() == 120


def test_nobody_is_registered_twice(location: Location, token: ContentToken) -> None:
    person = ManagedUserFactory()
    assert people.register(token, [person, person], by=None) == 1
    assert people.register(token, [person], by=UserFactory()) == 0
    carry_out()
    assert people.register(token, [person], by=UserFactory()) == 0
    assert Target.objects.count() == 1


def test_not_even_by_two_at_once(token: ContentToken) -> None:
    person = ManagedUserFactory()
    ClientUserFactory(token=token, person=person, status="")
    with pytest.raises(IntegrityError):
        ClientUserFactory(token=token, person=person, status="")


def test_who_left_is_not_registered(token: ContentToken) -> None:
    assert people.register(token, [ManagedUserFactory(is_active=False)], by=UserFactory()) == 0
    assert not Operation.objects.exists()


def test_many_people_are_few_operations(location: Location, token: ContentToken) -> None:
    crowd = ManagedUserFactory.create_batch(250)
    with CaptureQueriesContext(database) as queries:
        assert people.register(token, crowd, by=None) == 250
    assert [operation.targets.count() for operation in Operation.objects.order_by("pk")] == [100, 100, 50]
    assert len(queries) < 30
    carry_out()
    assert ClientUser.objects.filter(person__isnull=False, status="Registered").count() == 250
    assert len(location.asked("/users/create")) == 3
    assert Invitation.objects.count() == 250


def test_somebody_registered_elsewhere_is_recognized_by_the_address(location: Location, token: ContentToken) -> None:
    stranger = token.client_users.exclude(email="").filter(status__in=("Registered", "Associated")).first()
    assert stranger is not None
    person = ManagedUserFactory(email=stranger.email.upper())
    assert people.register(token, [person], by=None) == 1
    assert registration(person) == stranger
    assert not Operation.objects.exists()


def test_an_account_of_another_organization_is_said_in_words(token: ContentToken) -> None:
    person = ManagedUserFactory(managed_apple_account="ada@elsewhere.example")
    people.register(token, [person], by=None)
    carry_out()
    row = registration(person)
    assert (row.status, row.trouble) == ("", "The Apple Account does not belong to the organization of this token.")
    assert (Target.objects.get().state, Target.objects.get().number) == (TargetState.FAILED, 9635)


def test_whom_apple_refused_is_asked_for_again_by_hand_or_with_another_account(
    location: Location, token: ContentToken
) -> None:
    person = ManagedUserFactory(managed_apple_account="ada@elsewhere.example")
    people.register(token, [person], by=None)
    carry_out()
    assert people.register(token, [person], by=None) == 0
    assert people.register(token, [person], by=UserFactory()) == 1
    carry_out()
    person.managed_apple_account = f"ada@{location.world.identity.domain}"
    person.save()
    assert people.register(token, [person], by=None) == 1
    carry_out()
    assert (registration(person).status, registration(person).trouble) == ("Associated", "")
    assert token.client_users.filter(person=person).count() == 1


def test_an_account_bound_to_another_user_is_said_in_words(location: Location, token: ContentToken) -> None:
    person = member(location)
    location.world.register("somebody-else", "", person.managed_apple_account)
    people.register(token, [person], by=None)
    carry_out()
    assert registration(person).trouble == "The Apple Account is already bound to another user."


def test_an_id_that_exists_already_is_fine(location: Location, token: ContentToken) -> None:
    person = ManagedUserFactory()
    people.register(token, [person], by=None)
    row = registration(person)
    location.world.register(row.client_user_id, person.email, "")
    carry_out()
    row.refresh_from_db()
    assert (row.status, row.trouble) == ("Registered", "")
    assert Target.objects.get().state == TargetState.DONE


def test_a_sync_keeps_who_is_being_registered_and_takes_over_what_was_missed(
    location: Location, token: ContentToken
) -> None:
    person = ManagedUserFactory()
    people.register(token, [person], by=None)
    sync_now(token)
    row = registration(person)
    assert (row.status, row.person) == ("", person)
    location.world.register(row.client_user_id, person.email, "")
    sync_now(token)
    row.refresh_from_db()
    assert (row.status, row.person) == ("Registered", person)
    assert row.open_invite_code().reveal() == location.world.users.active[row.client_user_id].invite_code
    assert Invitation.objects.get().client_user == row


def test_of_several_registrations_of_an_id_the_live_one_counts(location: Location, token: ContentToken) -> None:
    person = ManagedUserFactory()
    people.register(token, [person], by=None)
    carry_out()
    row = registration(person)
    location.world.retire(location.world.users.active[row.client_user_id])
    location.world.register(row.client_user_id, person.email, "")
    sync_now(token)
    row.refresh_from_db()
    assert row.status == "Registered"
    assert row.open_invite_code().reveal() == location.world.users.active[row.client_user_id].invite_code


def test_to_invite_again_sends_another_mail(token: ContentToken) -> None:
    person = ManagedUserFactory()
    people.register(token, [person], by=None)
    carry_out()
    row = registration(person)
    run([("tokens.tasks.send_invitations", ())])
    assert people.resend([row], by=UserFactory()) == 1
    run([("tokens.tasks.send_invitations", ())])
    row.refresh_from_db()
    assert (len(mail.outbox), row.invitations) == (2, 2)


def test_who_is_registered_is_not_invited_again(location: Location, token: ContentToken) -> None:
    person = member(location)
    people.register(token, [person], by=None)
    carry_out()
    assert people.resend([registration(person)], by=UserFactory()) == 0


def test_a_retired_person_is_retired_here_and_may_be_registered_anew(location: Location, token: ContentToken) -> None:
    person = member(location)
    people.register(token, [person], by=None)
    carry_out()
    first = registration(person)
    assert people.retire([first], by=UserFactory()) == 1
    assert people.retire([first], by=UserFactory()) == 0
    carry_out()
    first.refresh_from_db()
    assert (first.status, first.person) == ("Retired", person)
    assert people.register(token, [person], by=None) == 1
    carry_out()
    assert registration(person) != first
    assert registration(person).status == "Associated"


def test_licenses_of_retired_people_come_back(location: Location, token: ContentToken) -> None:
    holding = Assignment.objects.filter(asset__token=token, asset__is_revocable=True).exclude(client_user_id="").first()
    assert holding is not None
    row = token.client_users.live().get(client_user_id=holding.client_user_id)
    people.retire([row], by=UserFactory())
    carry_out()
    assert not Assignment.objects.filter(client_user_id=row.client_user_id, asset__is_revocable=True).exists()
    assert_level(token, location)


def test_a_registration_fits_while_the_address_is_the_same() -> None:
    person = ManagedUserFactory(email="ada@company.example")
    row = ClientUserFactory(email="Ada@company.example")
    assert row.fits(person)
    person.managed_apple_account = "ada@school.example"
    assert not row.fits(person)
    row.status = "Associated"
    assert row.fits(person)
    row.managed_apple_account = "ada@other.example"
    assert not row.fits(person)
