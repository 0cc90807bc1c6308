"""The pages on which apps are decided on: the queue of those that wait, and the decisions, on one app or on many."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from catalog.approval import decisions
from catalog.approval.approvers import APPROVES
from catalog.approval.decisions import Refusal, Result
from catalog.approval.facts import may_ask_again, put_places_on
from catalog.approval.forms import ManyReasonForm, ReasonForm
from catalog.approval.tables import ApprovalFilter, ApprovalTable, approval_rows
from catalog.models import App, ApprovalStep, AppStatus
from vppportal.lists import Bulk, Empty, Listed, selected
from vppportal.wording import number

NOTHING_WAITS = "Apps appear here where the App Settings, or a VPP token's policy “App approval”, ask for an approval."
WHAT_REJECTING_DOES = [
    "What is rejected stays in the catalog as rejected and cannot be distributed.",
    "Somebody may ask for another decision later.",
]
DONE = {"Reject": "rejected", "Ask again": "waiting for approval again"}
Decide = Callable[[QuerySet[App], User, str], Result]


@permission_required("catalog.view_app", raise_exception=True)
def approval_queue(request: HttpRequest) -> HttpResponseBase:
    """List the apps that wait for a decision, those that wait for the viewer first."""
    listed = Listed(
        request,
        ApprovalTable,
        ApprovalFilter,
        approval_rows(_user(request)),
        empty=_empty(),
        file_name="approvals",
        bulk=_bulk(request),
        hides=_hidden(request),
        fetch=put_places_on,
    )
    return listed.page_or_part("catalog/approvals.html", steps=ApprovalStep.objects.count())


@require_POST
@permission_required(APPROVES, raise_exception=True)
def app_approve(request: HttpRequest, pk: int) -> HttpResponse:
    """Approve an app."""
    app = _app(pk)
    _say(request, decisions.approve(_only(app), _user(request), _seen_at(request)), "approved", app)
    return redirect(app)


@permission_required(APPROVES, raise_exception=True)
def app_reject(request: HttpRequest, pk: int) -> HttpResponse:
    """Reject an app, with a reason."""
    return _decide_on(request, _app(pk), "Reject", WHAT_REJECTING_DOES, decisions.reject)


def app_ask_again(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for another decision on a rejected app, with a reason."""
    _require_asker(request)
    return _decide_on(request, _app(pk), "Ask again", _what_asking_does(), decisions.ask_again)


@require_POST
@permission_required(APPROVES, raise_exception=True)
def apps_approve(request: HttpRequest) -> HttpResponse:
    """Approve the selected apps."""
    _say(request, decisions.approve(_chosen(request), _user(request), _seen_at(request)), "approved")
    return redirect(_queue(request))


@require_POST
@permission_required(APPROVES, raise_exception=True)
def apps_reject(request: HttpRequest) -> HttpResponse:
    """Reject the selected apps, with a reason for all of them."""
    return _decide_on_many(request, "Reject", WHAT_REJECTING_DOES, decisions.reject)


@require_POST
def apps_ask_again(request: HttpRequest) -> HttpResponse:
    """Ask for another decision on the selected apps, with a reason for all of them."""
    _require_asker(request)
    return _decide_on_many(request, "Ask again", _what_asking_does(), decisions.ask_again)


def _decide_on(request: HttpRequest, app: App, verb: str, sentences: list[str], decide: Decide) -> HttpResponse:
    """Ask for the reason of a decision on one app, and decide."""
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        _say(request, decide(_only(app), _user(request), form.cleaned_data["reason"]), DONE[verb], app)
        return redirect(app)
    title = f"Reject “{app}”?" if verb == "Reject" else f"Ask again for approval of “{app}”?"
    return _confirm(request, title, verb, sentences, form, app.get_absolute_url())


def _decide_on_many(request: HttpRequest, verb: str, sentences: list[str], decide: Decide) -> HttpResponse:
    """Ask for the reason of a decision on the selected apps, and decide."""
    chosen, form = _chosen(request), ManyReasonForm(request.POST)
    count = chosen.count()
    if not count:
        messages.info(request, "Choose at least one app.")
        return redirect(_queue(request))
    if form.is_bound and form.is_valid():
        _say(request, decide(chosen, _user(request), form.cleaned_data["reason"]), DONE[verb])
        return redirect(_queue(request))
    apps = number(count, "app", "apps")
    title = f"Reject {apps}?" if verb == "Reject" else f"Ask again for approval of {apps}?"
    return _confirm(request, title, verb, sentences, form, _queue(request))


def _confirm(
    request: HttpRequest, title: str, verb: str, sentences: list[str], form: ReasonForm, back: str
) -> HttpResponse:
    context: dict[str, Any] = {"title": title, "verb": verb, "sentences": sentences, "form": form, "back": back}
    context["is_grave"] = verb == "Reject"
    return render(request, "confirm.html", context, status=422 if form.errors else 200)


def _say(request: HttpRequest, result: Result, done: str, about: App | None = None) -> None:
    """Say what was decided, and what was not and why."""
    if result.settled:
        messages.success(request, f"{_named(result.settled)} {done}.")
    by_step: dict[ApprovalStep, list[App]] = {}
    for app, step in result.passed:
        by_step.setdefault(step, []).append(app)
    for step, apps in by_step.items():
        waits = "waits" if len(apps) == 1 else "wait"
        messages.success(request, f"{_named(apps)} approved, and {waits} for the step “{step}” now.")
    for refusal, count in result.refused.items():
        why = Refusal(refusal).label
        if count:
            some = number(count, "app was left as it is", "apps were left as they are")
            left = f"“{about}” was left as it is" if about else some
            messages.warning(request, f"{left}: {why}.")
    if not result.settled and not result.passed and not result.refused.total():
        messages.info(request, "Choose at least one app.")


def _named(apps: list[App]) -> str:
    return f"“{apps[0]}” is" if len(apps) == 1 else f"{number(len(apps), 'app is', 'apps are')}"


def _bulk(request: HttpRequest) -> list[Bulk]:
    """Return what can be done to the rows shown: those that wait are decided on, rejected ones asked for again."""
    if request.GET.get("status") == AppStatus.REJECTED:
        asks = may_ask_again(_user(request))
        return [Bulk(reverse("apps-ask-again"), "Ask again", "arrow-repeat")] if asks else []
    if not request.user.has_perm(APPROVES):
        return []
    return [
        Bulk(reverse("apps-approve"), "Approve", "check-lg", is_dated=True),
        Bulk(reverse("apps-reject"), "Reject", "x-lg"),
    ]


def _hidden(request: HttpRequest) -> list[str]:
    """Return the columns that would say nothing."""
    if request.GET.get("status") == AppStatus.REJECTED:
        return ["waiting_since"] if may_ask_again(_user(request)) else ["actions", "waiting_since"]
    return [] if request.user.has_perm(APPROVES) else ["actions"]


def _empty() -> Empty:
    rejected = App.objects.kept().filter(status=AppStatus.REJECTED).exists()
    return Empty(
        "Nothing waits for approval",
        NOTHING_WAITS,
        icon="check2-circle",
        action_url=f"{reverse('approvals')}?status={AppStatus.REJECTED}" if rejected else "",
        action_label="Show rejected apps",
    )


def _what_asking_does() -> list[str]:
    steps = ApprovalStep.objects.count()
    if steps < 2:
        return ["It waits for approval once more; approvers see it in their queue and are told by e-mail."]
    return [
        f"It waits for approval once more and passes all {steps} steps anew: approvals from before count no longer.",
        "The approvers of the first step see it in their queue and are told by e-mail.",
    ]


def _require_asker(request: HttpRequest) -> None:
    if not may_ask_again(_user(request)):
        raise PermissionDenied


def _chosen(request: HttpRequest) -> QuerySet[App]:
    """Return the chosen apps as a query of their own."""
    rows = selected(request, ApprovalFilter, approval_rows(_user(request)))
    return App.objects.filter(pk__in=rows.order_by().values("pk"))


def _seen_at(request: HttpRequest) -> datetime | None:
    """Return when the page was shown on which somebody decided, as far as its form says so."""
    try:
        return datetime.fromtimestamp(float(request.POST.get("seen", "")), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _queue(request: HttpRequest) -> str:
    """Return the address of the queue as it was filtered."""
    filters = request.GET.urlencode()
    return reverse("approvals") + (f"?{filters}" if filters else "")


def _only(app: App) -> QuerySet[App]:
    return App.objects.filter(pk=app.pk)


def _app(pk: int) -> App:
    return get_object_or_404(App.objects.kept().select_related("listing"), pk=pk)


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
