"""Devices arrive, come back and leave by what they tell the MDM server."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.models import Command, CommandStatus, DeviceEvent, Installation, InstallState, Reason, Reconciliation
from tests.channel import START, authenticate, event, on_the_way, told
from tests.factories import (
    CommandFactory,
    DeviceFactory,
    DistributionFactory,
    InstallationFactory,
    ManagedUserFactory,
)
from vppportal.activity.models import Entry
from vppportal.groups.models import Device

pytestmark = pytest.mark.django_db


def enrolls(enrollment_id: str, serial: str, at: float = 0, **more: str) -> None:
    told(authenticate(enrollment_id, serial, at=at, **more), event("TokenUpdate", enrollment_id, at=at + 1))


def moment(seconds: float):
    return START + timedelta(seconds=seconds)


def test_an_unknown_device_is_added_with_what_it_told() -> None:
    enrolls("E-1", "c02xyz")
    device = Device.objects.get()
    assert (device.enrollment_id, device.serial_number, device.name) == ("E-1", "C02XYZ", "Front desk")
    assert (device.platform, device.model, device.os_version) == ("iOS", "iPad13,18", "26.1")
    assert (device.enrolled_at, device.last_seen_at, device.unenrolled_at) == (moment(0), moment(1), None)
    assert device.enrollment_type == "device"


@pytest.mark.parametrize(
    ("product", "platform"),
    [
        ("iPhone17,3", "iOS"),
        ("iPad13,18", "iOS"),
        ("iPod9,1", "iOS"),
        ("MacBookPro18,3", "macOS"),
        ("Mac14,2", "macOS"),
        ("iMac21,1", "macOS"),
        ("VirtualMac2,1", "macOS"),
        ("AppleTV14,1", "tvOS"),
        ("RealityDevice14,1", "visionOS"),
        ("Watch7,5", "watchOS"),
    ],
)
def test_the_platform_is_told_by_the_model(product: str, platform: str) -> None:
    enrolls("E-1", "C1", ProductName=product)
    assert Device.objects.get().platform == platform


def test_the_models_name_is_shown_and_an_unknown_one_changes_no_platform() -> None:
    DeviceFactory(serial_number="C1", platform="tvOS")
    enrolls("E-1", "C1", ProductName="Gadget1,1", ModelName="Gadget Pro")
    assert Device.objects.values_list("platform", "model").get() == ("tvOS", "Gadget Pro")


def test_a_device_that_was_entered_by_hand_is_recognized_by_its_serial_number() -> None:
    known = DeviceFactory(serial_number="c02xyz", name="Reception")
    enrolls("E-1", "C02XYZ")
    device = Device.objects.get()
    assert (device.pk, device.enrollment_id, device.name) == (known.pk, "E-1", "Reception")


def test_what_does_not_fit_is_left_out() -> None:
    enrolls("E-1", "C" * 33, OSVersion="1" * 21, DeviceName="n" * 121)
    assert Device.objects.values_list("serial_number", "os_version", "name").get() == ("", "", "")


@pytest.mark.parametrize(
    ("kind", "expected"), [("User Enrollment (Device)", "user"), ("Shared iPad", "shared"), ("Device", "device")]
)
def test_how_a_device_enrolled_is_known(kind: str, expected: str) -> None:
    told(authenticate("E-1", "", kind=kind))
    assert Device.objects.get().enrollment_type == expected


def test_a_persons_channel_makes_no_device_but_tells_a_shared_ipad() -> None:
    enrolls("E-1", "C1")
    body = event("TokenUpdate", "E-1:ada", kind="Shared iPad", at=5)
    body["checkin_event"]["ids"]["parent_id"] = "E-1"
    told(body, event("TokenUpdate", "E-2:bob", kind="User", at=5))
    assert Device.objects.values_list("enrollment_id", "enrollment_type").get() == ("E-1", "shared")


def test_the_owner_comes_from_the_enrollment_profile_where_none_is_set() -> None:
    ada, bob = ManagedUserFactory(email="Ada@company.example"), ManagedUserFactory()
    DeviceFactory(serial_number="C2", owner=bob)
    for serial in ("C1", "C2"):
        enrolls(f"E-{serial}", serial, owner="ada@COMPANY.example")
    enrolls("E-C3", "C3", owner="nobody@company.example")
    owners = dict(Device.objects.values_list("serial_number", "owner"))
    assert owners == {"C1": ada.pk, "C2": bob.pk, "C3": None}


def test_a_device_that_checks_out_has_left_and_one_that_speaks_again_is_back() -> None:
    enrolls("E-1", "C1")
    told(event("CheckOut", "E-1", at=10))
    assert Device.objects.get().unenrolled_at == moment(10)
    told(event("Connect", "E-1", at=9))
    assert not Device.objects.get().is_enrolled
    told(event("Connect", "E-1", at=11))
    assert Device.objects.get().is_enrolled
    assert Device.objects.get().last_seen_at == moment(11)


def test_an_older_sign_of_life_never_makes_a_device_seen_earlier() -> None:
    enrolls("E-1", "C1")
    told(event("Connect", "E-1", at=50))
    told(event("Connect", "E-1", at=40))
    assert Device.objects.get().last_seen_at == moment(50)


def test_a_new_enrollment_of_the_same_serial_number_takes_the_device_over() -> None:
    enrolls("E-1", "C1")
    enrolls("E-2", "C1", at=100)
    told(event("CheckOut", "E-1", at=101), event("TokenUpdate", "E-1", at=102))
    device = Device.objects.get(serial_number="C1")
    assert (device.enrollment_id, device.is_enrolled, device.enrolled_at) == ("E-2", True, moment(100))
    assert not Device.objects.exclude(serial_number="C1").exists()


def test_an_older_enrollment_never_takes_a_device_back() -> None:
    enrolls("E-2", "C1", at=100)
    enrolls("E-1", "C1", at=50)
    assert Device.objects.values_list("enrollment_id", "last_seen_at").get() == ("E-2", moment(101))


def test_what_comes_before_its_authenticate_is_joined_with_it() -> None:
    known = DeviceFactory(serial_number="C1")
    told(event("Connect", "E-1", at=3))
    told(event("TokenUpdate", "E-1", at=1))
    assert Device.objects.count() == 2
    told(authenticate("E-1", "C1", at=0))
    device = Device.objects.get()
    assert (device.pk, device.enrollment_id, device.last_seen_at) == (known.pk, "E-1", moment(3))
    assert device.enrolled_at == moment(0)


def test_a_part_that_was_changed_frees_the_enrollment_of_the_device_it_was_in() -> None:
    enrolls("E-1", "C1")
    enrolls("E-1", "C2", at=100)
    devices = {device.serial_number: device for device in Device.objects.all()}
    assert (devices["C1"].enrollment_id, devices["C1"].is_enrolled) == ("", False)
    assert (devices["C2"].enrollment_id, devices["C2"].is_enrolled) == ("E-1", True)


def test_what_an_administrator_changed_survives_the_next_token_update() -> None:
    enrolls("E-1", "C1")
    Device.objects.update(os_version="27.0", name="Lobby", enrollment_type="shared")
    told(event("TokenUpdate", "E-1", at=500))
    assert Device.objects.values_list("os_version", "name", "enrollment_type").get() == ("27.0", "Lobby", "shared")


def test_a_token_update_long_after_everything_else_was_forgotten_is_no_new_enrollment() -> None:
    enrolls("E-1", "C1")
    installation = InstallationFactory(device=Device.objects.get(), installed=True, since=moment(5))
    DeviceEvent.objects.all().delete()
    told(event("TokenUpdate", "E-1", at=10_000_000))
    assert Device.objects.get().enrolled_at == moment(0)
    installation.refresh_from_db()
    assert installation.state == InstallState.INSTALLED


def test_the_end_of_an_enrollment_nobody_knows_makes_no_device() -> None:
    told(event("CheckOut", "E-1", at=10))
    assert not Device.objects.exists()
    told(authenticate("E-1", "C1", at=0))
    assert Device.objects.get().unenrolled_at == moment(10)


@pytest.mark.parametrize(
    ("field", "verb"), [("retired_at", "took back into use"), ("wiped_at", "lifted the selective wipe of")]
)
@pytest.mark.parametrize("enrollment_id", ["E-1", "E-2"])
def test_a_device_that_is_enrolled_anew_is_in_use_again(field: str, verb: str, enrollment_id: str) -> None:
    enrolls("E-1", "C1")
    distribution = DistributionFactory(is_for_everyone=True)
    Device.objects.update(**{field: moment(50)})
    told(event("CheckOut", "E-1", at=60))
    for _ in range(2):
        enrolls(enrollment_id, "C1", at=100)
    device = Device.objects.get()
    assert (device.retired_at, device.wiped_at, device.is_enrolled) == (None, None, True)
    entry = Entry.objects.get()
    assert (entry.actor_name, entry.verb, entry.details) == ("Portal", verb, {"why": "The device was enrolled anew."})
    assert Reconciliation.objects.get().app == distribution.app


@pytest.mark.parametrize("field", ["retired_at", "wiped_at"])
def test_what_the_old_enrollment_still_tells_takes_no_device_back_into_use(field: str) -> None:
    told(event("TokenUpdate", "E-1", at=1))
    Device.objects.update(**{field: moment(50)})
    told(authenticate("E-1", "C1", at=0), event("TokenUpdate", "E-1", at=70), event("Connect", "E-1", at=80))
    enrolls("E-0", "C1", at=-100)
    assert getattr(Device.objects.get(), field) == moment(50)
    assert not Entry.objects.exists()


def test_everything_that_is_open_for_a_device_that_left_is_lost() -> None:
    command = on_the_way("InstallApplication", InstallState.SENT)
    told(event("CheckOut", command.enrollment_id, at=timezone.now()))
    command.refresh_from_db()
    assert (command.status, command.is_open) == (CommandStatus.LOST, False)
    assert Reconciliation.objects.get().app == Installation.objects.get().app


def test_an_app_is_sent_again_to_a_device_that_was_enrolled_anew() -> None:
    command = on_the_way("InstallApplication", InstallState.INSTALLED)
    waiting = CommandFactory(device=command.device)
    serial, now = command.device.serial_number, timezone.now()
    Installation.objects.update(confirmed_at=now, license_kind="device", holder=serial)
    Device.objects.update(enrolled_at=now - timedelta(days=9))
    told(authenticate(command.enrollment_id, serial, at=now - timedelta(seconds=9)))
    installation = Installation.objects.get()
    assert (installation.state, installation.details) == (InstallState.FAILED, "The device was enrolled anew.")
    assert installation.retry_at is not None
    assert installation.retry_at <= timezone.now()
    assert (installation.confirmed_at, installation.holder) == (None, serial)
    statuses = set(Command.objects.values_list("pk", "status"))
    assert statuses == {(command.pk, CommandStatus.LOST), (waiting.pk, CommandStatus.QUEUED)}


def test_what_was_to_be_removed_is_gone_with_the_old_enrollment() -> None:
    command = on_the_way("RemoveApplication", InstallState.REMOVING)
    told(authenticate("E-new", command.device.serial_number, at=timezone.now()))
    assert Installation.objects.get().state == InstallState.REMOVED


@pytest.mark.parametrize("reason", [Reason.NOT_WANTED, Reason.WIPED])
def test_what_failed_to_be_removed_is_gone_with_the_old_enrollment_as_well(reason: str) -> None:
    command = on_the_way("RemoveApplication", InstallState.FAILED, status=CommandStatus.LOST, state="failed")
    Installation.objects.update(reason=reason, distribution=DistributionFactory(app=Installation.objects.get().app))
    told(authenticate("E-new", command.device.serial_number, at=timezone.now()))
    assert Installation.objects.get().state == InstallState.REMOVED


def test_apps_are_planned_for_devices_that_come_or_go() -> None:
    distribution = DistributionFactory(is_for_everyone=True)
    enrolls("E-1", "C1")
    (row,) = Reconciliation.objects.all()
    assert row.app == distribution.app
    before = row.asked_at
    told(event("Connect", "E-1", at=9))
    assert Reconciliation.objects.get().asked_at == before
    told(event("CheckOut", "E-1", at=10))
    assert Reconciliation.objects.get().asked_at > before
