"""People are told by e-mail which apps they get: once each, whatever happens to workers and mail servers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog import letters, tasks
from catalog.mailbox import AWAY, FEW_TRIES, LAST_TRY
from catalog.models import Distribution, DistributionState, Letter
from tests import deliveries
from tests.factories import AppFactory, DistributionFactory, ManagedUserFactory
from tests.mailserver import MailServer
from vppportal.groups.models import ManagedUser
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db


def telling(*people: ManagedUser, name: str = "Keynote", **facts: Any) -> Distribution:
    row: Distribution = DistributionFactory(notify_by_email=True, app__listing__name=name, **facts)
    row.people.add(*people)
    return row


def send() -> None:
    while letters.send_due():
        pass


def due_again() -> None:
    Letter.objects.update(next_attempt_at=timezone.now())


def test_each_active_person_of_the_audience_gets_one_mail_that_names_the_app() -> None:
    ada, gone = ManagedUserFactory(name="Ada", email="ada@company.example"), ManagedUserFactory(is_active=False)
    row = telling(ada, gone)
    assert letters.write(row.pk) == 1
    send()
    (message,) = mail.outbox
    assert message.to == ["ada@company.example"]
    assert message.subject == "An app for you: Keynote"
    assert message.extra_headers == {"Auto-Submitted": "auto-generated"}
    assert "Hello Ada," in message.body
    assert "- Keynote" in message.body
    assert Letter.objects.get().sent_at is not None


def test_apps_that_are_new_together_are_one_mail() -> None:
    ada = ManagedUserFactory()
    for row in (telling(ada), telling(ada, name="Pages"), telling(ada, name="Numbers", when="on_demand")):
        letters.write(row.pk)
    send()
    (message,) = mail.outbox
    assert message.subject == "3 apps for you"
    sent, offered = message.body.split("you can also have")
    assert ("- Keynote" in sent, "- Pages" in sent, "- Numbers" in offered) == (True, True, True)


def test_nobody_is_told_where_that_was_not_asked_for() -> None:
    row = DistributionFactory(is_for_everyone=True)
    ManagedUserFactory()
    assert letters.to_write() == []
    assert letters.write(row.pk) == 0
    assert not Letter.objects.exists()


def test_after_an_edit_only_those_who_are_new_are_told() -> None:
    ada, grace = ManagedUserFactory(), ManagedUserFactory(email="grace@company.example")
    row = telling(ada)
    letters.write(row.pk)
    send()
    row.people.add(grace)
    Distribution.objects.update(notified_at=None)
    assert letters.to_write() == [row.pk]
    letters.write(row.pk)
    send()
    assert [message.to for message in mail.outbox] == [[ada.email], ["grace@company.example"]]


def test_the_sweep_finds_whom_nobody_was_nudged_about(django_capture_on_commit_callbacks: Any) -> None:
    telling(ManagedUserFactory())
    with django_capture_on_commit_callbacks(execute=True):
        deliveries.sweep()
    deliveries.deliver()
    tasks.send_letters()
    assert len(mail.outbox) == 1


def test_writing_to_2_000_people_takes_few_queries() -> None:
    ManagedUser.objects.bulk_create(ManagedUserFactory.build_batch(2000))
    row = telling(is_for_everyone=True)
    with CaptureQueriesContext(connection) as queries:
        assert letters.write(row.pk) == 2000
    assert len(queries) < 40


def test_a_worker_that_died_after_the_first_mail_leaves_no_one_told_twice(mail_server: MailServer) -> None:
    people = ManagedUserFactory.create_batch(3)
    letters.write(telling(*people).pk)
    first = Letter.objects.get(person=people[0])
    first.delete()
    Letter.objects.create(distribution=first.distribution, person=people[0], state="done", sent_at=timezone.now())
    # The dead worker held the other two until its lease ran out.
    Letter.objects.exclude(state="done").claim(2)
    Letter.objects.filter(state="running").update(lease_until=timezone.now() - timedelta(seconds=1))
    send()
    assert len(mail_server.mails) == 2
    assert not any(people[0].email in text for text in mail_server.mails)


def test_a_mail_server_that_is_away_is_waited_for(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    letters.write(telling(*ManagedUserFactory.create_batch(2)).pk)
    send()
    assert Letter.objects.count() == 2
    for letter in Letter.objects.all():
        assert (letter.state, letter.last_error) == (WorkState.WAITING, AWAY)
        assert letter.next_attempt_at > timezone.now() + timedelta(seconds=30)


def test_an_address_that_is_refused_is_tried_again_and_then_shown(mail_server: MailServer) -> None:
    mail_server.recipient = "550 nobody here"
    row = telling(ManagedUserFactory(name="Ada"))
    letters.write(row.pk)
    for _ in range(FEW_TRIES):
        assert Letter.objects.get().state == WorkState.WAITING
        due_again()
        send()
    told = letters.told(row)
    assert (told["all"], told["sent"], told["failed"]) == (1, 0, 1)
    assert "does not accept the address" in told["failing"][0].last_error


def test_one_bad_address_does_not_keep_others_from_being_told(mail_server: MailServer) -> None:
    mail_server.recipients = {"<bad@nowhere.example>": "550 nobody here"}
    letters.write(telling(ManagedUserFactory(email="bad@nowhere.example"), *ManagedUserFactory.create_batch(2)).pk)
    send()
    assert len(mail_server.mails) == 2


def test_an_address_that_no_mail_can_have_keeps_nobody_else_from_being_told(mail_server: MailServer) -> None:
    row = telling(ManagedUserFactory(email=f"ada@{'ä' * 63}.example"), ManagedUserFactory())
    letters.write(row.pk)
    send()
    assert len(mail_server.mails) == 1
    assert "No mail can be sent" in letters.told(row)["failing"][0].last_error


def test_a_server_that_is_busy_is_asked_for_half_a_day(mail_server: MailServer) -> None:
    mail_server.content = "452 full"
    letters.write(telling(ManagedUserFactory()).pk)
    send()
    assert Letter.objects.get().last_error == "The mail server does not take the mail: it answers 452."
    Letter.objects.update(attempt=LAST_TRY - 1)
    due_again()
    send()
    assert Letter.objects.get().state == WorkState.FAILED


def test_what_was_stopped_is_not_told_and_what_is_paused_waits() -> None:
    ada, grace = ManagedUserFactory(), ManagedUserFactory()
    stopped, paused = telling(ada), telling(grace)
    for row, state in ((stopped, DistributionState.STOPPED), (paused, DistributionState.PAUSED)):
        letters.write(row.pk)
        Distribution.objects.filter(pk=row.pk).update(state=state)
    send()
    assert mail.outbox == []
    assert not Letter.objects.get(person=ada).is_open
    assert Letter.objects.get(person=grace).is_open
    Distribution.objects.filter(pk=paused.pk).update(state=DistributionState.ACTIVE)
    due_again()
    send()
    assert [message.to for message in mail.outbox] == [[grace.email]]


def test_names_with_line_breaks_or_signs_do_no_harm() -> None:
    letters.write(telling(ManagedUserFactory(name="O'Neil & <Co>"), name="A\nB & <C>").pk)
    send()
    (message,) = mail.outbox
    assert message.subject == "An app for you: A B & <C>"
    assert "Hello O'Neil & <Co>," in message.body


def test_an_app_deleted_meanwhile_is_no_trouble() -> None:
    row = telling(ManagedUserFactory(), app=AppFactory())
    letters.write(row.pk)
    row.app.delete()
    send()
    assert mail.outbox == []
