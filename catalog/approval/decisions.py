"""Decide on apps that wait: approve them step by step, reject them, ask again. What a token's page says follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import models, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from catalog import reconciling
from catalog.approval.approvers import APPROVES, hold_steps, steps_of
from catalog.models import Addition, App, ApprovalStep, AppStatus, Decision, DecisionKind, Outcome
from tokens.many import Keys
from vppportal.activity.models import record_each

BATCH: Final = 500
OUTCOMES: Final = {
    AppStatus.AVAILABLE: Outcome.ADDED,
    AppStatus.PENDING: Outcome.PENDING,
    AppStatus.REJECTED: Outcome.REJECTED,
}


class Refusal(models.TextChoices):
    """Why somebody could not decide on an app."""

    DECIDED = "decided", "it does not wait for this decision any more"
    OTHERS = "others", "the step it waits at is for others to decide"
    MOVED = "moved", "it came to this step only after the page was shown"
    ALONE = "alone", "you uploaded its VPP token, and nobody else has approved it yet"


@dataclass(slots=True)
class Result:
    """What a decision did: apps it settled, apps that wait for the next step now, and how many it could not decide."""

    settled: list[App] = field(default_factory=list)
    passed: list[tuple[App, ApprovalStep]] = field(default_factory=list)
    refused: Counter[Refusal] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Case:
    """An app that waits at a step this person decides on; without a step, for one approval by anybody who may."""

    app: App
    step: ApprovalStep | None
    following: ApprovalStep | None
    is_alone: bool
    """Nobody else has a say in it but this person, who uploaded its token."""


def approve(apps: QuerySet[App], by: User, seen: datetime | None = None) -> Result:
    """Let each of the apps that waits for this person pass its step, as it was `seen`.

    What has come to another step since then is left: nobody approves a step that was not shown, nor two by two clicks.
    """
    result = Result()
    with transaction.atomic():
        cases = _cases(apps, by, result, seen)
        result.refused += Counter(Refusal.ALONE for case in cases if case.is_alone)
        approved = [case for case in cases if not case.is_alone]
        result.settled = [case.app for case in approved if case.following is None]
        result.passed = [(case.app, case.following) for case in approved if case.following]
        _keep(approved, DecisionKind.APPROVED, by)
        _these(app for app, _ in result.passed).update(waiting_since=timezone.now())
        _become(result.settled, AppStatus.AVAILABLE)
        record_each(by, "approved the app", result.settled)
        for step, passed in _by_step(case for case in approved if case.following).items():
            record_each(by, "approved a step of", passed, step=str(step))
    return result


def reject(apps: QuerySet[App], by: User, reason: str) -> Result:
    """Reject each of the apps that waits for this person, saying why."""
    result = Result()
    with transaction.atomic():
        cases = _cases(apps, by, result)
        result.settled = [case.app for case in cases]
        _keep(cases, DecisionKind.REJECTED, by, reason)
        _become(result.settled, AppStatus.REJECTED)
        for step, rejected in _by_step(cases).items():
            record_each(by, "rejected the app", rejected, reason=reason, **({"step": str(step)} if step else {}))
    return result


def ask_again(apps: QuerySet[App], by: User, reason: str) -> Result:
    """Let each of the rejected apps wait once more; what was approved before counts no longer."""
    result = Result()
    with transaction.atomic():
        hold_steps()
        rows = _held(apps)
        result.settled = [app for app in rows if app.status == AppStatus.REJECTED]
        result.refused[Refusal.DECIDED] = len(rows) - len(result.settled)
        for app in result.settled:
            app.approval_round += 1
        _these(result.settled).update(approval_round=F("approval_round") + 1)
        asked = [_Case(app, None, None, is_alone=False) for app in result.settled]
        _keep(asked, DecisionKind.ASKED_AGAIN, by, reason)
        _become(result.settled, AppStatus.PENDING)
        record_each(by, "asked again for approval of", result.settled, reason=reason)
    return result


def keep_deletion(app: App, by: User) -> None:
    """Keep that somebody deleted an app that was not approved: it waits again when any token brings it back."""
    _keep([_Case(app, None, None, is_alone=False)], DecisionKind.DELETED, by)


def _cases(apps: QuerySet[App], by: User, result: Result, seen: datetime | None = None) -> list[_Case]:
    """Return those of the apps that this person may decide on; the others are counted as refused."""
    steps, may = hold_steps(), by.has_perm(APPROVES)
    own, rows = steps_of(by, steps), _held(apps)
    given = _given(rows)
    cases = []
    for app in rows:
        lacking = [step for step in steps if (app.pk, step.pk) not in given]
        step = lacking[0] if lacking else None
        if app.status != AppStatus.PENDING:
            result.refused[Refusal.DECIDED] += 1
        elif not may or (step and step.pk not in own):
            result.refused[Refusal.OTHERS] += 1
        elif seen and app.waiting_since and app.waiting_since > seen:
            result.refused[Refusal.MOVED] += 1
        else:
            others = [given.get((app.pk, other.pk)) for other in steps if other is not step]
            uploaders = {app.brought_by_id, app.added_from.uploaded_by_id if app.added_from else None}
            is_alone = len(steps) > 1 and by.pk in uploaders and set(others) == {by.pk}
            cases.append(_Case(app, step, lacking[1] if lacking[1:] else None, is_alone))
    return cases


def _held(apps: QuerySet[App]) -> list[App]:
    """Return these apps as they are now; nobody else decides on one before the transaction ends."""
    kept = App.objects.kept().filter(pk__in=Keys(apps.order_by().values_list("pk", flat=True)))
    held = kept.select_related("listing", "added_from").order_by("pk")
    return list(held.select_for_update(of=("self",), no_key=True))


def _given(apps: list[App]) -> dict[tuple[int, int], int | None]:
    """Return who approved which step of which app in its present round."""
    rounds = {app.pk: app.approval_round for app in apps}
    given = Decision.objects.filter(app__in=Keys(rounds), kind=DecisionKind.APPROVED).exclude(step=None)
    rows = given.order_by().values_list("app", "step", "by", "round")
    return {(app, step): by for app, step, by, number in rows if step and number == rounds[app]}


def _keep(cases: Iterable[_Case], kind: DecisionKind, by: User, reason: str = "") -> None:
    """Keep who decided what, also for the time when the step or the account is gone."""
    now, name = timezone.now(), by.get_username()
    decisions = [
        Decision(
            app=case.app,
            adam_id=case.app.adam_id,
            app_name=str(case.app),
            round=case.app.approval_round,
            step=case.step,
            step_name=str(case.step or ""),
            kind=kind,
            by=by,
            by_name=name,
            at=now,
            reason=reason,
        )
        for case in cases
    ]
    Decision.objects.bulk_create(decisions, BATCH)


def _become(apps: list[App], status: AppStatus) -> None:
    """Give the apps a status; what the pages of their tokens say follows, and so does the plan."""
    now, rows = timezone.now(), _these(apps)
    rows.update(status=status, waiting_since=now if status == AppStatus.PENDING else None)
    told = Addition.objects.filter(
        app__in=Keys(app.pk for app in apps), outcome__in=(Outcome.PENDING, Outcome.REJECTED)
    )
    told.update(outcome=OUTCOMES[status], settled_at=now)
    reconciling.wake(rows.filter(reconciliation__isnull=False).values_list("pk", flat=True))


def _these(apps: Iterable[App]) -> QuerySet[App]:
    return App.objects.filter(pk__in=Keys(app.pk for app in apps))


def _by_step(cases: Iterable[_Case]) -> dict[Any, list[App]]:
    found: dict[Any, list[App]] = {}
    for case in cases:
        found.setdefault(case.step, []).append(case.app)
    return found
