"""Apps are decided on step by step, many at once; nobody decides what is not theirs, or twice."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog import additions
from catalog.approval import decisions, steps
from catalog.approval.approvers import waiting_for
from catalog.approval.decisions import Refusal, Result
from catalog.models import Addition, App, AppStatus, Decision, DecisionKind, Outcome, Reconciliation
from tests.catalog.approval.approvers import approver, only, step
from tests.catalog.stock import owner, store_has
from tests.factories import AdditionFactory, AppFactory, ContentTokenFactory, UserFactory
from tokens.models import ContentToken
from vppportal.activity.models import Entry

pytestmark = pytest.mark.django_db


def status_of(app: App) -> str:
    return App.objects.get(pk=app.pk).status


def refusals(result: Result) -> dict[Refusal, int]:
    assert not result.settled
    assert not result.passed
    return {refusal: count for refusal, count in result.refused.items() if count}


# --- Without steps ----------------------------------------------------------------------------------------------------


def test_without_steps_one_approval_by_anybody_who_may_is_enough() -> None:
    app, by = AppFactory(pending=True), approver()
    assert decisions.approve(only(app), by).settled == [app]
    app.refresh_from_db()
    assert (app.status, app.waiting_since) == (AppStatus.AVAILABLE, None)
    decision = Decision.objects.get()
    assert (decision.kind, decision.step, decision.by, decision.by_name) == ("approved", None, by, by.username)


@pytest.mark.parametrize("role", ["Viewer", None])
def test_who_may_not_approve_decides_nothing(role: str | None) -> None:
    app, by = AppFactory(pending=True), UserFactory(role=role)
    assert refusals(decisions.approve(only(app), by)) == {Refusal.OTHERS: 1}
    assert refusals(decisions.reject(only(app), by, "No")) == {Refusal.OTHERS: 1}
    assert not Decision.objects.exists()


def test_approving_all_leaves_rejected_apps_alone_and_records_each_app() -> None:
    waiting = AppFactory.create_batch(3, pending=True)
    AppFactory(rejected=True)
    result = decisions.approve(App.objects.all(), approver())
    assert (len(result.settled), result.refused) == (3, {Refusal.DECIDED: 1})
    assert App.objects.filter(status=AppStatus.REJECTED).count() == 1
    assert {entry.object_id for entry in Entry.objects.all()} == {app.pk for app in waiting}


def test_deciding_on_fifty_apps_takes_no_more_queries_than_on_three() -> None:
    (_, anna), (_, ben) = step("Security"), step("Lawyers")
    counts = []
    for number in (1, 3, 50):  # the first time permissions and settings are looked up, too
        AppFactory.create_batch(number, pending=True, added_from=ContentTokenFactory())
        with CaptureQueriesContext(connection) as queries:
            decisions.approve(App.objects.filter(status=AppStatus.PENDING), anna)
            decisions.approve(App.objects.filter(status=AppStatus.PENDING), ben)
        counts.append(len(queries))
    assert counts[1] == counts[2]
    assert not App.objects.exclude(status=AppStatus.AVAILABLE).exists()


def test_a_second_decision_changes_nothing() -> None:
    app = AppFactory(pending=True)
    decisions.approve(only(app), approver())
    assert refusals(decisions.approve(only(app), approver())) == {Refusal.DECIDED: 1}
    assert refusals(decisions.reject(only(app), approver(), "Late")) == {Refusal.DECIDED: 1}
    assert status_of(app) == AppStatus.AVAILABLE


def test_what_pages_of_tokens_say_follows_and_the_app_is_planned_anew() -> None:
    app = AppFactory(pending=True)
    Reconciliation.objects.create(app=app, state="done")
    AdditionFactory(app=app, adam_id=app.adam_id, pending=True)
    other = AdditionFactory(app=app, adam_id=app.adam_id, outcome=Outcome.EXISTS)
    by = approver()
    seen = []
    for decide in (
        lambda: decisions.reject(only(app), by, "No"),
        lambda: decisions.ask_again(only(app), by, "Look"),
        lambda: decisions.approve(only(app), by),
    ):
        decide()
        seen.append(Addition.objects.exclude(pk=other.pk).get().outcome)
    assert seen == [Outcome.REJECTED, Outcome.PENDING, Outcome.ADDED]
    assert Addition.objects.get(pk=other.pk).outcome == Outcome.EXISTS
    assert Reconciliation.objects.get().state == "waiting"


# --- In steps ---------------------------------------------------------------------------------------------------------


def test_an_app_passes_all_steps_in_order_and_is_available_after_the_last() -> None:
    (_, anna), (lawyers, ben) = step("Security"), step("Lawyers")
    app = AppFactory(pending=True)
    arrived = app.waiting_since
    assert refusals(decisions.approve(only(app), ben)) == {Refusal.OTHERS: 1}
    assert decisions.approve(only(app), anna).passed == [(app, lawyers)]
    app.refresh_from_db()
    assert app.status == AppStatus.PENDING
    assert app.waiting_since > arrived
    assert refusals(decisions.approve(only(app), anna)) == {Refusal.OTHERS: 1}
    assert decisions.approve(only(app), ben).settled == [app]
    assert status_of(app) == AppStatus.AVAILABLE
    kept = Decision.objects.order_by("pk").values_list("step_name", "by_name", "kind")
    assert list(kept) == [("Security", "security", "approved"), ("Lawyers", "lawyers", "approved")]
    verbs = Entry.objects.order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["approved a step of", "approved the app"]


def test_a_superuser_decides_only_at_steps_of_groups_he_is_in() -> None:
    security, _ = step("Security")
    app, root = AppFactory(pending=True), UserFactory(is_superuser=True)
    assert refusals(decisions.approve(only(app), root)) == {Refusal.OTHERS: 1}
    root.groups.add(*security.groups.all())
    assert decisions.approve(only(app), User.objects.get(pk=root.pk)).settled == [app]


def test_a_rejection_at_any_step_ends_it() -> None:
    (_, anna), (_, ben) = step("Security"), step("Lawyers")
    app = AppFactory(pending=True)
    decisions.approve(only(app), anna)
    assert decisions.reject(only(app), ben, "Bad terms").settled == [app]
    assert status_of(app) == AppStatus.REJECTED
    assert Decision.objects.get(kind=DecisionKind.REJECTED).reason == "Bad terms"
    assert Entry.objects.get(verb="rejected the app").details == {"reason": "Bad terms", "step": "Lawyers"}
    assert refusals(decisions.approve(only(app), ben)) == {Refusal.DECIDED: 1}


def test_asking_again_begins_with_the_first_step() -> None:
    (_, anna), (_, ben) = step("Security"), step("Lawyers")
    app = AppFactory(pending=True)
    decisions.approve(only(app), anna)
    decisions.reject(only(app), ben, "Bad terms")
    assert decisions.ask_again(only(app), anna, "New terms").settled == [app]
    app.refresh_from_db()
    assert (app.status, app.approval_round) == (AppStatus.PENDING, 2)
    assert app.waiting_since is not None
    assert list(waiting_for(anna)) == [app]
    decisions.approve(only(app), anna)
    decisions.approve(only(app), ben)
    assert status_of(app) == AppStatus.AVAILABLE
    assert refusals(decisions.ask_again(only(app), anna, "Why not")) == {Refusal.DECIDED: 1}


def test_what_was_approved_counts_by_step_when_the_steps_change() -> None:
    (security, anna), (lawyers, ben) = step("Security"), step("Lawyers")
    app = AppFactory(pending=True)
    decisions.approve(only(app), anna)
    steps.move(lawyers, anna, earlier=True)
    assert list(waiting_for(ben)) == [app]
    steps.remove(security, anna)
    assert decisions.approve(only(app), ben).settled == [app]


def test_after_the_removal_of_the_last_missing_step_one_more_approval_is_enough() -> None:
    (_, anna), (lawyers, _) = step("Security"), step("Lawyers")
    app, anybody = AppFactory(pending=True), approver()
    decisions.approve(only(app), anna)
    steps.remove(lawyers, anna)
    assert status_of(app) == AppStatus.PENDING
    assert decisions.approve(only(app), anybody).settled == [app]


# --- Whoever uploaded the token ---------------------------------------------------------------------------------------


def test_the_uploader_of_the_token_is_not_the_only_approver_of_several_steps() -> None:
    (_, anna), (lawyers, ben) = step("Security"), step("Lawyers")
    anna.groups.add(*lawyers.groups.all())
    app = AppFactory(pending=True, added_from=ContentTokenFactory(uploaded_by=anna))
    decisions.approve(only(app), anna)
    assert not waiting_for(anna).exists()
    assert refusals(decisions.approve(only(app), anna)) == {Refusal.ALONE: 1}
    assert status_of(app) == AppStatus.PENDING
    assert decisions.approve(only(app), ben).settled == [app]


@pytest.mark.parametrize("what", ["renewed by somebody else", "deleted"])
def test_who_had_uploaded_the_token_stays_that_whatever_becomes_of_it(what: str) -> None:
    (_, anna), (lawyers, _) = step("Security"), step("Lawyers")
    anna.groups.add(*lawyers.groups.all())
    token = owner("1", uploaded_by=anna, require_approval=True)
    store_has("1")
    additions.add(token)
    app = App.objects.get()
    if what == "deleted":
        token.delete()
    else:
        ContentToken.objects.update(uploaded_by=approver())
    decisions.approve(only(app), anna)
    assert not waiting_for(anna).exists()
    assert refusals(decisions.approve(only(app), anna)) == {Refusal.ALONE: 1}


def test_who_renewed_the_token_is_not_the_only_approver_either() -> None:
    (_, anna), (lawyers, _) = step("Security"), step("Lawyers")
    anna.groups.add(*lawyers.groups.all())
    app = AppFactory(pending=True, brought_by=approver(), added_from=ContentTokenFactory(uploaded_by=anna))
    decisions.approve(only(app), anna)
    assert refusals(decisions.approve(only(app), anna)) == {Refusal.ALONE: 1}


def test_the_uploader_may_give_the_last_approval_where_somebody_else_gave_one() -> None:
    (_, anna), (_, ben) = step("Security"), step("Lawyers")
    app = AppFactory(pending=True, added_from=ContentTokenFactory(uploaded_by=ben))
    decisions.approve(only(app), anna)
    assert decisions.approve(only(app), ben).settled == [app]


def test_with_one_step_or_none_the_uploader_may_approve() -> None:
    anna = approver()
    first, second = AppFactory.create_batch(2, pending=True, added_from=ContentTokenFactory(uploaded_by=anna))
    assert set(waiting_for(anna)) == {first, second}
    assert decisions.approve(only(first), anna).settled == [first]
    security, _ = step("Security")
    anna.groups.add(*security.groups.all())
    assert list(waiting_for(anna)) == [second]
    assert decisions.approve(only(second), anna).settled == [second]


def test_where_only_one_step_is_left_the_uploader_may_give_the_missing_approval() -> None:
    (_, anna), (lawyers, _) = step("Security"), step("Lawyers")
    app = AppFactory(pending=True, added_from=ContentTokenFactory(uploaded_by=anna))
    decisions.approve(only(app), anna)
    steps.remove(lawyers, anna)
    assert list(waiting_for(anna)) == [app]
    assert decisions.approve(only(app), anna).settled == [app]


def test_the_uploader_may_reject_what_he_alone_has_approved() -> None:
    (_, anna), (lawyers, _) = step("Security"), step("Lawyers")
    anna.groups.add(*lawyers.groups.all())
    app = AppFactory(pending=True, added_from=ContentTokenFactory(uploaded_by=anna))
    decisions.approve(only(app), anna)
    assert decisions.reject(only(app), anna, "Bought by mistake").settled == [app]
