"""Updating chosen devices and chosen apps at once, and giving chosen apps the same rules."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.utils import timezone

from catalog.models import App, CatalogSettings, Installation
from tests.factories import UpdateWindowFactory
from tests.releases import NEW, behind, current, gave_up, released
from tests.signed_in import sign_in
from vppportal.activity.models import Entry

pytestmark = pytest.mark.django_db


@pytest.fixture
def app() -> App:
    return released()


def text_of(answer: Any) -> str:
    return " ".join(unescape(answer.content.decode()).split())


def send(url: str, *chosen: Any, role: str = "Operator", **more: str) -> str:
    data = {"selected": [row.pk for row in chosen], **more}
    return text_of(sign_in(role).post(url, data, follow=True))


def asked_for() -> set[int]:
    return set(Installation.objects.filter(update_asked_for=NEW).values_list("pk", flat=True))


def test_chosen_devices_are_updated_after_saying_what_that_does(app: App) -> None:
    rows = [behind(app), gave_up(app), behind(app)]
    url = f"/catalog/{app.pk}/installations/update/"
    text = send(url, *rows[:2], current(app))
    assert "Update “Fieldnote” on 2 devices now?" in text
    assert "On 1 of these devices updating failed before; it is tried again." in text
    assert 'name="confirmed" value="yes"' in text
    assert asked_for() == set()
    assert "The update is asked for on 2 devices." in send(url, *rows[:2], confirmed="yes")
    assert asked_for() == {row.pk for row in rows[:2]}
    assert Entry.objects.get().verb == "asked to update"


def test_all_that_match_the_filters_of_the_list_are_updated(app: App) -> None:
    failed = gave_up(app)
    behind(app)
    url = f"/catalog/{app.pk}/installations/update/?update=gave_up"
    assert "on 1 device now?" in send(url, all_matching="1")
    send(url, all_matching="1", confirmed="yes")
    assert asked_for() == {failed.pk}


def test_devices_that_are_not_reached_get_it_as_soon_as_that_is_possible(app: App) -> None:
    row = behind(app, device__unenrolled_at=timezone.now())
    text = send(f"/catalog/{app.pk}/installations/update/", row)
    assert "Update “Fieldnote” as soon as that is possible?" in text
    assert "Not at once on 1 device: 1 cannot be reached. There it follows later." in text


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("administrators", "Nothing was sent. No device is behind the newest version"),
        ("end_users", "Nothing was sent. 1 device is left to its person"),
    ],
)
def test_where_nothing_can_be_updated_the_list_says_why(app: App, mode: str, words: str) -> None:
    CatalogSettings.objects.create(pk=1, update_mode=mode)
    row = current(app) if mode == "administrators" else behind(app)
    assert words in send(f"/catalog/{app.pk}/installations/update/", row)


def test_rows_of_another_app_are_not_touched(app: App) -> None:
    other = behind(released(listing__name="Other"))
    send(f"/catalog/{app.pk}/installations/update/", other, confirmed="yes")
    assert asked_for() == set()


def test_chosen_apps_are_updated_on_all_their_devices(app: App) -> None:
    rows = [behind(app), behind(app), behind(released(listing__name="Other"))]
    behind(released(listing__name="Not chosen"))
    apps = [app, rows[2].app]
    assert "Update 2 apps on 3 devices now?" in send("/catalog/update/", *apps)
    assert "The update is asked for on 3 devices." in send("/catalog/update/", *apps, confirmed="yes")
    assert asked_for() == {row.pk for row in rows}


def test_an_operator_is_offered_all_of_it_and_a_viewer_nothing(app: App) -> None:
    behind(app)
    for url in ("/catalog/", f"/catalog/{app.pk}/installations/"):
        assert "Update now" in text_of(sign_in("Operator").get(url))
        assert "Update now" not in text_of(sign_in("Viewer").get(url))
    assert "Update rules" in text_of(sign_in("Operator").get("/catalog/"))
    for url in ("/catalog/update/", "/catalog/update-rules/", f"/catalog/{app.pk}/installations/update/"):
        assert sign_in("Viewer").post(url, {"all_matching": "1"}).status_code == 403


def test_chosen_apps_are_given_the_same_rules_after_asking_which(app: App) -> None:
    window, other = UpdateWindowFactory(name="Nights"), released(listing__name="Other")
    untouched = released(listing__name="Not chosen")
    text = send("/catalog/update-rules/", app, other)
    assert "Update rules of 2 apps" in text
    assert "Nights (Mon to Fri, 22:00 to 05:00 the next day)" in text
    given = {"automatic": "off", "window": str(window.pk), "confirmed": "yes"}
    assert "The update rules of 2 apps are saved." in send("/catalog/update-rules/", app, other, **given)
    changed = App.objects.filter(update_automatically=False, update_window=window)
    assert set(changed) == {app, other}
    untouched.refresh_from_db()
    assert untouched.update_automatically
    assert Entry.objects.filter(verb="changed the update rules of").count() == 2


def test_where_the_switch_does_not_count_the_page_says_so(app: App) -> None:
    CatalogSettings.objects.create(pk=1, update_mode="end_users")
    text = send("/catalog/update-rules/", app)
    assert "“Update automatically”: Does not count now: in App Settings the people decide on their devices." in text


def test_what_is_not_chosen_stays_as_each_app_has_it(app: App) -> None:
    App.objects.update(update_window=UpdateWindowFactory(), update_automatically=False)
    send("/catalog/update-rules/", app, automatic="keep", window="any", confirmed="yes")
    app.refresh_from_db()
    assert (app.update_window, app.update_automatically) == (None, False)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"automatic": "keep", "window": "keep"}, "Choose what these apps are given."),
        ({"automatic": "on", "window": "99"}, "99 is not one of the available choices."),
    ],
)
def test_bad_choices_are_answered_and_the_chosen_apps_are_kept(app: App, given: dict[str, str], words: str) -> None:
    text = send("/catalog/update-rules/", app, confirmed="yes", **given)
    assert words in text
    assert f'name="selected" value="{app.pk}"' in text
    assert not Entry.objects.exists()


def test_without_a_choice_there_is_nothing_to_ask(app: App) -> None:
    assert "No app was chosen." in send("/catalog/update-rules/")
