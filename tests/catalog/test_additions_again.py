"""Adding apps runs often, at once and late: it follows what changed meanwhile, and adds nothing twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from catalog import additions
from catalog.models import Addition, App, Outcome
from tests.catalog.stock import outcomes, owner, store_has, store_lacks
from tests.factories import AssetFactory, UserFactory
from tokens import removal
from tokens.models import Asset, ContentToken, Listing, ListingOutcome
from vppportal.activity.models import Entry

pytestmark = pytest.mark.django_db


def test_switching_automatic_adding_off_and_on_is_followed() -> None:
    token = owner("1", add_apps_automatically=False)
    store_has("1")
    additions.add(token)
    assert outcomes(token) == {"1": Outcome.SWITCHED_OFF}
    ContentToken.objects.update(add_apps_automatically=True)
    assert additions.tokens_with_work() == [token.pk]
    additions.add(ContentToken.objects.get())
    assert outcomes(token) == {"1": Outcome.ADDED}
    assert additions.tokens_with_work() == []


def test_what_waits_when_automatic_adding_is_switched_off_is_not_added() -> None:
    token = owner("1")
    additions.add(token)
    ContentToken.objects.update(add_apps_automatically=False)
    store_has("1")
    assert additions.tokens_with_work() == [token.pk]
    additions.add(ContentToken.objects.get())
    assert outcomes(token) == {"1": Outcome.SWITCHED_OFF}
    assert additions.tokens_with_work() == []


@pytest.mark.parametrize(
    ("is_automatic", "outcome"), [(True, Outcome.ADDED), (False, Outcome.SWITCHED_OFF)], ids=["automatic", "by hand"]
)
def test_an_app_for_macs_is_added_once_it_is_for_phones_too(is_automatic: bool, outcome: Outcome) -> None:
    token = owner("1", kind="mac", add_apps_automatically=is_automatic)
    store_has("1", "2")
    AssetFactory(token=token, adam_id="2", mac=True)
    AssetFactory(adam_id="2", platforms="iOS,macOS")
    additions.add(token)
    assert token.pk not in additions.tokens_with_work()
    Asset.objects.filter(adam_id="1").update(platforms="iOS,macOS")
    assert token.pk in additions.tokens_with_work()
    additions.add(token)
    assert outcomes(token) == {"1": outcome, "2": Outcome.MAC_ONLY}
    assert token.pk not in additions.tokens_with_work()


@pytest.mark.parametrize("choice", [{"add_apps_automatically": False}, {"region": "DE"}, {"block_backup": True}])
def test_what_is_chosen_while_apps_are_being_added_counts(
    monkeypatch: pytest.MonkeyPatch, choice: dict[str, Any]
) -> None:
    monkeypatch.setattr(additions, "BATCH", 1)
    token = owner("1", "2")
    store_has("1", "2")
    batches = additions._waiting

    def edited_after_the_first(token: ContentToken) -> Iterator[list[str]]:
        for number, batch in enumerate(batches(token)):
            if number == 1:
                ContentToken.objects.update(**choice)
            yield batch

    monkeypatch.setattr(additions, "_waiting", edited_after_the_first)
    additions.add(token)
    second = App.objects.filter(adam_id="2").first()
    if "block_backup" in choice:
        assert second is not None
        assert second.block_backup
    else:
        assert second is None
        assert outcomes(token)["2"] == Outcome.WAITING


def test_a_worker_that_knows_an_old_choice_only_follows_the_new_one() -> None:
    stale = owner("1")
    store_has("1")
    ContentToken.objects.update(add_apps_automatically=False)
    additions.add(stale)
    assert not App.objects.exists()
    assert outcomes(stale) == {"1": Outcome.SWITCHED_OFF}


def test_an_app_found_after_all_is_added_without_anybody_asking() -> None:
    token = owner("1")
    store_lacks(token, "1")
    additions.add(token)
    assert additions.tokens_with_work() == []
    Listing.objects.update(outcome=ListingOutcome.FOUND)
    assert additions.tokens_with_work() == [token.pk]
    additions.add(token)
    assert outcomes(token) == {"1": Outcome.ADDED}


def test_a_new_region_shows_its_own_names_and_finds_what_the_old_one_lacked() -> None:
    token = owner("1", "2")
    store_has("1")
    store_lacks(token, "2")
    additions.add(token)
    store_has("1", "2", storefront="DE")
    ContentToken.objects.update(region="DE")
    additions.add(ContentToken.objects.get())
    assert outcomes(token) == {"1": Outcome.ADDED, "2": Outcome.ADDED}
    assert sorted(str(app) for app in App.objects.all()) == ["App 1 of DE", "App 2 of DE"]


def test_the_region_of_another_token_changes_no_name() -> None:
    first, second = owner("1"), owner("1")
    store_has("1")
    for token in (first, second):
        additions.add(token)
    store_has("1", storefront="DE")
    ContentToken.objects.filter(pk=second.pk).update(region="DE")
    additions.add(ContentToken.objects.get(pk=second.pk))
    assert str(App.objects.get()) == "App 1 of US"


def everything() -> list[object]:
    return [
        sorted(Addition.objects.values_list("token_id", "adam_id", "outcome", "app__adam_id", "settled_at")),
        sorted(App.objects.values_list("adam_id", "status", "added_from_id", "added_at")),
        Entry.objects.count(),
    ]


def test_running_it_again_changes_nothing() -> None:
    token = owner("1", "2", "3")
    AssetFactory(token=token, adam_id="4", mac=True)
    store_has("1", "2", "4")
    store_lacks(token, "3")
    additions.add(token)
    before = everything()
    assert additions.add(token) == 0
    assert everything() == before


def test_a_thousand_apps_cost_no_more_statements_than_a_batch_each(
    monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries
) -> None:
    monkeypatch.setattr(additions, "BATCH", 20)
    token = owner(*map(str, range(1, 61)))
    store_has(*map(str, range(1, 61)))
    with django_assert_max_num_queries(80):
        additions.add(token)
    assert App.objects.count() == 60


def test_a_deleted_token_brings_nothing_into_the_catalog() -> None:
    token = owner("1", "2", add_apps_automatically=False)
    store_has("1", "2")
    additions.add(token)
    removal.delete(token, by=UserFactory())
    ContentToken.objects.update(add_apps_automatically=True)
    assert additions.tokens_with_work() == []
    assert additions.add(token) == additions.retry(token, UserFactory()) == 0
    assert additions.add_by_hand(token, UserFactory(), ["1"]) == []
    assert not App.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_tokens_and_two_workers_each_at_once_make_one_app_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(additions, "BATCH", 7)
    ids = [str(number) for number in range(100, 160)]
    tokens = [owner(*ids), owner(*reversed(ids))]
    store_has(*ids)
    start = threading.Barrier(4)

    def work(token: ContentToken) -> int:
        start.wait()
        settled = additions.add(token)
        connection.close()
        return settled

    with ThreadPoolExecutor(4) as pool:
        settled = sum(future.result() for future in [pool.submit(work, token) for token in tokens * 2])
    assert settled == Addition.objects.count() == 120
    assert App.objects.count() == 60
    both = [outcomes(token) for token in tokens]
    assert all({first[adam_id], second[adam_id]} == {"added", "exists"} for first, second in [both] for adam_id in ids)
    assert sum(entry.details["apps"] for entry in Entry.objects.all()) == 60
