"""Devices are asked for their versions once a day, and where the answer about an update got lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from catalog.models import Command, CommandKind, CommandStatus, Installation, UpdateMode, UpdateState
from catalog.updates import updating, versions_told
from tests.channel import answer, open_list, told
from tests.factories import CommandFactory, InstallationFactory
from tests.releases import NEW, begun, behind, lists, portal, stored

pytestmark = pytest.mark.django_db
LIST = CommandKind.MANAGED_LIST
DAY = timedelta(days=1, minutes=1)


def ago(**time: float) -> Any:
    return timezone.now() - timedelta(**time)


@pytest.mark.parametrize("confirmed_at", [None, timezone.now() - DAY])
def test_a_device_whose_versions_are_old_is_asked_for_all_its_apps(confirmed_at: Any) -> None:
    row = behind(confirmed_at=confirmed_at)
    assert versions_told.ask() == 1
    assert open_list(row.device).payload == {}


def test_a_device_is_asked_whoever_decides_on_updates() -> None:
    portal(update_mode=UpdateMode.END_USERS)
    row = behind(confirmed_at=None)
    updating.propagate()
    assert open_list(row.device)


def test_what_was_told_today_is_not_asked_again() -> None:
    behind(confirmed_at=ago(hours=23))
    InstallationFactory()
    assert versions_told.ask() == 0


def test_a_device_has_one_open_list() -> None:
    row = behind(confirmed_at=None)
    assert versions_told.ask() == 1
    assert versions_told.ask() == 0
    assert Command.objects.filter(device=row.device).count() == 1


def test_a_device_that_says_nothing_of_an_app_is_asked_once_a_day() -> None:
    row = behind(confirmed_at=None)
    versions_told.ask()
    told(answer(open_list(row.device), "Error"))
    assert versions_told.ask() == 0
    Command.objects.update(created_at=ago(days=1, minutes=1))
    assert versions_told.ask() == 1


def test_a_device_that_enrolled_anew_is_asked_at_once() -> None:
    row = behind(confirmed_at=None)
    CommandFactory(device=row.device, enrollment_id="earlier", payload={}, state="failed")
    assert versions_told.ask() == 1


@pytest.mark.parametrize("fields", [{"wiped_at": timezone.now()}, {"unenrolled_at": timezone.now()}])
def test_devices_out_of_reach_are_not_asked(fields: dict[str, Any]) -> None:
    behind(confirmed_at=None, **{f"device__{name}": value for name, value in fields.items()})
    assert versions_told.ask() == 0


def test_so_many_devices_are_asked_in_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions_told, "AT_ONCE", 2)
    for _ in range(3):
        behind(confirmed_at=None)
    assert [versions_told.ask() for _ in range(3)] == [2, 1, 0]


def lost(**waited: float) -> Installation:
    """Return an installation whose update was taken so long ago, and of which nobody asks any more."""
    row = stored(begun())
    Command.objects.update(state="done", status=CommandStatus.ACKNOWLEDGED)
    Installation.objects.update(update_since=ago(**waited))
    return row


def test_an_update_of_which_nobody_asks_is_asked_about() -> None:
    row = lost(minutes=10)
    assert versions_told.look_after_updates() == 1
    asked = open_list(row.device)
    assert asked.payload == {"Identifiers": ["example.app"]}
    assert timedelta(minutes=9) < asked.next_attempt_at - timezone.now() <= timedelta(minutes=10, seconds=5)
    assert versions_told.look_after_updates() == 0


def test_the_answer_ends_it() -> None:
    row = lost(minutes=31)
    versions_told.look_after_updates()
    lists(Command(device=row.device, device_id=row.device_id), "Managed", NEW)
    assert stored(row).update_state == UpdateState.NONE


def test_an_update_whose_command_is_open_is_left_to_whoever_looks_after_commands() -> None:
    begun()
    assert versions_told.look_after_updates() == 0


def test_an_update_of_which_nothing_was_heard_for_two_weeks_has_failed() -> None:
    row = lost(days=15)
    versions_told.look_after_updates()
    row = stored(row)
    assert (row.update_state, row.update_tries) == (UpdateState.FAILED, 1)
    assert row.update_details == "The device has not told for 14 days what became of the update."
    assert not Command.objects.open().exists()


def test_nobody_is_asked_about_a_device_that_is_gone() -> None:
    row = lost(minutes=10)
    row.device.unenrolled_at = timezone.now()
    row.device.save()
    assert versions_told.look_after_updates() == 0
