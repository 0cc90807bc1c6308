"""Devices' answers close commands and move installations on: once, and no older one over a newer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog import events
from catalog.models import (
    Command,
    CommandKind,
    CommandStatus,
    DeviceEvent,
    Installation,
    InstallState,
    Reconciliation,
)
from tests.channel import answer, apply, managed, on_the_way, open_list, refusal, told
from tests.factories import AppFactory, CommandFactory, DistributionFactory, InstallationFactory
from vppportal.groups.models import Device

pytestmark = pytest.mark.django_db
INSTALL, REMOVE = CommandKind.INSTALL, CommandKind.REMOVE


def fate(command: Command) -> tuple[str, str, str]:
    """Return the stored command's status, and its installation's state and details."""
    command.refresh_from_db()
    installation = Installation.objects.get(pk=command.installation_id)
    return command.status, installation.state, installation.details


def installation_of(command: Command) -> Installation:
    return Installation.objects.get(pk=command.installation_id)


def list_says(device: Device, *, at: Any = None, **apps: str) -> Command:
    """Let a device answer the list it is asked for; return the list."""
    asked = open_list(device)
    told(answer(asked, "Acknowledged", at=at, **managed(**apps)))
    asked.refresh_from_db()
    assert asked.status == CommandStatus.ACKNOWLEDGED
    return asked


def planned(installation: Installation) -> bool:
    return Reconciliation.objects.filter(app=installation.app).exists()


def test_an_install_that_is_taken_is_followed_by_a_list() -> None:
    command = on_the_way(INSTALL, InstallState.SENT)
    told(answer(command, "Acknowledged", State="Queued"))
    assert fate(command) == ("acknowledged", "installing", "The device will install the app.")
    assert not command.is_open
    asked = open_list(command.device)
    assert asked.payload == {"Identifiers": ["example.app"]}
    assert timedelta(seconds=3) < asked.next_attempt_at - timezone.now() <= timedelta(seconds=5)
    assert not planned(installation_of(command))


def test_an_answer_that_is_quicker_than_our_own_note_of_the_sending_counts() -> None:
    command = on_the_way(INSTALL, InstallState.READY, status=CommandStatus.QUEUED)
    told(answer(command, "Acknowledged", State="Queued"))
    assert fate(command)[:2] == ("acknowledged", "installing")


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
    assert planned(installation)
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


def test_a_license_that_is_not_found_is_looked_for_three_times() -> None:
    command = on_the_way(INSTALL, InstallState.SENT)
    pauses = []
    for _ in range(3):
        told(answer(command, "Error", **refusal(9610, domain="ASDServerErrorDomain")))
        installation = installation_of(command)
        assert installation.state == InstallState.FAILED
        pauses.append(installation.retry_at and round((installation.retry_at - timezone.now()).total_seconds()))
        Installation.objects.update(state=InstallState.SENT)
        command = CommandFactory(
            device=command.device, installation=installation, kind=INSTALL, status=CommandStatus.SENT
        )
    assert 29 <= pauses[0] <= 36
    assert 59 <= pauses[1] <= 72
    assert pauses[2] is None
    assert installation_of(command).tries == 3


def test_a_success_forgets_the_tries_before() -> None:
    command = on_the_way(INSTALL, InstallState.INSTALLING)
    Installation.objects.update(tries=2)
    CommandFactory(device=command.device, status=CommandStatus.SENT)
    list_says(command.device, example_app="Managed")
    assert installation_of(command).tries == 0


def test_what_the_person_declined_is_not_tried_again_by_itself() -> None:
    command = on_the_way(INSTALL, InstallState.SENT)
    told(answer(command, "Error", **refusal(12063)))
    assert fate(command) == ("error", "failed", "The person declined the app (MCMDMErrorDomain 12063).")
    assert installation_of(command).retry_at is None
    assert planned(installation_of(command))


def test_a_duplicate_request_is_looked_after_and_no_failure() -> None:
    command = on_the_way(INSTALL, InstallState.SENT)
    told(answer(command, "Error", **refusal(506, domain="ASDErrorDomain")))
    assert fate(command)[:2] == ("error", "installing")
    list_says(command.device, example_app="Managed")
    assert installation_of(command).state == InstallState.INSTALLED


def test_what_the_person_installed_is_taken_over_by_a_second_command() -> None:
    command = on_the_way(INSTALL, InstallState.SENT, payload={"iTunesStoreID": 1})
    told(answer(command, "Error", RejectionReason="AppAlreadyInstalled"))
    assert fate(command)[:2] == ("error", "ready")
    second = Command.objects.open().get()
    assert second.payload == {"iTunesStoreID": 1, "ChangeManagementState": "Managed"}
    assert (second.installation_id, second.status) == (command.installation_id, CommandStatus.QUEUED)
    Installation.objects.update(state=InstallState.SENT)
    told(answer(second, "Error", RejectionReason="AppAlreadyInstalled"))
    assert installation_of(command).state == InstallState.INSTALLING
    assert Command.objects.open().get().kind == CommandKind.MANAGED_LIST


def test_a_device_that_asks_to_wait_keeps_its_command_open() -> None:
    command = on_the_way(INSTALL, InstallState.SENT)
    told(answer(command, "NotNow"))
    assert fate(command)[:2] == ("not_now", "sent")
    assert command.is_open
    told(answer(command, "Acknowledged", State="Queued"))
    assert fate(command)[:2] == ("acknowledged", "installing")


def test_what_a_device_says_twice_or_too_late_changes_nothing() -> None:
    command = on_the_way(INSTALL, InstallState.SENT)
    told(answer(command, "Acknowledged", State="Queued"))
    list_says(command.device, example_app="Managed")
    before = [*Command.objects.order_by("pk").values(), *Installation.objects.values()]
    for again in ("Acknowledged", "NotNow", "Error", "CommandFormatError"):
        told(answer(command, again, **refusal(12064)))
    assert [*Command.objects.order_by("pk").values(), *Installation.objects.values()] == before


def test_an_answer_to_a_cancelled_command_changes_nothing() -> None:
    command = on_the_way(INSTALL, InstallState.SKIPPED, status=CommandStatus.CANCELLED, state="done")
    told(answer(command, "Acknowledged", State="Queued"))
    assert fate(command)[:2] == ("cancelled", "skipped")
    assert not Command.objects.open().exists()


def test_the_answer_to_a_command_given_up_is_noted_and_looked_into() -> None:
    command = on_the_way(INSTALL, InstallState.FAILED, status=CommandStatus.LOST, state="failed")
    Installation.objects.update(distribution=DistributionFactory(app=installation_of(command).app))
    told(answer(command, "Acknowledged", State="Queued"))
    assert fate(command)[:2] == ("acknowledged", "failed")
    list_says(command.device, example_app="Managed")
    assert installation_of(command).state == InstallState.INSTALLED


def test_what_failed_to_be_removed_is_not_taken_for_wanted() -> None:
    command = on_the_way(REMOVE, InstallState.FAILED, status=CommandStatus.LOST, state="failed")
    told(answer(command, "Acknowledged"))
    list_says(command.device, example_app="Managed")
    assert installation_of(command).state == InstallState.FAILED


@pytest.mark.parametrize("state", [InstallState.REMOVING, InstallState.LEFT, InstallState.INSTALLED])
def test_an_install_moves_nothing_that_has_moved_elsewhere(state: InstallState) -> None:
    command = on_the_way(INSTALL, state)
    told(answer(command, "Acknowledged", State="Queued"))
    assert fate(command)[:2] == ("acknowledged", state)


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
    assert planned(installation)
    assert not Command.objects.open().exists()


def test_what_was_never_managed_counts_as_removed() -> None:
    command = on_the_way(REMOVE, InstallState.REMOVING)
    told(answer(command, "Error", **refusal(12038)))
    assert fate(command)[:2] == ("error", "removed")


def test_a_removal_that_is_refused_failed_and_is_tried_again() -> None:
    command = on_the_way(REMOVE, InstallState.REMOVING)
    told(answer(command, "Error", **refusal(1)))
    assert fate(command)[:2] == ("error", "failed")
    assert installation_of(command).retry_at is not None


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


def test_a_device_that_removed_its_profile_has_left_even_if_it_says_no_more() -> None:
    command = CommandFactory(kind=CommandKind.REMOVE_PROFILE, status=CommandStatus.SENT)
    told(answer(command, "Acknowledged"))
    assert not Device.objects.get().is_enrolled


def test_a_payload_that_cannot_be_read_still_has_its_status() -> None:
    command = on_the_way(INSTALL, InstallState.SENT)
    body = answer(command, "CommandFormatError")
    body["acknowledge_event"]["raw_payload"] = "***"
    told(body)
    assert fate(command)[:2] == ("format_error", "failed")


def test_an_answer_to_a_command_of_somebody_else_changes_nothing() -> None:
    told(answer(CommandFactory.build(device__pk=1, enrollment_id="E"), "Acknowledged"))
    assert not Command.objects.exists()


def answered(number: int) -> int:
    """Let so many devices each take an install and list an app; return how many queries applying that takes."""
    app = AppFactory(listing__bundle_id="example.app")
    for _ in range(number):
        command = on_the_way(INSTALL, InstallState.SENT, app=app)
        installing = on_the_way(INSTALL, InstallState.INSTALLING, app=app)
        Command.objects.filter(pk=installing.pk).update(state="done")
        asked = CommandFactory(device=installing.device, status=CommandStatus.SENT)
        events.store(answer(command, "Acknowledged", State="Queued"))
        events.store(answer(asked, "Acknowledged", **managed(example_app="Managed")))
    with CaptureQueriesContext(connection) as queries:
        assert events.apply_due() == 2 * number
    assert Installation.objects.filter(state=InstallState.INSTALLING).count() >= number
    return len(queries)


def test_many_answers_cost_as_many_queries_as_a_few() -> None:
    assert answered(40) <= answered(3) + 2


def test_applying_twice_is_applying_once() -> None:
    command = on_the_way(INSTALL, InstallState.SENT)
    told(answer(command, "Acknowledged", State="Queued"))
    before = [*Command.objects.order_by("pk").values(), *Installation.objects.values(), *Device.objects.values()]
    DeviceEvent.objects.update(state="waiting")
    apply()
    after = [*Command.objects.order_by("pk").values(), *Installation.objects.values(), *Device.objects.values()]
    assert after == before
