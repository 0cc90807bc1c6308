"""Invitations are mailed in the background, once each, and a mail server's moods are waited out and told in words."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from tests.deliveries import deliver
from tests.factories import ClientUserFactory, ManagedUserFactory
from tests.mailserver import MailServer
from tokens import invitations, tasks
from tokens.fields import Sealed
from tokens.models import ClientUser, Invitation
from tokens.secret import Secret
from vppportal.work import WorkState

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sim")]


def invited(**facts: Any) -> ClientUser:
    """Return somebody who is to be sent an invitation."""
    row: ClientUser = ClientUserFactory(person=facts.pop("person", None) or ManagedUserFactory(), **facts)
    row.invite_code = Sealed.seal(Secret(f"code-of-{row.client_user_id}"), bound_to=row.client_user_id)
    row.save()
    Invitation.objects.ask_for_new(ClientUser.objects.filter(pk=row.pk))
    return row


def test_everybody_gets_one_mail_over_few_connections(mail_server: MailServer) -> None:
    rows = [invited() for _ in range(25)]
    while invitations.send_due():
        pass
    assert len(mail_server.mails) == 25
    for row in rows:
        code = re.compile(rf"code-of-{row.client_user_id}\b")
        assert sum(bool(code.search(text)) for text in mail_server.mails) == 1
    assert set(Invitation.objects.values_list("state", flat=True)) == {WorkState.DONE}


def test_a_server_that_is_away_is_tried_again(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    row, _ = invited(), invited()
    invitations.send_due()
    waiting = Invitation.objects.get(client_user=row)
    assert (waiting.state, waiting.last_error) == (WorkState.WAITING, "The mail server cannot be reached.")
    assert waiting.next_attempt_at > timezone.now() + timedelta(seconds=30)
    row.refresh_from_db()
    assert (row.invited_at, row.invitations) == (None, 0)


def test_an_address_that_is_refused_is_not_tried_again(mail_server: MailServer) -> None:
    mail_server.recipient = "550 nobody here"
    invited()
    invitations.send_due()
    failed = Invitation.objects.get()
    assert (failed.state, failed.last_error) == (
        WorkState.FAILED,
        "The mail server does not accept the person's address.",
    )


def test_an_address_that_no_mail_can_have_keeps_nobody_else_from_being_invited(mail_server: MailServer) -> None:
    bad = invited(person=ManagedUserFactory(email=f"ada@{'ä' * 63}.example"))
    invited()
    invitations.send_due()
    assert len(mail_server.mails) == 1
    failed = Invitation.objects.get(client_user=bad)
    assert (failed.state, failed.last_error) == (WorkState.FAILED, "No mail can be sent to the person's address.")


def test_a_server_that_does_not_take_a_mail_now_is_tried_again(mail_server: MailServer) -> None:
    mail_server.content = "452 full"
    row = invited()
    invitations.send_due()
    waiting = Invitation.objects.get()
    assert waiting.state == WorkState.WAITING
    assert waiting.last_error == "The mail server does not take the mail: it answers 452."
    mail_server.content = "250 OK"
    Invitation.objects.update(next_attempt_at=timezone.now())
    invitations.send_due()
    row.refresh_from_db()
    assert row.invitations == 1


def test_after_half_a_day_nobody_tries_any_more(mail_server: MailServer) -> None:
    mail_server.content = "452 full"
    invited()
    Invitation.objects.update(attempt=invitations.LAST_TRY - 1)
    invitations.send_due()
    assert Invitation.objects.get().state == WorkState.FAILED


def test_while_apple_names_no_page_the_mail_waits(settings: Any) -> None:
    settings.APPLE_VPP_URL = "http://127.0.0.1:9/mdm/v2"
    invited()
    invitations.send_due()
    assert Invitation.objects.get().state == WorkState.WAITING
    assert mail.outbox == []


@pytest.mark.parametrize("facts", [{"status": "Associated"}, {"status": "Retired"}, {"token__deleted": True}])
def test_who_needs_no_invitation_any_more_gets_none(facts: dict[str, Any]) -> None:
    row = invited(**{name: value for name, value in facts.items() if "__" in name})
    Invitation.objects.get_or_create(client_user=row)
    ClientUser.objects.filter(pk=row.pk).update(**{name: value for name, value in facts.items() if "__" not in name})
    invitations.send_due()
    assert mail.outbox == []
    assert Invitation.objects.get().state == WorkState.DONE


def test_an_odd_name_breaks_no_header() -> None:
    invited(token__organization="Tab\nBcc: everybody@company.example", person=ManagedUserFactory(name="<b>O'Neil</b>"))
    invitations.send_due()
    (sent,) = mail.outbox
    assert "\n" not in sent.subject
    assert sent.recipients() == [sent.to[0]]
    assert "<b>O'Neil</b>" in sent.body


def test_the_sweeper_finds_what_nobody_nudged(django_capture_on_commit_callbacks: Any) -> None:
    invited()
    with django_capture_on_commit_callbacks(execute=True):
        tasks.sweep()
    deliver()
    assert len(mail.outbox) == 1
