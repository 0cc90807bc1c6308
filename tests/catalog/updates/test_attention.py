"""What the home page says of updates."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import App, CatalogSettings, Rollout, RolloutDecision
from tests.factories import ContentTokenFactory, ManagedUserFactory, UpdateWindowFactory, UserGroupFactory
from tests.releases import NEW, behind, current, gave_up, piloted, released
from tests.signed_in import sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def token() -> None:
    ContentTokenFactory()


def said() -> dict[str, str]:
    attention = sign_in("Viewer").get("/").context["attention"]
    return {item.sentence: item.url for item in attention if "out of licenses" not in item.sentence}


def stopped_by_its_pilot(name: str = "Fieldnote") -> App:
    """Return an app whose only pilot device failed, so that another one waits."""
    pilot = UserGroupFactory()
    app = released(listing__name=name, pilot_group=pilot, pilot_hours=24)
    gave_up(app, device__owner=ManagedUserFactory(groups=[pilot]), update_retry_at=timezone.now() + timedelta(hours=1))
    behind(app)
    Rollout.objects.create(app=app, external_version_id=NEW, version="2.4.1", pilot_started_at=timezone.now())
    return app


def test_updates_that_failed_for_good_lead_to_their_devices() -> None:
    app = released()
    gave_up(app)
    gave_up(app, update_retry_at=timezone.now() + timedelta(hours=1))
    gave_up(app, device__unenrolled_at=timezone.now())
    url = f"/catalog/{app.pk}/installations/?update=failed"
    assert said() == {"Updating “Fieldnote” failed on 2 devices.": url}
    assert sign_in("Viewer").get(url).context["list"].count == 2


def test_failed_updates_of_many_apps_are_one_line_that_leads_to_the_apps() -> None:
    for _ in range(4):
        gave_up(released())
    assert said() == {"4 updates of 4 apps failed.": "/catalog/?update=failed"}
    assert sign_in("Viewer").get("/catalog/?update=failed").context["list"].count == 4


def test_a_roll_out_that_its_pilot_stopped_waits_for_a_decision() -> None:
    app = stopped_by_its_pilot()
    sentence = "The roll-out of “Fieldnote” 2.4.1 stopped: its pilot failed on too many devices."
    assert said() == {sentence: f"/catalog/{app.pk}/#updates"}


@pytest.mark.parametrize("decision", [RolloutDecision.HALTED, RolloutDecision.RELEASED])
def test_what_somebody_has_decided_on_needs_nobody(decision: str) -> None:
    stopped_by_its_pilot()
    Rollout.objects.update(decision=decision)
    assert said() == {}


def test_where_the_people_decide_no_pilot_is_waited_for() -> None:
    CatalogSettings.objects.create(pk=1, update_mode="end_users")
    stopped_by_its_pilot()
    assert said() == {}


def test_a_roll_out_whose_pilot_makes_no_headway_waits_for_a_decision() -> None:
    app = released(listing__version_seen_at=timezone.now() - timedelta(hours=25))
    group, _ = piloted(app, 0)
    behind(app, device__owner=ManagedUserFactory(groups=[group]), device__unenrolled_at=timezone.now())
    behind(app)
    sentence = "The roll-out of “Fieldnote” 2.4.1 waits: its pilot is over without a device that has the version."
    assert said() == {sentence: f"/catalog/{app.pk}/#updates"}


def test_many_stopped_roll_outs_are_one_line() -> None:
    for number in range(4):
        stopped_by_its_pilot(f"App {number}")
    sentence = "The roll-outs of 4 apps stopped: their pilots failed on too many devices."
    assert said() == {sentence: "/catalog/?update=pending"}


def test_the_queries_do_not_grow() -> None:
    def queries() -> int:
        browser = sign_in("Viewer")
        with CaptureQueriesContext(connection) as asked:
            browser.get("/")
        return len(asked)

    stopped_by_its_pilot()
    gave_up(released())
    few = queries()
    for number in range(10):
        stopped_by_its_pilot(f"App {number}")
        gave_up(released())
    assert queries() == few


def test_devices_that_wait_for_ever_are_named_with_why() -> None:
    over = UpdateWindowFactory(kind="once", date=timezone.localdate() - timedelta(days=3))
    leaderless, late = released(listing__name="Alpha", pilot_hours=24), released(update_window=over)
    behind(leaderless)
    behind(late)
    behind(released(pilot_hours=24, update_automatically=False))
    current(released(pilot_hours=24))
    words = "wait for ever: its pilot group was deleted, or its one-time window is over."
    assert said() == {
        f"Updates of “Alpha” {words}": f"/catalog/{leaderless.pk}/#updates",
        f"Updates of “{late}” {words}": f"/catalog/{late.pk}/#updates",
    }
    Rollout.objects.create(app=leaderless, external_version_id=NEW, decision=RolloutDecision.RELEASED)
    Rollout.objects.create(app=late, external_version_id=NEW, decision=RolloutDecision.HALTED)
    assert said() == {}


def test_of_many_apps_that_wait_for_ever_the_rest_is_counted() -> None:
    for number in range(5):
        behind(released(listing__name=f"App {number}", pilot_hours=24))
    waiting = list(said().items())
    assert [url.endswith("#updates") for _, url in waiting] == [True, True, True, False]
    assert waiting[-1] == ("So do updates of 2 more apps.", "/catalog/?update=pending")
    assert sign_in("Viewer").get(waiting[-1][1]).context["list"].count == 5
