"""Whatever order apps, answers, switches and runs come in, the catalog ends up the same, with one app of each."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog import additions
from catalog.models import Addition, App, Outcome
from tests.factories import AssetFactory, ContentTokenFactory, UserFactory
from tokens import listings
from tokens.models import ContentToken, Listing, ListingOutcome
from vppportal.activity.models import Entry

pytestmark = pytest.mark.django_db
IN_STORE, MAC, BOOK = frozenset("12345"), frozenset("78"), frozenset("9")
ALL = sorted(IN_STORE | MAC | BOOK | {"6"})

TOKENS = st.integers(0, 1)
EVENTS = st.one_of(
    st.tuples(st.just("buy"), TOKENS, st.sampled_from(ALL)),
    st.tuples(st.just("answer"), TOKENS, st.sampled_from(ALL)),
    st.tuples(st.just("add"), TOKENS, st.just("")),
    st.tuples(st.just("switch"), TOKENS, st.just("")),
    st.tuples(st.just("retry"), TOKENS, st.just("")),
    st.tuples(st.just("by hand"), TOKENS, st.sampled_from(ALL)),
)


def buy(token: ContentToken, adam_id: str) -> None:
    if not token.assets.filter(adam_id=adam_id).exists():
        AssetFactory(token=token, adam_id=adam_id, mac=adam_id in MAC, book=adam_id in BOOK)
        listings.enroll(token)


def answer(token: ContentToken, adam_id: str) -> None:
    """Let the store answer about an app of the token, as a lookup with its credential would store it."""
    outcome = ListingOutcome.NOT_FOUND if adam_id == "6" else ListingOutcome.FOUND
    if token.assets.filter(adam_id=adam_id).exists():
        Listing.objects.filter(adam_id=adam_id).update(outcome=outcome, checked_with=token)


def switch(token: ContentToken) -> None:
    ContentToken.objects.filter(pk=token.pk).update(add_apps_automatically=not token.add_apps_automatically)


def happen(event: tuple[str, int, str], tokens: list[int], by) -> None:
    kind, number, adam_id = event
    token = ContentToken.objects.get(pk=tokens[number])
    match kind:
        case "buy":
            buy(token, adam_id)
        case "answer":
            answer(token, adam_id)
        case "add":
            additions.add(token)
        case "switch":
            switch(token)
        case "retry":
            additions.retry(token, by)
        case "by hand":
            additions.add_by_hand(token, by, [adam_id])


def everything() -> list[object]:
    return [
        sorted(Addition.objects.values_list("token_id", "adam_id", "outcome", "app_id", "settled_at")),
        sorted(App.objects.values_list("pk", "adam_id", "status", "added_from_id")),
        sorted(Entry.objects.values_list("pk", "details")),
    ]


def settle(tokens: list[int]) -> None:
    """Let the store answer about everything, with each token in turn, and add what it brought."""
    ContentToken.objects.update(add_apps_automatically=True)
    for token in ContentToken.objects.filter(pk__in=tokens):
        for adam_id in token.assets.values_list("adam_id", flat=True):
            answer(token, adam_id)
        additions.add(token)
    assert additions.tokens_with_work() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(st.lists(EVENTS, max_size=25))
def test_any_history_ends_with_each_app_once_and_each_addition_where_it_belongs(
    events: list[tuple[str, int, str]],
) -> None:
    for model in (App, Addition, Entry, Listing, ContentToken):
        model.objects.all().delete()
    by = UserFactory()
    tokens = [ContentTokenFactory().pk for _ in range(2)]
    for event in events:
        happen(event, tokens, by)
    settle(tokens)

    outcomes = {
        adam_id: sorted(Addition.objects.filter(adam_id=adam_id).values_list("outcome", flat=True)) for adam_id in ALL
    }
    owned = {adam_id for adam_id in ALL if outcomes[adam_id]}
    for adam_id in owned & IN_STORE:
        assert outcomes[adam_id] in ([Outcome.ADDED], [Outcome.ADDED, Outcome.EXISTS])
        assert App.objects.filter(adam_id=adam_id).count() == 1
    assert set(outcomes["6"]) <= {Outcome.NOT_FOUND}
    for adam_id in MAC:
        assert set(outcomes[adam_id]) <= {Outcome.MAC_ONLY, Outcome.ADDED, Outcome.EXISTS}
    for adam_id in BOOK | {"6"}:
        assert not App.objects.filter(adam_id=adam_id).exists()
    assert not Addition.objects.filter(outcome__in=(Outcome.ADDED, Outcome.EXISTS), app=None).exists()

    before = everything()
    for token in ContentToken.objects.all():
        assert additions.add(token) == 0
    assert everything() == before
