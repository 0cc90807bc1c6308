"""An update is done when a list of the device shows the version, and comes to nothing in a way that is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from catalog import chasing
from catalog.models import Command, CommandKind, CommandStatus, Installation, InstallState, UpdateState
from catalog.moves import Moves
from catalog.updates import updating
from tests.channel import answer, apply, is_planned, open_list, refusal, told
from tests.factories import AssetFactory, CommandFactory
from tests.releases import NEW, OLD, begun, lists, released, stored
from tokens.models import SyncReason, SyncRun

pytestmark = pytest.mark.django_db


def closed(command: Command) -> str:
    """Return the status of a command that is closed."""
    command.refresh_from_db()
    assert not command.is_open
    return command.status


def taken(command: Command, minutes: float = 0) -> None:
    """Let the device take the command so many minutes ago."""
    told(answer(command, "Acknowledged", at=timezone.now() - timedelta(minutes=minutes), State="Queued"))


def moves_back(row: Installation) -> None:
    """Let a list tell that the app is there again, in its old version."""
    with transaction.atomic():
        moves = Moves.of(Q(pk=row.pk))
        again = moves.get(row.pk)
        assert again is not None
        moves.move(again, InstallState.INSTALLED, timezone.now())
        moves.name(again, timezone.now(), OLD)
        moves.save()


def test_the_acknowledgement_is_no_success() -> None:
    command = begun()
    taken(command)
    row = stored(command)
    assert (row.state, row.update_state) == (InstallState.INSTALLED, UpdateState.UNDER_WAY)
    assert row.update_details == "The device will install the app."
    assert open_list(row.device).payload == {"Identifiers": ["example.app"]}
    assert closed(command) == CommandStatus.ACKNOWLEDGED


def test_the_version_on_a_list_is() -> None:
    command = begun()
    taken(command)
    lists(command, "Managed", NEW)
    row = stored(command)
    assert (row.state, row.external_version_id, row.version) == (InstallState.INSTALLED, NEW, "2.4.1")
    assert (row.update_state, row.update_to, row.update_tries, row.update_details) == ("", None, 0, "")
    assert not Command.objects.open().exists()
    assert not is_planned(row)


def test_a_newer_version_than_was_asked_for_is_a_success_too() -> None:
    command = begun()
    taken(command)
    lists(command, "Managed", NEW + 1)
    assert stored(command).update_state == UpdateState.NONE


def test_an_older_version_is_named_as_the_store_showed_it() -> None:
    command = begun(version="")
    taken(command)
    lists(command, "Managed", OLD)
    assert stored(command).version == "2.3.0"
    lists(command, "Managed", 15)
    assert stored(command).version == ""


def test_a_device_that_is_updating_is_asked_again_at_growing_intervals() -> None:
    command = begun()
    start = timezone.now() - timedelta(seconds=20)
    told(answer(command, "Acknowledged", at=start, State="Updating"))
    pauses = []
    for waited in (5, 10, 19):
        lists(command, "Updating", OLD, at=start + timedelta(seconds=waited))
        pauses.append(round((open_list(command.device).next_attempt_at - timezone.now()).total_seconds()))
    assert pauses == [5, 10, 19]
    assert stored(command).update_details == "The device is updating the app."


def test_a_version_that_never_changes_ends_after_three_tries() -> None:
    command = begun()
    for number in (1, 2, 3):
        taken(command, minutes=31)
        lists(command, "Managed", OLD)
        row = stored(command)
        assert (row.update_state, row.update_tries) == (UpdateState.FAILED, number)
        assert row.update_details == "The device took the command, but the version did not change."
        if number < 3:
            assert row.update_retry_at is not None
            assert updating.propagate() == 0
            Installation.objects.update(update_retry_at=timezone.now())
            assert updating.propagate() == 1
            command = Command.objects.open().get(updates_to=NEW)
    assert stored(command).update_retry_at is None
    assert updating.propagate() == 0
    assert Command.objects.filter(updates_to=NEW).count() == 3


def test_the_pauses_between_tries_grow() -> None:
    command, pauses = begun(), []
    for _ in range(2):
        told(answer(command, "Error", **refusal(9610, domain="ASDServerErrorDomain")))
        retry_at = stored(command).update_retry_at
        assert retry_at is not None
        pauses.append((retry_at - timezone.now()).total_seconds() / 60)
        Installation.objects.update(update_retry_at=timezone.now())
        updating.propagate()
        command = Command.objects.open().get(updates_to=NEW)
    assert 14 < pauses[0] <= 18
    assert 29 < pauses[1] <= 36


@pytest.mark.parametrize(("tries", "asked"), [(1, []), (2, [SyncReason.MISSED])])
def test_an_update_whose_license_is_never_found_has_apple_asked_for_it(tries: int, asked: list[str]) -> None:
    command = begun(asset=AssetFactory())
    Installation.objects.update(update_tries=tries)
    told(answer(command, "Error", **refusal(12064)))
    assert list(SyncRun.objects.values_list("reason", flat=True)) == asked


def test_what_the_person_declined_is_not_tried_again() -> None:
    command = begun(update_asked_for=NEW)
    taken(command)
    lists(command, "UpdateRejected")
    row = stored(command)
    assert (row.state, row.update_state) == (InstallState.INSTALLED, UpdateState.FAILED)
    assert (row.update_details, row.update_retry_at) == ("The person declined the update.", None)
    assert row.update_asked_for is None
    assert updating.propagate() == 0


def test_a_device_that_is_full_is_tried_again_and_keeps_the_old_version() -> None:
    command = begun()
    taken(command)
    lists(command, "Failed")
    row = stored(command)
    assert (row.state, row.external_version_id) == (InstallState.INSTALLED, OLD)
    assert "storage is full" in row.update_details
    assert row.update_retry_at is not None
    assert not is_planned(row)


def test_a_refusal_tells_why() -> None:
    command = begun()
    told(answer(command, "Error", **refusal(12031)))
    row = stored(command)
    assert row.state == InstallState.INSTALLED
    assert row.update_details == "Installing apps is forbidden on the device (MCMDMErrorDomain 12031)."
    assert (row.update_tries, row.update_retry_at) == (1, None)
    assert closed(command) == CommandStatus.ERROR


def test_a_device_that_asks_to_wait_is_waited_for() -> None:
    command = begun()
    told(answer(command, "NotNow"))
    row = stored(command)
    assert (row.update_state, row.update_details) == (UpdateState.UNDER_WAY, "The device asked to wait.")
    assert updating.propagate() == 0
    taken(command)
    lists(command, "Managed", NEW)
    assert stored(command).update_state == UpdateState.NONE


def test_a_list_closes_an_update_whose_answer_was_lost() -> None:
    command = begun()
    Command.objects.filter(pk=command.pk).update(status=CommandStatus.SENT, sent_at=timezone.now())
    CommandFactory(device=command.device, status=CommandStatus.SENT)
    lists(command, "Managed", NEW)
    assert stored(command).update_state == UpdateState.NONE
    assert closed(command) == CommandStatus.ACKNOWLEDGED


def test_a_command_the_device_came_past_without_a_trace_is_a_try_that_failed() -> None:
    command = begun()
    Command.objects.update(status=CommandStatus.SENT, sent_at=timezone.now() - timedelta(minutes=3))
    CommandFactory(device=command.device, status=CommandStatus.SENT)
    lists(command, "Managed", OLD)
    assert stored(command).update_state == UpdateState.FAILED
    assert closed(command) == CommandStatus.LOST


def test_an_app_that_somebody_removed_meanwhile_is_not_being_updated_any_more() -> None:
    command = begun()
    Command.objects.update(status=CommandStatus.SENT, sent_at=timezone.now())
    CommandFactory(device=command.device, status=CommandStatus.SENT)
    lists(command, "")
    row = stored(command)
    assert (row.state, row.update_state, row.update_tries) == (InstallState.FAILED, UpdateState.FAILED, 1)
    assert closed(command) == CommandStatus.LOST


def test_an_app_that_goes_with_each_update_and_comes_back_is_given_up() -> None:
    command = begun()
    for tries in (1, 2, 3):
        taken(command)
        lists(command, "ManagedButUninstalled")
        row = stored(command)
        assert (row.state, row.update_tries) == (InstallState.FAILED, tries)
        moves_back(row)
        Installation.objects.filter(update_retry_at__isnull=False).update(update_retry_at=timezone.now())
        assert updating.propagate() == (tries < 3)
        command = Command.objects.filter(updates_to=NEW).latest("pk")
    assert Command.objects.filter(updates_to=NEW).count() == 3


def test_a_list_that_was_made_before_the_command_was_taken_decides_nothing() -> None:
    command = begun()
    taken(command)
    lists(command, "Failed", at=timezone.now() - timedelta(minutes=1))
    assert stored(command).update_state == UpdateState.UNDER_WAY
    assert open_list(command.device)


def test_a_list_of_other_apps_has_the_device_asked_again() -> None:
    command = begun()
    taken(command)
    Command.objects.filter(kind=CommandKind.MANAGED_LIST).update(payload={"Identifiers": ["another.app"]})
    told(answer(open_list(command.device), "Acknowledged"))
    assert open_list(command.device).payload == {"Identifiers": ["example.app"]}


def test_a_device_that_never_tells_its_apps_is_given_up() -> None:
    command = begun()
    taken(command, minutes=7 * 60)
    told(answer(open_list(command.device), "Error", **refusal(12021)))
    row = stored(command)
    assert row.update_details == "The device does not tell what became of the update."
    assert (row.update_state, row.update_retry_at) == (UpdateState.FAILED, None)


def test_a_device_that_updated_by_itself_is_up_to_date() -> None:
    command = begun()
    told(answer(command, "Error", **refusal(12031)))
    CommandFactory(device=command.device, status=CommandStatus.SENT)
    lists(command, "Managed", NEW)
    row = stored(command)
    assert (row.update_state, row.update_tries, row.version) == (UpdateState.NONE, 0, "2.4.1")


def test_an_answer_that_comes_late_changes_nothing_and_is_looked_into() -> None:
    command = begun()
    Command.objects.update(status=CommandStatus.LOST, state="failed")
    Installation.objects.update(update_state=UpdateState.FAILED, update_tries=1)
    taken(command)
    assert stored(command).update_tries == 1
    lists(command, "Managed", NEW)
    assert stored(command).update_state == UpdateState.NONE


def test_answers_that_come_twice_count_once() -> None:
    command = begun()
    body = answer(command, "Error", **refusal(9610))
    told(body)
    for again in ("Error", "Acknowledged", "NotNow"):
        told(answer(command, again, **refusal(9610)))
    apply()
    assert stored(command).update_tries == 1


def test_a_device_that_never_answers_is_a_try_that_failed_in_the_end() -> None:
    command = begun()
    long_ago = timezone.now() - timedelta(days=15)
    Command.objects.update(status=CommandStatus.SENT, sent_at=long_ago, next_attempt_at=long_ago)
    chasing.chase()
    row = stored(command)
    assert (row.update_state, row.update_details) == (
        UpdateState.FAILED,
        "The device has not answered for 14 days.",
    )


def test_an_update_of_an_enrollment_that_ended_leaves_the_app_to_the_plan() -> None:
    command = begun(released())
    Installation.objects.update(state=InstallState.LEFT)
    taken(command)
    assert stored(command).state == InstallState.LEFT
    assert closed(command) == CommandStatus.ACKNOWLEDGED


def test_an_app_that_went_with_its_enrollment_is_no_update_that_failed() -> None:
    row = stored(begun())
    with transaction.atomic():
        moves = Moves.of(Q(pk=row.pk))
        installed = moves.get(row.pk)
        assert installed is not None
        moves.move(installed, InstallState.FAILED, timezone.now(), "The device was enrolled anew.")
        moves.save()
    row = stored(row)
    assert (row.state, row.update_state, row.update_tries) == (InstallState.FAILED, UpdateState.NONE, 0)
