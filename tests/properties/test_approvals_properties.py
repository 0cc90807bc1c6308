"""Whoever decides what, in which order, while the steps change: lists and decisions agree, and nothing slips in."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.approval import decisions, steps
from catalog.approval.approvers import steps_of, waiting_for
from catalog.models import App, ApprovalStep, AppStatus, Decision, DecisionKind
from tests.catalog.approval.approvers import approver, only
from tests.factories import AppFactory, ContentTokenFactory, UserFactory

pytestmark = pytest.mark.django_db

PEOPLE, APPS, GROUPS = 3, 2, 2
EVENTS = st.one_of(
    st.tuples(st.just("approve"), st.integers(0, PEOPLE - 1), st.integers(0, APPS - 1)),
    st.tuples(st.just("approve"), st.integers(0, PEOPLE - 1), st.integers(0, APPS - 1)),
    st.tuples(st.just("reject"), st.integers(0, PEOPLE - 1), st.integers(0, APPS - 1)),
    st.tuples(st.just("ask again"), st.integers(0, PEOPLE - 1), st.integers(0, APPS - 1)),
    st.tuples(st.just("add step"), st.integers(0, GROUPS - 1), st.just(0)),
    st.tuples(st.just("move step"), st.integers(0, 7), st.integers(0, 1)),
    st.tuples(st.just("remove step"), st.integers(0, 7), st.just(0)),
)


def may_approve(app: App, by: User) -> bool:
    """Try it, and take it back."""
    with transaction.atomic():
        result = decisions.approve(only(app), by)
        transaction.set_rollback(True)
    return bool(result.settled or result.passed)


def happen(event: tuple[str, int, int], people: list[User], apps: list[App], groups: list[Group]) -> None:
    kind, first, second = event
    present = list(ApprovalStep.objects.all())
    match kind:
        case "approve":
            approve(people[first], apps[second])
        case "reject":
            decisions.reject(only(apps[second]), people[first], "No")
        case "ask again":
            decisions.ask_again(only(apps[second]), people[first], "Look again")
        case "add step":
            steps.add(f"Step {len(present)}", [groups[first]], None)
        case "move step" if present:
            steps.move(present[first % len(present)], None, earlier=bool(second))
        case "remove step" if present:
            steps.remove(present[first % len(present)], None)


def approve(by: User, app: App) -> None:
    """Approve; whatever becomes available has passed every step there is, by more than its uploader alone."""
    present = list(ApprovalStep.objects.prefetch_related("groups"))
    own = steps_of(by, present)
    result = decisions.approve(only(app), by)
    if not result.settled:
        return
    now = App.objects.get(pk=app.pk)
    given = Decision.objects.filter(app=app, round=now.approval_round, kind=DecisionKind.APPROVED)
    assert set(given.exclude(step=None).values_list("step", flat=True)) >= {step.pk for step in present}
    assert not present or own or given.filter(by=by, step=None).exists()
    if len(present) > 1:
        uploader = now.added_from.uploaded_by_id if now.added_from else now.brought_by_id
        assert set(given.values_list("by", flat=True)) != {uploader}


def agree(people: list[User], apps: list[App]) -> None:
    for person in people:
        told = set(waiting_for(person).values_list("pk", flat=True))
        assert told == {app.pk for app in apps if may_approve(app, person)}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(EVENTS, max_size=10), members=st.lists(st.sets(st.integers(0, GROUPS - 1)), min_size=PEOPLE))
def test_what_waits_for_somebody_is_what_that_person_may_approve(
    events: list[Any], members: list[set[int]], db: None
) -> None:
    with transaction.atomic():
        groups = [Group.objects.create(name=f"Group {number}") for number in range(GROUPS)]
        people = [approver(*(groups[one] for one in members[number])) for number in range(PEOPLE - 1)]
        people.append(UserFactory(role="Viewer"))
        tokens = [ContentTokenFactory(uploaded_by=people[0]), None]
        apps: list[App] = [AppFactory(pending=True, added_from=token) for token in tokens]
        apps.append(AppFactory(pending=True, brought_by=people[0]))
        for event in events:
            happen(event, people, apps, groups)
        agree(people, apps)
        positions = list(ApprovalStep.objects.values_list("position", flat=True))
        assert positions == list(range(1, len(positions) + 1))
        pending = App.objects.filter(status=AppStatus.PENDING)
        assert not pending.filter(waiting_since=None).exists()
        transaction.set_rollback(True)
