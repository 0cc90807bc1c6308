"""Tell approvers by e-mail what waits for them: one letter about all that is new, at most every 15 minutes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import F, Max, Q, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from catalog.approval.approvers import approvers, pending, waiting_for
from catalog.mailbox import Mailbox
from catalog.models import ApprovalStep, ApproverLetter
from tokens.many import Keys
from vppportal.work import OPEN_STATES, LeaseLost, WorkState

log = structlog.get_logger(__name__)

AT_ONCE: Final = 10
"""Approvers a worker tells at a time: a slow mail server must not outlast their lease."""
PAUSE: Final = timedelta(minutes=15)
SETTLED: Final = timedelta(minutes=1)
"""What is younger is left to the next letter: others may still be storing what carries a time some moments ago."""
NAMED: Final = 10


def call_for_letters() -> bool:
    """Have the approvers told for whom something may be new; return whether a letter is due."""
    newest = pending().filter(waiting_since__lte=timezone.now() - SETTLED).aggregate(at=Max("waiting_since"))["at"]
    if newest is not None:
        people = approvers().exclude(email="")
        new = [ApproverLetter(user=user) for user in people.filter(approver_letter=None)]
        ApproverLetter.objects.bulk_create(new, ignore_conflicts=True)
        closed = ApproverLetter.objects.exclude(state__in=OPEN_STATES).filter(user__in=people.values("pk"))
        behind = closed.filter(Q(told_until=None) | Q(told_until__lt=newest))
        behind.update(state=WorkState.WAITING, attempt=0, deaths=0, lease_until=None)
    return ApproverLetter.objects.due().exists()


def tell_anew(users: QuerySet[User]) -> None:
    """Have users told of all that waits for them, as they decide on more than before.

    Whoever holds a letter loses it: what it says on its way was gathered before, and must not count as all.
    """
    letters = ApproverLetter.objects.filter(user__in=users)
    letters.update(
        told_until=None, state=WorkState.WAITING, epoch=F("epoch") + 1, attempt=0, deaths=0, lease_until=None
    )


def tell_newcomers(users: Iterable[int], groups: Iterable[int]) -> None:
    """Let the next letter to these people name all that waits for them, where a step is for one of these groups."""
    if ApprovalStep.objects.filter(groups__in=Keys(groups)).exists():
        tell_anew(User.objects.filter(pk__in=Keys(users)))


def send_due() -> bool:
    """Tell the next approvers of whom letters are due; return whether there may be more."""
    letters = ApproverLetter.objects.claim(AT_ONCE)
    people = approvers().exclude(email="").in_bulk([letter.user_id for letter in letters]) if letters else {}
    mailbox = Mailbox()
    for letter in letters:
        try:
            _tell(letter, people.get(letter.user_id), mailbox)
        except LeaseLost:
            log.info("approver_letter_taken_over", user=letter.user_id)
    mailbox.close()
    return bool(letters)


def _tell(letter: ApproverLetter, approver: User | None, mailbox: Mailbox) -> None:
    """Send the mail if there is news. Who may not approve any more is told nothing, and later everything anew.

    Raises LeaseLost.
    """
    until = timezone.now() - SETTLED
    if letter.is_poison:
        return letter.fail("Sending this letter ended several workers.", told_until=until)
    if approver is None:
        return letter.finish(told_until=None)
    news = waiting_for(approver).filter(waiting_since__lte=until).select_related("listing")
    if letter.told_until:
        news = news.filter(waiting_since__gt=letter.told_until)
    apps = [str(app) for app in news.order_by("listing__name", "pk")[: NAMED + 1]]
    if not apps:
        return letter.finish(told_until=until)
    letter.renew()
    subject, body = _mail(approver, apps, news.count() if len(apps) > NAMED else len(apps))
    if mailbox.send(approver.email, subject, body, [letter], told_until=until):
        letter.finish(told_until=until, next_attempt_at=timezone.now() + PAUSE)
    return None


def _mail(approver: User, apps: list[str], number: int) -> tuple[str, str]:
    address = f"{settings.PORTAL_URL}{reverse('approvals')}?{urlencode({'whose': 'me'})}"
    context = {
        "name": approver.get_full_name() or approver.get_username(),
        "apps": apps[:NAMED],
        "number": number,
        "others": number - len(apps[:NAMED]),
        "address": address,
    }
    subject = render_to_string("catalog/mail/approvals_subject.txt", context)
    return subject, render_to_string("catalog/mail/approvals.txt", context)
