"""New versions go to simulated devices over the stand-in for NanoMDM, and their lists tell what became of them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.models import App, Command, Installation, InstallState, UpdateState
from catalog.updates import updating
from tests.channel import Channel
from tests.factories import AppFactory, InstallationFactory
from tests.releases import stored
from tokens.models import Listing
from vppportal.groups.models import Device

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def app(channel: Channel, make_location) -> App:
    """An app the simulated store knows in its first version."""
    location = make_location(assets=3)
    product = channel.sim.world.store.find(location.adam_ids[0])
    assert product is not None
    newest = product.versions[-1]
    made: App = AppFactory(
        listing__adam_id=product.adam_id,
        listing__bundle_id=product.bundle_id,
        listing__external_version_id=newest.external_id,
        listing__version=newest.display,
    )
    return made


def installed(app: App, channel: Channel) -> Installation:
    """Let a device enroll and get the app in its present version."""
    told = {"external_version_id": 1, "confirmed_at": timezone.now()}
    row: Installation = InstallationFactory(app=app, device=channel.enroll(), installed=True, **told)
    updating.propagate()
    settle(channel)
    assert stored(row).update_state == UpdateState.NONE
    assert stored(row).version == app.listing.version
    return row


def ship(app: App, channel: Channel) -> int:
    """Ship a new version, and let the portal know it."""
    shipped = channel.order("ship", adam_id=app.adam_id, version="9.9")
    version: int = shipped["externalId"]
    Listing.objects.update(external_version_id=version, version="9.9")
    return version


def settle(channel: Channel, times: int = 3) -> None:
    for _ in range(times):
        channel.work()


def behave(channel: Channel, device: Device, **conduct: bool) -> None:
    channel.order("mdm-behave", devices=[device.enrollment_id], **conduct)


def test_a_new_version_is_confirmed_by_the_devices_list(channel: Channel, app: App) -> None:
    row = installed(app, channel)
    version = ship(app, channel)
    assert updating.propagate() == 1
    settle(channel)
    row = stored(row)
    assert (row.state, row.external_version_id, row.version) == (InstallState.INSTALLED, version, "9.9")
    assert row.update_state == UpdateState.NONE
    assert updating.propagate() == 0
    assert not Command.objects.open().exists()


def test_a_device_that_asks_to_wait_updates_later(channel: Channel, app: App) -> None:
    row = installed(app, channel)
    version = ship(app, channel)
    behave(channel, row.device, notNow=True)
    updating.propagate()
    settle(channel)
    assert stored(row).update_details == "The device asked to wait."
    behave(channel, row.device, notNow=False)
    channel.order("mdm-poll")
    channel.hear()
    settle(channel)
    assert stored(row).external_version_id == version
    assert Command.objects.filter(updates_to=version).count() == 1


def test_a_device_that_is_full_keeps_the_old_version_and_is_tried_again(channel: Channel, app: App) -> None:
    row = installed(app, channel)
    old = stored(row).external_version_id
    version = ship(app, channel)
    behave(channel, row.device, storageFull=True)
    updating.propagate()
    settle(channel)
    assert stored(row).update_state == UpdateState.FAILED
    assert stored(row).external_version_id == old
    behave(channel, row.device, storageFull=False)
    Installation.objects.update(update_retry_at=timezone.now())
    assert updating.propagate() == 1
    settle(channel)
    assert stored(row).external_version_id == version


def test_a_person_who_declines_is_not_asked_again(channel: Channel, app: App) -> None:
    row = installed(app, channel)
    ship(app, channel)
    behave(channel, row.device, refuses=True)
    updating.propagate()
    settle(channel)
    assert stored(row).update_details == "The person declined the update."
    assert stored(row).update_retry_at is None
    assert updating.propagate() == 0


def test_an_update_that_changes_nothing_is_no_endless_loop(channel: Channel, app: App) -> None:
    row = installed(app, channel)
    version = ship(app, channel)
    behave(channel, row.device, stuck=True)
    for _ in range(5):
        updating.propagate()
        settle(channel, 2)
        Installation.objects.filter(update_state="under_way").update(
            update_since=timezone.now() - timedelta(minutes=31)
        )
        settle(channel, 1)
        Installation.objects.filter(update_retry_at__isnull=False).update(update_retry_at=timezone.now())
    assert stored(row).update_details == "The device took the command, but the version did not change."
    assert (stored(row).update_tries, stored(row).update_retry_at) == (3, None)
    assert Command.objects.filter(updates_to=version).count() == 3
