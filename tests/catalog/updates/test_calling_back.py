"""Updates that wait to be sent are called back where the rules do not allow them any more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import (
    App,
    Command,
    CommandStatus,
    Distribution,
    Installation,
    UpdateMode,
    UpdateState,
)
from catalog.updates import calling_back, rollouts, updating
from tests.factories import DistributionFactory, UpdateWindowFactory
from tests.releases import NEW, begun, behind, portal, released, stored, update_of
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db


def held_up() -> Command:
    """Return an update that waits for some minutes: the MDM server is away."""
    app = released()
    command = begun(app, distribution=DistributionFactory(app=app))
    Command.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    return command


def status_of(command: Command) -> str:
    return Command.objects.get(pk=command.pk).status


def the_window_is_over() -> None:
    App.objects.update(update_window=UpdateWindowFactory(weekdays=[], start="00:00", end="00:00"))


RULES: list[Callable[[], object]] = [
    the_window_is_over,
    lambda: App.objects.update(update_automatically=False),
    lambda: App.objects.update(deleted_at=timezone.now()),
    lambda: Distribution.objects.update(state="paused"),
    lambda: portal(update_mode=UpdateMode.END_USERS),
    lambda: portal(update_mode=UpdateMode.OFF),
]


@pytest.mark.parametrize("change", RULES)
def test_what_waits_longer_than_its_rules_allow_is_not_sent(change: Callable[[], object]) -> None:
    command = held_up()
    change()
    updating.propagate()
    assert status_of(command) == CommandStatus.CANCELLED
    assert stored(command).update_state == UpdateState.NONE


def test_what_is_still_allowed_goes_on_waiting() -> None:
    command = held_up()
    updating.propagate()
    assert status_of(command) == CommandStatus.QUEUED
    assert stored(command).update_state == UpdateState.UNDER_WAY


def test_what_somebody_asked_for_waits_on_where_windows_close_but_not_where_the_people_decide() -> None:
    command = held_up()
    Installation.objects.update(update_asked_for=NEW)
    the_window_is_over()
    assert calling_back.call_back() == 0
    portal(update_mode=UpdateMode.END_USERS)
    assert calling_back.call_back() == 1
    assert status_of(command) == CommandStatus.CANCELLED


def test_what_is_about_to_be_sent_and_what_was_sent_is_left_alone() -> None:
    fresh = begun()
    out, going = held_up(), held_up()
    Command.objects.filter(pk=out.pk).update(status=CommandStatus.SENT)
    Command.objects.filter(pk=going.pk).update(state=WorkState.RUNNING)
    Command.objects.filter(pk=fresh.pk).update(created_at=timezone.now())
    the_window_is_over()
    assert calling_back.call_back() == 0
    assert all(status_of(command) != CommandStatus.CANCELLED for command in (fresh, out, going))


def test_what_a_worker_died_over_may_be_with_the_mdm_server_and_is_left_alone() -> None:
    command = held_up()
    ended = timezone.now() - timedelta(seconds=1)
    Command.objects.filter(pk=command.pk).update(state=WorkState.RUNNING, lease_until=ended)
    the_window_is_over()
    assert calling_back.call_back() == 0
    assert status_of(command) == CommandStatus.QUEUED


def test_it_is_sent_once_more_when_that_is_allowed_again_and_tries_count_on() -> None:
    command = held_up()
    Installation.objects.update(update_tries=2)
    the_window_is_over()
    updating.propagate()
    App.objects.update(update_window=None)
    assert updating.propagate() == 1
    row = stored(command)
    assert (row.update_state, row.update_to, row.update_tries) == (UpdateState.UNDER_WAY, NEW, 2)


def test_stopping_a_roll_out_calls_all_of_it_back_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling_back, "LOOKED_AT", 4)
    monkeypatch.setattr(calling_back, "AT_ONCE", 3)
    app, other = released(), behind()
    rows = [behind(app) for _ in range(9)]
    updating.propagate()
    rollouts.halt(app, None)
    assert {stored(row).update_state for row in rows} == {UpdateState.NONE}
    assert Command.objects.filter(installation__app=app, status=CommandStatus.CANCELLED).count() == len(rows)
    assert update_of(other)


def test_many_that_wait_cost_as_many_queries_as_a_few() -> None:
    def queries(number: int) -> int:
        app = released()
        for _ in range(number):
            behind(app)
        updating.propagate()
        Command.objects.update(created_at=timezone.now() - timedelta(minutes=5))
        with CaptureQueriesContext(connection) as made:
            calling_back.call_back()
        return len(made)

    assert queries(2) == queries(20)
