"""Tell people by e-mail which apps they get: each once, in one mail for all the apps that are new at the moment."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any, Final

import structlog
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, Q
from django.template.loader import render_to_string
from django.utils import timezone

from catalog.audience import people_of
from catalog.mailbox import Mailbox
from catalog.models import Distribution, DistributionState, Letter, When
from vppportal.activity.models import record
from vppportal.groups.models import ManagedUser
from vppportal.work import LeaseLost, WorkState

log = structlog.get_logger(__name__)

AT_ONCE: Final = 10
"""People a worker tells at a time: a slow mail server must not outlast their lease."""
SHOWN: Final = 20


def to_write() -> list[int]:
    """Return the distributions whose people are to be told and have no letters yet."""
    active = Distribution.objects.filter(state=DistributionState.ACTIVE, notify_by_email=True, notified_at=None)
    return list(active.values_list("pk", flat=True))


def write(distribution_id: int) -> int:
    """Write a letter to each person of an audience who has none yet; return how many people that audience has."""
    with transaction.atomic():
        wanted = Distribution.objects.filter(pk__in=to_write()).select_for_update(of=("self",), no_key=True)
        row = wanted.filter(pk=distribution_id).first()
        if row is None:
            return 0
        people = list(people_of(row).exclude(email="").values_list("pk", flat=True))
        letters = [Letter(distribution=row, person_id=pk) for pk in people]
        Letter.objects.bulk_create(letters, 1000, ignore_conflicts=True)
        Distribution.objects.filter(pk=row.pk).update(notified_at=timezone.now())
    return len(people)


def send_due() -> bool:
    """Tell the next people of whom letters are due; return whether there may be more."""
    due = Letter.objects.due().order_by("next_attempt_at", "pk").values_list("person", flat=True)[: AT_ONCE * 5]
    people = list(dict.fromkeys(due))[:AT_ONCE]
    claimed = Letter.objects.filter(person__in=people).claim(AT_ONCE * 100) if people else []
    by_person: dict[int, list[Letter]] = {}
    for letter in claimed:
        by_person.setdefault(letter.person_id, []).append(letter)
    _tell_all(by_person)
    return bool(claimed)


def retry(distribution: Distribution, by: User) -> int:
    """Try the letters again that could not be sent; return how many."""
    with transaction.atomic():
        failed = distribution.letters.filter(state=WorkState.FAILED)
        tried = failed.update(
            state=WorkState.WAITING, next_attempt_at=timezone.now(), lease_until=None, attempt=0, deaths=0
        )
        if tried:
            record(by, "sent letters again about distributing", distribution.app, letters=tried)
    return tried


def told(distribution: Distribution) -> dict[str, Any]:
    """Return how far the letters about a distribution are, and the first that could not be sent."""
    failed = distribution.letters.filter(state=WorkState.FAILED)
    counts: dict[str, Any] = distribution.letters.aggregate(
        all=Count("pk"),
        sent=Count("pk", filter=~Q(sent_at=None)),
        open=Count("pk", filter=Q(state__in=(WorkState.WAITING, WorkState.RUNNING))),
        failed=Count("pk", filter=Q(state=WorkState.FAILED)),
    )
    return {**counts, "failing": failed.select_related("person").order_by("person__name", "pk")[:SHOWN]}


def _tell_all(by_person: dict[int, list[Letter]]) -> None:
    people = ManagedUser.objects.in_bulk(by_person)
    keys = {letter.distribution_id for letters in by_person.values() for letter in letters}
    distributions = Distribution.objects.select_related("app__listing").in_bulk(keys)
    mailbox = Mailbox()
    for person_id, letters in by_person.items():
        try:
            _tell(people[person_id], letters, distributions, mailbox)
        except LeaseLost:
            log.info("letters_taken_over", person=person_id)
    mailbox.close()


def _tell(
    person: ManagedUser, letters: Collection[Letter], distributions: dict[int, Distribution], mailbox: Mailbox
) -> None:
    """Send one person the mail for all the letters that still hold; raises LeaseLost."""
    current = _still_true(person, letters, distributions)
    if not current:
        return
    for letter in current:
        letter.renew()
    subject, body = _mail(person, [distributions[letter.distribution_id] for letter in current])
    if mailbox.send(person.email, subject, body, current):
        with transaction.atomic():
            for letter in current:
                letter.finish(sent_at=timezone.now())


def _still_true(person: ManagedUser, letters: Iterable[Letter], distributions: dict[int, Distribution]) -> list[Letter]:
    """Return the letters that may go out; what was stopped meanwhile is not told, what is paused waits."""
    current = []
    for letter in letters:
        state = distributions[letter.distribution_id].state
        if letter.is_poison:
            letter.fail("Sending this letter ended several workers.")
        elif not person.is_active or state == DistributionState.STOPPED:
            letter.finish()
        elif state == DistributionState.PAUSED:
            letter.postpone("The distribution is paused.", timedelta(hours=1), attempt=0)
        else:
            current.append(letter)
    return current


def _mail(person: ManagedUser, distributions: list[Distribution]) -> tuple[str, str]:
    names: dict[str, set[str]] = {When.NOW: set(), When.ON_DEMAND: set()}
    for row in distributions:
        names[row.when].add(str(row.app))
    context = {
        "person": person,
        "now": sorted(names[When.NOW]),
        "on_demand": sorted(names[When.ON_DEMAND] - names[When.NOW]),
        "apps": sorted(names[When.NOW] | names[When.ON_DEMAND]),
    }
    subject = render_to_string("catalog/mail/apps_subject.txt", context)
    return subject, render_to_string("catalog/mail/apps.txt", context)
