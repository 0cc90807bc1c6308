"""Who may decide on which apps: the steps in order, the step each app waits at, and the people who may let it pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.contrib.auth.models import User
from django.db.models import Exists, ExpressionWrapper, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.fields import BooleanField
from django.db.models.functions import Coalesce

from catalog.models import App, ApprovalStep, AppStatus, CatalogSettings, Decision, DecisionKind

APPROVES: Final = "catalog.approve_app"
BACKEND: Final = "django.contrib.auth.backends.ModelBackend"


def approvers() -> QuerySet[User]:
    """Return the accounts that may approve at all."""
    people: Any = User.objects
    found: QuerySet[User] = people.with_perm(APPROVES, backend=BACKEND)
    return found


def approvers_by_group() -> dict[int, list[str]]:
    """Return the names of the approvers in each group, whatever the number of groups by one query."""
    found: dict[int, list[str]] = {}
    members = approvers().exclude(groups=None).order_by("username")
    for group, name in members.values_list("groups", "username"):
        found.setdefault(group, []).append(name)
    return found


def steps_without_approver() -> QuerySet[ApprovalStep]:
    """Return the steps that nobody can let an app pass, as nobody in their groups may approve."""
    admitted: Any = ApprovalStep.groups.through
    manned = admitted.objects.filter(approvalstep=OuterRef("pk"), group__user__in=approvers())
    return ApprovalStep.objects.exclude(Exists(manned))


def hold_steps() -> list[ApprovalStep]:
    """Return the steps in order; nobody changes them or decides on an app before the transaction ends."""
    CatalogSettings.objects.get_or_create(pk=1)
    CatalogSettings.objects.select_for_update(no_key=True).get(pk=1)
    return list(ApprovalStep.objects.prefetch_related("groups"))


def steps_of(user: User, steps: Sequence[ApprovalStep]) -> set[int]:
    """Return which of the steps, loaded with their groups, this person decides on."""
    if not user.has_perm(APPROVES):
        return set()
    own = set(user.groups.values_list("pk", flat=True))
    return {step.pk for step in steps if own & {group.pk for group in step.groups.all()}}


def pending() -> QuerySet[App]:
    """Return the apps that wait for somebody's approval."""
    return App.objects.kept().filter(status=AppStatus.PENDING)


def with_step(apps: QuerySet[App], steps: QuerySet[ApprovalStep] | None = None) -> QuerySet[Any]:
    """Annotate apps with the step they wait at: the first, of all or of `steps`, not approved in their present round.

    None where there is no such step: then one approval by anybody who may is what is missing.
    """
    among = ApprovalStep.objects.all() if steps is None else steps
    first = among.exclude(Exists(_given())).order_by("position")
    return apps.annotate(
        step_id=Subquery(first.values("pk")[:1]),
        step_position=Subquery(first.values("position")[:1]),
    )


def with_mine(apps: QuerySet[App], user: User) -> QuerySet[Any]:
    """Annotate apps with their step and with whether they wait for this person."""
    is_mine = ExpressionWrapper(_is_for(user), output_field=BooleanField()) if user.has_perm(APPROVES) else Value(False)
    rows: QuerySet[Any] = with_step(apps).annotate(is_mine=is_mine)
    return rows


def waiting_for(user: User) -> QuerySet[App]:
    """Return the apps that this person may approve now; to count them is one query."""
    if not user.has_perm(APPROVES):
        return App.objects.none()
    return with_step(pending()).filter(_is_for(user))


def _is_for(user: User) -> Q:
    """Return the condition that an app, with its step, waits for this person: `decisions` decides by the same rule."""
    own = ApprovalStep.objects.filter(groups__in=user.groups.all())
    by_others = ApprovalStep.objects.exclude(pk=Coalesce(OuterRef("step_id"), 0)).exclude(Exists(_given(by=user)))
    several = ApprovalStep.objects.filter(position__gt=1)
    is_uploader = Q(brought_by=user) | Q(added_from__uploaded_by=user)
    is_alone = Q(Exists(several), ~Q(Exists(by_others)), is_uploader)
    is_own_step = Q(step_id=None) | Q(step_id__in=own.values("pk"))
    return Q(is_own_step, ~is_alone, status=AppStatus.PENDING)


def _given(**conditions: Any) -> QuerySet[Decision]:
    """Return the approvals of a step in the present round of an app, the one a query further out is about."""
    return Decision.objects.filter(
        kind=DecisionKind.APPROVED,
        step=OuterRef("pk"),
        app=OuterRef(OuterRef("pk")),
        round=OuterRef(OuterRef("approval_round")),
        **conditions,
    )
