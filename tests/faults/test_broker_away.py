"""Without a broker pages go on and what was asked for is stored; background work is late, not lost."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from catalog.models import App
from tests.deliveries import deliver, sweep
from tests.factories import PASSWORD, ContentTokenFactory, UserFactory
from tests.locations import Location, assert_level
from tests.processes import Valkey
from tests.signed_in import sign_in
from tokens.models import ContentToken, SyncRun

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def away(valkey: Valkey) -> Iterator[None]:
    """The broker is not there, until the test says `valkey.start()` or ends."""
    valkey.process.kill()
    yield
    if not valkey.answers():
        valkey.start()


def add(browser: Client, location: Location) -> None:
    file = SimpleUploadedFile("sToken.vpptoken", location.sim.token_file(location.key).encode())
    fields = {"name": "Head office", "region": "US", "submission": str(uuid.uuid4()), "add_apps_automatically": "on"}
    answer = browser.post("/tokens/add/", {**fields, "token_file": file})
    assert answer.status_code == 302, answer.content.decode()


def test_people_sign_in(away: None) -> None:
    UserFactory(username="ada", role="Viewer")
    browser = Client()
    answer = browser.post("/login/", {"login": "ada", "password": PASSWORD})
    assert answer.status_code == 302
    assert browser.get("/tokens/").status_code == 200


def test_a_wrong_password_is_refused(away: None) -> None:
    UserFactory(username="ada", role="Viewer")
    assert Client().post("/login/", {"login": "ada", "password": "wrong"}).status_code == 200


def test_a_token_is_added_and_its_apps_arrive_when_the_broker_is_back(
    away: None, location: Location, valkey: Valkey
) -> None:
    add(sign_in(), location)
    token = ContentToken.objects.get()
    assert token.status == "active"
    valkey.start()
    sweep()
    deliver()
    assert_level(token, location)
    assert App.objects.count() == 5


def test_a_sync_is_asked_for(away: None) -> None:
    token = ContentTokenFactory()
    assert sign_in().post(f"/tokens/{token.pk}/sync/").status_code == 302
    assert SyncRun.objects.due().get().token == token


def test_a_token_is_deleted(away: None, valkey: Valkey) -> None:
    token = ContentTokenFactory()
    assert sign_in().post(f"/tokens/{token.pk}/delete/").status_code == 302
    assert not ContentToken.objects.kept().exists()
    valkey.start()
    sweep()
    deliver()
    assert not ContentToken.objects.exists()


def test_a_sync_goes_on(away: None, location: Location) -> None:
    token = location.mirrored()
    assert_level(token, location)
