"""How far apps are on their way through the steps of approval: for the rows of a list, and for the page of one app."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User

from catalog.approval.approvers import APPROVES, approvers, approvers_by_group, steps_of, with_mine
from catalog.models import App, ApprovalStep, AppStatus, Decision, DecisionKind
from tokens.many import Keys

ANYBODY = "anybody who may approve"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pending app stands: its step, which one that is of how many, and whom it waits for."""

    step: str
    count: str
    groups: str


@dataclass(frozen=True, slots=True)
class Passage:
    """One step of an app that waits: passed by somebody, the present one, or still to come."""

    step: ApprovalStep
    groups: str
    approvers: list[str]
    is_present: bool
    decision: Decision | None


@dataclass(frozen=True, slots=True)
class Approval:
    """All that an app's page says about its approval, and what the viewer may do about it."""

    passages: list[Passage]
    approvers: list[str]
    """Who may give the one approval that is missing, where that belongs to no step."""
    others: list[Decision]
    """What was decided beside the approvals that the passages show."""
    may_approve: bool
    may_reject: bool
    may_ask_again: bool
    is_alone: bool


def put_places_on(rows: Sequence[Any]) -> None:
    """Put on apps with their step where they stand, and on rejected ones the decision: three queries for all."""
    steps = list(ApprovalStep.objects.prefetch_related("groups"))
    numbers = {step.pk: number for number, step in enumerate(steps, start=1)}
    rejected = Decision.objects.filter(app__in=Keys(row.pk for row in rows), kind=DecisionKind.REJECTED)
    newest = {decision.app_id: decision for decision in rejected.order_by("pk")}
    for row in rows:
        row.rejection = newest.get(row.pk) if row.status == AppStatus.REJECTED else None
        row.place = _place(steps, numbers.get(row.step_id, 0))


def approval_of(app: App, viewer: User) -> Approval:
    """Return how far an app is, for its page; a number of queries that depends on nothing."""
    decisions = list(app.decisions.all())
    is_pending, may = app.status == AppStatus.PENDING and not app.deleted_at, viewer.has_perm(APPROVES)
    present, is_mine = _step_and_mine(app, viewer) if is_pending else (None, False)
    steps = list(ApprovalStep.objects.prefetch_related("groups")) if is_pending else []
    is_own = is_pending and may and (present is None or present in steps_of(viewer, steps))
    passages = _passages(app, steps, present, decisions)
    shown = {passage.decision for passage in passages}
    return Approval(
        passages=passages,
        approvers=_everybody() if is_pending and present is None else [],
        others=[decision for decision in decisions if decision not in shown],
        may_approve=is_mine,
        may_reject=is_own,
        may_ask_again=app.status == AppStatus.REJECTED and not app.deleted_at and may_ask_again(viewer),
        is_alone=is_own and not is_mine,
    )


def may_ask_again(viewer: User) -> bool:
    """May this person ask for another decision: whoever decides, and whoever brings apps into the catalog."""
    return viewer.has_perm(APPROVES) or viewer.has_perm("catalog.add_app")


def _step_and_mine(app: App, viewer: User) -> tuple[int | None, bool]:
    rows = with_mine(App.objects.filter(pk=app.pk), viewer).values_list("step_id", "is_mine")
    step, is_mine = rows.get()
    return step, bool(is_mine)


def _passages(
    app: App, steps: Sequence[ApprovalStep], present: int | None, decisions: Sequence[Decision]
) -> list[Passage]:
    given = {
        decision.step_id: decision
        for decision in decisions
        if decision.kind == DecisionKind.APPROVED and decision.round == app.approval_round
    }
    people = approvers_by_group() if steps else {}
    return [
        Passage(
            step,
            groups=_groups(step),
            approvers=sorted({name for group in step.groups.all() for name in people.get(group.pk, [])}),
            is_present=step.pk == present,
            decision=given.get(step.pk),
        )
        for step in steps
    ]


def _place(steps: Sequence[ApprovalStep], number: int) -> Place:
    if number:
        step = steps[number - 1]
        return Place(str(step), f"{number} of {len(steps)}", _groups(step) or "nobody: it has no approvers")
    return Place("All steps passed" if steps else "One approval", "", ANYBODY)


def _groups(step: ApprovalStep) -> str:
    return ", ".join(group.name for group in step.groups.all())


def _everybody() -> list[str]:
    return list(approvers().order_by("username").values_list("username", flat=True))
