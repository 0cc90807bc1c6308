"""An app's installations and the line of those who wait for a license."""

from __future__ import annotations

from datetime import timedelta
from html import escape, unescape
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import App, Distribution, Installation, InstallState, Reason, Reconciliation
from tests.factories import (
    AppFactory,
    AssetFactory,
    ContentTokenFactory,
    DeviceFactory,
    DistributionFactory,
    InstallationFactory,
    ManagedUserFactory,
    UserGroupFactory,
)
from tests.signed_in import LIST, sign_in

pytestmark = pytest.mark.django_db

PROGRESS = {"HX-Request": "true", "HX-Target": "progress"}


@pytest.fixture
def app() -> App:
    made: App = AppFactory(listing__name="Fieldnote")
    return made


def page(app: App, role: str = "Viewer", **filters: str) -> Any:
    return sign_in(role).get(f"/catalog/{app.pk}/installations/", filters)


def devices(answer: Any) -> list[str]:
    return [row.record.device.name for row in answer.context["list"].table.paginated_rows]


def test_a_row_says_who_has_the_app_how_far_it_is_and_with_whose_license(app: App) -> None:
    asset = AssetFactory(adam_id=app.adam_id, token=ContentTokenFactory(name="Head office"))
    device = DeviceFactory(name="Ada's iPad", owner=ManagedUserFactory(name="Ada"))
    InstallationFactory(
        app=app, device=device, state="failed", reason="outside", details="No space left.", asset=asset,
        license_kind="device", tries=2, version="3.1",
    )  # fmt: skip
    text = page(app).content.decode()
    for words in (
        "Ada's iPad", ">Ada<", "iOS 19.1", "Failed", Reason.OUTSIDE.label, "No space left.", "Device",
        "Head office", "3.1",
    ):  # fmt: skip
        assert words in unescape(text)


def test_installations_are_found_by_state_reason_license_group_and_platform(app: App) -> None:
    sales = UserGroupFactory(name="Sales")
    person = ManagedUserFactory(groups=[sales])
    InstallationFactory(app=app, installed=True, device__name="One", device__owner=person)
    InstallationFactory(app=app, in_line=True, reason="quota", device__name="Two", device__platform="macOS")

    def found(**filters: str) -> list[str]:
        return devices(page(app, **filters))

    assert found() == ["One", "Two"]
    assert found(state="in_line") == ["Two"]
    assert found(reason="quota") == ["Two"]
    assert found(license="device") == ["One"]
    assert found(group=str(sales.pk)) == ["One"]
    assert found(platform="macOS") == ["Two"]
    assert found(q=person.email) == ["One"]


@pytest.mark.parametrize("column", ["device", "owner", "platform", "state", "reason", "license_kind", "since", "tries"])
def test_installations_are_sorted_by_every_column(app: App, column: str) -> None:
    InstallationFactory.create_batch(2, app=app)
    assert len(devices(page(app, sort=f"-{column}"))) == 2


def test_a_file_has_the_words_of_the_page(app: App) -> None:
    asset = AssetFactory(token=ContentTokenFactory(name="Head office"))
    InstallationFactory(app=app, reason="no_license_left", details="Two are missing.", asset=asset, license_kind="user")
    text = b"".join(page(app, export="csv").streaming_content).decode()
    assert "No license is left: Two are missing." in text
    assert "User from Head office" in text


def test_the_strip_counts_by_state_and_leads_to_the_rows(app: App) -> None:
    InstallationFactory.create_batch(2, app=app, installed=True)
    InstallationFactory(app=app, failed=True)
    InstallationFactory(app=app, state="skipped")
    text = page(app).content.decode()
    assert "Installed on 2 of 3 devices" in text
    assert f'href="/catalog/{app.pk}/installations/?state=failed"' in text


@pytest.mark.parametrize("state", ["licensing", "ready", "sent", "installing", "removing"])
def test_strip_and_list_refresh_themselves_while_something_is_under_way(app: App, state: str) -> None:
    InstallationFactory(app=app, state=state)
    assert page(app).content.decode().count("data-polls") == 2


@pytest.mark.parametrize("state", ["installed", "in_line", "skipped", "offered", "left"])
def test_nothing_refreshes_where_nothing_moves(app: App, state: str) -> None:
    InstallationFactory(app=app, state=state)
    assert "data-polls" not in page(app).content.decode()


def test_a_plan_that_is_being_made_is_under_way(app: App) -> None:
    Reconciliation.objects.create(app=app)
    text = page(app).content.decode()
    assert "Being planned" in text
    assert "Working on it" in text
    Reconciliation.objects.update(next_attempt_at=timezone.now() + timedelta(hours=1))
    assert "On no device yet" in page(app).content.decode()


def test_the_refresh_sends_the_strip_or_the_list_alone(app: App) -> None:
    InstallationFactory(app=app, state="sent")
    browser = sign_in("Viewer")
    strip = browser.get(f"/catalog/{app.pk}/installations/", headers=PROGRESS).content.decode()
    rows = browser.get(f"/catalog/{app.pk}/installations/", headers=LIST).content.decode()
    assert strip.lstrip().startswith('<section id="progress"')
    assert rows.lstrip().startswith('<section id="list"')


def test_an_operator_is_offered_what_fits_the_rows_and_a_viewer_nothing(app: App) -> None:
    InstallationFactory(app=app, failed=True)
    text = page(app, "Operator").content.decode()
    assert "Retry" in text
    assert "Stop for these" in text
    assert "Install\n" not in text
    assert "Retry" not in page(app).content.decode()


def test_only_who_may_see_apps_devices_and_people_sees_who_has_an_app(app: App) -> None:
    assert sign_in(None).get(f"/catalog/{app.pk}/installations/").status_code == 403
    assert sign_in(None).get("/catalog/line/").status_code == 403


def test_the_queries_do_not_grow_with_the_rows(app: App) -> None:
    browser = sign_in("Operator")

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            browser.get(f"/catalog/{app.pk}/installations/", {"per_page": "100"})
            browser.get("/catalog/line/", {"per_page": "100"})
        return len(asked)

    def fill(number: int) -> None:
        for _ in range(number):
            InstallationFactory(
                app=app,
                in_line=True,
                asset=AssetFactory(),
                device__owner=ManagedUserFactory(groups=[UserGroupFactory()]),
            )

    fill(3)
    few = queries()
    fill(300)
    assert queries() == few <= 24


def line(**filters: str) -> Any:
    return sign_in("Viewer").get("/catalog/line/", filters)


def test_the_line_is_ordered_by_priority_and_time_with_a_place_in_the_line_of_each_app() -> None:
    now = timezone.now()
    first, second = AppFactory(listing__name="One"), AppFactory(listing__name="Two")

    def wait(app: App, name: str, minutes: int, priority: int = 100) -> None:
        queued_at = now - timedelta(minutes=minutes)
        InstallationFactory(app=app, in_line=True, queued_at=queued_at, priority=priority, device__name=name)

    wait(first, "late", 1)
    wait(first, "early", 9)
    wait(first, "urgent", 0, priority=1)
    wait(second, "other", 5)
    InstallationFactory(app=first, installed=True, device__name="served")

    def places(**filters: str) -> list[tuple[str, int]]:
        return [
            (row.record.device.name, row.record.place) for row in line(**filters).context["list"].table.paginated_rows
        ]

    assert places() == [("urgent", 1), ("early", 2), ("other", 1), ("late", 3)]
    assert places(app=str(second.pk)) == [("other", 1)]
    assert places(q="late") == [("late", 3)]


def test_an_empty_line_says_so() -> None:
    assert "Nobody waits for a license" in line().content.decode()


def test_the_line_says_why() -> None:
    InstallationFactory(in_line=True, reason="quota", device__owner=ManagedUserFactory(name="Ada"))
    text = line().content.decode()
    assert "Ada" in text
    assert escape(Reason.QUOTA.label) in text


def act(app: App, verb: str, *chosen: Installation, role: str = "Operator", **more: str) -> Any:
    data = {"selected": [row.pk for row in chosen], **more}
    return sign_in(role).post(f"/catalog/{app.pk}/installations/{verb}/", data, follow=True)


@pytest.mark.parametrize("verb", ["retry", "install", "stop"])
def test_a_viewer_may_do_none_of_it(app: App, verb: str) -> None:
    assert act(app, verb, role="Viewer").status_code == 403


def test_what_fits_none_of_the_chosen_says_so(app: App) -> None:
    row = InstallationFactory(app=app, state="removed")
    assert "Nothing is distributed to any of these." in act(app, "stop", row).content.decode()


def test_stopping_asks_first_and_keeps_the_choice(app: App) -> None:
    distribution = DistributionFactory(app=app)
    row = InstallationFactory(app=app, installed=True, distribution=distribution)
    distribution.devices.add(row.device)
    text = act(app, "stop", row).content.decode()
    assert "Stop “Fieldnote” for 1 device?" in text
    assert f'name="selected" value="{row.pk}"' in text
    assert 'name="confirmed" value="yes"' in text
    assert not Distribution.objects.get().excluded_devices.exists()


def test_after_the_confirmation_the_chosen_devices_are_left_out(app: App) -> None:
    distribution = DistributionFactory(app=app)
    rows = InstallationFactory.create_batch(2, app=app, installed=True, distribution=distribution)
    distribution.devices.add(*(row.device for row in rows))
    assert "is stopped for 1 device." in act(app, "stop", rows[0], confirmed="yes").content.decode()
    assert list(Distribution.objects.get().excluded_devices.all()) == [rows[0].device]


def test_all_that_match_are_stopped_with_the_filters_of_the_list(app: App) -> None:
    distribution = DistributionFactory(app=app, is_for_everyone=True)
    InstallationFactory.create_batch(2, app=app, failed=True, distribution=distribution)
    InstallationFactory(app=app, installed=True, distribution=distribution)
    data = {"all_matching": "1", "confirmed": "yes"}
    sign_in("Operator").post(f"/catalog/{app.pk}/installations/stop/?state=failed", data)
    assert Distribution.objects.get().excluded_devices.count() == 2


def test_failed_ones_are_tried_again(app: App) -> None:
    row = InstallationFactory(app=app, failed=True, tries=3)
    assert "1 installation is tried again." in act(app, "retry", row).content.decode()
    assert Reconciliation.objects.get().app == app
    assert "None of these has failed." in act(app, "retry", InstallationFactory(app=app)).content.decode()


def test_what_is_on_demand_is_installed(app: App) -> None:
    row = InstallationFactory(app=app, state=InstallState.OFFERED)
    assert "1 installation is on the way." in act(app, "install", row).content.decode()
    assert Installation.objects.get().is_requested


def test_a_file_of_the_line_has_the_places_whatever_it_leaves_out(app: App) -> None:
    for minutes, name in ((9, "early"), (1, "late")):
        queued_at = timezone.now() - timedelta(minutes=minutes)
        InstallationFactory(app=app, in_line=True, queued_at=queued_at, device__name=name)
    _header, *rows = b"".join(line(export="csv", q="late").streaming_content).decode().splitlines()
    assert [row.split(",")[1] for row in rows] == ["2"]
