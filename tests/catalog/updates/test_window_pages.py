"""The pages of update windows."""

from __future__ import annotations

import re
from datetime import date, time, timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import UpdateWindow, WindowKind
from catalog.updates.wishes import remove_window
from tests.factories import AppFactory, UpdateWindowFactory
from tests.signed_in import sign_in
from vppportal.activity.models import Entry

pytestmark = pytest.mark.django_db

NIGHTS = {"name": "Nights", "kind": "recurring", "weekdays": ["0", "4"], "start": "22:00", "end": "05:00"}


@pytest.fixture
def operator() -> Client:
    return sign_in("Operator")


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


def errors(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 422
    return dict(answer.context["form"].errors)


def test_a_window_is_added_and_its_hours_are_said_in_words(operator: Client) -> None:
    text = text_of(operator.post("/catalog/windows/add/", NIGHTS, follow=True))
    assert "“Nights” is saved. It is open Mon and Fri, 22:00 to 05:00 the next day." in text
    window = UpdateWindow.objects.get()
    assert (window.weekdays, window.date, window.start, window.end) == ([0, 4], None, time(22), time(5))
    entry = Entry.objects.get()
    assert (entry.verb, entry.details["opens"]) == (
        "added the update window",
        "Mon and Fri, 22:00 to 05:00 the next day",
    )


def test_a_window_that_opens_once_has_a_day_and_no_days_of_the_week(operator: Client) -> None:
    day = timezone.localdate() + timedelta(days=3)
    operator.post("/catalog/windows/add/", {**NIGHTS, "kind": "once", "date": day.isoformat()})
    window = UpdateWindow.objects.get()
    assert (window.kind, window.weekdays, window.date) == (WindowKind.ONCE, [], day)


@pytest.mark.parametrize(
    ("typed", "field", "sentence"),
    [
        ({"weekdays": []}, "weekdays", "Tick at least one day, or choose that it opens once."),
        ({"weekdays": ["7"]}, "weekdays", "Tick days of the week."),
        ({"kind": "once"}, "date", "Say on which day it opens."),
        ({"kind": "once", "date": "24.12."}, "date", "Write a day like 2026-12-24."),
        ({"kind": "once", "date": "2020-02-02"}, "date", "This day is over already."),
        ({"start": "late"}, "start", "Write a time like 22:00."),
        ({"end": ""}, "end", "Write a time like 22:00."),
        ({"name": "WEEKENDS"}, "name", "There is an update window of this name already."),
    ],
)
def test_bad_input_is_answered_in_a_sentence_at_its_field(
    operator: Client, typed: dict[str, Any], field: str, sentence: str
) -> None:
    UpdateWindowFactory(name="Weekends")
    answer = operator.post("/catalog/windows/add/", {**NIGHTS, **typed})
    assert errors(answer) == {field: [sentence]}
    assert UpdateWindow.objects.count() == 1


def test_what_does_not_count_for_the_choice_is_no_error(operator: Client) -> None:
    assert operator.post("/catalog/windows/add/", {**NIGHTS, "date": "rubbish"}).status_code == 302
    assert UpdateWindow.objects.get().date is None


def test_what_was_typed_is_kept_in_a_form_with_errors(operator: Client) -> None:
    answer = operator.post("/catalog/windows/add/", {**NIGHTS, "name": "", "weekdays": ["2"]})
    text = text_of(answer)
    assert 'value="22:00"' in text
    ticked = re.findall(r'name="weekdays" value="(.)"[^>]*checked', text)
    assert ticked == ["2"]


def test_an_edit_says_which_apps_it_concerns(operator: Client) -> None:
    window = UpdateWindowFactory(name="Nights")
    AppFactory(listing__name="Fieldnote", update_window=window)
    AppFactory(listing__name="Old", update_window=window, deleted_at=timezone.now())
    text = text_of(operator.get(f"/catalog/windows/{window.pk}/"))
    assert "It is open Mon to Fri, 22:00 to 05:00 the next day, in the time zone of each device." in text
    assert "1 app (“Fieldnote”) follows it from the moment it is saved." in text


def test_a_window_is_changed(operator: Client) -> None:
    window = UpdateWindowFactory(name="Nights")
    operator.post(f"/catalog/windows/{window.pk}/", {**NIGHTS, "end": "06:15"})
    window.refresh_from_db()
    assert (window.end, window.weekdays) == (time(6, 15), [0, 4])
    assert Entry.objects.get().verb == "changed the update window"


def test_a_window_whose_day_is_over_can_still_be_renamed(operator: Client) -> None:
    window = UpdateWindowFactory(kind="once", weekdays=[], date=date(2020, 2, 2))
    typed = {**NIGHTS, "kind": "once", "date": "2020-02-02", "name": "Long ago"}
    assert operator.post(f"/catalog/windows/{window.pk}/", typed).status_code == 302


def test_a_window_that_apps_use_is_not_deleted_and_the_page_names_them(operator: Client) -> None:
    window = UpdateWindowFactory(name="Nights")
    for number in range(7):
        AppFactory(listing__name=f"App {number}", update_window=window)
    answer = operator.post(f"/catalog/windows/{window.pk}/delete/")
    assert answer.status_code == 409
    text = text_of(answer)
    assert "“Nights” cannot be deleted yet" in text
    assert "7 apps (“App 0”, “App 1”, “App 2”, “App 3”, “App 4” and 2 more) update in this window." in text
    assert 'btn-danger">' not in text
    assert UpdateWindow.objects.exists()


def test_a_window_that_no_app_uses_is_deleted(operator: Client) -> None:
    window = UpdateWindowFactory(name="Nights")
    AppFactory(update_window=window, deleted_at=timezone.now())
    assert "No app uses it." in text_of(operator.get(f"/catalog/windows/{window.pk}/delete/"))
    text = text_of(operator.post(f"/catalog/windows/{window.pk}/delete/", follow=True))
    assert "“Nights” is deleted." in text
    assert "No update windows yet" in text
    assert Entry.objects.get().verb == "deleted the update window"


def test_a_window_an_app_takes_at_the_last_moment_stays_with_nothing_recorded() -> None:
    window = UpdateWindowFactory()
    AppFactory(update_window=window)
    assert not remove_window(window, None)
    assert UpdateWindow.objects.exists()
    assert not Entry.objects.exists()


def test_the_list_says_when_each_is_open_and_how_many_apps_use_it() -> None:
    window = UpdateWindowFactory(name="Nights")
    UpdateWindowFactory(name="Maintenance", kind="once", weekdays=[], date=date(2030, 1, 5))
    AppFactory.create_batch(2, update_window=window)
    browser = sign_in("Viewer")
    text = text_of(browser.get("/catalog/windows/"))
    assert "Mon to Fri, 22:00 to 05:00 the next day" in text
    assert "Once on Sat, Jan 5, 2030, 22:00 to 05:00 the next day" in text
    assert f'href="/catalog/?window={window.pk}"' in text
    assert f'href="/catalog/windows/{window.pk}/"' not in text
    assert browser.get(f"/catalog/?window={window.pk}").context["list"].count == 2
    assert "Nights" not in text_of(browser.get("/catalog/windows/?kind=once")).split("<table")[1]


@pytest.mark.parametrize("column", ["name", "opens", "app_count"])
def test_windows_are_sorted_by_every_column(column: str) -> None:
    UpdateWindowFactory.create_batch(2)
    assert sign_in("Viewer").get("/catalog/windows/", {"sort": f"-{column}"}).context["list"].count == 2


def test_the_edit_page_asks_no_more_for_many_apps(operator: Client) -> None:
    window = UpdateWindowFactory()

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            operator.get(f"/catalog/windows/{window.pk}/")
        return len(asked)

    AppFactory.create_batch(2, update_window=window)
    few = queries()
    AppFactory.create_batch(20, update_window=window)
    assert queries() == few
