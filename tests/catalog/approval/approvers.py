"""Approvers and the steps they decide at, for tests of approval."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db.models import QuerySet

from catalog.models import App, ApprovalStep
from tests.factories import ApprovalStepFactory, UserFactory


def approver(*groups: Group, **facts: Any) -> User:
    """Return somebody who may look at the catalog and approve, in these groups."""
    user: User = UserFactory(**facts)
    user.user_permissions.add(*Permission.objects.filter(codename__in=("view_app", "approve_app")))
    user.groups.add(*groups)
    return user


def step(name: str) -> tuple[ApprovalStep, User]:
    """Return a new last step and the one approver of it."""
    group = Group.objects.create(name=f"Approvers of {name}")
    return ApprovalStepFactory(name=name, groups=[group]), approver(group, username=name.lower())


def only(app: App) -> QuerySet[App]:
    """Return an app as those that a decision is about."""
    return App.objects.filter(pk=app.pk)
