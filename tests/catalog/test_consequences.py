"""What takes apps away says beforehand what it will do, in numbers that the plan then makes true."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog import consequences
from catalog.consequences import Consequences
from catalog.gathering import gather
from catalog.models import App, Distribution, Installation, InstallState
from catalog.plan import plan
from tests.factories import (
    AppFactory,
    AssetFactory,
    AssignmentFactory,
    ClientUserFactory,
    DeviceFactory,
    DistributionFactory,
    InstallationFactory,
    ManagedUserFactory,
    UserGroupFactory,
)
from vppportal.groups.models import Device

pytestmark = pytest.mark.django_db


def install(distribution: Distribution, device: Device, **facts: Any) -> Installation:
    """Put the app of a distribution on a device, with a license of the device's own."""
    known = {
        "asset": AssetFactory(adam_id=distribution.app.adam_id),
        "holder": device.serial_number,
        "license_kind": "device",
        "confirmed_at": timezone.now(),
        **facts,
    }
    row: Installation = InstallationFactory(
        app=distribution.app, device=device, distribution=distribution, state=InstallState.INSTALLED, **known
    )
    if "holder" not in facts:
        AssignmentFactory(asset=row.asset, serial_number=row.holder)
    return row


def share(distribution: Distribution) -> tuple[Device, Device]:
    """Return two devices of a person on which the app of a distribution uses one license of hers."""
    person = ManagedUserFactory()
    asset = AssetFactory(adam_id=distribution.app.adam_id)
    ClientUserFactory(token=asset.token, person=person, client_user_id="ada", status="Associated")
    AssignmentFactory(asset=asset, serial_number="", client_user_id="ada")
    devices = DeviceFactory(enrolled=True, owner=person), DeviceFactory(enrolled=True, owner=person)
    for device in devices:
        install(distribution, device, asset=asset, holder="ada", license_kind="user")
    return devices


def gives_back(app: App) -> int:
    """Return how many licenses the plan gives back once what is to be removed is gone."""
    leaving = [verdict.device_id for verdict in plan(gather(app)).verdicts if verdict.sends == "remove"]
    app.installations.filter(device__in=leaving).update(state=InstallState.REMOVED)
    return sum(len(holders) for holders in plan(gather(app)).give_back.values())


def test_the_numbers_say_what_goes_what_stays_and_what_returns() -> None:
    gone = AppFactory(remove_on_stop=True, revoke_on_stop=True)
    kept = AppFactory(remove_on_stop=False, revoke_on_stop=False)
    asset = AssetFactory()
    InstallationFactory(app=gone, installed=True, asset=asset, holder="S1")
    InstallationFactory(app=gone, installed=True, asset=asset, holder="S2", device=DeviceFactory())
    InstallationFactory(app=gone, in_line=True)
    InstallationFactory(app=gone, installed=True, asset=AssetFactory(is_revocable=False), holder="S3")
    InstallationFactory(app=kept, installed=True, asset=asset, holder="S4")
    assert consequences.of_stop(Installation.objects.all()) == Consequences(
        removes=2, keeps=1, unreachable=1, cancels=1, frees=2, holds=1, not_reclaimable=1
    )


def test_one_and_many_are_said_as_people_say_them() -> None:
    assert Consequences(removes=1, frees=2).sentences() == [
        "1 installation is removed from its device, with its data.",
        "2 licenses return to the VPP token and can be given to somebody else.",
    ]
    assert Consequences().sentences() == ["No device has anything of it, and no license is concerned."]


def test_what_was_only_offered_is_not_said_to_be_under_way() -> None:
    InstallationFactory.create_batch(3, state=InstallState.OFFERED)
    counted = consequences.of_stop(Installation.objects.all())
    assert counted == Consequences(withdraws=3)
    assert counted.sentences() == ["3 devices are no longer offered it; nothing was sent to them."]


def test_a_license_that_two_devices_share_returns_once_when_both_lose_the_app() -> None:
    running = DistributionFactory(is_for_everyone=True, license_kind="user")
    share(running)
    assert consequences.of_ending([running]) == Consequences(removes=2, frees=1)
    Distribution.objects.update(state="stopped")
    assert gives_back(running.app) == 1


def test_a_license_that_two_devices_share_stays_while_one_keeps_the_app() -> None:
    running = DistributionFactory(is_for_everyone=True, license_kind="user")
    device, _ = share(running)
    assert consequences.of_wipe(device) == Consequences(removes=1, shared=1)
    Device.objects.filter(pk=device.pk).update(wiped_at=timezone.now())
    assert gives_back(running.app) == 0


def test_a_license_returns_with_the_last_device_that_used_it() -> None:
    running = DistributionFactory(is_for_everyone=True, license_kind="user")
    device, other = share(running)
    Device.objects.filter(pk=other.pk).update(wiped_at=timezone.now())
    Installation.objects.filter(device=other).update(state=InstallState.REMOVED)
    assert consequences.of_wipe(device) == Consequences(removes=1, frees=1)


def test_retirement_gives_licenses_back_whatever_the_policies_say() -> None:
    running = DistributionFactory(is_for_everyone=True, app__revoke_on_stop=False, app__remove_on_stop=False)
    device = DeviceFactory(enrolled=True)
    install(running, device)
    assert consequences.of_retirement(device) == Consequences(removes=1, frees=1)
    assert consequences.of_release(device).holds == 1
    Device.objects.update(retired_at=timezone.now())
    assert gives_back(App.objects.get()) == 1


def test_retirement_counts_the_licenses_assigned_by_hand() -> None:
    device = DeviceFactory(enrolled=True)
    install(DistributionFactory(), device)
    AssignmentFactory(serial_number=device.serial_number)
    AssignmentFactory(serial_number=device.serial_number, asset__is_revocable=False)
    assert consequences.of_retirement(device) == Consequences(removes=1, frees=2, not_reclaimable=1)
    assert consequences.of_wipe(device) == Consequences(removes=1, frees=1)


def test_what_another_distribution_includes_stays_with_its_license() -> None:
    ending = DistributionFactory(is_for_everyone=True)
    group = UserGroupFactory()
    inside, barred = (DeviceFactory(enrolled=True, owner=ManagedUserFactory(groups=[group])) for _ in range(2))
    for device in (inside, barred, DeviceFactory(enrolled=True)):
        install(ending, device)
    other = DistributionFactory(app=ending.app)
    other.groups.add(group)
    other.excluded_devices.add(barred)
    DistributionFactory(is_for_everyone=True)
    assert consequences.of_ending([ending]) == Consequences(removes=2, stays=1, frees=2)
    Distribution.objects.filter(pk=ending.pk).update(state="stopped")
    assert gives_back(App.objects.get(pk=ending.app_id)) == 2


def test_distributions_that_end_together_keep_nothing_for_each_other() -> None:
    app = AppFactory()
    both = DistributionFactory.create_batch(2, app=app, is_for_everyone=True)
    install(both[0], DeviceFactory(enrolled=True))
    assert consequences.of_ending(both) == Consequences(removes=1, frees=1)


def test_who_has_an_app_through_a_group_loses_it_with_the_group() -> None:
    group, other = UserGroupFactory.create_batch(2)
    running = DistributionFactory()
    running.groups.add(group, other)
    ada, ben, eve = (ManagedUserFactory(groups=groups) for groups in ([group], [group, other], [other]))
    for person in (ada, ben, eve):
        install(running, DeviceFactory(enrolled=True, owner=person))
    assert consequences.of_deleting(group) == Consequences(removes=1, stays=1, frees=1)
    group.delete()
    assert gives_back(running.app) == 1


def test_a_group_that_no_distribution_in_force_names_takes_nothing_along() -> None:
    group = UserGroupFactory()
    install(DistributionFactory(is_for_everyone=True), DeviceFactory(owner=ManagedUserFactory(groups=[group])))
    for state in ("draft", "stopped"):
        DistributionFactory(**{state: True}).groups.add(group)
    assert consequences.of_deleting(group) == Consequences()
    assert consequences.let_in_without(group) == 0


def test_whom_a_group_kept_out_is_let_in_without_it() -> None:
    group, still_out = UserGroupFactory.create_batch(2)
    running = DistributionFactory(is_for_everyone=True)
    running.excluded_groups.add(group, still_out)
    for groups in ([group], [group, still_out], [still_out]):
        DeviceFactory(enrolled=True, owner=ManagedUserFactory(groups=groups))
    DeviceFactory(owner=ManagedUserFactory(groups=[group]))
    assert plan(gather(running.app)).verdicts == []
    assert consequences.let_in_without(group) == 1
    group.delete()
    assert [verdict.reason for verdict in plan(gather(running.app)).verdicts] == ["not_owned", "not_enrolled"]


def test_the_number_of_queries_is_the_same_for_few_and_many() -> None:
    def cost() -> int:
        rows = list(Distribution.objects.all()[::2])
        with CaptureQueriesContext(connection) as queries:
            consequences.of_ending(rows)
        return len(queries)

    def make(number: int) -> None:
        for app in AppFactory.create_batch(number):
            for running in DistributionFactory.create_batch(2, app=app):
                running.groups.add(UserGroupFactory())
                install(running, DeviceFactory(enrolled=True)) if running.pk % 2 else share(running)

    make(1)
    few = cost()
    make(4)
    assert cost() == few
