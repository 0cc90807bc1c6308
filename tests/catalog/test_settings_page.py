"""The App Settings: approval, automatic updates, and the time zone of devices that tell none."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.test import Client

from catalog.models import CatalogSettings
from tests.factories import UpdateWindowFactory
from tests.signed_in import sign_in
from vppportal.activity.models import Entry

pytestmark = pytest.mark.django_db

GIVEN = {"approval": "mandatory", "update_mode": "off", "time_zone": "Europe/Berlin"}


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


def test_each_mode_says_what_it_means() -> None:
    text = text_of(sign_in().get("/catalog/settings/"))
    assert "Administrators decide: each app says on its page" in text
    assert "the portal sends no update at all" in text
    assert "an administrator presses “Update now”" in text


def test_settings_are_stored_and_recorded() -> None:
    assert "are saved" in text_of(sign_in().post("/catalog/settings/", GIVEN, follow=True))
    stored = CatalogSettings.load()
    assert (stored.approval, stored.update_mode, stored.time_zone) == ("mandatory", "off", "Europe/Berlin")
    entry = Entry.objects.get()
    assert entry.object_name == "App Settings"
    assert entry.details == {"approval": "mandatory", "updates": "off", "time_zone": "Europe/Berlin"}


@pytest.mark.parametrize("typed", ["Berlin", "Europe/Atlantis", "../../etc/passwd"])
def test_a_time_zone_nobody_knows_is_refused_and_kept_to_be_mended(typed: str) -> None:
    answer = sign_in().post("/catalog/settings/", {**GIVEN, "time_zone": typed})
    assert answer.status_code == 422
    assert f"There is no time zone “{typed}”." in text_of(answer)
    assert f'value="{typed}"' in text_of(answer)
    assert not CatalogSettings.objects.exists()


def test_the_page_says_how_often_the_store_is_asked_and_leads_to_the_windows(settings: Any) -> None:
    UpdateWindowFactory()
    settings.STORE_CHECK_HOURS = 2.5
    text = text_of(sign_in().get("/catalog/settings/"))
    assert "every 2.5 hours" in text
    assert '<a class="ms-auto" href="/catalog/windows/">Update windows (1)</a>' in text
    settings.STORE_CHECK_HOURS = 1.0
    assert "every 1 hour;" in text_of(sign_in().get("/catalog/settings/"))


def test_the_administration_takes_no_time_zone_nobody_knows(admin_client: Client) -> None:
    typed = {**GIVEN, "time_zone": "Berlin"}
    text = text_of(admin_client.post("/admin/catalog/catalogsettings/add/", typed))
    assert "There is no time zone “Berlin”." in text
    assert not CatalogSettings.objects.exists()


def test_what_the_administration_stores_is_recorded_too(admin_client: Client) -> None:
    admin_client.post("/admin/catalog/catalogsettings/add/", GIVEN)
    assert CatalogSettings.load().approval == "mandatory"
    assert Entry.objects.get().details["approval"] == "mandatory"


def test_the_administration_stores_one_set_of_settings_and_offers_no_second(admin_client: Client) -> None:
    CatalogSettings(update_mode="end_users").save()
    CatalogSettings(update_mode="off").save()
    assert CatalogSettings.objects.get().update_mode == "off"
    assert admin_client.get("/admin/catalog/catalogsettings/add/").status_code == 403
    admin_client.post("/admin/catalog/catalogsettings/1/change/", GIVEN)
    assert CatalogSettings.objects.get().approval == "mandatory"
