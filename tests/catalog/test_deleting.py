"""Deleting an app from the catalog."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from catalog.models import App, Distribution, DistributionState
from tests.factories import AppFactory, ContentTokenFactory, DistributionFactory, InstallationFactory, bring_app
from tests.signed_in import sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def app() -> App:
    app = bring_app(ContentTokenFactory(), name="Fieldnote").app
    assert app is not None
    return app


@pytest.fixture
def operator() -> Client:
    return sign_in("Operator")


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


def test_it_says_first_what_goes_with_the_app(app: App, operator: Client) -> None:
    DistributionFactory(app=app)
    InstallationFactory(app=app, installed=True)
    text = text_of(operator.get(f"/catalog/{app.pk}/delete/"))
    assert "1 distribution of it ends." in text
    assert "1 installation is removed from its device" in text
    assert "it can be added again by hand" in text
    assert App.objects.kept().exists()


def test_a_deleted_app_is_in_no_list_and_its_distributions_end(app: App, operator: Client) -> None:
    DistributionFactory(app=app)
    InstallationFactory(app=app, installed=True)
    text = text_of(operator.post(f"/catalog/{app.pk}/delete/", follow=True))
    assert "“Fieldnote” is deleted." in text
    assert f'<a href="/catalog/{app.pk}/installations/">See how far' in text
    assert "No apps yet" in text
    assert Distribution.objects.get().state == DistributionState.STOPPED
    assert "Fieldnote" not in text_of(operator.get("/catalog/"))


def test_its_page_says_that_it_is_deleted_and_offers_nothing(operator: Client) -> None:
    app = AppFactory(pending=True, deleted_at=timezone.now())
    text = text_of(operator.get(f"/catalog/{app.pk}/"))
    assert "Deleted from the App Catalog" in text
    for verb in ("approve", "reject", "policies", "delete", "distribute"):
        assert f"/catalog/{app.pk}/{verb}/" not in text
    for verb in ("delete", "policies", "reject"):
        assert operator.get(f"/catalog/{app.pk}/{verb}/").status_code == 404


def test_a_viewer_deletes_nothing(app: App) -> None:
    viewer = sign_in("Viewer")
    assert "/delete/" not in text_of(viewer.get(f"/catalog/{app.pk}/"))
    assert viewer.post(f"/catalog/{app.pk}/delete/").status_code == 403


def test_it_is_added_again_by_hand_from_the_page_of_its_token(app: App, operator: Client) -> None:
    token = app.added_from
    assert token is not None
    operator.post(f"/catalog/{app.pk}/delete/")
    text = text_of(operator.get(f"/tokens/{token.pk}/"))
    assert "Deleted from the App Catalog; it can be added again by hand" in text
    operator.post(f"/tokens/{token.pk}/add-apps/", {"selected": [token.additions.get().pk]})
    assert "Fieldnote" in text_of(operator.get("/catalog/"))
