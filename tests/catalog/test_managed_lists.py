"""Lists of devices' managed apps decide what became of an app, and are asked for as long as that is open."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.models import Command, CommandKind, CommandStatus, Installation, InstallState
from tests.channel import answer, fate, installation_of, is_planned, list_says, on_the_way, open_list, refusal, told
from tests.factories import AppFactory, CommandFactory, InstallationFactory

pytestmark = pytest.mark.django_db
INSTALL, REMOVE = CommandKind.INSTALL, CommandKind.REMOVE


def test_a_list_makes_an_app_installed_with_its_version() -> None:
    app = AppFactory(listing__bundle_id="example.app", listing__version="3.2.1", listing__external_version_id=77)
    command = on_the_way(INSTALL, InstallState.SENT, app=app)
    told(answer(command, "Acknowledged", State="Queued"))
    asked = open_list(command.device)
    entry = {"Status": "Managed", "ExternalVersionIdentifier": 77}
    told(answer(asked, "Acknowledged", ManagedApplicationList={"Example.App": entry}))
    installation = installation_of(command)
    assert (installation.state, installation.version, installation.external_version_id) == ("installed", "3.2.1", 77)
    assert installation.confirmed_at == installation.since
    assert not is_planned(installation)
    assert not Command.objects.open().exists()


def test_a_version_that_the_store_does_not_know_is_not_named_after_another() -> None:
    command = on_the_way(INSTALL, InstallState.INSTALLING)
    asked = CommandFactory(device=command.device, status=CommandStatus.SENT)
    entry = {"Status": "Managed", "ExternalVersionIdentifier": 5}
    told(answer(asked, "Acknowledged", ManagedApplicationList={"example.app": entry}))
    assert (installation_of(command).version, installation_of(command).external_version_id) == ("", 5)


def test_lists_are_asked_for_at_growing_intervals_until_the_app_is_there() -> None:
    command = on_the_way(INSTALL, InstallState.SENT)
    start = timezone.now() - timedelta(seconds=40)
    told(answer(command, "Acknowledged", at=start, State="Queued"))
    pauses = []
    for waited in (5, 10, 20, 40):
        list_says(command.device, at=start + timedelta(seconds=waited), example_app="Installing")
        pauses.append(round((open_list(command.device).next_attempt_at - timezone.now()).total_seconds()))
    assert pauses == [5, 10, 20, 40]
    assert installation_of(command).state == InstallState.INSTALLING
    assert installation_of(command).since == start
    assert installation_of(command).details == "The device is installing the app."
    list_says(command.device, example_app="Managed")
    assert installation_of(command).state == InstallState.INSTALLED


def test_an_app_that_never_appears_has_failed_in_the_end() -> None:
    command = on_the_way(INSTALL, InstallState.SENT)
    told(answer(command, "Acknowledged", at=timezone.now() - timedelta(hours=7), State="Queued"))
    list_says(command.device)
    assert fate(command)[1:] == ("failed", "The device took the command, but does not have the app.")
    assert installation_of(command).retry_at is None
    assert not Command.objects.open().exists()


def test_an_app_is_removed_when_a_list_does_not_name_it_any_more() -> None:
    command = on_the_way(REMOVE, InstallState.REMOVING)
    Installation.objects.update(confirmed_at=timezone.now() - timedelta(days=1), external_version_id=5)
    told(answer(command, "Acknowledged"))
    assert installation_of(command).state == InstallState.REMOVING
    list_says(command.device, example_app="Managed")
    assert installation_of(command).state == InstallState.REMOVING
    list_says(command.device)
    installation = installation_of(command)
    assert (installation.state, installation.confirmed_at) == (InstallState.REMOVED, None)
    assert is_planned(installation)
    assert not Command.objects.open().exists()


def test_a_list_that_was_made_before_the_command_decides_nothing() -> None:
    command = on_the_way(INSTALL, InstallState.SENT)
    CommandFactory(device=command.device, status=CommandStatus.SENT)
    list_says(command.device, at=timezone.now() - timedelta(minutes=5), example_app="Managed")
    assert installation_of(command).state == InstallState.SENT
    assert open_list(command.device)


def test_an_older_list_never_counts_over_a_newer() -> None:
    command = on_the_way(INSTALL, InstallState.INSTALLED)
    Installation.objects.update(confirmed_at=timezone.now())
    CommandFactory(device=command.device, status=CommandStatus.SENT)
    list_says(command.device, at=timezone.now() - timedelta(seconds=30))
    assert installation_of(command).state == InstallState.INSTALLED


def test_an_app_that_somebody_deleted_is_not_installed_any_more() -> None:
    command = on_the_way(INSTALL, InstallState.INSTALLED)
    CommandFactory(device=command.device, status=CommandStatus.SENT)
    list_says(command.device, example_app="ManagedButUninstalled")
    installation = installation_of(command)
    assert (installation.state, installation.confirmed_at) == (InstallState.FAILED, None)
    assert installation.details == "Somebody removed the app from the device."


def test_a_list_of_some_apps_says_nothing_about_others() -> None:
    command = on_the_way(INSTALL, InstallState.INSTALLED)
    CommandFactory(device=command.device, status=CommandStatus.SENT, payload={"Identifiers": ["another.app"]})
    list_says(command.device, another_app="Managed")
    assert installation_of(command).state == InstallState.INSTALLED


def test_an_app_on_its_way_that_a_list_was_not_asked_about_is_asked_about_next() -> None:
    command = on_the_way(INSTALL, InstallState.INSTALLING)
    CommandFactory(device=command.device, status=CommandStatus.SENT, payload={"Identifiers": ["another.app"]})
    list_says(command.device)
    assert open_list(command.device).payload == {"Identifiers": ["example.app"]}


def test_a_list_closes_the_command_whose_answer_was_lost() -> None:
    command = on_the_way(INSTALL, InstallState.SENT)
    CommandFactory(device=command.device, status=CommandStatus.SENT)
    list_says(command.device, example_app="Managed")
    assert fate(command)[:2] == ("acknowledged", "installed")


def test_a_command_the_device_came_past_without_a_trace_is_sent_again() -> None:
    command = on_the_way(INSTALL, InstallState.SENT)
    Command.objects.update(sent_at=timezone.now() - timedelta(minutes=3))
    CommandFactory(device=command.device, status=CommandStatus.SENT)
    list_says(command.device)
    assert fate(command)[:2] == ("lost", "failed")
    assert installation_of(command).retry_at is not None


def test_a_list_that_is_refused_is_asked_for_again_and_not_for_ever() -> None:
    command = on_the_way(INSTALL, InstallState.INSTALLING)
    asked = CommandFactory(device=command.device, status=CommandStatus.SENT)
    told(answer(asked, "Error", **refusal(12021)))
    assert installation_of(command).state == InstallState.INSTALLING
    Installation.objects.update(since=timezone.now() - timedelta(hours=7))
    told(answer(open_list(command.device), "Error", **refusal(12021)))
    assert fate(command)[1:] == ("failed", "The device does not tell what became of the app.")
    assert not Command.objects.open().exists()


def test_a_device_has_one_open_list_that_grows_while_it_waits() -> None:
    first = on_the_way(INSTALL, InstallState.SENT)
    second = CommandFactory(
        device=first.device,
        kind=INSTALL,
        status=CommandStatus.SENT,
        installation=InstallationFactory(
            device=first.device, app=AppFactory(listing__bundle_id="second.app"), state=InstallState.SENT
        ),
    )
    later = timezone.now() + timedelta(hours=1)
    CommandFactory(device=first.device, payload={"Identifiers": ["old.app"]}, next_attempt_at=later)
    told(answer(first, "Acknowledged"), answer(second, "Acknowledged"))
    asked = open_list(first.device)
    assert asked.payload == {"Identifiers": ["example.app", "second.app"]}
    assert asked.next_attempt_at < timezone.now() + timedelta(seconds=6)
