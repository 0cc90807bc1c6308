"""Silent commands are looked after: devices are woken and asked, and in the end somebody is told."""

from __future__ import annotations

from datetime import timedelta
from time import sleep
from typing import Any

import pytest
from django.utils import timezone

from catalog import chasing, commands
from catalog.chasing import next_step
from catalog.models import Command, CommandKind, CommandStatus, DeviceEvent, Installation, InstallState
from tests.channel import on_the_way, open_list
from tests.factories import CommandFactory, DeviceFactory
from tests.tokens.scripted import Asked, Reply, scripted_server
from vppportal.groups.models import Device

pytestmark = pytest.mark.django_db
INSTALL, LIST = CommandKind.INSTALL, CommandKind.MANAGED_LIST
NOW = timezone.now()


@pytest.fixture(autouse=True)
def no_push(settings: Any) -> None:
    settings.NANOMDM_PUSH = False


def silent(
    kind: str = INSTALL, *, minutes: float = 3, seen: float | None = None, attempt: int = 1, **fields: Any
) -> Command:
    """Return a command that was sent so many minutes ago to a device that was `seen` so many minutes ago."""
    last_seen_at = NOW - timedelta(minutes=seen) if seen is not None else None
    device = DeviceFactory.build(enrolled=True, last_seen_at=last_seen_at)
    sent_at = NOW - timedelta(minutes=minutes)
    command: Command = CommandFactory.build(
        device=device, kind=kind, status=fields.pop("status", CommandStatus.SENT), sent_at=sent_at, attempt=attempt
    )
    for name, value in fields.items():
        setattr(device, name, value)
    return command


def test_a_silent_device_is_woken_first_and_asked_for_a_list_then() -> None:
    assert next_step(silent(), NOW) == chasing.Step(wakes=True)
    assert next_step(silent(attempt=2), NOW) == chasing.Step(wakes=True, asks_list=True)


def test_a_device_that_was_seen_since_is_asked_at_once() -> None:
    assert next_step(silent(minutes=9, seen=1), NOW).asks_list
    assert not next_step(silent(minutes=9, seen=8), NOW).asks_list


def test_a_device_that_asked_to_wait_is_only_woken() -> None:
    step = next_step(silent(minutes=90, seen=1, attempt=5, status=CommandStatus.NOT_NOW), NOW)
    assert step == chasing.Step(wakes=True)


def test_a_list_whose_answer_was_lost_is_asked_for_anew() -> None:
    step = next_step(silent(LIST, minutes=9, seen=1), NOW)
    assert (step.words, step.asks_list) == ("The device's answer was lost.", True)
    assert next_step(silent(LIST, minutes=9, seen=30), NOW) == chasing.Step(wakes=True)


def test_other_commands_are_given_up_after_a_while_of_a_device_that_is_there() -> None:
    assert not next_step(silent(CommandKind.INVITE, minutes=60, seen=1, attempt=3), NOW).words
    assert next_step(silent(CommandKind.INVITE, minutes=60, seen=1, attempt=4), NOW).words


def test_nobody_waits_for_ever() -> None:
    step = next_step(silent(minutes=15 * 24 * 60), NOW)
    assert (step.words, step.may_help_again) == ("The device has not answered for 14 days.", False)


@pytest.mark.parametrize("change", [{"enrollment_id": "new"}, {"unenrolled_at": NOW}, {"enrollment_id": ""}])
def test_an_enrollment_that_ended_answers_no_more(change: dict[str, Any]) -> None:
    assert next_step(silent(**change), NOW).may_help_again


def test_looking_after_a_command_takes_longer_pauses_each_time() -> None:
    on_the_way(INSTALL, InstallState.SENT)
    pauses = []
    for _ in range(10):
        Command.objects.filter(kind=INSTALL).update(next_attempt_at=timezone.now())
        chasing.chase()
        due = Command.objects.get(kind=INSTALL).next_attempt_at
        pauses.append((due - timezone.now()).total_seconds())
    assert 119 <= pauses[0] <= 145
    assert pauses[0] < pauses[2] < pauses[4]
    assert pauses[-1] <= 6 * 3600
    assert open_list(Device.objects.get()).payload == {"Identifiers": ["example.app"]}


def test_a_command_that_is_given_up_says_so_where_the_app_is() -> None:
    on_the_way(INSTALL, InstallState.SENT)
    Command.objects.update(sent_at=timezone.now() - timedelta(days=15), next_attempt_at=timezone.now())
    chasing.chase()
    installation = Installation.objects.get()
    assert (installation.state, installation.retry_at) == (InstallState.FAILED, None)
    assert installation.details == "The device has not answered for 14 days."
    assert Command.objects.get().status == CommandStatus.LOST


def test_a_list_that_is_lost_makes_room_for_the_next() -> None:
    command = on_the_way(INSTALL, InstallState.INSTALLING, state="done")
    device = command.device
    sent_at = timezone.now() - timedelta(minutes=9)
    CommandFactory(device=device, status=CommandStatus.SENT, sent_at=sent_at)
    Device.objects.update(last_seen_at=timezone.now())
    chasing.chase()
    assert Command.objects.filter(kind=LIST, status=CommandStatus.LOST).count() == 1
    assert open_list(device).status == CommandStatus.QUEUED


def test_commands_that_wait_to_be_sent_are_not_chased() -> None:
    CommandFactory()
    assert not chasing.is_due()
    assert chasing.chase() == 0


def test_old_events_and_closed_commands_are_forgotten() -> None:
    now = timezone.now()
    for days, state in ((15, "done"), (13, "done"), (15, "waiting")):
        DeviceEvent.objects.create(
            event_id=f"{days}{state}", happened_at=now, received_at=now - timedelta(days=days), state=state
        )
    for days, state in ((91, "done"), (89, "done"), (91, "waiting")):
        CommandFactory(created_at=now - timedelta(days=days), state=state)
    commands.forget()
    assert set(DeviceEvent.objects.values_list("event_id", flat=True)) == {"13done", "15waiting"}
    assert Command.objects.count() == 2


def test_an_install_that_its_device_may_still_carry_out_is_not_forgotten() -> None:
    command = on_the_way(INSTALL, InstallState.FAILED, status=CommandStatus.LOST, state="failed")
    long_ago = timezone.now() - timedelta(days=91)
    Device.objects.update(enrolled_at=long_ago)
    Command.objects.update(created_at=long_ago)
    commands.forget()
    assert Command.objects.get() == command
    Device.objects.update(enrolled_at=timezone.now())
    commands.forget()
    assert not Command.objects.exists()


def test_a_server_that_hangs_does_not_keep_a_batch_for_longer_than_its_lease(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [on_the_way(INSTALL, InstallState.SENT) for _ in range(20)]
    Command.objects.update(sent_at=NOW - timedelta(minutes=3), next_attempt_at=NOW)
    monkeypatch.setattr(chasing, "PATIENCE", 0.3)

    def slow(asked: Asked) -> Reply:
        sleep(0.2)
        return Reply({})

    with scripted_server() as server:
        server.script = slow
        settings.NANOMDM_URL, settings.NANOMDM_API_KEY, settings.NANOMDM_PUSH = server.url, "key", True
        assert chasing.chase() == len(made)
        assert 0 < len(server.asked) < len(made)
    assert set(Command.objects.values_list("state", "deaths")) == {("waiting", 0)}
