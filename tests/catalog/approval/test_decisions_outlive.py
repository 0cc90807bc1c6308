"""Who decided what stays known when the app goes, counts when it comes back, and lets nobody round the approvers."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from catalog import additions, removal
from catalog.approval import decisions
from catalog.models import (
    App,
    ApprovalPolicy,
    AppStatus,
    CatalogSettings,
    Decision,
    DecisionKind,
    Outcome,
    Reconciliation,
)
from tests.catalog.approval.approvers import approver, only, step
from tests.catalog.stock import outcomes, owner, store_has
from tests.factories import UserFactory
from tests.signed_in import sign_in
from tokens.models import ContentToken

pytestmark = pytest.mark.django_db


@pytest.fixture
def token() -> ContentToken:
    """Return a token that wants approval, and whose app waits for it."""
    token = owner("1", require_approval=True)
    store_has("1")
    additions.add(token)
    return token


def delete(*, is_gone: bool) -> None:
    """Delete the app, and its row with it or not."""
    removal.delete_app(App.objects.get(), UserFactory())
    Reconciliation.objects.update(planned_at=timezone.now())
    assert removal.purge_deleted() == 1 if is_gone else App.objects.exists()


def add_again(token: ContentToken) -> App:
    (app,) = additions.add_by_hand(token, UserFactory(), ["1"])
    return app


def kept() -> list[tuple[str, str]]:
    return list(Decision.objects.order_by("pk").values_list("kind", "by_name"))


def test_what_was_decided_stays_when_the_row_of_the_app_goes(token: ContentToken) -> None:
    anna = approver(username="anna")
    decisions.approve(only(App.objects.get()), anna)
    delete(is_gone=True)
    decision = Decision.objects.get()
    assert (decision.app, decision.adam_id, decision.app_name) == (None, "1", "App 1 of US")
    assert str(decision) == "App 1 of US: Approved by anna"
    browser = Client()
    browser.force_login(UserFactory(is_superuser=True, is_staff=True))
    assert "App 1 of US" in browser.get("/admin/catalog/decision/?q=App+1").content.decode()


def test_an_app_that_comes_back_shows_what_was_decided_on_it_before(token: ContentToken) -> None:
    decisions.reject(only(App.objects.get()), approver(username="anna"), "Bad terms")
    delete(is_gone=True)
    app = add_again(token)
    page = sign_in("Viewer").get(f"/catalog/{app.pk}/").content.decode()
    assert "Bad terms" in page
    assert set(Decision.objects.values_list("app", flat=True)) == {app.pk}


def test_approvals_of_before_do_not_count_in_the_round_of_an_app_that_comes_back(token: ContentToken) -> None:
    (_, anna), (_, ben) = step("Law"), step("Security")
    decisions.approve(only(App.objects.get()), anna)
    decisions.reject(only(App.objects.get()), ben, "No")
    decisions.ask_again(only(App.objects.get()), ben, "New terms")
    decisions.approve(only(App.objects.get()), anna)
    delete(is_gone=True)
    app = add_again(token)
    assert app.approval_round == 3
    assert not decisions.approve(only(app), ben).passed
    assert len(decisions.approve(only(app), anna).passed) == 1
    assert decisions.approve(only(app), ben).settled == [app]
    assert Decision.objects.filter(kind=DecisionKind.APPROVED).count() == 4


def leave_waiting(app: App, by: User) -> None:
    pass


def reject(app: App, by: User) -> None:
    decisions.reject(only(app), by, "Bad terms")


def reject_and_ask_again(app: App, by: User) -> None:
    decisions.reject(only(app), by, "Bad terms")
    decisions.ask_again(only(app), by, "New terms")


def pass_one_step_of_two(app: App, by: User) -> None:
    _, anna = step("Law")
    step("Security")
    assert decisions.approve(only(app), anna).passed


@pytest.mark.parametrize("is_gone", [False, True])
@pytest.mark.parametrize("happened", [leave_waiting, reject, reject_and_ask_again, pass_one_step_of_two])
def test_what_was_deleted_unapproved_waits_again_whichever_token_brings_it_back(
    token: ContentToken, happened, is_gone: bool
) -> None:
    other = owner("1")
    additions.add(other)
    happened(App.objects.get(), approver())
    delete(is_gone=is_gone)
    app = add_again(other)
    assert (app.status, app.added_from) == (AppStatus.PENDING, other)
    assert app.waiting_since is not None
    assert outcomes(other) == {"1": Outcome.PENDING}
    (decision,) = Decision.objects.filter(kind=DecisionKind.DELETED)
    assert decision.round == app.approval_round - 1


def test_deleting_it_twice_leads_nowhere_else(token: ContentToken) -> None:
    other = owner("1")
    additions.add(other)
    for is_gone in (True, False, True):
        delete(is_gone=is_gone)
        assert add_again(other).status == AppStatus.PENDING


def test_nor_does_a_token_bring_it_by_itself_when_the_first_one_is_gone(token: ContentToken) -> None:
    decisions.reject(only(App.objects.get()), approver(), "Bad terms")
    delete(is_gone=True)
    ContentToken.objects.all().delete()
    other = owner("1")
    additions.add(other)
    assert outcomes(other) == {"1": Outcome.PENDING}


@pytest.mark.parametrize("is_gone", [False, True])
def test_what_was_approved_before_comes_as_the_chosen_token_says(token: ContentToken, is_gone: bool) -> None:
    other = owner("1")
    additions.add(other)
    decisions.approve(only(App.objects.get()), approver(username="anna"))
    delete(is_gone=is_gone)
    assert add_again(other).status == AppStatus.AVAILABLE
    assert kept() == [("approved", "anna")]


@pytest.mark.parametrize("is_gone", [False, True])
def test_where_nothing_waits_it_does_not_wait_either(token: ContentToken, is_gone: bool) -> None:
    delete(is_gone=is_gone)
    CatalogSettings.objects.create(pk=1, approval=ApprovalPolicy.OFF)
    assert add_again(token).status == AppStatus.AVAILABLE


def test_deleting_an_app_that_waits_is_told_on_its_page(token: ContentToken) -> None:
    delete(is_gone=False)
    app = add_again(token)
    page = sign_in("Viewer").get(f"/catalog/{app.pk}/").content.decode()
    assert "deleted it before it was approved" in page
