"""What an administrator deleted from the catalog stays away until an administrator adds it again."""

from __future__ import annotations

import pytest

from catalog import additions, removal
from catalog.models import Addition, App, Outcome
from tests.catalog.stock import outcomes, owner, store_has
from tests.factories import UserFactory
from tokens.models import ContentToken
from vppportal.activity.models import Entry

pytestmark = pytest.mark.django_db


@pytest.fixture
def token() -> ContentToken:
    """Return a token whose only app was added and deleted again."""
    token = owner("1", block_backup=True)
    store_has("1")
    additions.add(token)
    removal.delete_app(App.objects.get(), UserFactory())
    return token


def test_its_row_says_that_it_was_deleted(token: ContentToken) -> None:
    assert outcomes(token) == {"1": Outcome.DELETED}
    assert Addition.objects.get().comment == "Deleted from the App Catalog; it can be added again by hand"


@pytest.mark.parametrize("is_gone", [False, True])
def test_no_sync_brings_it_back(token: ContentToken, is_gone: bool) -> None:
    if is_gone:
        App.objects.all().delete()
    assert additions.tokens_with_work() == []
    additions.add(token)
    assert outcomes(token) == {"1": Outcome.DELETED}
    assert not App.objects.kept().exists()


@pytest.mark.parametrize("is_gone", [False, True])
def test_nor_does_another_token(token: ContentToken, is_gone: bool) -> None:
    if is_gone:
        App.objects.all().delete()
    other = owner("1")
    additions.add(other)
    assert outcomes(other) == {"1": Outcome.DELETED}
    assert not App.objects.kept().exists()
    assert additions.tokens_with_work() == []


@pytest.mark.parametrize("is_gone", [False, True])
def test_added_by_hand_it_is_there_again_as_if_new(token: ContentToken, is_gone: bool) -> None:
    other = owner("1")
    additions.add(other)
    if is_gone:
        App.objects.all().delete()
    user = UserFactory()
    (app,) = additions.add_by_hand(other, user, ["1"])
    assert (app.deleted_at, app.added_by, app.added_from, app.block_backup) == (None, user, other, False)
    assert (outcomes(other), outcomes(token)) == ({"1": Outcome.ADDED}, {"1": Outcome.EXISTS})
    assert set(Addition.objects.values_list("app", flat=True)) == {app.pk}
    assert Entry.objects.filter(verb="added to the App Catalog").count() == 1


def test_what_is_added_beside_it_is_not_held_up(token: ContentToken) -> None:
    other = owner("1", "2")
    store_has("2")
    additions.add(other)
    assert outcomes(other) == {"1": Outcome.DELETED, "2": Outcome.ADDED}
