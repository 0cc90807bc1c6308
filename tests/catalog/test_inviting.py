"""Apple's invitation is shown on a person's devices once after each mail, and its code is stored with no command."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog import inviting
from catalog.models import Command, CommandKind
from tests.factories import ClientUserFactory, DeviceFactory, ManagedUserFactory
from tokens.fields import Sealed
from tokens.models import ClientUser
from tokens.secret import Secret
from vppportal.groups.models import Device

pytestmark = pytest.mark.django_db

CODE = "invite-code-0123"


def invited(**facts: Any) -> ClientUser:
    facts = {"person": facts.get("person") or ManagedUserFactory(), "invited_at": timezone.now(), **facts}
    row: ClientUser = ClientUserFactory(status="Registered", client_user_id="id-1", **facts)
    row.invite_code = Sealed.seal(Secret(CODE), bound_to="id-1")
    row.save()
    return row


def device_of(row: ClientUser, **facts: Any) -> Device:
    device: Device = DeviceFactory(enrolled=True, owner=row.person, **facts)
    return device


def test_the_persons_devices_show_it_once_after_each_mail() -> None:
    row = invited()
    device_of(row)
    DeviceFactory(enrolled=True)
    assert inviting.show_on_devices() == 1
    assert inviting.show_on_devices() == 0
    ClientUser.objects.update(invited_at=timezone.now() + timedelta(seconds=1))
    assert inviting.show_on_devices() == 1


def test_the_invitations_of_two_tokens_are_both_shown_each_once() -> None:
    first = invited(invited_at=timezone.now() - timedelta(minutes=3))
    second = invited(person=first.person, invited_at=timezone.now() - timedelta(minutes=2))
    device_of(first)
    assert inviting.show_on_devices() == 2
    assert [row.payload[inviting.WHOM] for row in Command.objects.order_by("pk")] == [first.pk, second.pk]
    assert inviting.show_on_devices() == 0
    ClientUser.objects.filter(pk=first.pk).update(invited_at=timezone.now() + timedelta(seconds=1))
    assert inviting.show_on_devices() == 1
    assert Command.objects.latest("pk").payload == {inviting.WHOM: first.pk}


def test_one_that_comes_after_another_was_shown_is_shown_too() -> None:
    first = invited()
    device_of(first)
    assert inviting.show_on_devices() == 1
    invited(person=first.person, invited_at=timezone.now() - timedelta(minutes=1))
    assert inviting.show_on_devices() == 1


def test_many_invitations_cost_no_more_queries_than_one() -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            inviting.show_on_devices()
        return len(queries)

    def make(number: int) -> None:
        for _ in range(number):
            device_of(invited())

    make(1)
    few = cost()
    make(9)
    assert cost() == few


@pytest.mark.parametrize("facts", [{"enrollment_type": "user"}, {"platform": "tvOS"}])
def test_devices_that_cannot_show_it_are_left_alone(facts: dict[str, Any]) -> None:
    device_of(invited(), **facts)
    assert inviting.show_on_devices() == 0


def test_before_the_mail_nothing_is_shown() -> None:
    row = invited()
    ClientUser.objects.update(invited_at=None)
    device_of(row)
    assert inviting.show_on_devices() == 0


def test_the_code_is_filled_in_only_when_the_command_is_sent(sim: Any) -> None:
    device_of(invited())
    inviting.show_on_devices()
    command = Command.objects.get()
    assert command.kind == CommandKind.INVITE
    assert CODE not in str(command.payload)
    assert CODE in inviting.payloads([command])[command.pk]["InvitationURL"]


def test_an_invitation_that_was_accepted_meanwhile_is_not_sent() -> None:
    device_of(invited())
    inviting.show_on_devices()
    ClientUser.objects.update(status="Associated")
    command = Command.objects.get()
    assert inviting.payloads([command]) == {}
