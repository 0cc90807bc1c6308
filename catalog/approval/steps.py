"""The steps that new apps pass, from one to eight in order: add, change, move and remove them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Case, F, Value, When
from django.utils import timezone

from catalog.approval.approver_letters import tell_anew
from catalog.approval.approvers import approvers_by_group, hold_steps, pending, with_step
from catalog.models import MOST_STEPS, App, ApprovalStep
from tokens.many import Keys
from vppportal.activity.models import Actor, record

AWAY: Final = 100
"""Where positions stand while they are given anew: no two steps may ever have the same."""


@dataclass(frozen=True, slots=True)
class Described:
    """A step as its page shows it."""

    step: ApprovalStep
    groups: list[str]
    approvers: list[str]
    waiting: int
    is_last: bool


def described() -> list[Described]:
    """Return the steps in order, with who decides and how many apps wait at each."""
    steps = list(ApprovalStep.objects.prefetch_related("groups"))
    people, waiting = approvers_by_group() if steps else {}, list(_present().values()) if steps else []
    return [
        Described(
            step,
            groups=[group.name for group in step.groups.all()],
            approvers=sorted({name for group in step.groups.all() for name in people.get(group.pk, [])}),
            waiting=waiting.count(step.pk),
            is_last=step is steps[-1],
        )
        for step in steps
    ]


def add(name: str, groups: Iterable[Group], by: Actor) -> ApprovalStep | None:
    """Add a step after the others; None where there are eight already."""
    with _changing() as steps:
        if len(steps) >= MOST_STEPS:
            return None
        step = ApprovalStep.objects.create(name=name, position=len(steps) + 1)
        step.groups.set(groups)
        record(by, "added the approval step", step, approvers=_names(groups))
    return step


def change(step: ApprovalStep, name: str, groups: Iterable[Group], by: Actor) -> None:
    """Give a step another name or other approvers; what was approved at it still counts.

    Who decides at it from now on is told what waits there already.
    """
    with _changing():
        tell_anew(User.objects.filter(groups__in=_new(groups, step)))
        step.name = name
        step.save(update_fields=["name"])
        step.groups.set(groups)
        record(by, "changed the approval step", step, approvers=_names(groups))


def move(step: ApprovalStep, by: Actor, *, earlier: bool) -> bool:
    """Let a step come one place earlier or later; False where it is the first, or the last, already."""
    with _changing() as steps:
        keys = [one.pk for one in steps]
        place = keys.index(step.pk) if step.pk in keys else -1
        target = place - 1 if earlier else place + 1
        if place < 0 or not 0 <= target < len(keys):
            return False
        keys[place], keys[target] = keys[target], keys[place]
        _number(keys)
        record(by, "moved the approval step", step, position=target + 1)
    return True


def remove(step: ApprovalStep, by: Actor) -> bool:
    """Remove a step; False where it is gone. What was approved at it stays in the history of the apps."""
    with _changing() as steps:
        keys = [one.pk for one in steps if one.pk != step.pk]
        if len(keys) == len(steps):
            return False
        record(by, "removed the approval step", step)
        ApprovalStep.objects.filter(pk=step.pk).delete()
        _number(keys)
    return True


def ready_without(step: ApprovalStep) -> tuple[int, int]:
    """Return how many apps wait at a step, and how many of these have passed all the others."""
    steps = list(ApprovalStep.objects.all())
    at_step = [pk for pk, present in _present().items() if present == step.pk]
    if len(steps) == 1:
        return len(at_step), 0
    others = ApprovalStep.objects.exclude(pk=step.pk)
    open_elsewhere = with_step(App.objects.filter(pk__in=Keys(at_step)), others).exclude(step_id=None)
    return len(at_step), len(at_step) - open_elsewhere.count()


@contextmanager
def _changing() -> Iterator[list[ApprovalStep]]:
    """Hold the steps while they change; apps that wait at another step afterwards wait there since now."""
    with transaction.atomic():
        steps = hold_steps()
        before = _present()
        yield steps
        moved = [pk for pk, step in _present().items() if before.get(pk) != step]
        App.objects.filter(pk__in=Keys(moved)).update(waiting_since=timezone.now())


def _present() -> dict[int, int | None]:
    """Return at which step each app waits."""
    return dict(with_step(pending()).values_list("pk", "step_id"))


def _number(keys: Sequence[int]) -> None:
    """Let the steps come in this order, numbered from one."""
    ApprovalStep.objects.update(position=F("position") + AWAY)
    places = [When(pk=pk, then=Value(place)) for place, pk in enumerate(keys, start=1)]
    if places:
        ApprovalStep.objects.update(position=Case(*places))


def _new(groups: Iterable[Group], step: ApprovalStep) -> list[int]:
    """Return which of the groups were not admitted to the step so far."""
    admitted = set(step.groups.values_list("pk", flat=True))
    return [group.pk for group in groups if group.pk not in admitted]


def _names(groups: Iterable[Group]) -> list[str]:
    return sorted(group.name for group in groups)
