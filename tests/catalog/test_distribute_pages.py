"""From the form over the preview to a distribution in force, and what is said where that cannot be."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import App, Distribution, DistributionState
from tests.factories import (
    AppFactory,
    ContentTokenFactory,
    DeviceFactory,
    DistributionFactory,
    ManagedUserFactory,
    UserGroupFactory,
    bring_app,
)
from tests.signed_in import LIST, sign_in
from tokens.models import ContentToken

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Client:
    return sign_in("Operator")


def typed(**fields: Any) -> dict[str, Any]:
    options = {"license_kind": "automatic", "when": "now", "priority": "100"}
    return {"submission": str(uuid.uuid4()), **options, **fields}


def owned_app(token: ContentToken, **listing: Any) -> App:
    """Return an app of the catalog that a token owns 100 licenses of."""
    app = bring_app(token, **listing).app
    assert app
    return app


def exported(browser: Client, address: str) -> str:
    answer: Any = browser.get(address, {"export": "csv"})
    return b"".join(answer.streaming_content).decode("utf-8-sig")


def preview(browser: Client, pk: int, **fields: Any) -> Any:
    answer = browser.post(f"/catalog/{pk}/distribute/", typed(**fields))
    assert answer.status_code == 302, answer.context["form"].errors
    return browser.get(answer["Location"])


def rows(page: Any) -> list[Any]:
    return [row.record for row in page.context["list"].table.paginated_rows]


def test_the_form_says_how_many_everyone_is(operator: Client) -> None:
    DeviceFactory.create_batch(2, owner=ManagedUserFactory())
    page = operator.get(f"/catalog/{AppFactory().pk}/distribute/").content.decode()
    assert "1 person and 2 devices now" in page


def test_nobody_is_no_audience_and_what_was_typed_stays(operator: Client) -> None:
    answer = operator.post(f"/catalog/{AppFactory().pk}/distribute/", typed(priority="42"))
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "Choose who gets it" in page
    assert 'value="42"' in page
    assert not Distribution.objects.exists()


@pytest.mark.parametrize("priority", ["0", "-3", "10000", "many", ""])
def test_a_priority_that_cannot_be_is_said_at_its_field(operator: Client, priority: str) -> None:
    answer = operator.post(f"/catalog/{AppFactory().pk}/distribute/", typed(is_for_everyone="on", priority=priority))
    assert answer.status_code == 422
    assert answer.context["form"].errors["priority"]


def test_searching_without_scripts_finds_people_and_keeps_what_was_ticked(operator: Client) -> None:
    ticked, found = ManagedUserFactory(name="Ada"), ManagedUserFactory(name="Grace")
    sent = typed(people=[ticked.pk], people_search="grac", search_choices="yes")
    page = operator.post(f"/catalog/{AppFactory().pk}/distribute/", sent).content.decode()
    assert f'value="{ticked.pk}" checked' in page
    assert f'name="people" value="{found.pk}"' in re.sub(r"\s+", " ", page)
    assert "Choose who gets it" not in page
    assert not Distribution.objects.exists()


def test_an_app_that_waits_for_approval_cannot_be_distributed_and_that_is_said_at_once(operator: Client) -> None:
    app = AppFactory(pending=True, listing__name="Numbers")
    address = f"/catalog/{app.pk}/distribute/"
    assert "“Numbers” cannot be distributed before somebody has approved it" in operator.get(address).content.decode()
    assert operator.post(address, typed(is_for_everyone="on")).status_code == 422
    assert not Distribution.objects.exists()


def test_a_double_click_makes_one_draft(operator: Client) -> None:
    app, sent = AppFactory(), typed(is_for_everyone="on")
    for _ in range(2):
        operator.post(f"/catalog/{app.pk}/distribute/", sent)
    assert Distribution.objects.count() == 1


def test_the_preview_says_with_numbers_who_gets_a_license_from_which_token(operator: Client) -> None:
    token = ContentTokenFactory(name="Head office")
    app = owned_app(token)
    DeviceFactory.create_batch(3, enrolled=True)
    DeviceFactory(enrolled=True, os_version="12.0")
    DeviceFactory(platform="macOS", enrolled=True)
    ManagedUserFactory()
    page = preview(operator, app.pk, is_for_everyone="on")
    assert page.context["sentences"] == [
        "3 devices get it with a license, from “Head office”.",
        "2 devices and 1 person are skipped: the app does not run on this platform (1), "
        "the app needs a newer operating system (1), the person has no device (1).",
    ]
    assert len(rows(page)) == 6


def test_the_preview_tells_those_outside_the_token_from_those_in_line(operator: Client) -> None:
    inside = UserGroupFactory()
    token = ContentTokenFactory(name="Sales only")
    token.restricted_to.add(inside)
    app = owned_app(token)
    token.assets.update(total=1, available=1, assigned=0)
    member = ManagedUserFactory(groups=[inside])
    DeviceFactory.create_batch(3, enrolled=True, owner=member)
    DeviceFactory(enrolled=True, owner=ManagedUserFactory())
    DeviceFactory(in_user_enrollment=True, owner=ManagedUserFactory())
    page = preview(operator, app.pk, is_for_everyone="on")
    assert page.context["sentences"] == [
        "1 device gets it with a license, from “Sales only”.",
        "1 device gets it without a license, because the people are outside the user groups of the VPP tokens."
        " No license is used for them.",
        "2 devices wait in line for a license: no license is left.",
        "1 device is skipped: user enrollment needs a license, and the person is outside the token's user groups.",
    ]


def test_the_preview_puts_in_line_whose_license_others_will_have_before_the_person_is_there(operator: Client) -> None:
    token = ContentTokenFactory(name="Head office")
    app = owned_app(token)
    token.assets.update(total=4, available=4, assigned=0)
    DeviceFactory.create_batch(3, enrolled=True)
    for _ in range(3):
        DeviceFactory(in_user_enrollment=True, owner=ManagedUserFactory())
    page = preview(operator, app.pk, is_for_everyone="on")
    assert page.context["sentences"] == [
        "3 devices get it with a license, from “Head office”.",
        "2 devices wait in line for a license: no license is left.",
        "1 device waits for the person: being registered with Apple.",
    ]


def test_targets_are_found_by_what_happens_and_by_text(operator: Client) -> None:
    app = owned_app(ContentTokenFactory())
    DeviceFactory(name="Till 1", enrolled=True, owner=ManagedUserFactory(name="Ada"))
    DeviceFactory(name="Till 2", enrolled=True, os_version="12.0")
    ManagedUserFactory(name="Ada Alone")
    page = preview(operator, app.pk, is_for_everyone="on")
    address = page.request["PATH_INFO"]

    def found(**filters: str) -> list[str]:
        return [str(row.device or row.person) for row in rows(operator.get(address, filters))]

    assert found(fate="licensed") == ["Till 1"]
    assert found(reason="os_too_old") == ["Till 2"]
    assert sorted(found(q="ada")) == ["Ada Alone", "Till 1"]
    assert found(q="till", fate="skipped") == ["Till 2"]
    assert len(found(fate="nonsense")) == 3


def test_the_list_of_targets_is_paged_and_exported_whole(operator: Client) -> None:
    app = owned_app(ContentTokenFactory())
    DeviceFactory.create_batch(30, enrolled=True, owner=ManagedUserFactory(name="Ada"))
    page = preview(operator, app.pk, is_for_everyone="on")
    address = page.request["PATH_INFO"]
    assert len(rows(page)) == 25
    assert len(rows(operator.get(address, {"page": "2"}, headers=LIST))) == 5
    file = exported(operator, address)
    assert file.count("Ada") == 30
    assert file.splitlines()[0] == "Device,Serial number,Person,E-mail,What happens,Why,License,VPP token"


def test_a_preview_of_300_targets_costs_no_more_queries_than_one_of_3(operator: Client) -> None:
    app = owned_app(ContentTokenFactory())

    def look() -> int:
        with CaptureQueriesContext(connection) as queries:
            operator.get(address, {"per_page": "100"})
        return len(queries)

    DeviceFactory.create_batch(3, enrolled=True, owner=ManagedUserFactory())
    address = preview(operator, app.pk, is_for_everyone="on").request["PATH_INFO"]
    few = look()
    for _ in range(3):
        DeviceFactory.create_batch(99, enrolled=True, owner=ManagedUserFactory())
    assert look() == few <= 45


def test_back_to_the_form_keeps_everything_typed(operator: Client) -> None:
    app, group, device = AppFactory(), UserGroupFactory(name="Sales"), DeviceFactory(name="Till 1")
    chosen = {"groups": [group.pk], "excluded_devices": [device.pk], "when": "on_demand", "priority": "7"}
    page = preview(operator, app.pk, **chosen)
    form = operator.get(page.context["back"]).context["form"]
    assert form["when"].value() == "on_demand"
    assert form["priority"].value() == 7
    assert form["submission"].value() == str(page.context["submission"])
    text = operator.get(page.context["back"]).content.decode()
    assert f'value="{group.pk}" checked' in text
    assert f'value="{device.pk}" checked' in text


def test_starting_twice_starts_once_and_leads_to_the_distribution(operator: Client) -> None:
    app = owned_app(ContentTokenFactory())
    page = preview(operator, app.pk, is_for_everyone="on")
    start = f"/catalog/distributions/{page.context['submission']}/start/"
    first, second = operator.post(start, follow=True), operator.post(start, follow=True)
    row = Distribution.objects.get()
    assert row.state == DistributionState.ACTIVE
    assert first.redirect_chain[-1][0] == second.redirect_chain[-1][0] == row.get_absolute_url()
    assert "being distributed" in first.content.decode()
    assert "into force already" in second.content.decode()


def test_discarding_leaves_nothing(operator: Client) -> None:
    app = AppFactory()
    page = preview(operator, app.pk, is_for_everyone="on")
    answer = operator.post(f"/catalog/distributions/{page.context['submission']}/discard/")
    assert answer["Location"] == app.get_absolute_url()
    assert not Distribution.objects.exists()
    gone = operator.get(page.request["PATH_INFO"], follow=True)
    assert "nothing of it is left to preview" in gone.content.decode()


def test_many_apps_are_one_form_and_those_not_approved_are_left_out(operator: Client) -> None:
    token = ContentTokenFactory()
    apps = [owned_app(token, name=f"App {name}") for name in "ABC"]
    chosen = [*(app.pk for app in apps), AppFactory(pending=True).pk]
    DeviceFactory.create_batch(2, enrolled=True)
    form = operator.post("/catalog/distribute/", {"selected": chosen}, follow=True)
    assert "Distribute 3 apps" in form.content.decode()
    assert "1 app is left out: not approved" in form.content.decode()
    sent = typed(is_for_everyone="on", submission=form.context["form"]["submission"].value())
    page = operator.post("/catalog/distribute/", sent, follow=True)
    assert [(str(app), dict(fates)) for app, fates in page.context["by_app"]] == [
        (str(app), {"licensed": 2}) for app in apps
    ]
    only = rows(operator.get(page.request["PATH_INFO"], {"app": apps[1].pk}))
    assert {row.app for row in only} == {apps[1]}
    assert page.context["back"].startswith("/catalog/distribute/?submission=")
    operator.post(f"/catalog/distributions/{sent['submission']}/start/")
    assert Distribution.objects.filter(state=DistributionState.ACTIVE).count() == 3


@pytest.mark.parametrize("chosen", [{}, {"selected": ["x"]}, {"submission": "nonsense"}])
def test_no_apps_are_no_form(operator: Client, chosen: dict[str, Any]) -> None:
    answer = operator.post("/catalog/distribute/", chosen, follow=True)
    assert "hoose at least one app" in answer.content.decode() or "No apps are chosen" in answer.content.decode()


def test_too_many_apps_at_once_are_refused(operator: Client) -> None:
    AppFactory.create_batch(51)
    answer = operator.post("/catalog/distribute/", {"all_matching": "1"}, follow=True)
    assert "Choose at most 50 apps at a time; these are 51." in answer.content.decode()


def test_a_change_is_previewed_and_then_applied(operator: Client) -> None:
    app = owned_app(ContentTokenFactory())
    kept, lost = (DeviceFactory(enrolled=True, name=name) for name in ("Kept", "Lost"))
    row = DistributionFactory(app=app)
    row.devices.add(kept, lost)
    for device in (kept, lost):
        row.installations.create(app=app, device=device, state="installed", confirmed_at=row.created_at)
    address = f"/catalog/distributions/{row.pk}/edit/"
    assert f'value="{lost.pk}" checked' in operator.get(address).content.decode()
    answer = operator.post(address, typed(devices=[kept.pk]))
    page = operator.get(answer["Location"])
    assert "1 device loses it." in page.context["sentences"]
    assert "1 device has it already, or on the way." in " ".join(page.context["sentences"])
    assert set(row.devices.all()) == {kept, lost}
    done = operator.post(f"/catalog/distributions/{page.context['submission']}/start/", follow=True)
    assert done.redirect_chain[-1][0] == row.get_absolute_url()
    assert set(row.devices.all()) == {kept}
    assert "is changed" in done.content.decode()


def test_what_was_stopped_cannot_be_edited(operator: Client) -> None:
    row = DistributionFactory(stopped=True)
    assert operator.get(f"/catalog/distributions/{row.pk}/edit/").status_code == 404


def test_with_very_many_targets_the_preview_shows_one_app_at_a_time(operator: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr("catalog.distribute_pages.MOST_AT_ONCE", 5)
    token = ContentTokenFactory()
    apps = [owned_app(token, name=f"App {name}") for name in "AB"]
    DeviceFactory.create_batch(3, enrolled=True)
    form = operator.post("/catalog/distribute/", {"selected": [app.pk for app in apps]}, follow=True)
    sent = typed(is_for_everyone="on", submission=form.context["form"]["submission"].value())
    page = operator.post("/catalog/distribute/", sent, follow=True)
    assert "one app at a time: <strong>App A</strong>" in page.content.decode()
    assert {str(row.app) for row in rows(page)} == {"App A"}
    other = operator.get(page.request["PATH_INFO"], {"app": str(apps[1].pk), "fate": "licensed"})
    assert {str(row.app) for row in rows(other)} == {"App B"}
    assert f'<input type="hidden" name="app" value="{apps[1].pk}"' in other.content.decode()


def test_the_pages_of_a_preview_are_of_one_moment_and_a_reload_looks_anew(operator: Client) -> None:
    app = owned_app(ContentTokenFactory())
    DeviceFactory(enrolled=True)
    address = preview(operator, app.pk, is_for_everyone="on").request["PATH_INFO"]
    DeviceFactory(enrolled=True)
    assert len(rows(operator.get(address, {"fate": "licensed"}))) == 1
    assert len(rows(operator.get(address))) == 2


def test_a_new_form_proposes_what_is_usual(operator: Client) -> None:
    form = operator.get(f"/catalog/{AppFactory().pk}/distribute/").context["form"]
    chosen = {name: form[name].value() for name in ("license_kind", "when", "priority", "notify_by_email")}
    assert chosen == {"license_kind": "automatic", "when": "now", "priority": 100, "notify_by_email": False}
