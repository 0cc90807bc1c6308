"""Devices' answers close commands and move installations on: once, and no older one over a newer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog import carrying_out, chasing, events, reconciling
from catalog.mdm import Report
from catalog.models import (
    App,
    Command,
    CommandKind,
    CommandStatus,
    DeviceEvent,
    Installation,
    InstallState,
    Reason,
    Reconciliation,
)
from tests.channel import (
    answer,
    apply,
    fate,
    installation_of,
    is_planned,
    list_says,
    managed,
    on_the_way,
    open_list,
    refusal,
    told,
)
from tests.factories import (
    AppFactory,
    AssetFactory,
    AssignmentFactory,
    CommandFactory,
    DistributionFactory,
    InstallationFactory,
)
from tokens.models import Operation, OperationKind
from vppportal.groups.models import Device

pytestmark = pytest.mark.django_db
INSTALL, REMOVE = CommandKind.INSTALL, CommandKind.REMOVE


def plan_anew(app: App) -> None:
    reconciling.wake([app.pk])
    (row,) = Reconciliation.objects.filter(app=app).claim(1)
    carrying_out.reconcile(row)


def test_an_install_that_is_taken_is_followed_by_a_list() -> None:
    command = on_the_way(INSTALL, InstallState.SENT)
    told(answer(command, "Acknowledged", State="Queued"))
    assert fate(command) == ("acknowledged", "installing", "The device will install the app.")
    assert not command.is_open
    asked = open_list(command.device)
    assert asked.payload == {"Identifiers": ["example.app"]}
    assert timedelta(seconds=3) < asked.next_attempt_at - timezone.now() <= timedelta(seconds=5)
    assert not is_planned(installation_of(command))


def test_an_answer_that_is_quicker_than_our_own_note_of_the_sending_counts() -> None:
    command = on_the_way(INSTALL, InstallState.READY, status=CommandStatus.QUEUED)
    told(answer(command, "Acknowledged", State="Queued"))
    assert fate(command)[:2] == ("acknowledged", "installing")


def test_a_license_that_is_not_found_is_looked_for_three_times() -> None:
    command = on_the_way(INSTALL, InstallState.SENT)
    pauses = []
    for _ in range(3):
        told(answer(command, "Error", **refusal(9610, domain="ASDServerErrorDomain")))
        installation = installation_of(command)
        assert installation.state == InstallState.FAILED
        pauses.append(installation.retry_at)
        Installation.objects.update(state=InstallState.SENT)
        command = CommandFactory(
            device=command.device, installation=installation, kind=INSTALL, status=CommandStatus.SENT
        )
    first, second, third = pauses
    assert first is not None
    assert second is not None
    assert timedelta(seconds=25) < first - timezone.now() <= timedelta(seconds=36)
    assert timedelta(seconds=55) < second - timezone.now() <= timedelta(seconds=72)
    assert third is None
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
    assert is_planned(installation_of(command))


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


def failed_to_leave() -> Command:
    """Return a removal that was given up, of an app nobody wants."""
    command = on_the_way(REMOVE, InstallState.FAILED, status=CommandStatus.LOST, state="failed")
    Installation.objects.update(reason=Reason.NOT_WANTED)
    return command


def test_what_failed_to_be_removed_is_not_taken_for_wanted() -> None:
    command = failed_to_leave()
    told(answer(command, "Acknowledged"))
    list_says(command.device, example_app="Managed")
    assert installation_of(command).state == InstallState.FAILED


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_device_that_slept_through_a_removal_gives_its_license_back_when_it_wakes(confirmed: bool) -> None:
    app = AppFactory(listing__bundle_id="example.app")
    asset = AssetFactory(adam_id=app.adam_id, is_revocable=True)
    command = on_the_way(REMOVE, InstallState.REMOVING, app=app)
    serial, long_ago = command.device.serial_number, timezone.now() - timedelta(days=15)
    AssignmentFactory(asset=asset, serial_number=serial)
    Installation.objects.update(asset=asset, holder=serial, license_kind="device", reason=Reason.NOT_WANTED)
    Installation.objects.update(since=long_ago, confirmed_at=long_ago if confirmed else None)
    Command.objects.update(sent_at=long_ago, next_attempt_at=timezone.now())
    chasing.chase()
    plan_anew(app)
    assert fate(command)[:2] == ("lost", "failed")
    assert not Operation.objects.exists()
    told(answer(command, "Acknowledged"))
    list_says(command.device)
    assert installation_of(command).state == InstallState.REMOVED
    plan_anew(app)
    assert Operation.objects.get().kind == OperationKind.REVOKE


def test_a_list_from_before_a_removal_failed_says_nothing_about_it() -> None:
    command = failed_to_leave()
    told(answer(command, "Acknowledged"))
    list_says(command.device, at=timezone.now() - timedelta(minutes=5))
    assert installation_of(command).state == InstallState.FAILED


def test_what_failed_to_be_removed_is_looked_for_beside_what_is_on_its_way() -> None:
    command = failed_to_leave()
    second = AppFactory(listing__bundle_id="second.app")
    InstallationFactory(device=command.device, app=second, state=InstallState.INSTALLING)
    told(answer(command, "Acknowledged"))
    assert open_list(command.device).payload == {"Identifiers": ["example.app", "second.app"]}
    list_says(command.device, second_app="Installing")
    assert installation_of(command).state == InstallState.REMOVED


@pytest.mark.parametrize("reason", [Reason.WIPED, Reason.RETIRED])
def test_what_a_wiped_device_keeps_is_not_taken_for_wanted_although_a_distribution_includes_it(reason: str) -> None:
    command = failed_to_leave()
    wish = DistributionFactory(app=installation_of(command).app)
    Installation.objects.update(distribution=wish, reason=reason)
    told(answer(command, "Acknowledged"))
    list_says(command.device, example_app="Managed")
    assert installation_of(command).state == InstallState.FAILED


@pytest.mark.parametrize("state", [InstallState.REMOVING, InstallState.LEFT, InstallState.INSTALLED])
def test_an_install_moves_nothing_that_has_moved_elsewhere(state: InstallState) -> None:
    command = on_the_way(INSTALL, state)
    told(answer(command, "Acknowledged", State="Queued"))
    assert fate(command)[:2] == ("acknowledged", state)


def test_what_was_never_managed_counts_as_removed() -> None:
    command = on_the_way(REMOVE, InstallState.REMOVING)
    told(answer(command, "Error", **refusal(12038)))
    assert fate(command)[:2] == ("error", "removed")


def test_a_removal_that_is_refused_failed_and_is_tried_again() -> None:
    command = on_the_way(REMOVE, InstallState.REMOVING)
    told(answer(command, "Error", **refusal(1)))
    assert fate(command)[:2] == ("error", "failed")
    assert installation_of(command).retry_at is not None


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
    few = answered(3)
    # SQLite takes some fifty rows a statement.
    assert answered(40) <= few + 6


def test_applying_twice_is_applying_once() -> None:
    command = on_the_way(INSTALL, InstallState.SENT)
    told(answer(command, "Acknowledged", State="Queued"))
    before = [*Command.objects.order_by("pk").values(), *Installation.objects.values(), *Device.objects.values()]
    DeviceEvent.objects.update(state="waiting")
    apply()
    after = [*Command.objects.order_by("pk").values(), *Installation.objects.values(), *Device.objects.values()]
    assert after == before


def test_an_answer_of_another_shape_is_taken_for_what_it_is() -> None:
    command = on_the_way(INSTALL, InstallState.SENT)
    told(answer(command, "Acknowledged", State=["Queued"], RejectionReason={"a": 1}, ErrorChain={}))
    assert fate(command)[:2] == ("acknowledged", "installing")


def test_an_event_that_takes_workers_down_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bad, *good = [on_the_way(INSTALL, InstallState.SENT) for _ in range(4)]
    for command in (bad, *good):
        events.store(answer(command, "Acknowledged", State="Queued"))
    take = events._take

    def dying(reports: Sequence[Report]) -> None:
        if any(report.command_uuid == bad.uuid for report in reports):
            raise MemoryError
        take(reports)

    monkeypatch.setattr(events, "_take", dying)
    for _ in range(Command.max_deaths + 2):
        with suppress(MemoryError):
            while events.apply_due():
                pass
        DeviceEvent.objects.filter(state="running").update(lease_until=timezone.now() - timedelta(seconds=1))
    assert {fate(command)[0] for command in good} == {"acknowledged"}
    assert sorted(DeviceEvent.objects.values_list("state", flat=True)) == ["done", "done", "done", "failed"]
