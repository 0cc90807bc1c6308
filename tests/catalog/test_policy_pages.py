"""Changing the policies of an app, and giving a token's policies to the apps it added."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.utils import timezone

from catalog.models import App, Reconciliation
from tests.factories import AppFactory, ContentTokenFactory, bring_app
from tests.signed_in import sign_in
from tokens.models import ContentToken
from tokens.policies import POLICY_FIELDS
from vppportal.activity.models import Entry

pytestmark = pytest.mark.django_db


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


@pytest.fixture
def token() -> ContentToken:
    """Return a token whose two apps have the policies that tokens have at first."""
    token: ContentToken = ContentTokenFactory(name="Head office")
    bring_app(token)
    bring_app(token)
    return token


def test_an_apps_policies_are_changed_recorded_and_planned_at_once() -> None:
    later = timezone.now() + timedelta(hours=1)
    app = Reconciliation.objects.create(app=AppFactory(), next_attempt_at=later).app
    browser = sign_in("Operator")
    text = text_of(browser.get(f"/catalog/{app.pk}/policies/"))
    assert "Remove app on: Selective wipe" in text
    assert "App approval" not in text
    browser.post(f"/catalog/{app.pk}/policies/", {"remove_on_stop": "on", "block_backup": "on"})
    app.refresh_from_db()
    assert [name for name in POLICY_FIELDS if getattr(app, name)] == ["remove_on_stop", "block_backup"]
    entry = Entry.objects.get()
    assert entry.verb == "changed the policies of"
    assert "block_backup" in entry.details["fields"]
    assert Reconciliation.objects.get().next_attempt_at < later


def test_saving_the_same_policies_records_nothing() -> None:
    app = AppFactory()
    same = {name: "on" for name in POLICY_FIELDS if getattr(app, name)}
    assert "are saved" in text_of(sign_in("Operator").post(f"/catalog/{app.pk}/policies/", same, follow=True))
    assert not Entry.objects.exists()


def test_a_deleted_apps_policies_stay_as_they_are() -> None:
    app = AppFactory(deleted_at=timezone.now())
    assert sign_in("Operator").get(f"/catalog/{app.pk}/policies/").status_code == 404


def test_a_token_whose_policies_change_offers_them_to_the_apps_it_has_added(token: ContentToken) -> None:
    browser = sign_in("Token manager")
    form = {"name": token.name, "region": "US", "version": 0, "preference": 100, "block_backup": "on"}
    text = text_of(browser.post(f"/tokens/{token.pk}/edit/", form, follow=True))
    assert f'<a href="/tokens/{token.pk}/policies/">Apply its policies to the 2 apps it has added, too.</a>' in text
    form |= {"version": 1, "name": "Stores"}
    assert "it has added, too" not in text_of(browser.post(f"/tokens/{token.pk}/edit/", form, follow=True))


def test_applying_says_first_what_changes_for_how_many_apps(token: ContentToken) -> None:
    App.objects.filter(pk=App.objects.first().pk).update(block_backup=True)  # type: ignore[union-attr]
    ContentToken.objects.update(block_backup=True, remove_on_stop=False)
    text = text_of(sign_in("Token manager").get(f"/tokens/{token.pk}/policies/"))
    assert "Restrict data backup: on for 1 app that has it off." in text
    assert "Remove app on: Deletion from the portal or stopping distribution: off for 2 apps that have it on." in text
    assert "follow “Restrict data backup” from its next install or update on." in text
    assert App.objects.filter(remove_on_stop=True).count() == 2


def test_applied_policies_are_those_of_all_apps_the_token_added(token: ContentToken) -> None:
    other = AppFactory()
    ContentToken.objects.update(remove_on_stop=False)
    text = text_of(sign_in("Token manager").post(f"/tokens/{token.pk}/policies/", follow=True))
    assert "2 apps took over the policies of “Head office”." in text
    assert list(App.objects.filter(remove_on_stop=True)) == [other]
    assert Entry.objects.get().verb == "applied the policies of"


def test_where_nothing_differs_there_is_nothing_to_apply(token: ContentToken) -> None:
    text = text_of(sign_in("Token manager").get(f"/tokens/{token.pk}/policies/"))
    assert "has the token's policies already." in text
    assert "Apply</button>" not in text
