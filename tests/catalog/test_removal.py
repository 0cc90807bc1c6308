"""What takes apps away is recorded once, and is carried out by the policies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from catalog import removal
from catalog.models import (
    Addition,
    App,
    Command,
    CommandKind,
    DistributionState,
    InstallState,
    Outcome,
    Reason,
    Reconciliation,
)
from tests.factories import (
    AdditionFactory,
    AppFactory,
    AssetFactory,
    AssignmentFactory,
    ContentTokenFactory,
    DeviceFactory,
    DistributionFactory,
    InstallationFactory,
    UserFactory,
)
from tokens.models import OperationKind, Target
from vppportal.activity.models import Entry
from vppportal.groups.models import Device

pytestmark = pytest.mark.django_db


@pytest.fixture
def by() -> User:
    user: User = UserFactory()
    return user


def test_a_wipe_is_marked_recorded_and_planned_once(by: User) -> None:
    row = InstallationFactory(installed=True)
    assert removal.wipe(row.device, by)
    assert not removal.wipe(row.device, by)
    assert Device.objects.get().wiped_at is not None
    assert Entry.objects.get().verb == "wiped selectively"
    assert Reconciliation.objects.get().app == row.app


def test_a_wipe_can_be_lifted(by: User) -> None:
    device = DeviceFactory(enrolled=True, wiped_at=timezone.now())
    assert removal.lift_wipe(device, by)
    assert not removal.lift_wipe(device, by)


def test_removing_mdm_control_is_one_command_however_often_it_is_asked_for(by: User) -> None:
    device = DeviceFactory(enrolled=True)
    assert removal.release(device, by)
    assert not removal.release(device, by)
    assert Command.objects.get().kind == CommandKind.REMOVE_PROFILE


def test_mdm_control_cannot_be_removed_from_a_device_that_cannot_be_reached(by: User) -> None:
    assert not removal.release(DeviceFactory(), by)


def test_mdm_control_is_not_removed_blindly_where_the_profile_is_not_known(by: User, settings: Any) -> None:
    settings.MDM_PROFILE_IDENTIFIER = ""
    device = DeviceFactory(enrolled=True)
    assert not removal.release(device, by)
    removal.retire(device, by)
    assert removal.release_retired() == 0
    assert not Command.objects.exists()
    settings.MDM_PROFILE_IDENTIFIER = "example.enrollment"
    assert removal.release_retired() == 1
    assert Command.objects.get().payload == {"Identifier": "example.enrollment"}


def test_retirement_gives_back_at_once_what_the_device_holds_without_an_app(by: User) -> None:
    device, app = DeviceFactory(enrolled=True), AppFactory()
    serving, by_hand = (AssignmentFactory(serial_number=device.serial_number) for _ in range(2))
    AssignmentFactory(asset=by_hand.asset)
    AssignmentFactory(asset__token__deleted_at=timezone.now(), serial_number=device.serial_number)
    InstallationFactory(app=app, device=device, installed=True, asset=serving.asset, holder=device.serial_number)
    assert removal.retire(device, by)
    target = Target.objects.get()
    assert (target.operation.kind, target.asset, target.serial_number) == (
        OperationKind.REVOKE,
        by_hand.asset,
        device.serial_number,
    )
    assert not removal.retire(device, by)
    assert Target.objects.count() == 1


def test_retiring_a_device_without_a_serial_number_asks_nothing_of_apple(by: User) -> None:
    AssignmentFactory(serial_number="", client_user_id="somebody")
    assert removal.retire(DeviceFactory(in_user_enrollment=True), by)
    assert not Target.objects.exists()


def test_a_retired_device_is_released_when_nothing_is_left_to_remove(by: User) -> None:
    row = InstallationFactory(installed=True)
    removal.retire(row.device, by)
    assert removal.release_retired() == 0
    type(row).objects.update(state=InstallState.REMOVED)
    assert removal.release_retired() == 1
    assert removal.release_retired() == 0


@pytest.mark.parametrize(
    ("state", "facts"),
    [
        (InstallState.SENT, {"reason": Reason.RETIRED}),
        (InstallState.INSTALLING, {"reason": Reason.RETIRED}),
        (InstallState.FAILED, {"reason": Reason.RETIRED, "retry_at": timezone.now()}),
        (InstallState.FAILED, {"confirmed_at": timezone.now()}),
        (InstallState.SKIPPED, {"confirmed_at": timezone.now(), "reason": Reason.PAUSED}),
    ],
)
def test_a_retired_device_keeps_mdm_control_while_an_app_is_to_be_removed(
    by: User, state: str, facts: dict[str, Any]
) -> None:
    removal.retire(InstallationFactory(state=state, **facts).device, by)
    assert removal.release_retired() == 0


@pytest.mark.parametrize("state", [InstallState.FAILED, InstallState.SKIPPED, InstallState.LEFT])
def test_a_removal_that_failed_for_good_does_not_hold_a_retirement_up(by: User, state: str) -> None:
    row = InstallationFactory(state=state, reason=Reason.RETIRED, confirmed_at=timezone.now())
    removal.retire(row.device, by)
    assert removal.release_retired() == 1


def test_deleting_an_app_stops_its_distributions_and_says_so_at_its_tokens(by: User) -> None:
    app = AppFactory()
    distribution = DistributionFactory(app=app)
    AdditionFactory(app=app, outcome=Outcome.ADDED)
    assert removal.delete_app(app, by)
    assert not removal.delete_app(app, by)
    distribution.refresh_from_db()
    assert distribution.state == DistributionState.STOPPED
    assert Addition.objects.get().outcome == Outcome.DELETED


def test_a_deleted_app_is_forgotten_when_it_was_planned_and_nothing_is_left(by: User) -> None:
    row = InstallationFactory(installed=True, asset=AssetFactory())
    removal.delete_app(row.app, by)
    assert removal.purge_deleted() == 0
    Reconciliation.objects.update(planned_at=timezone.now())
    assert removal.purge_deleted() == 0
    type(row).objects.update(state=InstallState.REMOVED, asset=None)
    assert removal.purge_deleted() == 1
    assert not App.objects.exists()


@pytest.mark.parametrize(
    ("state", "facts"),
    [
        (InstallState.FAILED, {"retry_at": timezone.now() + timedelta(seconds=30)}),
        (InstallState.FAILED, {"confirmed_at": timezone.now()}),
        (InstallState.READY, {}),
        (InstallState.SENT, {}),
        (InstallState.INSTALLING, {}),
        (InstallState.INSTALLED, {}),
    ],
)
def test_a_deleted_app_is_remembered_while_a_device_may_have_it(by: User, state: str, facts: dict[str, Any]) -> None:
    row = InstallationFactory(state=state, **facts)
    removal.delete_app(row.app, by)
    Reconciliation.objects.update(planned_at=timezone.now())
    assert removal.purge_deleted() == 0


def test_a_removal_that_failed_for_good_keeps_a_deleted_app_for_ninety_days(by: User) -> None:
    failed_at = timezone.now() - timedelta(days=89)
    row = InstallationFactory(
        state=InstallState.FAILED, since=failed_at, confirmed_at=failed_at, asset=AssetFactory(is_revocable=True)
    )
    removal.delete_app(row.app, by)
    Reconciliation.objects.update(planned_at=timezone.now())
    assert removal.purge_deleted() == 0
    type(row).objects.update(since=failed_at - timedelta(days=2), retry_at=timezone.now())
    assert removal.purge_deleted() == 0
    type(row).objects.update(retry_at=None)
    assert removal.purge_deleted() == 1


def test_a_tokens_policies_go_to_the_apps_it_added_and_to_no_others(by: User) -> None:
    token = ContentTokenFactory(block_backup=True)
    own, other = AppFactory(added_from=token, block_backup=False), AppFactory(block_backup=False)
    assert removal.differing_policies(token)["block_backup"] == 1
    assert removal.apply_policies(token, by) == 1
    assert removal.apply_policies(token, by) == 0
    own.refresh_from_db()
    other.refresh_from_db()
    assert (own.block_backup, other.block_backup) == (True, False)


def test_the_way_back_counts_what_is_still_to_come() -> None:
    app, asset = AppFactory(), AssetFactory()
    InstallationFactory(app=app, state=InstallState.REMOVING, asset=asset)
    InstallationFactory(app=app, state=InstallState.REMOVED, asset=asset)
    InstallationFactory(app=app, state=InstallState.REMOVED)
    way = removal.way_back(app)
    assert (way.removing, way.removed, way.returning, way.is_under_way) == (1, 2, 1, True)
    app.installations.update(state=InstallState.REMOVED, asset=None)
    assert not removal.way_back(app).is_under_way
