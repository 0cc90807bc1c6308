"""When Apple asks for a pause, no process asks it before the pause is over, and no worker sleeps through it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from django.utils import timezone

from tests.deliveries import deliver, sweep
from tests.locations import Location, assert_level, finish, sync_now
from tokens import connection
from tokens.models import ContentToken, SyncRun, TokenStatus
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db


def in_seconds(seconds: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def ask_for_a_pause(location: Location, path: str, status: int, pause: str) -> None:
    number = {429: 9646, 503: 9729}[status]
    location.sim.control(
        "faults", path=path, location=location.key, status=status, error_number=number, headers={"Retry-After": pause}
    )


def another_process() -> None:
    """Forget what only this process knows of pauses."""
    connection.pace.cache_clear()


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("pause", ["120", "a date"])
@pytest.mark.parametrize("path", ["/client/config", "/assignments"])
def test_the_sync_is_put_off_for_as_long_as_apple_asks(location: Location, status: int, pause: str, path: str) -> None:
    run = location.upload()
    ask_for_a_pause(location, path, status, in_seconds(121) if pause == "a date" else pause)
    run = finish(run)
    assert run.state == WorkState.WAITING
    assert timedelta(seconds=110) < run.next_attempt_at - timezone.now() < timedelta(seconds=125)
    assert ContentToken.objects.get().status == TokenStatus.ACTIVE


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("status", [429, 503])
def test_no_process_asks_before_the_pause_is_over(location: Location, status: int) -> None:
    token = location.mirrored()
    ask_for_a_pause(location, "/users", status, "120")
    sync_now(token)
    asked = len(location.asked())
    for _ in range(3):
        another_process()
        SyncRun.objects.update(next_attempt_at=timezone.now())
        sweep()
        deliver()
    assert len(location.asked()) == asked
    run = SyncRun.objects.latest("pk")
    assert (run.state, run.deaths) == (WorkState.WAITING, 0)
    assert run.next_attempt_at - timezone.now() > timedelta(seconds=100)


def test_other_locations_go_on(make_location: Callable[..., Location]) -> None:
    paused, free = make_location(assets=1), make_location(assets=1)
    run = paused.upload()
    ask_for_a_pause(paused, "/assets", 429, "600")
    assert finish(run).state == WorkState.WAITING
    assert finish(free.upload()).state == WorkState.DONE


@pytest.mark.parametrize("pause", ["0", "-5", "soon", "1"])
def test_a_short_or_senseless_pause_costs_seconds_only(location: Location, pause: str) -> None:
    run = location.upload()
    ask_for_a_pause(location, "/assets", 503, pause)
    run = finish(run)
    assert run.state == WorkState.DONE or run.next_attempt_at - timezone.now() < timedelta(seconds=20)


def test_a_pause_of_ten_years_is_cut_to_hours(location: Location) -> None:
    run = location.upload()
    ask_for_a_pause(location, "/assets", 503, str(10 * 365 * 86400))
    assert finish(run).next_attempt_at - timezone.now() <= timedelta(hours=6)


def test_the_sync_goes_on_after_the_pause(location: Location) -> None:
    token = location.mirrored()
    location.tell("assign", adam_id=location.adam_ids[0], serial_numbers=["NEWSERIAL1"])
    ask_for_a_pause(location, "/assignments", 429, "1")
    run = sync_now(token)
    if run.state == WorkState.WAITING:
        SyncRun.objects.update(next_attempt_at=timezone.now())
        finish(run)
    assert_level(token, location)
