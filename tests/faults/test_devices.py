"""Trouble on the way to devices and back: nothing gets lost, nothing happens twice, and it all ends well by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from catalog import commands, mdm, sending
from catalog.models import App, Command, CommandKind, CommandStatus, DeviceEvent, Installation, InstallState
from tests.channel import Channel, apply, post
from tests.factories import AppFactory, InstallationFactory
from vppportal.groups.models import Device

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def app(channel: Channel, make_location: Any) -> App:
    """An app the simulated store gives to everybody."""
    location = make_location(assets=3)
    product = channel.sim.world.store.find(location.adam_ids[0])
    assert product is not None
    made: App = AppFactory(listing__adam_id=product.adam_id, listing__bundle_id=product.bundle_id)
    return made


def order(
    app: App, device: Device, kind: CommandKind = CommandKind.INSTALL, *, is_licensed: bool = False
) -> Installation:
    """Let an app go to a device, or away from it."""
    installation, _ = Installation.objects.get_or_create(app=app, device=device)
    is_install = kind == CommandKind.INSTALL
    installation.state = InstallState.READY if is_install else InstallState.REMOVING
    installation.save()
    facts: dict[str, Any] = {"platform": device.platform, "enrollment_type": device.enrollment_type, "take_over": True}
    payload = (
        mdm.install_payload(app, is_licensed=is_licensed, policies=app, **facts)
        if is_install
        else mdm.remove_payload(app.listing.bundle_id)
    )
    name = device.enrollment_id
    command = Command(device=device, enrollment_id=name, kind=kind, installation=installation, payload=payload)
    assert commands.enqueue([command]) == 1
    return installation


def state(installation: Installation) -> str:
    return Installation.objects.get(pk=installation.pk).state


def settle(channel: Channel, rounds: int = 4) -> None:
    for _ in range(rounds):
        channel.work()


def test_a_device_that_says_not_now_for_days_gets_the_app_when_it_can(channel: Channel, app: App) -> None:
    device = channel.enroll()
    channel.order("mdm-behave", devices=[device.enrollment_id], not_now=True)
    installation = order(app, device)
    settle(channel)
    command = Command.objects.get(installation=installation)
    assert (command.status, command.is_open, state(installation)) == (CommandStatus.NOT_NOW, True, InstallState.SENT)
    with time_machine.travel(timezone.now() + timedelta(days=5), tick=True):
        channel.chase()
        assert Command.objects.get(pk=command.pk).is_open
    channel.order("mdm-behave", devices=[device.enrollment_id], not_now=False)
    channel.hear()
    settle(channel)
    assert state(installation) == InstallState.INSTALLED
    assert Command.objects.filter(kind=CommandKind.INSTALL).count() == 1


def test_a_device_in_a_drawer_is_given_up_after_two_weeks_and_counts_when_it_wakes(channel: Channel, app: App) -> None:
    device = channel.enroll()
    channel.order("mdm-behave", devices=[device.enrollment_id], silent=True)
    installation = order(app, device)
    settle(channel)
    with time_machine.travel(timezone.now() + timedelta(days=15), tick=True):
        channel.chase()
    assert state(installation) == InstallState.FAILED
    assert "has not answered" in Installation.objects.get().details


@pytest.mark.parametrize("lost", [("mdm.Connect",), ("mdm.Connect", "mdm.TokenUpdate")])
def test_answers_that_never_reach_us_are_made_up_for_by_a_list(
    channel: Channel, app: App, lost: tuple[str, ...]
) -> None:
    device = channel.enroll()
    installation = order(app, device)
    sending.send()
    channel.order("mdm-settle")
    channel._taken = len(channel.sim.mdm_events())  # all of it is lost
    assert state(installation) == InstallState.SENT
    channel.chase()
    channel.chase()
    settle(channel)
    assert state(installation) == InstallState.INSTALLED
    assert not Command.objects.open().exists()


def test_a_refusal_that_never_reaches_us_has_the_command_sent_again(channel: Channel, app: App) -> None:
    device = channel.enroll()
    channel.order("mdm-behave", devices=[device.enrollment_id], license_not_found=1)
    installation = order(app, device, is_licensed=True)
    sending.send()
    channel.order("mdm-settle")
    channel._taken = len(channel.sim.mdm_events())
    Command.objects.update(sent_at=timezone.now() - timedelta(minutes=4))
    channel.chase()
    channel.chase()
    settle(channel)
    stored = Installation.objects.get(pk=installation.pk)
    assert (stored.state, stored.retry_at is not None) == (InstallState.FAILED, True)


@pytest.mark.parametrize("mode", ["twice", "shuffled"])
def test_events_that_come_twice_or_in_disorder_end_the_same(channel: Channel, app: App, mode: str) -> None:
    devices = [channel.enroll() for _ in range(4)]
    installations = [order(app, device) for device in devices]
    for _ in range(4):
        Command.objects.open().update(next_attempt_at=timezone.now())
        sending.send()
        channel.order("mdm-settle")
        heard = channel.sim.mdm_events()[channel._taken :]
        channel._taken += len(heard)
        for event in [*heard, *heard] if mode == "twice" else reversed(heard):
            assert post(event.body, signed=event.signature).status_code == 200
            apply()
    assert {state(installation) for installation in installations} == {InstallState.INSTALLED}
    assert Command.objects.filter(kind=CommandKind.INSTALL).count() == 4
    assert not Command.objects.open().exists()


@pytest.mark.parametrize("error", [9610, 12064])
def test_a_license_that_is_not_there_yet_is_a_failure_with_a_way_out(channel: Channel, app: App, error: int) -> None:
    device = channel.enroll()
    channel.order("mdm-behave", devices=[device.enrollment_id], license_not_found=1, license_error=error)
    installation = order(app, device, is_licensed=True)
    channel.work()
    stored = Installation.objects.get(pk=installation.pk)
    assert (stored.state, stored.tries) == (InstallState.FAILED, 1)
    assert stored.retry_at is not None
    assert str(error) in stored.details
    order(app, device)
    settle(channel)
    assert state(installation) == InstallState.INSTALLED
    assert Installation.objects.get().tries == 0


def test_a_duplicate_request_is_no_failure(channel: Channel, app: App) -> None:
    device = channel.enroll()
    channel.order("mdm-behave", devices=[device.enrollment_id], duplicate=1)
    installation = order(app, device)
    channel.work()
    assert state(installation) == InstallState.INSTALLING


def test_what_the_person_had_installed_is_taken_over(channel: Channel, app: App) -> None:
    device = channel.enroll()
    channel.order("mdm-has-app", adam_id=app.adam_id, devices=[device.enrollment_id])
    installation = order(app, device)
    settle(channel)
    assert state(installation) == InstallState.INSTALLED


def test_the_server_is_away_for_a_day(channel: Channel, app: App) -> None:
    device = channel.enroll()
    channel.order("mdm-down")
    installation = order(app, device)
    for hours in range(0, 24, 3):
        with time_machine.travel(timezone.now() + timedelta(hours=hours), tick=True):
            sending.send()
    assert state(installation) == InstallState.READY
    channel.order("mdm-up")
    settle(channel)
    assert state(installation) == InstallState.INSTALLED
    asked = [one for one in channel.sim.mdm_requests() if "/enqueue/" in one["path"]]
    assert (
        len([one for one in asked if one["status"] == 200])
        == 1 + Command.objects.filter(kind="ManagedApplicationList").count()
    )


def test_a_command_whose_acceptance_was_not_heard_is_in_the_queue_once(channel: Channel, app: App) -> None:
    device = channel.enroll()
    installation = order(app, device)
    channel.order("faults", path=f"/v1/enqueue/{device.enrollment_id}", location="mdm", drop="after")
    sending.send()
    assert Command.objects.get().status in (CommandStatus.QUEUED, CommandStatus.ACKNOWLEDGED)
    settle(channel)
    assert state(installation) == InstallState.INSTALLED
    assert Command.objects.filter(kind=CommandKind.INSTALL).count() == 1


def test_a_device_that_is_erased_and_enrolled_anew_keeps_its_row_and_gets_the_app_again(
    channel: Channel, app: App
) -> None:
    device = channel.enroll()
    installation = order(app, device)
    settle(channel)
    Installation.objects.update(license_kind="device", holder=device.serial_number)
    for is_new in (False, True):
        channel.order("mdm-wipe", devices=[device.enrollment_id])
        channel.order("mdm-enroll", devices=[device.enrollment_id], new_id=is_new)
        channel.hear()
        device = Device.objects.get()
        stored = Installation.objects.get(pk=installation.pk)
        assert device.is_enrolled
        assert (stored.state, stored.holder) == (InstallState.FAILED, device.serial_number)
        assert stored.retry_at is not None
        order(app, device)
        settle(channel)
        assert state(installation) == InstallState.INSTALLED


def test_what_was_on_its_way_to_an_old_enrollment_is_lost_with_it(channel: Channel, app: App) -> None:
    device = channel.enroll()
    channel.order("mdm-behave", devices=[device.enrollment_id], silent=True)
    installation = order(app, device)
    channel.work()
    assert state(installation) == InstallState.SENT
    channel.order("mdm-behave", devices=[device.enrollment_id], silent=False)
    channel.order("mdm-enroll", devices=[device.enrollment_id], new_id=True)
    channel.hear()
    assert Command.objects.get(installation=installation).status == CommandStatus.LOST
    assert state(installation) == InstallState.FAILED


def test_a_device_that_leaves_takes_its_open_commands_along(channel: Channel, app: App) -> None:
    device = channel.enroll()
    channel.order("mdm-behave", devices=[device.enrollment_id], not_now=True)
    installation = order(app, device)
    channel.work()
    channel.order("mdm-check-out", devices=[device.enrollment_id])
    channel.hear()
    assert not Device.objects.get().is_enrolled
    assert Command.objects.get(installation=installation).status == CommandStatus.LOST
    assert not Command.objects.open().exists()


def test_every_event_was_understood(channel: Channel, app: App) -> None:
    for kind in ("iPhone", "iPad", "Mac", "Apple TV"):
        order(app, channel.enroll(kind=kind))
    channel.enroll(kind="iPhone", user_enrolled=True)
    settle(channel)
    assert not DeviceEvent.objects.exclude(state="done").exists()
    assert set(Device.objects.values_list("platform", flat=True)) == {"iOS", "macOS", "tvOS"}
    assert Device.objects.filter(enrollment_type="user", serial_number="").count() == 1


def test_installations_of_other_devices_are_left_alone(channel: Channel, app: App) -> None:
    other = InstallationFactory(app=app, installed=True)
    settle(channel, 1)
    installation = order(app, channel.enroll())
    settle(channel)
    assert {state(other), state(installation)} == {InstallState.INSTALLED}
