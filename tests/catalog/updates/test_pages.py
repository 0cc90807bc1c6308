"""The pages of an app's updates: the card, its rules, updating at once, stopping and going on."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import App, CatalogSettings, Installation, Rollout, RolloutDecision
from tests.factories import ManagedUserFactory, UpdateWindowFactory, UserGroupFactory
from tests.releases import NEW, behind, current, gave_up, on_the_way, released
from tests.signed_in import sign_in
from tokens.models import Listing, ListingVersion
from vppportal.activity.models import Entry

pytestmark = pytest.mark.django_db

AUTOMATIC = {"update_automatically": "on", "update_window": "", "rollout": "at_once"}


@pytest.fixture
def operator() -> Client:
    return sign_in("Operator")


@pytest.fixture
def app() -> App:
    return released()


def text_of(answer: Any) -> str:
    return " ".join(unescape(answer.content.decode()).split())


def card(app: App, role: str = "Operator") -> str:
    return text_of(sign_in(role).get(f"/catalog/{app.pk}/updates/card/"))


def confirmation(app: App, verb: str) -> tuple[str, list[str], str]:
    context = sign_in("Operator").get(f"/catalog/{app.pk}/updates/{verb}/").context
    return context["title"], list(context["sentences"]), context["verb"]


def test_the_card_says_how_old_the_knowledge_is(app: App) -> None:
    text = card(app)
    assert '2.4.1 <div class="subline">seen <time' in text
    assert "3 h ago" in text
    assert "checked <time" in text
    assert "40 min ago" in text


@pytest.mark.parametrize("outcome", ["found", "not_found"])
def test_what_the_store_does_not_show_any_more_is_as_old_as_when_it_did(app: App, outcome: str) -> None:
    asked = timezone.now() - timedelta(minutes=5)
    shown = timezone.now() - timedelta(hours=9)
    Listing.objects.update(outcome=outcome, checked_at=shown, asked_at=asked)
    operator = sign_in("Operator")
    for page in (card(app), text_of(operator.get(f"/catalog/{app.pk}/")), text_of(operator.get("/catalog/"))):
        assert "9 h ago" in page
        assert "the App Store does not show it any more, asked <time" in page
        assert "5 min ago" in page


def test_what_the_store_shows_is_not_said_to_be_gone(app: App) -> None:
    assert "any more" not in card(app)


def test_the_card_counts_why_devices_wait_and_leads_to_them(app: App) -> None:
    App.objects.update(update_window=UpdateWindowFactory(name="Never", kind="once", weekdays=[], date="2020-02-02"))
    for _ in range(2):
        current(app)
        behind(app)
    gave_up(app)
    text = card(app)
    assert "2 of 5 devices on version 2.4.1" in text
    assert "wait for the window “Never”" in text
    assert f'href="/catalog/{app.pk}/installations/?update=window"' in text
    assert f'href="/catalog/{app.pk}/installations/?update=gave_up"' in text
    assert "The storage is full. (1)" in text


def test_the_number_on_the_card_is_the_number_of_rows_it_leads_to(app: App) -> None:
    App.objects.update(update_automatically=False)
    behind(app)
    behind(app)
    gave_up(app)
    on_the_way(app)
    current(app)
    shown = sign_in("Viewer").get(f"/catalog/{app.pk}/").context["updates"].by_verdict
    assert {verdict.value: number for verdict, _words, number in shown} == {
        "under_way": 1,
        "gave_up": 1,
        "app_off": 2,
    }
    for verdict, _words, number in shown:
        page = sign_in("Viewer").get(f"/catalog/{app.pk}/installations/", {"update": verdict.value})
        assert page.context["list"].count == number


def test_versions_of_which_nothing_is_known_are_not_counted_as_behind(app: App) -> None:
    behind(app, external_version_id=None, version="")
    assert "of 1 the version is not known" in card(app)
    assert "Update now" not in card(app)


def test_the_card_refreshes_itself_while_something_moves(app: App) -> None:
    behind(app)
    App.objects.update(update_automatically=False)
    assert "data-polls" not in card(app)
    on_the_way(app)
    assert f'hx-get="/catalog/{app.pk}/updates/card/"' in card(app)


def test_the_card_shows_the_versions_seen_with_their_notes(app: App) -> None:
    ListingVersion.objects.create(
        listing=app.listing, external_version_id=NEW, version="2.4.1", release_notes="Faster lists."
    )
    text = card(app)
    assert "Versions seen last (2)" in text
    assert "Faster lists." in text
    assert text.count(">newest<") == 1


@pytest.mark.parametrize(
    ("mode", "words"),
    [("end_users", "the people decide on their devices"), ("off", "automatic updates are off")],
)
def test_where_the_switch_of_an_app_does_not_count_card_and_form_say_so(
    app: App, operator: Client, mode: str, words: str
) -> None:
    CatalogSettings.objects.create(pk=1, update_mode=mode)
    assert f"Does not count now: in App Settings {words}" in card(app)
    assert words in text_of(operator.get(f"/catalog/{app.pk}/updates/"))


def test_a_viewer_sees_the_card_without_anything_to_press(app: App) -> None:
    behind(app)
    text = card(app, "Viewer")
    assert "0 of 1 device on version 2.4.1" in text
    assert "<button" not in text
    assert "btn-list" not in text
    assert "Change the rules" not in text


def test_an_app_on_no_device_shows_its_version_and_rules_alone(app: App) -> None:
    text = card(app)
    assert "<progress" not in text
    assert "at any time" in text
    assert "all devices at once" in text


def test_asking_the_store_makes_the_listing_due(app: App, operator: Client) -> None:
    Listing.objects.update(state="waiting", next_attempt_at=timezone.now() + timedelta(hours=3))
    assert "Check now" in card(app)
    text = text_of(operator.post(f"/catalog/{app.pk}/updates/check/", follow=True))
    assert "The App Store is asked." in text
    assert "is being asked" in text
    assert Listing.objects.get().next_attempt_at <= timezone.now()
    assert Entry.objects.get().verb == "asked the App Store about"


def test_a_listing_that_nobody_can_look_up_is_not_said_to_be_asked_about_for_ever(app: App) -> None:
    Listing.objects.update(state="waiting", next_attempt_at=timezone.now() - timedelta(days=2))
    text = card(app)
    assert "is being asked" not in text
    assert "data-polls" not in text
    assert "Check now" in text


def test_what_a_worker_is_asking_about_is_not_asked_about_twice(app: App, operator: Client) -> None:
    Listing.objects.update(state="running", lease_until=timezone.now() + timedelta(minutes=1))
    text = text_of(operator.post(f"/catalog/{app.pk}/updates/check/", follow=True))
    assert "The App Store is being asked already." in text
    assert not Entry.objects.exists()


def test_the_rules_of_an_app_are_changed_and_recorded(app: App, operator: Client) -> None:
    window, group = UpdateWindowFactory(name="Nights"), UserGroupFactory(name="IT")
    page = text_of(operator.get(f"/catalog/{app.pk}/updates/"))
    assert "Nights (Mon to Fri, 22:00 to 05:00 the next day)" in page
    typed = {"update_window": window.pk, "rollout": "staged", "pilot_group": group.pk, "pilot_hours": "24"}
    answer = operator.post(f"/catalog/{app.pk}/updates/", {**typed, "pilot_failure_percent": "5"}, follow=True)
    assert "The update rules of “Fieldnote” are saved." in text_of(answer)
    app.refresh_from_db()
    assert (app.update_automatically, app.update_window, app.pilot_group) == (False, window, group)
    assert (app.pilot_hours, app.pilot_failure_percent) == (24, 5)
    entry = Entry.objects.get()
    assert entry.verb == "changed the update rules of"
    assert set(entry.details["fields"]) == {
        *("update_automatically", "update_window", "pilot_group", "pilot_hours", "pilot_failure_percent")
    }
    text = card(app)
    assert "“IT” first" in text
    assert "the others 24 h later, as long as failures stay under 5 %" in text


def test_rules_that_stay_as_they_are_record_nothing(app: App, operator: Client) -> None:
    operator.post(f"/catalog/{app.pk}/updates/", AUTOMATIC)
    assert not Entry.objects.exists()


def test_without_a_pilot_what_was_typed_about_one_does_not_count(app: App, operator: Client) -> None:
    App.objects.update(pilot_group=UserGroupFactory(), pilot_hours=24, pilot_failure_percent=7)
    typed = {**AUTOMATIC, "pilot_hours": "many", "pilot_failure_percent": "1000"}
    assert operator.post(f"/catalog/{app.pk}/updates/", typed).status_code == 302
    app.refresh_from_db()
    assert (app.pilot_group, app.pilot_hours, app.pilot_failure_percent) == (None, None, 7)


@pytest.mark.parametrize(
    ("typed", "field", "sentence"),
    [
        ({"pilot_group": ""}, "pilot_group", "Choose the user group whose devices update first."),
        ({"pilot_hours": ""}, "pilot_hours", "Say how many hours the others wait."),
        ({"pilot_failure_percent": ""}, "pilot_failure_percent", "Say how many percent of these devices may fail."),
        ({"pilot_hours": "0"}, "pilot_hours", "Ensure this value is greater than or equal to 1."),
        ({"pilot_hours": "9999999"}, "pilot_hours", "Ensure this value is less than or equal to 2160."),
        ({"update_window": "99"}, "update_window", "Choose one of the windows, or none."),
    ],
)
def test_bad_rules_are_answered_at_their_field(
    app: App, operator: Client, typed: dict[str, str], field: str, sentence: str
) -> None:
    given = {"rollout": "staged", "pilot_group": UserGroupFactory().pk, "pilot_hours": "24"}
    answer = operator.post(f"/catalog/{app.pk}/updates/", {**given, "pilot_failure_percent": "5", **typed})
    assert answer.status_code == 422
    assert dict(answer.context["form"].errors) == {field: [sentence]}
    assert App.objects.get().pilot_hours is None


def test_a_pilot_whose_group_was_deleted_asks_for_another(app: App) -> None:
    App.objects.update(pilot_hours=24)
    assert "the pilot group was deleted: choose another" in card(app)


def test_updating_now_says_first_on_how_many_devices_and_why_not_on_others(app: App) -> None:
    App.objects.update(update_automatically=False)
    behind(app)
    gave_up(app)
    on_the_way(app)
    current(app)
    behind(app, device__unenrolled_at=timezone.now())
    title, sentences, verb = confirmation(app, "now")
    assert title == "Update “Fieldnote” on 2 devices now?"
    assert "On 1 of these devices updating failed before; it is tried again." in sentences
    assert "Not at once on 1 device: 1 cannot be reached. There it follows later." in sentences
    assert "1 device is being updated already." in sentences
    assert "1 device has version 2.4.1 already." in sentences
    assert verb == "Update now"


def test_updating_now_asks_for_all_that_are_behind(app: App, operator: Client) -> None:
    rows = [behind(app), gave_up(app)]
    current(app)
    text = text_of(operator.post(f"/catalog/{app.pk}/updates/now/", follow=True))
    assert "The update is asked for on 2 devices." in text
    asked = Installation.objects.filter(update_asked_for=NEW)
    assert set(asked.values_list("pk", flat=True)) == {row.pk for row in rows}


def test_where_nothing_is_behind_there_is_nothing_to_update(app: App, operator: Client) -> None:
    current(app)
    title, _sentences, verb = confirmation(app, "now")
    assert (title, verb) == ("Nothing to update for “Fieldnote”", "")
    assert "Nothing was sent" in text_of(operator.post(f"/catalog/{app.pk}/updates/now/", follow=True))


def test_where_the_people_decide_nothing_is_updated_by_hand(app: App, operator: Client) -> None:
    CatalogSettings.objects.create(pk=1, update_mode="end_users")
    behind(app)
    title, sentences, verb = confirmation(app, "now")
    assert (title, verb) == ("Nothing to update for “Fieldnote”", "")
    assert sentences == ["1 device is left to its person: App Settings let the people decide on updates."]
    operator.post(f"/catalog/{app.pk}/updates/now/")
    assert not Installation.objects.filter(update_asked_for=NEW).exists()


def test_a_roll_out_is_stopped_after_saying_who_keeps_what(app: App, operator: Client) -> None:
    App.objects.update(update_window=UpdateWindowFactory())
    behind(app)
    current(app)
    assert "Stop the roll-out" in card(app)
    title, sentences, _verb = confirmation(app, "halt")
    assert title == "Stop the roll-out of “Fieldnote” 2.4.1?"
    assert sentences[0] == "1 device is behind. None of them is sent version 2.4.1 by itself any more."
    assert sentences[1] == "1 device has the version and keeps it; nothing takes it back."
    text = text_of(operator.post(f"/catalog/{app.pk}/updates/halt/", follow=True))
    assert "The roll-out of “Fieldnote” 2.4.1 is stopped." in text
    assert Rollout.objects.get().decision == RolloutDecision.HALTED
    assert "Continue for everybody" in card(app)
    assert "Stop the roll-out" not in card(app)
    again = text_of(operator.post(f"/catalog/{app.pk}/updates/halt/", follow=True))
    assert "Nothing was changed" in again


def test_a_roll_out_goes_on_for_everybody(app: App, operator: Client) -> None:
    pilot = UserGroupFactory(name="IT")
    App.objects.update(pilot_group=pilot, pilot_hours=24)
    behind(app)
    gave_up(app, device__owner=ManagedUserFactory(groups=[pilot]))
    assert "Continue for everybody" in card(app)
    _title, sentences, _verb = confirmation(app, "release")
    assert sentences[0].startswith("1 device that waits is sent version 2.4.1 without waiting for the pilot group")
    assert "On 1 device updating failed so far." in sentences
    text = text_of(operator.post(f"/catalog/{app.pk}/updates/release/", follow=True))
    assert "The roll-out of “Fieldnote” 2.4.1 goes on for everybody." in text
    assert Rollout.objects.get().decision == RolloutDecision.RELEASED


def test_a_stopped_roll_out_goes_on_with_its_pilot(app: App, operator: Client) -> None:
    App.objects.update(pilot_group=UserGroupFactory(name="Pioneers"), pilot_hours=24)
    behind(app)
    assert "Continue with the pilot" not in card(app)
    operator.post(f"/catalog/{app.pk}/updates/halt/")
    assert "Continue with the pilot" in card(app)
    _title, sentences, _verb = confirmation(app, "resume")
    assert sentences[0] == "The devices of the pilot group “Pioneers” are sent version 2.4.1."
    assert "for 24 hours" in sentences[1]
    assert "goes on with its pilot" in text_of(operator.post(f"/catalog/{app.pk}/updates/resume/", follow=True))
    assert Rollout.objects.get().decision == ""


def test_where_no_device_has_the_version_nothing_is_said_of_keeping_it(app: App) -> None:
    behind(app)
    _title, sentences, _verb = confirmation(app, "halt")
    assert not [sentence for sentence in sentences if "nothing takes it back" in sentence]


@pytest.mark.parametrize("verb", ["halt", "release"])
def test_nothing_is_decided_on_a_version_that_was_not_asked_about(operator: Client, app: App, verb: str) -> None:
    behind(app)
    address = f"/catalog/{app.pk}/updates/{verb}/"
    asked = operator.get(address).context["form"].initial
    Listing.objects.update(external_version_id=NEW + 1, version="2.5")
    answer = operator.post(address, asked)
    assert answer.status_code == 409
    assert "the App Store has another version by now" in text_of(answer)
    assert "2.5" in answer.context["title"]
    assert not Rollout.objects.exists()
    operator.post(address, answer.context["form"].initial)
    assert Rollout.objects.get().external_version_id == NEW + 1


@pytest.mark.parametrize("verb", ["halt", "release"])
def test_without_a_known_version_there_is_no_roll_out_to_decide_on(operator: Client, verb: str) -> None:
    app = released(listing__external_version_id=None)
    _title, sentences, button = confirmation(app, verb)
    assert sentences == ["The App Store has not told a version so far."]
    assert button == ""
    operator.post(f"/catalog/{app.pk}/updates/{verb}/")
    assert not Rollout.objects.exists()


@pytest.mark.parametrize("page", ["", "now/", "halt/", "release/", "resume/"])
def test_a_deleted_app_has_no_rules_to_change(operator: Client, page: str) -> None:
    app = released(deleted_at=timezone.now())
    assert operator.get(f"/catalog/{app.pk}/updates/{page}").status_code == 404
    assert operator.get(f"/catalog/{app.pk}/").status_code == 200


def test_the_queries_of_the_card_do_not_grow(app: App, operator: Client) -> None:
    App.objects.update(pilot_group=UserGroupFactory(), pilot_hours=24, update_window=UpdateWindowFactory())

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            operator.get(f"/catalog/{app.pk}/updates/card/")
        return len(asked)

    def fill(number: int) -> None:
        for _ in range(number):
            behind(app, device__owner=ManagedUserFactory(groups=[UserGroupFactory()]))
            gave_up(app)

    fill(2)
    few = queries()
    fill(40)
    assert queries() == few <= 20
