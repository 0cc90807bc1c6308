"""Pages tell of each installation why it waits, of an app how far it is, and which roll-outs are stopped."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import App, Installation, InstallState, Rollout, UpdateMode, UpdateState
from catalog.updates import Pilot, Verdict, is_comparable, rollouts
from catalog.updates.facts import Pilots, pilots_in_trouble, rulings, summary
from catalog.updates.gathering import BEHIND, GAVE_UP, ON_NEWEST, gather
from tests.factories import DistributionFactory, InstallationFactory, ManagedUserFactory, UpdateWindowFactory
from tests.releases import NEW, begun, behind, piloted, portal, released, stored

pytestmark = pytest.mark.django_db
FAILED: dict[str, Any] = {"update_state": UpdateState.FAILED, "update_to": NEW, "update_tries": 3}
NEVER: dict[str, Any] = {"weekdays": []}


def verdict_of(row: Installation) -> Verdict:
    return rulings([row])[row.pk].verdict


def test_only_installed_apps_are_ruled_on() -> None:
    row, waiting = behind(), InstallationFactory()
    assert rulings([row, waiting]).keys() == {row.pk}
    assert rulings([]) == {}


def test_what_is_stored_decides() -> None:
    app = released(listing__minimum_os="18.0", update_window=UpdateWindowFactory(name="Never", **NEVER))
    assert verdict_of(behind(app)) == Verdict.WINDOW
    assert verdict_of(behind(app, update_asked_for=NEW)) == Verdict.NOW
    assert verdict_of(behind(app, device__os_version="17.4")) == Verdict.OS_TOO_OLD
    assert verdict_of(behind(app, device__retired_at=timezone.now())) == Verdict.UNREACHABLE
    assert verdict_of(behind(app, distribution=DistributionFactory(app=app, paused=True))) == Verdict.PAUSED
    assert verdict_of(behind(app, external_version_id=NEW)) == Verdict.CURRENT
    assert verdict_of(behind(app, external_version_id=None)) == Verdict.UNKNOWN
    assert verdict_of(behind(app, **FAILED)) == Verdict.GAVE_UP
    assert verdict_of(stored(begun())) == Verdict.UNDER_WAY
    App.objects.update(status="rejected")
    assert verdict_of(behind(app)) == Verdict.NOT_APPROVED


def test_the_pilots_people_are_told_from_the_others() -> None:
    app = released()
    _, (first,) = piloted(app)
    assert verdict_of(first) == Verdict.NOW
    assert verdict_of(behind(app)) == Verdict.PILOT


def test_a_pilot_without_its_group_waits_for_another() -> None:
    app = released()
    group, _ = piloted(app)
    group.delete()
    assert "choose another one" in rulings([(row := behind(app))])[row.pk].words


@pytest.mark.parametrize("platforms", ["iOS", "macOS", "iOS,macOS", "iOS,visionOS", "macOS,tvOS", ""])
def test_the_database_compares_versions_as_the_rule_does(platforms: str) -> None:
    app = released(listing__platforms=platforms)
    for platform in ("iOS", "macOS", "tvOS", "visionOS"):
        row = behind(app, device__platform=platform)
        expected = is_comparable(frozenset(filter(None, platforms.split(","))), platform)
        assert Installation.objects.filter(BEHIND, pk=row.pk).exists() == expected
        assert (verdict_of(row) == Verdict.NOT_COMPARABLE) != expected
        Installation.objects.filter(pk=row.pk).update(external_version_id=NEW)
        assert Installation.objects.filter(ON_NEWEST, pk=row.pk).exists() == expected


def test_an_app_is_summed_up() -> None:
    app = released(update_window=UpdateWindowFactory(name="Nights", **NEVER))
    behind(app, external_version_id=NEW)
    behind(app, external_version_id=None)
    for _ in range(2):
        behind(app)
        behind(app, **FAILED, update_details="It is full.")
    behind(app, **FAILED, update_details="The person declined.", update_retry_at=timezone.now() + timedelta(hours=1))
    told = summary(app)
    assert (told.version, told.total, told.on_newest, told.not_known) == ("2.4.1", 7, 1, 1)
    assert told.by_verdict == [
        (Verdict.RETRY, "failed and is tried again", 1),
        (Verdict.GAVE_UP, "failed", 2),
        (Verdict.WINDOW, "wait for the window “Nights”", 2),
    ]
    assert told.failures == [("It is full.", 2), ("The person declined.", 1)]
    assert Installation.objects.filter(GAVE_UP).count() == 2


def test_an_app_on_no_device_has_nothing_to_sum_up() -> None:
    told = summary(released())
    assert (told.total, told.by_verdict, told.failures, told.rollout) == (0, [], [], None)


def test_the_roll_out_of_the_newest_version_is_told() -> None:
    app = released()
    for version in (5, NEW):
        Rollout.objects.create(app=app, external_version_id=version)
    behind(app)
    rollout = summary(app).rollout
    assert rollout is not None
    assert rollout.external_version_id == NEW


def queries_of(number: int) -> int:
    """Return the queries of summing up an app with a pilot, and of ruling on its rows."""
    app = released()
    _, rows = piloted(app, number)
    rows += [behind(app) for _ in range(number)]
    app = App.objects.select_related("listing", "update_window").get(pk=app.pk)
    with CaptureQueriesContext(connection) as queries:
        assert len(rulings(rows)) == 2 * number
        summary(app)
    return len(queries)


def test_the_number_of_queries_does_not_depend_on_the_rows() -> None:
    assert queries_of(2) == queries_of(20) <= 16


def test_roll_outs_that_their_pilot_stopped_are_found() -> None:
    app, fine = released(), released()
    _, (first,) = piloted(app)
    piloted(fine)
    Rollout.objects.create(app=app, external_version_id=NEW)
    Installation.objects.filter(pk=first.pk).update(**FAILED)
    assert pilots_in_trouble() == Pilots()
    behind(app)
    assert pilots_in_trouble() == Pilots(stopped=[app])
    rollouts.release(app, None)
    assert pilots_in_trouble() == Pilots()


@pytest.mark.parametrize("of_the_pilot", [{"device__os_version": "16"}, {"device__unenrolled_at": timezone.now()}])
def test_pilots_that_nobody_can_be_sent_are_found_after_their_time(of_the_pilot: dict[str, Any]) -> None:
    app = released(listing__minimum_os="18.0", listing__version_seen_at=timezone.now() - timedelta(hours=25))
    group, _ = piloted(app, 0)
    behind(app, device__owner=ManagedUserFactory(groups=[group]), **of_the_pilot)
    behind(app, device__os_version="18.0")
    assert pilots_in_trouble() == Pilots(stalled=[app])
    App.objects.update(pilot_hours=26)
    assert pilots_in_trouble() == Pilots()


def test_an_app_that_went_with_its_update_counts_against_the_pilot() -> None:
    app = released()
    _, (first, _) = piloted(app, 2)
    behind(app)
    Installation.objects.filter(pk=first.pk).update(state=InstallState.FAILED, **FAILED)
    facts = gather([app.pk], owners=())
    assert facts.rules[app.pk].pilot == Pilot(2, done=0, failed=1)


def test_where_the_people_decide_no_pilot_stops_anything() -> None:
    app = released()
    _, (first,) = piloted(app)
    Installation.objects.filter(pk=first.pk).update(**FAILED)
    behind(app)
    portal(update_mode=UpdateMode.END_USERS)
    assert pilots_in_trouble() == Pilots()
