"""What lists show of updates, how rows are found by it, and that the database and the rule say the same."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import App, Installation
from catalog.updates import Verdict
from catalog.updates.facts import summary
from catalog.updates.rows import CHOICES, by_update
from tests.factories import CommandFactory, InstallationFactory, ManagedUserFactory, UserGroupFactory
from tests.releases import NEW, behind, current, gave_up, on_the_way, released
from tests.signed_in import sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def app() -> App:
    return released()


def page(app: App, **filters: str) -> Any:
    return sign_in("Viewer").get(f"/catalog/{app.pk}/installations/", filters)


def text_of(answer: Any) -> str:
    return " ".join(unescape(answer.content.decode()).split())


def one_of_each(app: App) -> None:
    """Let a device of the app stand in every way that an app which updates by hand only may have."""
    App.objects.update(update_automatically=False)
    again = timezone.now() + timedelta(minutes=25)
    current(app, device__name="current")
    behind(app, device__name="waits")
    behind(app, device__name="told none", external_version_id=None, version="")
    behind(app, device__name="old OS", device__os_version="15.0")
    behind(app, device__name="gone", device__unenrolled_at=timezone.now())
    behind(app, device__name="for another platform", device__platform="tvOS")
    on_the_way(app, device__name="under way")
    gave_up(app, device__name="failed")
    gave_up(app, device__name="failed and gone", device__unenrolled_at=timezone.now())
    gave_up(app, device__name="again", update_tries=1, update_retry_at=again)
    InstallationFactory(app=app, in_line=True, device__name="no app yet")


def names(app: App, value: str) -> set[str]:
    return {row.device.name for row in by_update(app.installations.select_related("device"), value)}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("behind", {"waits", "old OS", "gone", "under way", "failed", "failed and gone", "again"}),
        ("failed", {"failed", "failed and gone"}),
        (Verdict.UNDER_WAY, {"under way"}),
        (Verdict.GAVE_UP, {"failed"}),
        (Verdict.RETRY, {"again"}),
        (Verdict.OS_TOO_OLD, {"old OS"}),
        (Verdict.UNREACHABLE, {"gone", "failed and gone"}),
        (Verdict.APP_OFF, {"waits"}),
        (Verdict.UNKNOWN, {"told none", "for another platform"}),
    ],
)
def test_installations_are_found_by_their_update(value: str, found: set[str]) -> None:
    app = released(listing__platforms="iOS,tvOS", listing__minimum_os="17.0")
    one_of_each(app)
    assert names(app, value) == found


def test_each_choice_of_the_filter_is_answered(app: App) -> None:
    one_of_each(app)
    for value, _label in CHOICES:
        assert page(app, update=value).status_code == 200
    told = summary(app)
    assert len(names(app, "behind")) == sum(number for *_, number in told.by_verdict)
    assert len(names(app, Verdict.UNKNOWN)) == told.not_known


def test_a_row_shows_both_versions_and_why_it_waits(app: App) -> None:
    one_of_each(app)
    text = text_of(page(app))
    assert "2.3.0" in text
    assert '<span class="visually-hidden">newest:</span> 2.4.1' in text
    assert "This app is not updated automatically: only by hand." in text
    assert "Failed 3 times. The storage is full. It is not tried again by itself." in text
    assert "up to date" in text


def test_a_device_that_is_up_to_date_shows_its_version_alone(app: App) -> None:
    current(app)
    assert "newest:" not in text_of(page(app))


def test_a_file_has_the_versions_and_the_words(app: App) -> None:
    behind(app, device__unenrolled_at=timezone.now())
    InstallationFactory(app=app, in_line=True)
    text = b"".join(page(app, export="csv").streaming_content).decode()
    assert "2.3.0,The device is not enrolled with the MDM server." in text


def test_device_and_person_show_what_is_done_about_versions(app: App) -> None:
    App.objects.update(update_automatically=False)
    person = ManagedUserFactory()
    row = behind(app, device__owner=person)
    InstallationFactory(app=released(), in_line=True, device=row.device)
    for url in (f"/devices/{row.device_id}/", f"/people/{person.pk}/"):
        text = text_of(sign_in("Viewer").get(url))
        assert "This app is not updated automatically: only by hand." in text
        assert "newest:</span> 2.4.1" in text


def test_a_devices_page_refreshes_itself_while_an_app_is_updated(app: App) -> None:
    row = on_the_way(app)
    assert "data-polls" in text_of(sign_in("Viewer").get(f"/devices/{row.device_id}/"))


def test_a_devices_commands_tell_updates_from_installations(app: App) -> None:
    row = behind(app)
    install = {"device": row.device, "kind": "InstallApplication", "installation": row}
    CommandFactory(**install, state="done", status="acknowledged")
    CommandFactory(**install, updates_to=NEW)
    text = text_of(sign_in("Viewer").get(f"/devices/{row.device_id}/"))
    assert text.count("> Update app") == text.count("> Install app") == 1


def test_the_list_refreshes_itself_while_an_update_is_under_way(app: App) -> None:
    behind(app)
    assert "data-polls" not in text_of(page(app))
    on_the_way(app)
    assert text_of(page(app)).count("data-polls") == 1


def test_the_catalog_says_how_many_devices_are_behind_and_how_old_the_knowledge_is(app: App) -> None:
    behind(app)
    gave_up(app)
    text = text_of(sign_in("Viewer").get("/catalog/"))
    assert "2 behind" in text
    assert "1 failed" in text
    assert f'href="/catalog/{app.pk}/installations/?update=behind"' in text
    assert "checked <time" in text


@pytest.mark.parametrize(
    ("value", "found"), [("pending", ["Behind", "Failed"]), ("failed", ["Failed"]), ("none", ["Current", "On none"])]
)
def test_apps_are_found_by_their_updates(value: str, found: list[str]) -> None:
    behind(released(listing__name="Behind"))
    gave_up(released(listing__name="Failed"))
    current(released(listing__name="Current"))
    released(listing__name="On none")
    listed = sign_in("Viewer").get("/catalog/", {"update": value}).context["list"]
    assert [str(row.record) for row in listed.table.paginated_rows] == found


def test_a_file_of_the_catalog_has_the_number_of_devices_behind(app: App) -> None:
    behind(app)
    answer: Any = sign_in("Viewer").get("/catalog/?export=csv")
    text = b"".join(answer.streaming_content).decode()
    assert "Version,Updates" in text
    assert ",2.4.1,1," in text


def test_the_queries_of_the_lists_do_not_grow(app: App) -> None:
    browser = sign_in("Operator")

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            browser.get(f"/catalog/{app.pk}/installations/", {"per_page": "100", "update": "app_off"})
            browser.get("/catalog/", {"per_page": "100", "update": "pending"})
        return len(asked)

    def fill(number: int) -> None:
        for _ in range(number):
            behind(app, device__owner=ManagedUserFactory(groups=[UserGroupFactory()]))
            behind(released())

    App.objects.update(update_automatically=False)
    fill(3)
    few = queries()
    fill(60)
    assert queries() == few <= 45
    assert Installation.objects.count() == 126
