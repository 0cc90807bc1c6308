"""An app owned in several regions is shown as a store has it that a token can still ask."""

from __future__ import annotations

import pytest

from catalog import additions, removal
from catalog.models import App
from tests.catalog.stock import owner, store_has
from tests.factories import UserFactory
from tokens import removal as token_removal
from tokens.models import Asset, ContentToken, Listing, ListingOutcome, TokenStatus

pytestmark = pytest.mark.django_db


@pytest.fixture
def american() -> ContentToken:
    """Return the token that brought an app, which another token owns in Germany."""
    token, german = owner("1", region="US"), owner("1", region="DE", name="German")
    store_has("1", storefront="US", is_custom=True)
    store_has("1", storefront="DE", is_custom=True)
    additions.add(token)
    additions.add(german)
    assert store() == "US"
    return token


def store() -> str:
    """Return the store from which the one app is shown."""
    return App.objects.get().listing.storefront


def sweep() -> list[int]:
    """Do what the sweep does; return the tokens it found something to do for."""
    found = additions.tokens_with_work()
    for token in ContentToken.objects.filter(pk__in=found):
        additions.add(token)
    assert additions.tokens_with_work() == []
    return found


def test_it_stays_where_a_usable_token_owns_it(american: ContentToken) -> None:
    assert sweep() == []
    additions.add(ContentToken.objects.get(name="German"))
    assert store() == "US"


def delete(token: ContentToken) -> None:
    token_removal.delete(token, by=UserFactory())


def purge(token: ContentToken) -> None:
    token_removal.delete(token, by=UserFactory())
    token_removal.purge(token.pk)


def refuse(token: ContentToken) -> None:
    ContentToken.objects.filter(pk=token.pk).update(status=TokenStatus.REVOKED)


def take_the_asset(token: ContentToken) -> None:
    Asset.objects.filter(token=token).update(gone_at=token.uploaded_at)


def lose(token: ContentToken) -> None:
    Listing.objects.filter(storefront=token.region).update(outcome=ListingOutcome.NOT_FOUND)


def move(token: ContentToken) -> None:
    ContentToken.objects.filter(pk=token.pk).update(region="FR")


@pytest.mark.parametrize("end", [delete, purge, refuse, take_the_asset, lose, move])
def test_where_its_store_cannot_be_asked_any_more_another_shows_it(american: ContentToken, end) -> None:
    end(american)
    assert sweep() != []
    assert store() == "DE"


def test_when_the_first_store_can_be_asked_again_nothing_goes_back(american: ContentToken) -> None:
    refuse(american)
    sweep()
    ContentToken.objects.update(status=TokenStatus.ACTIVE)
    assert sweep() == []
    additions.add(american)
    assert store() == "DE"


def test_it_stays_where_no_other_store_is_known_to_show_it(american: ContentToken) -> None:
    Listing.objects.filter(storefront="DE").update(outcome=ListingOutcome.NOT_FOUND)
    delete(american)
    assert sweep() == []
    assert store() == "US"
    Listing.objects.filter(storefront="DE").update(outcome=ListingOutcome.FOUND)
    sweep()
    assert store() == "DE"


def test_the_store_of_the_preferred_token_is_chosen_whichever_token_comes_first(american: ContentToken) -> None:
    owner("1", region="AT"), owner("1", region="FR", preference=5)
    owner("1", region="BE", preference=1, status=TokenStatus.INVALID)
    for storefront in ("AT", "BE", "FR", "CH"):
        store_has("1", storefront=storefront)
    for token in ContentToken.objects.exclude(pk=american.pk):
        additions.add(token)
    delete(american)
    additions.add(ContentToken.objects.get(name="German"))
    assert store() == "FR"


def test_deleted_apps_are_left_where_they_are(american: ContentToken) -> None:
    removal.delete_app(App.objects.get(), UserFactory())
    delete(american)
    assert sweep() == []
    assert store() == "US"


def test_however_many_apps_move_the_statements_are_the_same(
    american: ContentToken, django_assert_max_num_queries
) -> None:
    ids = [str(number) for number in range(100, 150)]
    second, german = owner(*ids, region="US"), owner(*ids, region="DE")
    store_has(*ids, storefront="US")
    additions.add(second)
    additions.add(german)
    store_has(*ids, storefront="DE")
    additions.add(german)
    delete(second)
    with django_assert_max_num_queries(12):
        additions.add(german)
    assert App.objects.filter(listing__storefront="DE").count() == 50
