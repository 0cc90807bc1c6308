"""Commands go to the stand-in for NanoMDM, its devices do them, and what they tell moves installations on."""

from __future__ import annotations

import pytest

from catalog import commands, mdm
from catalog.models import App, Command, CommandKind, CommandStatus, Installation, InstallState
from tests.channel import Channel
from tests.factories import AppFactory, InstallationFactory
from vppportal.groups.models import Device

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def app(channel: Channel, make_location) -> App:
    """An app the simulated store knows."""
    location = make_location(assets=3)
    product = channel.sim.world.store.find(location.adam_ids[0])
    assert product is not None
    made: App = AppFactory(listing__adam_id=product.adam_id, listing__bundle_id=product.bundle_id)
    return made


def install(app: App, device: Device) -> Installation:
    installation: Installation = InstallationFactory(app=app, device=device)
    payload = mdm.install_payload(
        app,
        is_licensed=False,
        policies=app,
        platform=device.platform,
        enrollment_type=device.enrollment_type,
        take_over=True,
    )
    enqueue(installation, CommandKind.INSTALL, payload)
    return installation


def enqueue(installation: Installation, kind: CommandKind, payload) -> None:
    device = installation.device
    command = Command(
        device=device, enrollment_id=device.enrollment_id, kind=kind, installation=installation, payload=payload
    )
    assert commands.enqueue([command]) == 1


def state(installation: Installation) -> str:
    return Installation.objects.get(pk=installation.pk).state


def test_a_device_that_enrolls_appears_by_itself(channel: Channel) -> None:
    device = channel.enroll(kind="iPad", owner="")
    assert device.is_enrolled
    assert (device.platform, device.os_version) == ("iOS", "26.1")
    assert device.serial_number
    assert device.last_seen_at is not None


def test_an_app_is_installed_and_removed(channel: Channel, app: App) -> None:
    installation = install(app, channel.enroll())
    channel.work()
    assert state(installation) == InstallState.INSTALLING
    channel.work()
    assert state(installation) == InstallState.INSTALLED
    stored = Installation.objects.get(pk=installation.pk)
    assert stored.confirmed_at is not None
    assert stored.external_version_id is not None
    assert not Command.objects.open().exists()

    Installation.objects.filter(pk=installation.pk).update(state=InstallState.REMOVING)
    enqueue(installation, CommandKind.REMOVE, mdm.remove_payload(app.listing.bundle_id))
    channel.work()
    channel.work()
    assert state(installation) == InstallState.REMOVED
    assert not Command.objects.open().exists()
    assert set(Command.objects.values_list("status", flat=True)) == {CommandStatus.ACKNOWLEDGED}
