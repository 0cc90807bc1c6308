"""Approvers are told by e-mail what waits for them: together, not too often, and nobody who may not decide."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail
from django.utils import timezone

from catalog import tasks
from catalog.approval import approver_letters, decisions, steps
from catalog.mailbox import AWAY, FEW_TRIES, Mailbox
from catalog.models import App, ApproverLetter
from tests import deliveries
from tests.catalog.approval.approvers import approver, only, step
from tests.factories import AppFactory, UserFactory
from tests.mailserver import MailServer
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db


def look() -> None:
    """Do what the sweep and a worker do."""
    if approver_letters.call_for_letters():
        tasks.send_approver_letters()


def later(**time: float) -> None:
    """Let time pass: everything that was stored is so much older."""
    passed = timedelta(**time)
    for letter in ApproverLetter.objects.all():
        letter.next_attempt_at -= passed
        letter.told_until = letter.told_until and letter.told_until - passed
        letter.save()
    for app in App.objects.exclude(waiting_since=None):
        App.objects.filter(pk=app.pk).update(waiting_since=app.waiting_since - passed)  # type: ignore[operator]


def test_an_approver_is_told_of_all_that_waits_in_one_letter(settings: Any) -> None:
    settings.PORTAL_URL = "https://portal.example"
    anna = approver(first_name="Anna", last_name="Berg")
    AppFactory(pending=True, listing__name="Fieldnote")
    AppFactory(pending=True, listing__name="Almanac")
    AppFactory(rejected=True, listing__name="Refused")
    look()
    (message,) = mail.outbox
    assert message.to == [anna.email]
    assert message.subject == "2 apps wait for your approval"
    assert "Hello Anna Berg," in message.body
    assert message.body.index("- Almanac") < message.body.index("- Fieldnote")
    assert "https://portal.example/catalog/approvals/?whose=me" in message.body
    assert "Refused" not in message.body
    look()
    assert len(mail.outbox) == 1


def test_the_first_ten_are_named_and_the_others_counted() -> None:
    approver()
    AppFactory.create_batch(1203, pending=True)
    look()
    (message,) = mail.outbox
    assert message.subject == "1,203 apps wait for your approval"
    assert message.body.count("\n  - App ") == 10
    assert "- and 1,193 more" in message.body


def test_one_app_is_named_in_the_subject_whatever_is_in_its_name() -> None:
    approver()
    AppFactory(pending=True, listing__name="A\nB & <C>")
    look()
    assert mail.outbox[0].subject == "An app waits for your approval: A B & <C>"
    assert "it cannot be distributed" in mail.outbox[0].body


def test_news_within_a_quarter_of_an_hour_wait_for_the_next_letter() -> None:
    approver()
    AppFactory(pending=True)
    look()
    later(minutes=5)
    AppFactory(pending=True, listing__name="Second", waiting_since=timezone.now() - timedelta(minutes=2))
    look()
    assert len(mail.outbox) == 1
    later(minutes=11)
    look()
    assert len(mail.outbox) == 2
    assert mail.outbox[1].subject == "An app waits for your approval: Second"


def test_what_came_a_moment_ago_is_told_when_it_has_settled() -> None:
    approver()
    AppFactory(pending=True, waiting_since=timezone.now())
    look()
    assert mail.outbox == []
    later(minutes=1)
    look()
    assert len(mail.outbox) == 1


def test_only_the_approvers_of_the_present_step_are_told() -> None:
    (_, anna), (_, ben) = step("Security"), step("Lawyers")
    app = AppFactory(pending=True)
    look()
    assert [message.to for message in mail.outbox] == [[anna.email]]
    decisions.approve(only(app), anna)
    later(minutes=2)
    look()
    assert [message.to for message in mail.outbox] == [[anna.email], [ben.email]]
    later(minutes=60)
    look()
    assert len(mail.outbox) == 2


def test_what_was_decided_meanwhile_is_not_told() -> None:
    anna = approver()
    app = AppFactory(pending=True)
    assert approver_letters.call_for_letters()
    decisions.approve(only(app), anna)
    tasks.send_approver_letters()
    assert mail.outbox == []
    assert ApproverLetter.objects.get().state == WorkState.DONE


def test_who_has_no_address_no_right_or_left_is_not_told() -> None:
    approver(email="")
    approver(is_active=False)
    UserFactory(role="Viewer")
    AppFactory(pending=True)
    look()
    assert mail.outbox == []
    assert not ApproverLetter.objects.exists()


def test_who_loses_the_right_before_the_letter_goes_out_is_not_told_and_later_again_of_everything() -> None:
    anna = approver()
    AppFactory(pending=True)
    assert approver_letters.call_for_letters()
    User.objects.filter(pk=anna.pk).update(is_active=False)
    tasks.send_approver_letters()
    look()
    assert mail.outbox == []
    User.objects.filter(pk=anna.pk).update(is_active=True)
    look()
    assert len(mail.outbox) == 1


def test_the_sweep_finds_what_nobody_was_nudged_about(django_capture_on_commit_callbacks: Any) -> None:
    approver()
    AppFactory(pending=True)
    with django_capture_on_commit_callbacks(execute=True):
        deliveries.sweep()
    deliveries.deliver()
    assert len(mail.outbox) == 1


def test_a_worker_that_died_before_it_sent_the_letter_is_replaced() -> None:
    approver()
    AppFactory(pending=True)
    assert approver_letters.call_for_letters()
    ApproverLetter.objects.claim(1)
    assert not approver_letters.call_for_letters()
    ApproverLetter.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    look()
    assert len(mail.outbox) == 1


def test_two_workers_at_once_send_one_letter() -> None:
    approver()
    AppFactory(pending=True)
    assert approver_letters.call_for_letters()
    (held,) = ApproverLetter.objects.claim(1)
    ApproverLetter.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    look()
    assert len(mail.outbox) == 1
    assert ApproverLetter.objects.get().epoch == held.epoch + 1


def test_a_mail_server_that_is_away_is_waited_for(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    approver()
    approver()
    AppFactory(pending=True)
    look()
    assert ApproverLetter.objects.count() == 2
    for letter in ApproverLetter.objects.all():
        assert (letter.state, letter.last_error, letter.told_until) == (WorkState.WAITING, AWAY, None)
        assert letter.next_attempt_at > timezone.now() + timedelta(seconds=30)


def test_a_refused_address_keeps_nobody_else_from_being_told_and_is_tried_again_for_news(
    mail_server: MailServer,
) -> None:
    bad, _ = approver(email="bad@nowhere.example"), approver()
    mail_server.recipients = {"<bad@nowhere.example>": "550 nobody here"}
    AppFactory(pending=True)
    for _ in range(FEW_TRIES):
        look()
        ApproverLetter.objects.update(next_attempt_at=timezone.now())
    assert len(mail_server.mails) == 1
    assert ApproverLetter.objects.get(user=bad).state == WorkState.FAILED
    assert not approver_letters.call_for_letters()
    later(minutes=30)
    AppFactory(pending=True, waiting_since=timezone.now() - timedelta(minutes=2))
    mail_server.recipients = {}
    look()
    assert len(mail_server.mails) == 3
    assert ApproverLetter.objects.get(user=bad).state == WorkState.DONE


def test_a_letter_that_ends_workers_is_given_up_until_there_is_news() -> None:
    approver()
    AppFactory(pending=True)
    assert approver_letters.call_for_letters()
    ApproverLetter.objects.update(deaths=5)
    tasks.send_approver_letters()
    assert ApproverLetter.objects.get().state == WorkState.FAILED
    assert not approver_letters.call_for_letters()
    assert mail.outbox == []


def test_who_comes_to_decide_at_a_step_is_told_what_waits_there_already() -> None:
    (security, anna), (_, ben) = step("Security"), step("Lawyers")
    AppFactory(pending=True, listing__name="Fieldnote")
    look()
    later(hours=1)
    steps.change(security, "Security", [*security.groups.all(), *ben.groups.all()], None)
    look()
    assert [message.to for message in mail.outbox] == [[anna.email], [ben.email]]
    assert "Fieldnote" in mail.outbox[1].body


def test_who_comes_to_decide_while_a_letter_is_on_its_way_is_told_what_waits_there_already(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (security, _), (lawyers, ben) = step("Security"), step("Lawyers")
    at_security, at_lawyers = AppFactory.create_batch(2, pending=True)
    decisions.approve(only(at_lawyers), User.objects.get(groups__in=security.groups.all()))
    later(hours=1)
    send = Mailbox.send

    def change_meanwhile(*args: Any, **fields: Any) -> bool:
        monkeypatch.undo()
        steps.change(security, "Security", [*security.groups.all(), *lawyers.groups.all()], None)
        return send(*args, **fields)

    ApproverLetter.objects.create(user=ben)
    monkeypatch.setattr(Mailbox, "send", change_meanwhile)
    tasks.send_approver_letters()
    look()
    to_ben = [str(message.body) for message in mail.outbox if message.to == [ben.email]]
    assert [str(at_security) in body for body in to_ben] == [False, True]
    assert ApproverLetter.objects.get(user=ben).state == WorkState.DONE


# --- Who comes into the group of a step later -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "add", [lambda user, group: user.groups.add(group), lambda user, group: group.user_set.add(user)]
)
def test_who_comes_into_the_group_of_a_step_is_told_what_waits_there_already(add: Any) -> None:
    law, _ = step("Law")
    newcomer, other = approver(username="newcomer"), approver(username="other")
    AppFactory(pending=True)
    look()
    assert ApproverLetter.objects.filter(told_until=None).count() == 0
    mail.outbox.clear()
    later(minutes=16)
    add(newcomer, law.groups.get())
    look()
    assert [message.to for message in mail.outbox] == [[newcomer.email]]
    assert ApproverLetter.objects.get(user=other).told_until is not None


def test_who_comes_into_many_groups_or_with_many_others_costs_no_statement_each(
    django_assert_max_num_queries: Any,
) -> None:
    law, _ = step("Law")
    people = [approver() for _ in range(20)]
    AppFactory(pending=True)
    look()
    with django_assert_max_num_queries(6):
        law.groups.get().user_set.add(*people)
    assert ApproverLetter.objects.filter(told_until=None).count() == 20


def test_a_group_that_decides_at_no_step_is_news_to_nobody() -> None:
    anna = approver()
    AppFactory(pending=True)
    look()
    anna.groups.add(Group.objects.create(name="Choir"))
    assert ApproverLetter.objects.get().told_until is not None


def test_who_comes_into_a_group_while_a_letter_is_sent_is_told_what_it_did_not_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (_law, anna), (security, _) = step("Law"), step("Security")
    waits, passed = AppFactory.create_batch(2, pending=True)
    decisions.approve(only(passed), anna)
    later(minutes=5)
    send = Mailbox.send

    def joined_meanwhile(*args: Any, **kwargs: Any) -> bool:
        anna.groups.add(security.groups.get())
        return send(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Mailbox, "send", joined_meanwhile)
        look()
    *_, message = [message for message in mail.outbox if message.to == [anna.email]]
    assert str(waits) in message.body
    assert str(passed) in message.body
