"""The App Catalog, Token Details and the home page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import Addition, App, Outcome
from tests.factories import (
    AdditionFactory,
    AppFactory,
    AssetFactory,
    ContentTokenFactory,
    EntryFactory,
    ListingFactory,
    SyncRunFactory,
    bring_app,
)
from tests.signed_in import LIST, sign_in
from tokens.models import ContentToken, SyncRun

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager() -> Client:
    return sign_in("Token manager")


@pytest.fixture
def token() -> ContentToken:
    made: ContentToken = ContentTokenFactory(name="Head office")
    return made


def rows(page: Any) -> list[Any]:
    return [row.record for row in page.context["list"].table.paginated_rows]


def details(browser: Client, token: ContentToken, **filters: str) -> Any:
    return browser.get(f"/tokens/{token.pk}/", filters)


def test_token_details_have_the_columns_of_the_reference(manager: Client, token: ContentToken) -> None:
    bring_app(token)
    headers = [column.header for column in details(manager, token).context["list"].table.columns]
    assert headers == [
        *("iTunes App ID", "App Icon", "App Name", "Type", "Platforms", "Total License", "Available License"),
        *("Assigned", "Retired", "Added Time", "Auto App Addition Status", "Comments"),
    ]


def test_both_kinds_of_licenses_of_an_app_are_one_row(manager: Client, token: ContentToken) -> None:
    addition = bring_app(token)
    AssetFactory(token=token, adam_id=addition.adam_id, pricing_param="PLUS", total=5, available=3, assigned=2)
    page = details(manager, token)
    (row,) = rows(page)
    assert (row.total, row.available, row.assigned) == (105, 63, 42)
    assert "summed" in page.content.decode()


def test_unlimited_licenses_are_a_word_not_a_number(manager: Client, token: ContentToken) -> None:
    addition = AdditionFactory(token=token)
    AssetFactory(token=token, adam_id=addition.adam_id, unlimited=True)
    assert details(manager, token).content.decode().count("Unlimited</td>") == 2


def test_rows_are_found_by_status_type_platform_and_licenses_left(manager: Client, token: ContentToken) -> None:
    bring_app(token, name="Public")
    bring_app(token, name="Custom", is_custom=True)
    mac = ListingFactory(mac=True, name="Mac")
    AssetFactory(token=token, adam_id=mac.adam_id, mac=True)
    AdditionFactory(token=token, adam_id=mac.adam_id, mac_only=True)
    book = AdditionFactory(token=token, book=True)
    AssetFactory(token=token, adam_id=book.adam_id, book=True, used_up=True)

    def found(**filters: str) -> list[str | None]:
        return [row.name for row in rows(details(manager, token, **filters))]

    assert found(outcome="mac_only") == ["Mac"]
    assert found(type="b2b") == ["Custom"]
    assert found(type="book") == [None]
    assert found(platform="macOS") == ["Mac"]
    assert found(licenses="none_left") == [None]
    assert found(q="publ") == ["Public"]


def test_rows_are_sorted_by_the_database(manager: Client, token: ContentToken) -> None:
    for total in (5, 500, 50):
        addition = AdditionFactory(token=token)
        AssetFactory(token=token, adam_id=addition.adam_id, total=total)
    assert [row.total for row in rows(details(manager, token, sort="-total"))] == [500, 50, 5]


def test_the_queries_of_token_details_do_not_grow(manager: Client, token: ContentToken) -> None:
    def fill(number: int) -> None:
        for _ in range(number):
            bring_app(token)

    fill(3)
    with CaptureQueriesContext(connection) as few:
        details(manager, token, per_page="100")
    fill(40)
    with CaptureQueriesContext(connection) as many:
        details(manager, token, per_page="100")
    assert len(many) == len(few) <= 20


def test_progress_refreshes_itself_until_the_sync_is_done(manager: Client, token: ContentToken) -> None:
    run = SyncRunFactory(token=token, running=True)
    part = manager.get(f"/tokens/{token.pk}/progress/").content.decode()
    assert "21,000 of 50,000" in part
    assert "a second" in part
    assert f'hx-get="/tokens/{token.pk}/progress/"' in part
    run.delete()
    SyncRunFactory(token=token)
    assert "hx-get" not in manager.get(f"/tokens/{token.pk}/progress/").content.decode()


def test_the_error_of_a_sync_under_way_is_shown(manager: Client, token: ContentToken) -> None:
    SyncRunFactory(token=token, waiting=True, last_error="Apple cannot be reached.")
    part = manager.get(f"/tokens/{token.pk}/progress/").content.decode()
    assert "Trying again" in part
    assert "Apple cannot be reached." in part


def test_a_sync_that_waits_for_its_time_says_when_it_begins(manager: Client, token: ContentToken) -> None:
    run = SyncRunFactory(token=token, waiting=True, next_attempt_at=timezone.now() + timedelta(minutes=12, seconds=30))
    part = manager.get(f"/tokens/{token.pk}/progress/").content.decode()
    assert "in 12 min" in part.partition("Begins")[2]
    assert "<progress" not in part
    SyncRun.objects.filter(pk=run.pk).update(next_attempt_at=timezone.now())
    part = manager.get(f"/tokens/{token.pk}/progress/").content.decode()
    assert "Waiting for a worker" in part
    assert "<progress" in part


def test_the_list_refreshes_while_apps_wait(manager: Client, token: ContentToken) -> None:
    AdditionFactory(token=token, waiting=True)
    part = manager.get(f"/tokens/{token.pk}/", headers=LIST).content.decode()
    assert "data-polls" in part
    assert "Waiting for the App Store" in part


def test_the_last_mirror_of_a_refused_token_stays_visible(manager: Client) -> None:
    token = ContentTokenFactory(revoked=True, name="Old")
    bring_app(token, name="Fieldnote")
    page = details(manager, token).content.decode()
    assert "Apple has revoked the token “Old”." in page
    assert "shown as they were" in page
    assert "Fieldnote" in page
    assert "data-polls" not in page


def test_one_failed_app_is_retried_or_all(manager: Client, token: ContentToken) -> None:
    first, second, third = AdditionFactory.create_batch(3, token=token, not_found=True)
    manager.post(f"/tokens/{token.pk}/retry/", {"adam_id": first.adam_id})
    assert list(Addition.objects.filter(outcome=Outcome.WAITING)) == [first]
    manager.post(f"/tokens/{token.pk}/retry/")
    assert set(Addition.objects.filter(outcome=Outcome.WAITING)) == {first, second, third}


def test_no_app_is_looked_up_again_with_a_token_apple_refuses(manager: Client) -> None:
    token = ContentTokenFactory(revoked=True, name="Old")
    failed = AdditionFactory(token=token, not_found=True)
    page = details(manager, token).content.decode()
    assert "Retry" not in page
    for form in ({"adam_id": failed.adam_id}, {}):
        answer = manager.post(f"/tokens/{token.pk}/retry/", form, follow=True)
        assert "Apple does not accept “Old” at the moment. Renew it first." in answer.content.decode()
        assert list(Addition.objects.filter(outcome=Outcome.NOT_FOUND)) == [failed]


def test_selected_apps_are_added_by_hand(manager: Client, token: ContentToken) -> None:
    for name in ("One", "Two"):
        listing = ListingFactory(mac=True, name=name)
        AssetFactory(token=token, adam_id=listing.adam_id, mac=True)
        AdditionFactory(token=token, adam_id=listing.adam_id, mac_only=True)
    first = Addition.objects.first()
    manager.post(f"/tokens/{token.pk}/add-apps/", {"selected": [first.pk if first else 0]})
    assert App.objects.get().listing.name == "One"
    manager.post(f"/tokens/{token.pk}/add-apps/?outcome=mac_only", {"all_matching": "1"})
    assert App.objects.count() == 2


def test_apps_of_all_tokens_are_added_by_hand_in_one_place(manager: Client, token: ContentToken) -> None:
    listing = ListingFactory(mac=True, name="Mac")
    AssetFactory(token=token, adam_id=listing.adam_id, mac=True)
    addition = AdditionFactory(token=token, adam_id=listing.adam_id, mac_only=True)
    assert [row.name for row in rows(manager.get("/catalog/add/"))] == ["Mac"]
    manager.post("/catalog/add/", {"selected": [addition.pk]})
    assert App.objects.get().added_from == token


def test_deleting_a_token_says_what_hangs_on_it(manager: Client, token: ContentToken) -> None:
    bring_app(token)
    shared = bring_app(token)
    AssetFactory(adam_id=shared.adam_id)
    page = manager.get(f"/tokens/{token.pk}/delete/").content.decode()
    assert "2 apps of this token are in the App Catalog. They stay there; 1 of them" in page
    assert "80 licenses are assigned" in page
    assert "claim on the location stays" in page
    manager.post(f"/tokens/{token.pk}/delete/")
    assert not ContentToken.objects.kept().filter(pk=token.pk).exists()
    assert manager.get(f"/tokens/{token.pk}/").status_code == 404


def test_the_catalog_sums_licenses_over_kept_tokens(manager: Client, token: ContentToken) -> None:
    addition = bring_app(token)
    AssetFactory(adam_id=addition.adam_id, total=10, available=1)
    AssetFactory(adam_id=addition.adam_id, token=ContentTokenFactory(deleted=True))
    (row,) = rows(manager.get("/catalog/"))
    assert (row.total, row.available, row.token_count) == (110, 61, 2)


def test_the_catalog_is_filtered_by_token_type_and_status(manager: Client, token: ContentToken) -> None:
    bring_app(token, name="Here")
    bring_app(ContentTokenFactory(), name="There", is_custom=True)
    AppFactory(pending=True, listing__name="Waits")

    def found(**filters: str) -> list[str]:
        return [str(row) for row in rows(manager.get("/catalog/", filters))]

    assert found(token=str(token.pk)) == ["Here"]
    assert found(is_custom="b2b") == ["There"]
    assert found(status="pending") == ["Waits"]


def test_the_more_menu_leads_to_the_licenses_and_the_settings() -> None:
    assert 'href="/catalog/settings/"' in sign_in("Token manager").get("/catalog/").content.decode()
    viewer = sign_in("Viewer").get("/catalog/").content.decode()
    assert 'dropdown-item" href="/tokens/"' in viewer
    assert 'href="/catalog/settings/"' not in viewer


def test_an_apps_page_has_its_licenses_policies_and_history(manager: Client, token: ContentToken) -> None:
    app = bring_app(token, name="Fieldnote").app
    assert app is not None
    EntryFactory(
        object_type="app", object_id=app.pk, object_name="Fieldnote", verb="rejected the app", details={"reason": "No"}
    )
    page = manager.get(f"/catalog/{app.pk}/").content.decode()
    assert "Head office" in page
    assert "Remove app on: Selective wipe" in page
    assert "“No”" in page
    assert "40 min ago" in page


def test_home_leads_to_the_first_token(manager: Client) -> None:
    page = manager.get("/").content.decode()
    assert "Three steps" in page
    assert "Add Token" in page
    assert "Add Token" not in sign_in("Viewer").get("/").content.decode()


def test_home_says_what_needs_attention(manager: Client) -> None:
    ContentTokenFactory(revoked=True, name="Old")
    token = ContentTokenFactory(expiring=True, name="Stores")
    AdditionFactory(token=token, not_found=True)
    AssetFactory(token=token, adam_id=AppFactory(pending=True).adam_id, used_up=True)
    SyncRunFactory(token=token, failed=True)
    page = manager.get("/").content.decode()
    for sentence in (
        "Apple has revoked the token “Old”.",
        "“Stores” expires in 12 days.",
        "The last sync of “Stores” failed.",
        "“Stores”: 1 app is not found in the App Store.",
        "1 app waits for your approval.",
        "1 app is out of licenses.",
    ):
        assert sentence in page


def test_home_without_a_role_says_whom_to_ask() -> None:
    assert "no role yet" in sign_in(None).get("/").content.decode()


@pytest.mark.parametrize("address", ["/tokens/{}/", "/tokens/{}/progress/", "/catalog/", "/catalog/add/"])
def test_pages_are_closed_without_the_permission(token: ContentToken, address: str) -> None:
    assert sign_in(None).get(address.format(token.pk)).status_code == 403
