"""What the home page says needs attention, beyond tokens and apps."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.attention import needing_attention
from catalog.models import DeviceEvent
from tests.factories import (
    AppFactory,
    ClientUserFactory,
    ContentTokenFactory,
    DeviceFactory,
    DistributionFactory,
    InstallationFactory,
    ManagedUserFactory,
    UserFactory,
)
from tests.signed_in import sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def channel(settings: Any) -> Any:
    """Set up an MDM server that was heard a moment ago."""
    settings.NANOMDM_URL = "http://nanomdm.example"
    ContentTokenFactory(name="Head office")
    return hear(timedelta())


def hear(ago: timedelta) -> DeviceEvent:
    then = timezone.now() - ago
    return DeviceEvent.objects.create(
        event_id=f"event-{DeviceEvent.objects.count()}", topic="mdm.CheckIn", happened_at=then, received_at=then
    )


def said() -> dict[str, str]:
    """Return the sentences of the home page with where each leads, but for apps that no token owns."""
    attention = sign_in("Viewer").get("/").context["attention"]
    return {item.sentence: item.url for item in attention if "out of licenses" not in item.sentence}


def test_where_all_is_well_nothing_needs_anybody() -> None:
    assert "Nothing: all tokens work" in unescape(sign_in("Viewer").get("/").content.decode())


def test_failed_installations_lead_to_their_app() -> None:
    app = AppFactory(listing__name="Fieldnote")
    InstallationFactory.create_batch(2, app=app, failed=True)
    assert said() == {"“Fieldnote” failed on 2 devices.": f"/catalog/{app.pk}/installations/?state=failed"}


def test_failures_of_many_apps_are_one_line_that_leads_to_the_apps() -> None:
    InstallationFactory.create_batch(4, failed=True)
    AppFactory(listing__name="Works")
    assert said() == {"4 installations of 4 apps failed.": "/catalog/?installations=failed"}
    page = sign_in("Viewer").get("/catalog/?installations=failed")
    assert page.context["list"].count == 4


def test_those_who_wait_for_a_license_lead_to_the_line() -> None:
    InstallationFactory(in_line=True)
    assert said() == {"1 installation waits for a license.": "/catalog/line/"}


def test_devices_nobody_saw_for_two_weeks_are_counted() -> None:
    long_ago = timezone.now() - timedelta(days=15)
    DeviceFactory(enrolled=True, last_seen_at=long_ago)
    DeviceFactory(enrolled=True, last_seen_at=long_ago, retired_at=timezone.now())
    DeviceFactory(enrolled=True, last_seen_at=long_ago, unenrolled_at=timezone.now())
    DeviceFactory(enrolled=True)
    assert said() == {"1 device was not seen for 14 days.": "/devices/?seen=silent"}
    assert sign_in("Viewer").get("/devices/?seen=silent").context["list"].count == 1


def test_people_who_have_not_accepted_lead_to_their_token() -> None:
    token = ContentTokenFactory(name="Stores")
    for status in ("Registered", "Associated", "Retired"):
        ClientUserFactory(token=token, person=ManagedUserFactory(), status=status)
    ClientUserFactory(token=token, status="Registered")
    ClientUserFactory(token=ContentTokenFactory(deleted=True), person=ManagedUserFactory(), status="Registered")
    url = f"/tokens/{token.pk}/people/?standing=Registered&known=no"
    assert said() == {"“Stores”: 1 person has not accepted Apple's invitation yet.": url}


def test_an_mdm_server_that_fell_silent_needs_attention_while_devices_are_enrolled() -> None:
    DeviceEvent.objects.update(received_at=timezone.now() - timedelta(days=2))
    assert said() == {}
    DeviceFactory(enrolled=True)
    assert said() == {"The MDM server was heard last 2 days ago.": "/devices/channel/"}


def test_an_mdm_server_that_never_said_anything_needs_attention() -> None:
    DeviceEvent.objects.all().delete()
    assert list(said()) == ["The MDM server has not told the portal anything yet."]


def test_without_an_mdm_server_only_those_who_distribute_are_told(settings: Any) -> None:
    settings.NANOMDM_URL = ""
    assert said() == {}
    DistributionFactory()
    assert list(said()) == ["No MDM server is set up: apps are licensed, but reach no device."]


def test_who_may_see_neither_devices_nor_people_is_told_of_none() -> None:
    DeviceFactory(enrolled=True, last_seen_at=timezone.now() - timedelta(days=15))
    ClientUserFactory(person=ManagedUserFactory(), status="Registered")
    assert list(needing_attention(UserFactory(role=None))) == []


def test_the_queries_do_not_grow() -> None:
    browser = sign_in("Viewer")

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            browser.get("/")
        return len(asked)

    def fill(number: int) -> None:
        for _ in range(number):
            InstallationFactory(failed=True)
            InstallationFactory(in_line=True)
            ClientUserFactory(person=ManagedUserFactory(), status="Registered")

    fill(2)
    few = queries()
    fill(30)
    assert queries() == few
