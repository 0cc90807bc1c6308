"""A pass sends what the rules allow, once; people update by hand, stop a roll-out, and let it go on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog import tasks
from catalog.models import (
    App,
    Command,
    CommandKind,
    CommandStatus,
    Installation,
    InstallState,
    Rollout,
    RolloutDecision,
    UpdateMode,
    UpdateState,
)
from catalog.updates import rollouts, updating
from tests.channel import answer, refusal, told
from tests.factories import CommandFactory, DistributionFactory, UpdateWindowFactory, UserFactory
from tests.releases import NEW, begun, behind, piloted, portal, released, stored, update_of
from tokens.models import Listing
from vppportal.activity.models import Entry
from vppportal.groups.models import Device

pytestmark = pytest.mark.django_db


def sent(app: App) -> int:
    """Return how many updates of an app were ever stored to be sent."""
    return Command.objects.filter(installation__app=app, updates_to__isnull=False).count()


def test_what_is_behind_is_sent_the_same_command_as_an_installation() -> None:
    row = behind()
    assert updating.propagate() == 1
    command = update_of(row)
    assert (command.kind, command.updates_to, command.status) == (CommandKind.INSTALL, NEW, CommandStatus.QUEUED)
    assert command.payload["iTunesStoreID"] == int(row.app.adam_id)
    row = stored(row)
    assert (row.state, row.update_state, row.update_to) == (InstallState.INSTALLED, UpdateState.UNDER_WAY, NEW)


def test_a_second_pass_sends_nothing_more() -> None:
    row = behind()
    updating.propagate()
    assert updating.propagate() == 0
    assert sent(row.app) == 1


def test_what_is_up_to_date_is_left_alone() -> None:
    behind(external_version_id=NEW)
    behind(external_version_id=None)
    assert updating.propagate() == 0
    assert not Command.objects.filter(kind=CommandKind.INSTALL).exists()


@pytest.mark.parametrize(
    "fields",
    [{"status": "pending"}, {"deleted_at": timezone.now()}, {"update_automatically": False}],
)
def test_apps_that_may_not_be_updated_are_not(fields: dict[str, Any]) -> None:
    behind(released(**fields))
    assert updating.propagate() == 0


@pytest.mark.parametrize("mode", [UpdateMode.OFF, UpdateMode.END_USERS])
def test_the_portal_may_leave_updates_alone(mode: UpdateMode) -> None:
    portal(update_mode=mode)
    behind()
    assert updating.propagate() == 0


def test_devices_out_of_reach_and_paused_ones_wait() -> None:
    app = released()
    behind(app, device__wiped_at=timezone.now())
    behind(app, device__unenrolled_at=timezone.now())
    behind(app, distribution=DistributionFactory(app=app, paused=True))
    assert updating.propagate() == 0


def test_a_window_is_looked_at_in_the_time_zone_of_each_device() -> None:
    app = released(update_window=UpdateWindowFactory(start="00:00", end="12:00", weekdays=[*range(7)]))
    here, there = behind(app, device__time_zone="Etc/GMT+0"), behind(app, device__time_zone="Etc/GMT-12")
    assert updating.propagate() == 1
    hour = timezone.now().hour
    assert update_of(here if hour < 12 else there)


def test_a_zone_that_nobody_knows_counts_as_the_portals() -> None:
    hour = timezone.now().hour
    portal(time_zone="Etc/GMT-12" if hour >= 12 else "UTC")
    app = released(update_window=UpdateWindowFactory(start="00:00", end="12:00", weekdays=[*range(7)]))
    behind(app, device__time_zone="Mars/Olympus")
    assert updating.propagate() == 1


def test_an_installation_with_an_open_command_waits_for_it() -> None:
    row = behind()
    CommandFactory(device=row.device, installation=row, kind=CommandKind.INSTALL)
    assert updating.propagate() == 0
    assert stored(row).update_state == UpdateState.NONE


def test_a_newer_version_begins_new_tries() -> None:
    row = stored(begun())
    Installation.objects.update(update_state=UpdateState.FAILED, update_tries=3)
    Command.objects.update(state="failed")
    assert updating.propagate() == 0
    Listing.objects.update(external_version_id=NEW + 1)
    assert updating.propagate() == 1
    assert (stored(row).update_tries, stored(row).update_to) == (0, NEW + 1)


def test_a_store_that_goes_back_and_forth_causes_no_storm() -> None:
    row = behind()
    for _ in range(4):
        updating.propagate()
        Command.objects.open().update(state="failed")
        Installation.objects.filter(update_state=UpdateState.UNDER_WAY).update(
            update_state=UpdateState.FAILED, update_tries=3
        )
        for version in (15, NEW):
            Listing.objects.update(external_version_id=version)
            updating.propagate()
    assert sent(row.app) == 1


def test_the_pilot_goes_first_and_the_others_follow() -> None:
    app = released()
    _, (first,) = piloted(app)
    other = behind(app)
    assert updating.propagate() == 1
    assert stored(first).update_state == UpdateState.UNDER_WAY
    Installation.objects.filter(pk=first.pk).update(external_version_id=NEW, update_state="", update_to=None)
    assert updating.propagate() == 0
    Rollout.objects.update(pilot_started_at=timezone.now() - timedelta(hours=24))
    assert updating.propagate() == 1
    assert stored(other).update_state == UpdateState.UNDER_WAY


def test_a_pilot_that_fails_stops_the_roll_out() -> None:
    app = released()
    _, (first,) = piloted(app)
    other = behind(app)
    updating.propagate()
    told(answer(update_of(first), "Error", **refusal(12031)))
    Rollout.objects.update(pilot_started_at=timezone.now() - timedelta(days=3))
    assert updating.propagate() == 0
    assert rollouts.release(app, UserFactory())
    assert updating.propagate() == 1
    assert stored(other).update_state == UpdateState.UNDER_WAY


@pytest.mark.parametrize("state", [UpdateState.FAILED, UpdateState.UNDER_WAY])
def test_a_pilot_that_failed_lets_nobody_through_while_it_is_tried_again(state: UpdateState) -> None:
    app = released()
    _, (well, failing) = piloted(app, 2)
    behind(app)
    updating.propagate()
    Installation.objects.filter(pk=well.pk).update(external_version_id=NEW, update_state="", update_to=None)
    Installation.objects.filter(pk=failing.pk).update(
        update_state=state, update_tries=1, update_retry_at=timezone.now() + timedelta(minutes=5)
    )
    Rollout.objects.update(pilot_started_at=timezone.now() - timedelta(days=3))
    assert updating.propagate() == 0


def test_a_pilot_that_failed_and_is_updated_by_hand_lets_nobody_through_before_it_is_there() -> None:
    app = released()
    _, (well, failing) = piloted(app, 2)
    other = behind(app)
    updating.propagate()
    Installation.objects.filter(pk=well.pk).update(external_version_id=NEW, update_state="", update_to=None)
    told(answer(update_of(failing), "Error", **refusal(12031)))
    Rollout.objects.update(pilot_started_at=timezone.now() - timedelta(days=3))
    updating.update_now(Installation.objects.filter(pk=failing.pk), None)
    assert updating.propagate() == 1
    assert update_of(failing)
    assert updating.propagate() == 0
    Installation.objects.filter(pk=failing.pk).update(external_version_id=NEW, update_state="", update_tries=0)
    assert updating.propagate() == 1
    assert update_of(other)


def test_updating_by_hand_skips_windows_pilots_and_switches() -> None:
    portal(update_mode=UpdateMode.OFF)
    app = released(update_automatically=False)
    piloted(app, 0)
    row = behind(app)
    assert updating.update_now(app.installations.all(), UserFactory(username="ada")) == 1
    entry = Entry.objects.get(verb="asked to update")
    assert (entry.actor_name, entry.object_name, entry.details) == ("ada", str(app), {"devices": 1})
    assert updating.propagate() == 1
    assert stored(row).update_asked_for == NEW


def test_updating_by_hand_tries_again_what_was_given_up() -> None:
    row = behind(update_state=UpdateState.FAILED, update_to=NEW, update_tries=3, update_details="It is full.")
    assert updating.propagate() == 0
    assert updating.update_now(Installation.objects.all(), None) == 1
    assert updating.propagate() == 1
    assert (stored(row).update_tries, stored(row).update_details) == (1, "")


def test_updating_by_hand_reaches_only_what_is_behind_and_not_under_way() -> None:
    begun()
    behind(external_version_id=NEW)
    behind(released(listing__platforms="iOS,macOS"), device__platform="macOS")
    assert updating.update_now(Installation.objects.all(), None) == 0
    assert not Entry.objects.filter(verb="asked to update").exists()


def test_a_version_that_came_out_after_it_was_asked_for_keeps_to_the_rules() -> None:
    app = released(update_automatically=False)
    row = behind(app, device__unenrolled_at=timezone.now())
    updating.update_now(app.installations.all(), None)
    Listing.objects.update(external_version_id=NEW + 1)
    Device.objects.update(unenrolled_at=None)
    assert updating.propagate() == 0
    updating.update_now(app.installations.all(), None)
    assert updating.propagate() == 1
    assert stored(row).update_to == NEW + 1


def asking_for(number: int) -> int:
    """Ask for the updates of so many apps; return the queries."""
    apps = [released() for _ in range(number)]
    rows = [behind(app).pk for app in apps for _ in range(3)]
    with CaptureQueriesContext(connection) as queries:
        assert updating.update_now(Installation.objects.filter(pk__in=rows), None) == len(rows)
    assert Entry.objects.filter(object_id__in=[app.pk for app in apps], details={"devices": 3}).count() == number
    return len(queries)


def test_asking_for_the_updates_of_many_apps_costs_as_many_queries_as_of_one() -> None:
    assert asking_for(1) == asking_for(12)


def test_nothing_is_updated_by_hand_where_the_people_decide() -> None:
    portal(update_mode=UpdateMode.END_USERS)
    behind()
    assert updating.update_now(Installation.objects.all(), None) == 0


def test_a_pass_calls_back_what_slipped_through() -> None:
    command = begun()
    app = stored(command).app
    Rollout.objects.create(app=app, external_version_id=NEW, decision=RolloutDecision.HALTED)
    updating.propagate()
    command.refresh_from_db()
    assert command.status == CommandStatus.CANCELLED


def pass_over(number: int) -> int:
    """Let so many devices of three apps, some of them in a pilot, wait or be updated; return a pass's queries."""
    for app in (released(), released(update_window=UpdateWindowFactory(start="00:00", end="00:00", weekdays=[]))):
        for _ in range(number):
            behind(app)
    piloted(app, number)
    with CaptureQueriesContext(connection) as queries:
        assert updating.propagate() == number
    return len(queries)


def test_many_devices_cost_as_many_queries_as_a_few() -> None:
    few = pass_over(3)
    # SQLite takes some forty rows a statement.
    assert pass_over(30) <= few + 3


def test_those_who_ask_during_a_pass_get_one_more_together(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []

    def propagate() -> int:
        passes.append(len(passes))
        if len(passes) == 1:
            for _ in range(5):
                tasks.propagate_updates()
        return 0

    monkeypatch.setattr(updating, "propagate", propagate)
    tasks.propagate_updates()
    assert passes == [0, 1]


def test_a_worker_that_died_in_a_pass_holds_nobody_up_for_ever() -> None:
    behind()
    cache.add("updates-being-sent", True, updating.LONGEST_PASS)
    tasks.propagate_updates()
    assert not Command.objects.exists()
    cache.clear()
    tasks.propagate_updates()
    assert Command.objects.filter(updates_to=NEW).count() == 1
