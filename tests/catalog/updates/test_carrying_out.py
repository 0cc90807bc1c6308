"""What is taken away is not updated any more, and what stays is updated on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.models import App, Command, CommandKind, CommandStatus, InstallState, UpdateState
from catalog.updates import updating
from tests.catalog.test_carrying_out import carry_out
from tests.factories import DistributionFactory
from tests.releases import NEW, begun, behind, released, stored, update_of
from vppportal.groups.models import Device

pytestmark = pytest.mark.django_db
SENT = {"status": CommandStatus.SENT, "sent_at": timezone.now()}


def unwanted(**app: object) -> Command:
    """Return the update of an app that nobody wants on the device any more."""
    return begun(released(**app))


def removal() -> Command:
    return Command.objects.get(kind=CommandKind.REMOVE)


@pytest.mark.parametrize("status", [CommandStatus.QUEUED, CommandStatus.SENT])
def test_a_removal_takes_the_place_of_an_update(status: CommandStatus) -> None:
    command = unwanted()
    Command.objects.filter(pk=command.pk).update(status=status)
    row = stored(command)
    carry_out(row.app)
    command.refresh_from_db()
    assert command.status == CommandStatus.CANCELLED
    assert removal().installation_id == row.pk
    row = stored(row)
    assert (row.state, row.update_state, row.update_to) == (InstallState.REMOVING, UpdateState.NONE, None)
    assert updating.propagate() == 0


def test_an_update_that_is_just_being_sent_is_waited_for() -> None:
    command = unwanted()
    Command.objects.update(state="running", lease_until=timezone.now() + timedelta(seconds=60))
    carry_out(stored(command).app)
    assert stored(command).state == InstallState.INSTALLED
    assert not Command.objects.filter(kind=CommandKind.REMOVE).exists()
    Command.objects.update(state="waiting", lease_until=None, **SENT)
    carry_out(stored(command).app)
    assert removal()


def test_what_is_left_to_its_person_is_not_updated_any_more() -> None:
    command = unwanted(remove_on_stop=False)
    carry_out(stored(command).app)
    command.refresh_from_db()
    assert command.status == CommandStatus.CANCELLED
    row = stored(command)
    assert (row.state, row.update_state, row.update_asked_for) == (InstallState.LEFT, UpdateState.NONE, None)


def test_a_device_that_left_forgets_its_update() -> None:
    command = unwanted()
    Device.objects.update(unenrolled_at=timezone.now())
    carry_out(stored(command).app)
    row = stored(command)
    assert (row.state, row.update_state) == (InstallState.REMOVED, UpdateState.NONE)


def test_a_plan_that_changes_something_else_lets_an_update_go_on() -> None:
    app = released()
    row = behind(app)
    updating.propagate()
    DistributionFactory(app=app).devices.add(row.device)
    carry_out(app)
    assert stored(row).distribution is not None
    assert (stored(row).update_state, stored(row).update_to) == (UpdateState.UNDER_WAY, NEW)
    assert update_of(row)


def test_an_app_that_is_deleted_is_not_updated_while_it_goes() -> None:
    row = behind()
    App.objects.update(deleted_at=timezone.now())
    assert updating.propagate() == 0
    carry_out(row.app)
    assert removal()
