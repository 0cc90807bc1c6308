"""Who decided what stays known when the app goes, and when it comes back."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from catalog import additions, removal
from catalog.approval import decisions
from catalog.models import App, Decision, DecisionKind, Reconciliation
from tests.catalog.approval.approvers import approver, only, step
from tests.catalog.stock import owner, store_has
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
