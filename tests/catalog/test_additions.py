"""A token's apps get into the catalog, each with an outcome that says what became of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from catalog import additions
from catalog.approval import decisions
from catalog.models import COMMENTS, Addition, App, ApprovalPolicy, AppStatus, CatalogSettings, Outcome
from tests.catalog.approval.approvers import only
from tests.catalog.stock import outcomes, owner, store_has, store_lacks
from tests.factories import AppFactory, AssetFactory, ContentTokenFactory, ListingFactory, UserFactory
from tokens import listings
from tokens.models import Listing
from vppportal.activity.models import Entry

pytestmark = pytest.mark.django_db


# --- Outcomes ---------------------------------------------------------------------------------------------------------


def test_an_app_the_store_knows_is_added_with_the_tokens_policies() -> None:
    token = owner("1", block_backup=True, remove_on_stop=False)
    store_has("1")
    assert additions.add(token) == 1
    app, addition = App.objects.get(), Addition.objects.get()
    assert (app.adam_id, app.status, app.added_from, app.added_by) == ("1", AppStatus.AVAILABLE, token, None)
    assert (app.block_backup, app.remove_on_stop) == (True, False)
    assert (addition.outcome, addition.app, addition.comment) == (Outcome.ADDED, app, "App Added Successfully")
    assert addition.settled_at is not None
    (entry,) = Entry.objects.all()
    assert (entry.actor_name, entry.details) == ("Portal", {"apps": 1})


def test_an_app_that_is_there_is_not_added_again_and_keeps_its_policies() -> None:
    AppFactory(listing__adam_id="1", block_backup=False)
    token = owner("1", block_backup=True)
    additions.add(token)
    app, addition = App.objects.get(), Addition.objects.get()
    assert (addition.outcome, addition.app, addition.comment) == (Outcome.EXISTS, app, "App Already Exists")
    assert app.block_backup is False
    assert not Entry.objects.exists()


def test_an_app_the_store_does_not_know_has_failed() -> None:
    token = owner("1")
    store_lacks(token, "1")
    additions.add(token)
    assert Addition.objects.get().comment == "App Not Found"
    assert Addition.objects.get().get_outcome_display() == "Failed"
    assert not App.objects.exists()


def test_an_app_the_store_was_not_asked_about_waits() -> None:
    token = owner("1")
    ListingFactory(adam_id="1", unknown=True)
    assert additions.add(token) == 0
    assert outcomes(token) == {"1": Outcome.WAITING}


def test_an_app_another_token_could_not_see_waits_for_this_tokens_own_answer() -> None:
    token = owner("1")
    store_lacks(ContentTokenFactory(), "1")
    additions.add(token)
    assert outcomes(token) == {"1": Outcome.WAITING}


def test_an_app_another_token_has_found_is_added() -> None:
    token = owner("1")
    store_has("1", checked_with=ContentTokenFactory())
    additions.add(token)
    assert outcomes(token) == {"1": Outcome.ADDED}


@pytest.mark.parametrize(("kind", "outcome"), [("mac", Outcome.MAC_ONLY), ("book", Outcome.BOOK)])
def test_what_is_not_for_phones_is_left_to_people(kind: str, outcome: Outcome) -> None:
    token = owner("1", kind=kind)
    store_has("1")
    additions.add(token)
    assert outcomes(token) == {"1": outcome}
    assert not App.objects.exists()


def test_an_app_owned_in_two_pricings_is_one_addition() -> None:
    token = owner("1")
    AssetFactory(token=token, adam_id="1", pricing_param="PLUS", platforms="iOS,macOS")
    store_has("1")
    additions.add(token)
    assert Addition.objects.count() == App.objects.count() == 1


def test_what_is_gone_from_the_token_is_not_added() -> None:
    token = ContentTokenFactory()
    AssetFactory(token=token, adam_id="1", gone=True)
    store_has("1")
    assert additions.add(token) == 0
    assert not Addition.objects.exists()


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_its_comment(outcome: Outcome) -> None:
    assert COMMENTS[outcome]


# --- Approval ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "of_token", "waits"),
    [
        (ApprovalPolicy.OFF, True, False),
        (ApprovalPolicy.PER_TOKEN, True, True),
        (ApprovalPolicy.PER_TOKEN, False, False),
        (ApprovalPolicy.MANDATORY, False, True),
    ],
)
def test_new_apps_wait_for_approval_where_the_settings_or_the_token_say_so(
    policy: ApprovalPolicy, of_token: bool, waits: bool
) -> None:
    CatalogSettings.objects.create(pk=1, approval=policy)
    token = owner("1", require_approval=of_token)
    store_has("1")
    additions.add(token)
    assert outcomes(token) == {"1": Outcome.PENDING if waits else Outcome.ADDED}
    assert App.objects.get().status == (AppStatus.PENDING if waits else AppStatus.AVAILABLE)


def test_the_decision_of_an_approver_is_not_undone_by_the_next_run() -> None:
    token = owner("1", "2", require_approval=True)
    store_has("1", "2")
    additions.add(token)
    approver = UserFactory(role="Operator")
    decisions.approve(only(App.objects.get(adam_id="1")), approver)
    decisions.reject(only(App.objects.get(adam_id="2")), approver, "No use for it")
    additions.add(token)
    assert outcomes(token) == {"1": Outcome.ADDED, "2": Outcome.REJECTED}
    assert dict(App.objects.values_list("adam_id", "status")) == {"1": AppStatus.AVAILABLE, "2": AppStatus.REJECTED}


def test_an_app_pending_for_another_token_is_there_already() -> None:
    first, second = owner("1", require_approval=True), owner("1")
    store_has("1")
    additions.add(first)
    additions.add(second)
    assert (outcomes(first), outcomes(second)) == ({"1": Outcome.PENDING}, {"1": Outcome.EXISTS})


# --- By hand ----------------------------------------------------------------------------------------------------------


def test_failed_apps_are_looked_up_again_alone_or_all_together() -> None:
    token, by = owner("1", "2", "3"), UserFactory()
    store_lacks(token, "1", "2", "3")
    Listing.objects.update(next_attempt_at=timezone.now() + timedelta(hours=1))
    additions.add(token)
    assert additions.retry(token, by, ["1"]) == 1
    assert outcomes(token) == {"1": Outcome.WAITING, "2": Outcome.NOT_FOUND, "3": Outcome.NOT_FOUND}
    assert [listing.adam_id for listing in listings.due(token)] == ["1"]
    assert additions.retry(token, by) == 2
    assert additions.retry(token, by) == 0
    assert set(outcomes(token).values()) == {Outcome.WAITING}
    assert [entry.details["apps"] for entry in Entry.objects.filter(actor=by).order_by("pk")] == [1, 2]


@pytest.mark.parametrize("kind", ["mac", "switched off"])
def test_what_is_not_added_automatically_is_added_by_hand(kind: str) -> None:
    token = owner("1", kind="mac") if kind == "mac" else owner("1", add_apps_automatically=False)
    by = UserFactory()
    store_has("1")
    additions.add(token)
    (app,) = additions.add_by_hand(token, by, ["1"])
    assert (app.added_by, app.added_from, outcomes(token)) == (by, token, {"1": Outcome.ADDED})
    assert additions.add_by_hand(token, by, ["1"]) == []
    assert Entry.objects.filter(actor=by).count() == 1


@pytest.mark.parametrize("kind", ["book", ""])
def test_books_and_apps_the_store_has_not_answered_for_are_not_added_by_hand(kind: str) -> None:
    token = owner("1", kind=kind, add_apps_automatically=False)
    if kind:
        store_has("1")
    additions.add(token)
    assert additions.add_by_hand(token, UserFactory(), ["1", "2"]) == []
    assert not App.objects.exists()
