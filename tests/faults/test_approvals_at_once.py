"""Approvers and administrators act at the same moment: each decision counts once, and no step is passed by."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.approval import decisions, steps
from catalog.models import App, ApprovalStep, AppStatus, Decision
from tests.catalog.approval.approvers import approver, only, step
from tests.factories import AppFactory
from tests.faults.test_at_once import at_once
from vppportal.activity.models import Entry

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_who_approve_the_same_step_at_once_are_one_approval() -> None:
    (security, anna), _ = step("Security"), step("Lawyers")
    ben, apps = approver(*security.groups.all()), AppFactory.create_batch(20, pending=True)
    results: list[Any] = at_once(
        lambda: decisions.approve(App.objects.all(), anna),
        lambda: decisions.approve(App.objects.all(), ben),
    )
    assert sum(len(result.passed) for result in results) == len(apps)
    assert Decision.objects.count() == Entry.objects.count() == len(apps)
    assert App.objects.filter(status=AppStatus.PENDING).count() == len(apps)


def test_of_an_approval_and_a_rejection_at_once_one_holds() -> None:
    anna, ben, app = approver(), approver(), AppFactory(pending=True)
    at_once(lambda: decisions.approve(only(app), anna), lambda: decisions.reject(only(app), ben, "No"))
    decision = Decision.objects.get()
    assert App.objects.get().status == {"approved": "available", "rejected": "rejected"}[decision.kind]


def test_an_approval_while_its_step_is_removed_leaves_the_app_where_it_belongs() -> None:
    (_, anna), _ = step("Security"), step("Lawyers")
    AppFactory.create_batch(5, pending=True)
    security = ApprovalStep.objects.get(name="Security")
    at_once(
        lambda: decisions.approve(App.objects.all(), anna),
        lambda: steps.remove(security, anna),
    )
    assert App.objects.filter(status=AppStatus.PENDING).count() == 5
    assert list(ApprovalStep.objects.values_list("position", flat=True)) == [1]


def test_steps_added_at_once_each_have_a_place() -> None:
    (security, anna) = step("Security")
    groups = list(security.groups.all())
    at_once(*(lambda number=number: steps.add(f"Step {number}", groups, anna) for number in range(4)))
    assert list(ApprovalStep.objects.values_list("position", flat=True)) == [1, 2, 3, 4, 5]
