"""The Apple VPP Licenses page and the Enable License Codes window, with Apple's part played on a real socket."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.factories import SECRET, AssetFactory, ContentTokenFactory, SyncRunFactory, UserGroupFactory
from tests.processes import Simulator
from tests.signed_in import WINDOW, sign_in
from tokens.models import ContentToken, SyncReason, SyncRun, TokenStatus
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def locations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path_factory.mktemp("locations"))
    yield simulator
    simulator.stop()


@pytest.fixture
def apple(locations: Simulator, settings: Any) -> Simulator:
    settings.APPLE_VPP_URL = locations.apple
    cache.clear()
    return locations


@pytest.fixture
def manager() -> Client:
    return sign_in("Token manager")


def submit(browser: Client, apple: Simulator, sample: str = "business", **typed: Any) -> Any:
    form = {"name": "Head office", "region": "US", "submission": str(uuid.uuid4()), **typed}
    headers = form.pop("headers", {})
    with apple.sample(sample).open("rb") as file:
        return browser.post("/tokens/add/", {**form, "token_file": file}, headers=headers)


def test_a_good_file_becomes_an_active_token_that_is_being_synchronized(manager: Client, apple: Simulator) -> None:
    group = UserGroupFactory()
    answer = submit(manager, apple, add_apps_automatically="on", block_backup="on", restricted_to=[group.pk])
    token = ContentToken.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/tokens/{token.pk}/")
    assert token.status == TokenStatus.ACTIVE
    assert (token.add_apps_automatically, token.block_backup, token.require_approval) == (True, True, False)
    assert list(token.restricted_to.all()) == [group]
    assert SyncRun.objects.get().reason == SyncReason.UPLOAD


def test_the_window_sends_the_whole_page_on(manager: Client, apple: Simulator) -> None:
    answer = submit(manager, apple, headers=WINDOW)
    assert answer["HX-Redirect"] == ContentToken.objects.get().get_absolute_url()


def test_the_same_form_sent_twice_makes_one_token(manager: Client, apple: Simulator) -> None:
    submission = str(uuid.uuid4())
    first = submit(manager, apple, submission=submission)
    second = submit(manager, apple, submission=submission, name="Other")
    assert first["Location"] == second["Location"]
    assert ContentToken.objects.count() == 1


def test_a_file_that_is_there_already_is_refused_naming_the_token(manager: Client, apple: Simulator) -> None:
    submit(manager, apple)
    page = submit(manager, apple, name="Again")
    existing = ContentToken.objects.get()
    assert page.status_code == 422
    assert "already uploaded, as “Head office”" in page.content.decode()
    assert f'href="/tokens/{existing.pk}/renew/"' in page.content.decode()


@pytest.mark.parametrize(("sample", "words"), [("revoked", "Apple has revoked this token"), ("expired", "expired")])
def test_a_token_that_does_not_work_changes_nothing(manager: Client, apple: Simulator, sample: str, words: str) -> None:
    page = submit(manager, apple, sample)
    assert words in page.content.decode()
    assert not ContentToken.objects.exists()


def test_another_region_needs_consent(manager: Client, apple: Simulator) -> None:
    page = submit(manager, apple, region="DE").content.decode()
    assert "country for this location is United States, but you chose Germany." in page
    assert 'name="accept_region"' in page
    submit(manager, apple, region="DE", accept_region="on")
    assert ContentToken.objects.get().region == "DE"


def test_a_location_of_another_mdm_needs_consent(manager: Client, apple: Simulator) -> None:
    page = submit(manager, apple, "claimed", accept_region="on").content.decode()
    assert "managed by another MDM" in page
    assert 'name="take_over"' in page
    submit(manager, apple, "claimed", take_over="on", accept_region="on")
    assert ContentToken.objects.get().take_over_from


def test_while_apple_cannot_be_reached_nothing_is_saved(manager: Client, apple: Simulator, settings: Any) -> None:
    settings.APPLE_VPP_URL = "http://127.0.0.1:9/mdm/v2"
    page = submit(manager, apple)
    assert "Apple cannot be reached" in page.content.decode()
    assert 'value="Head office"' in page.content.decode()
    assert not ContentToken.objects.exists()


def test_the_window_is_a_part_and_without_scripts_a_page(manager: Client) -> None:
    assert "<html" not in manager.get("/tokens/add/", headers=WINDOW).content.decode()
    assert "<html" in manager.get("/tokens/add/").content.decode()


def test_searching_groups_without_scripts_asks_apple_nothing(manager: Client) -> None:
    UserGroupFactory(name="Sales")
    typed = {"name": "Head office", "restricted_to_search": "sal", "search_choices": "yes"}
    page = manager.post("/tokens/add/", typed).content.decode()
    assert "Sales" in page
    assert 'value="Head office"' in page
    assert "This field is required" not in page


def test_the_list_shows_licenses_without_the_unlimited_ones(manager: Client) -> None:
    token = ContentTokenFactory()
    AssetFactory(token=token, total=1000, available=900, assigned=100)
    AssetFactory(token=token, unlimited=True, assigned=7)
    AssetFactory(token=token, gone=True)
    page = manager.get("/tokens/").content.decode()
    assert "1,000" in page
    assert "and unlimited ones" in page
    assert "100 assigned," in page
    assert "900 available" in page


def test_a_revoked_token_is_explained_with_its_two_causes(manager: Client) -> None:
    token = ContentTokenFactory(revoked=True, name="Old")
    page = manager.get("/tokens/").content.decode()
    assert "Apple has revoked the token “Old”." in page
    assert "password of the Apple Account" in page
    assert "Apple flagged the account" in page
    assert "error number 9625" in page
    assert f"/tokens/{token.pk}/renew/" in page
    assert f'action="/tokens/{token.pk}/sync/"' not in page


def test_a_token_that_may_only_read_is_said_to_be_so(manager: Client) -> None:
    token = ContentTokenFactory(is_read_only=True)
    assert "Apple lets its account only read." in manager.get("/tokens/").content.decode()
    assert (
        "Apple lets the account that downloaded this token only read."
        in manager.get(token.get_absolute_url()).content.decode()
    )
    assert "only read" in manager.get("/").content.decode()


def test_expiry_is_said_in_days_and_in_words(manager: Client) -> None:
    ContentTokenFactory(expiring=True)
    assert "in 12 days" in manager.get("/tokens/").content.decode()


def test_progress_shows_in_the_list(manager: Client) -> None:
    SyncRunFactory(running=True)
    page = manager.get("/tokens/").content.decode()
    assert "21,000 of 50,000" in page
    assert 'max="50000" value="21000"' in page


def test_the_queries_of_the_list_do_not_grow(manager: Client) -> None:
    def fill(rows: int) -> None:
        for token in ContentTokenFactory.create_batch(rows):
            AssetFactory(token=token)
            SyncRunFactory(token=token, running=True)

    fill(3)
    with CaptureQueriesContext(database) as few:
        manager.get("/tokens/")
    fill(15)
    with CaptureQueriesContext(database) as many:
        manager.get("/tokens/")
    assert len(many) == len(few)


def test_editing_keeps_the_file_and_the_mirror(manager: Client) -> None:
    token = ContentTokenFactory()
    manager.post(f"/tokens/{token.pk}/edit/", {"name": "New name", "region": "DE", "version": "0"})
    edited = ContentToken.objects.get()
    assert (edited.name, edited.region, edited.version) == ("New name", "DE", 1)
    assert edited.fingerprint == token.fingerprint


def test_another_region_is_followed_by_a_sync(manager: Client) -> None:
    token = ContentTokenFactory(add_apps_automatically=False)
    manager.post(f"/tokens/{token.pk}/edit/", {"name": token.name, "region": "US", "version": "0"})
    assert not SyncRun.objects.exists()
    manager.post(f"/tokens/{token.pk}/edit/", {"name": token.name, "region": "DE", "version": "1"})
    assert SyncRun.objects.get().state == WorkState.WAITING


def test_an_edit_from_a_stale_page_is_shown_not_stored(manager: Client) -> None:
    token = ContentTokenFactory(name="Theirs", version=3)
    answer = manager.post(f"/tokens/{token.pk}/edit/", {"name": "Mine", "region": "US", "version": "2"})
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "Somebody else changed this token" in page
    assert "Token name: <strong>Theirs</strong>" in page
    assert 'value="Mine"' in page
    assert 'name="version" value="3"' in page
    assert ContentToken.objects.get().name == "Theirs"


def test_renewing_with_the_file_of_another_location_is_refused(manager: Client, apple: Simulator) -> None:
    token = ContentTokenFactory(revoked=True)
    with apple.sample("business").open("rb") as file:
        page = manager.post(f"/tokens/{token.pk}/renew/", {"token_file": file}).content.decode()
    assert "belongs to another location" in page
    assert ContentToken.objects.get().status == TokenStatus.REVOKED


def test_renewing_sets_everything_going_again(manager: Client, apple: Simulator) -> None:
    submit(manager, apple)
    SyncRun.objects.all().delete()
    ContentToken.objects.update(status=TokenStatus.REVOKED, status_number=9625, fingerprint="old")
    token = ContentToken.objects.get()
    with apple.sample("business").open("rb") as file:
        manager.post(f"/tokens/{token.pk}/renew/", {"token_file": file})
    assert ContentToken.objects.get().status == TokenStatus.ACTIVE
    assert SyncRun.objects.get().reason == SyncReason.RENEWAL


def test_a_sync_is_asked_for_once_however_often_the_button_is_pressed(manager: Client) -> None:
    token = ContentTokenFactory()
    for _ in range(2):
        manager.post(f"/tokens/{token.pk}/sync/")
    assert SyncRun.objects.get().reason == SyncReason.MANUAL


def test_a_refused_token_is_not_synchronized(manager: Client) -> None:
    token = ContentTokenFactory(revoked=True)
    page = manager.post(f"/tokens/{token.pk}/sync/", follow=True).content.decode()
    assert "Renew it first." in page
    assert not SyncRun.objects.exists()


@pytest.mark.parametrize("page", ["/tokens/", "/tokens/{}/", "/tokens/{}/edit/", "/tokens/{}/renew/"])
def test_the_secret_is_in_no_page(manager: Client, page: str) -> None:
    token = ContentTokenFactory()
    assert SECRET not in manager.get(page.format(token.pk)).content.decode()


def test_the_secret_is_not_in_the_admin_either(admin_client: Client) -> None:
    token = ContentTokenFactory()
    page = admin_client.get(f"/admin/tokens/contenttoken/{token.pk}/change/").content.decode()
    assert token.location_id in page
    assert SECRET not in page
    assert "secret" not in page.lower()
