"""Commands are handed over in batches, once each, and wait while the MDM server is away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from catalog import commands, sending, tasks
from catalog.models import Command, CommandKind, CommandStatus, Installation, InstallState
from tests.channel import on_the_way
from tests.deliveries import taken
from tests.factories import AppFactory, CommandFactory, DeviceFactory, InstallationFactory
from tests.tokens.scripted import Asked, Reply, Scripted, scripted_server
from vppportal.embedded import free_port
from vppportal.groups.models import Device

pytestmark = pytest.mark.django_db
GONE = 'pq: insert or update on table "enrollment_queue" violates foreign key constraint'


@pytest.fixture
def server(settings: Any) -> Iterator[Scripted]:
    """An MDM server that queues everything."""
    with scripted_server() as scripted:
        settings.NANOMDM_URL, settings.NANOMDM_API_KEY = scripted.url, "key"
        scripted.script = queued
        yield scripted


def queued(asked: Asked) -> Reply:
    name = asked.body.split(b"<key>CommandUUID</key>\n\t<string>")[1][:36].decode()
    return Reply({"command_uuid": name, "request_type": "InstallApplication"})


def waiting(number: int = 1, **fields: Any) -> list[Command]:
    """Return install commands that wait to be sent, to a device each."""
    app = AppFactory()
    made: list[Command] = []
    for _ in range(number):
        installation = InstallationFactory(app=app, state=InstallState.READY)
        made.append(
            CommandFactory(device=installation.device, installation=installation, kind=CommandKind.INSTALL, **fields)
        )
    return made


def states() -> set[tuple[str, str]]:
    return set(Command.objects.values_list("status", "installation__state"))


def test_commands_are_sent_once_each_over_a_few_connections(server: Scripted) -> None:
    made = waiting(30)
    assert sending.send() == 30
    assert {asked.path.rsplit("/", 1)[1] for asked in server.asked} == {command.enrollment_id for command in made}
    assert len(server.asked) == 30
    assert server.most_at_once <= 5
    assert states() == {(CommandStatus.SENT, InstallState.SENT)}
    assert sending.send() == 0
    command = Command.objects.first()
    assert command is not None
    assert command.sent_at is not None
    assert (command.attempt, command.is_open) == (0, True)
    assert timedelta(seconds=110) < command.next_attempt_at - timezone.now() <= timedelta(seconds=120)


def test_a_command_is_not_sent_before_its_time(server: Scripted) -> None:
    waiting(next_attempt_at=timezone.now() + timedelta(seconds=30))
    assert not sending.is_due()
    with time_machine.travel(timezone.now() + timedelta(seconds=31), tick=True):
        assert sending.is_due()
        assert sending.send() == 1


def test_what_is_not_pushed_is_sent_all_the_same(server: Scripted) -> None:
    server.script = lambda asked: Reply({**queued(asked).json, "push_error": "no push certificate"}, status=500)
    waiting()
    sending.send()
    assert states() == {(CommandStatus.SENT, InstallState.SENT)}
    assert Command.objects.get().last_error == "no push certificate"


def test_a_removal_stays_a_removal_when_it_is_sent(server: Scripted) -> None:
    on_the_way(CommandKind.REMOVE, InstallState.REMOVING, status=CommandStatus.QUEUED)
    Command.objects.update(next_attempt_at=timezone.now())
    sending.send()
    assert states() == {(CommandStatus.SENT, InstallState.REMOVING)}


def test_while_the_server_is_away_everything_waits_and_only_a_few_try(settings: Any) -> None:
    settings.NANOMDM_URL = f"http://127.0.0.1:{free_port()}"
    waiting(100)
    assert sending.send() == 100
    assert states() == {(CommandStatus.QUEUED, InstallState.READY)}
    words = set(Command.objects.values_list("last_error", flat=True))
    assert words <= {"The MDM server cannot be reached.", "The MDM server is away or slow."}
    pauses = [due - timezone.now() for due in Command.objects.values_list("next_attempt_at", flat=True)]
    assert timedelta(seconds=3) < min(pauses) <= max(pauses) <= timedelta(seconds=6)


def test_pauses_grow_while_the_server_is_away_and_stay_short_enough(settings: Any) -> None:
    settings.NANOMDM_URL = f"http://127.0.0.1:{free_port()}"
    waiting()
    pauses = []
    for _ in range(9):
        sending.send()
        pauses.append((Command.objects.get().next_attempt_at - timezone.now()).total_seconds())
        Command.objects.update(next_attempt_at=timezone.now())
    assert pauses[0] < pauses[2] < pauses[4]
    assert pauses[-1] <= 360


def test_a_key_that_is_refused_loses_nothing(server: Scripted) -> None:
    server.script = [Reply(raw=b"Unauthorized\n", status=401)]
    waiting(20)
    sending.send()
    assert states() == {(CommandStatus.QUEUED, InstallState.READY)}
    assert len(server.asked) <= 5
    assert Command.objects.filter(last_error="The MDM server does not accept the API key.").exists()


def test_trouble_with_one_command_holds_up_no_other(server: Scripted) -> None:
    first, *_ = waiting(20)
    trouble = Reply({"command_error": "too many connections"}, status=500)
    server.script = lambda asked: trouble if first.enrollment_id in asked.path else queued(asked)
    sending.send()
    assert Command.objects.filter(status=CommandStatus.SENT).count() == 19
    first.refresh_from_db()
    assert (first.status, first.is_open) == (CommandStatus.QUEUED, True)


def test_without_a_server_nothing_is_even_taken_up(settings: Any) -> None:
    settings.NANOMDM_URL = ""
    (command,) = waiting()
    assert sending.send() == 0
    assert not sending.is_due()
    assert Command.objects.get().attempt == command.attempt


def test_an_enrollment_the_server_does_not_know_loses_its_command_and_may_get_another(server: Scripted) -> None:
    server.script = [Reply({"command_error": GONE}, status=500)]
    waiting()
    Device.objects.update(enrolled_at=timezone.now() - timedelta(days=1))
    sending.send()
    assert states() == {(CommandStatus.LOST, InstallState.FAILED)}
    installation = Installation.objects.get()
    assert installation.details == "The MDM server does not know this device's enrollment."
    assert installation.retry_at is not None
    assert installation.tries == 1


def test_a_device_that_is_just_enrolling_is_waited_for(server: Scripted) -> None:
    server.script = [Reply({"command_error": GONE}, status=500)]
    waiting()
    sending.send()
    assert states() == {(CommandStatus.QUEUED, InstallState.READY)}
    server.script = queued
    Command.objects.update(next_attempt_at=timezone.now())
    sending.send()
    assert states() == {(CommandStatus.SENT, InstallState.SENT)}


def test_a_command_the_server_does_not_understand_failed_for_good(server: Scripted) -> None:
    server.script = [Reply({"command_error": "decoding command: invalid command"}, status=500)]
    waiting()
    sending.send()
    assert states() == {(CommandStatus.ERROR, InstallState.FAILED)}
    assert Installation.objects.get().retry_at is None


@pytest.mark.parametrize("change", [{"enrollment_id": "another"}, {"unenrolled_at": timezone.now()}])
def test_a_command_for_an_enrollment_that_ended_is_not_sent(server: Scripted, change: dict[str, Any]) -> None:
    waiting()
    Device.objects.update(**change)
    sending.send()
    assert server.asked == []
    assert states() == {(CommandStatus.LOST, InstallState.FAILED)}


def test_a_command_that_takes_workers_down_is_given_up(server: Scripted) -> None:
    waiting(deaths=Command.max_deaths)
    sending.send()
    assert server.asked == []
    assert states() == {(CommandStatus.ERROR, InstallState.FAILED)}


def test_a_command_that_takes_workers_down_takes_no_other_with_it(server: Scripted) -> None:
    made = waiting(4)
    Command.objects.filter(pk=made[0].pk).update(payload={"Identifier": "an app\x01"})  # no property list takes that
    for _ in range(Command.max_deaths + 2):
        with suppress(ValueError):
            while sending.send():
                pass
        Command.objects.filter(state="running").update(lease_until=timezone.now() - timedelta(seconds=1))
    statuses = Command.objects.order_by("pk").values_list("status", flat=True)
    assert list(statuses) == [CommandStatus.ERROR, *[CommandStatus.SENT] * 3]


def test_a_worker_that_dies_after_sending_sends_the_same_command_again(server: Scripted) -> None:
    (command,) = waiting()
    Command.objects.filter(status=CommandStatus.QUEUED).claim(1)
    with time_machine.travel(timezone.now() + Command.lease + timedelta(seconds=1), tick=True):
        sending.send()
    assert str(command.uuid).encode() in server.asked[0].body
    assert states() == {(CommandStatus.SENT, InstallState.SENT)}


@pytest.mark.django_db(transaction=True)
def test_a_command_that_was_cancelled_while_it_was_sent_stays_so(server: Scripted) -> None:
    waiting()

    def cancel_and_queue(asked: Asked) -> Reply:
        Command.objects.update(state="done", status=CommandStatus.CANCELLED)
        connection.close()
        return queued(asked)

    server.script = cancel_and_queue
    sending.send()
    assert states() == {(CommandStatus.CANCELLED, InstallState.READY)}


def test_an_installation_never_has_two_open_commands() -> None:
    installation = InstallationFactory()
    device = installation.device
    twice = [
        Command(
            device=device,
            enrollment_id=device.enrollment_id,
            kind=CommandKind.INSTALL,
            installation=installation,
        )
        for _ in range(2)
    ]
    assert commands.enqueue(twice) == 1
    assert commands.enqueue(twice[:1]) == 1
    assert Command.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_whoever_stores_commands_asks_for_them_to_be_sent() -> None:
    device = DeviceFactory(enrolled=True)
    commands.enqueue([Command(device=device, enrollment_id=device.enrollment_id, kind=CommandKind.INVITE)])
    assert list(taken()) == [("catalog.tasks.send_commands", ())]
    commands.enqueue([])
    assert list(taken()) == []


@pytest.mark.django_db(transaction=True)
def test_the_sweeper_finds_what_is_due(server: Scripted) -> None:
    tasks.sweep_channel()
    assert list(taken()) == []
    waiting()
    CommandFactory(status=CommandStatus.SENT)
    tasks.sweep_channel()
    assert set(taken()) == {("catalog.tasks.send_commands", ()), ("catalog.tasks.chase_commands", ())}


@pytest.mark.django_db(transaction=True)
def test_workers_that_send_at_once_send_nothing_twice(server: Scripted) -> None:
    waiting(40)
    start = threading.Barrier(3)

    def work() -> None:
        start.wait()
        while sending.send(7):
            pass
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked) == 40
    assert len({asked.path for asked in server.asked}) == 40
    assert states() == {(CommandStatus.SENT, InstallState.SENT)}
