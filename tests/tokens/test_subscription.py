"""Over real sockets: Apple is asked to notify, and however it does everything ends the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from tests.changes import assert_agreed, asset_of, carry_out_due, known_devices, settle_all, states
from tests.deliveries import deliver, taken
from tests.factories import UserFactory
from tests.locations import Location, assert_level, sync_now
from tokens import licenses, removal, tasks
from tokens.models import ContentToken, Notification, Operation, SyncRun
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db


@pytest.fixture
def heard(location: Location, live_server: LiveServer, settings: Any) -> Iterator[ContentToken]:
    """A token of a portal that Apple reaches."""
    settings.HEARS_APPLE, settings.PORTAL_URL = True, live_server.url
    yield location.mirrored()
    location.sim.control("settle")


def webhook(location: Location) -> tuple[str, str]:
    """Return where Apple sends the location's notifications, and with which bearer."""
    assert location.world.webhook is not None
    return location.world.webhook.url, location.world.webhook.auth_token


OVER_SOCKETS = pytest.mark.django_db(transaction=True)


@OVER_SOCKETS
def test_a_sync_subscribes_once(location: Location, heard: ContentToken) -> None:
    assert heard.subscribed_to.endswith(f"/apple/notifications/{heard.notification_id}/")
    assert webhook(location)[0] == heard.subscribed_to
    assert set(location.world.types) == {"ASSET_COUNT", "ASSET_MANAGEMENT", "USER_MANAGEMENT", "USER_ASSOCIATED"}
    posts = len([entry for entry in location.asked("/client/config") if entry["method"] == "POST"])
    sync_now(heard)
    again = len([entry for entry in location.asked("/client/config") if entry["method"] == "POST"])
    assert (posts, again) == (2, 2), "the claim and the subscription"


@OVER_SOCKETS
def test_a_subscription_somebody_else_took_is_taken_back(location: Location, heard: ContentToken) -> None:
    ours = webhook(location)
    location.world.webhook = None
    sync_now(heard)
    assert webhook(location) == ours


@OVER_SOCKETS
def test_a_portal_that_cannot_be_reached_polls(location: Location, settings: Any) -> None:
    settings.HEARS_APPLE, settings.PORTAL_URL = True, "http://127.0.0.1:9"
    token = location.mirrored()
    assert token.subscribed_to == ""
    assert location.world.webhook is None
    licenses.assign(asset_of(token), known_devices(2), by=None, why="Test")
    assert settle_all(location) < timedelta(seconds=10)
    assert_agreed(token, location)


@OVER_SOCKETS
def test_a_location_that_may_only_be_read_is_not_subscribed(
    location: Location, live_server: LiveServer, settings: Any
) -> None:
    settings.HEARS_APPLE, settings.PORTAL_URL = True, live_server.url
    run = location.upload()
    location.tell("read-only")
    tasks.sync_token(run.pk)
    assert SyncRun.objects.get().state == WorkState.DONE
    assert location.world.webhook is None


@OVER_SOCKETS
def test_a_license_is_settled_by_its_notification(location: Location, heard: ContentToken) -> None:
    licenses.assign(asset_of(heard), known_devices(150), by=None, why="Test")
    licenses.assign(asset_of(heard), known_devices(21), by=None, why="Test")
    carry_out_due()
    location.sim.control("settle")
    assert Notification.objects.exists()
    deliver()
    assert not Operation.objects.open().exists()
    assert_agreed(heard, location)
    looks = len(location.asked("/status"))
    assert looks == Operation.objects.count()


@OVER_SOCKETS
def test_a_notification_that_is_quicker_than_the_receipt_is_heard(location: Location, heard: ContentToken) -> None:
    location.sim.control("faults", path="/assets/associate", hold=1.0)
    licenses.assign(asset_of(heard), known_devices(2), by=None, why="Test")
    list(taken())
    carry_out_due()
    operation = Operation.objects.get()
    assert Notification.objects.get().received_at < operation.next_attempt_at <= timezone.now()
    deliver()
    assert not Operation.objects.open().exists()
    assert_agreed(heard, location)


@OVER_SOCKETS
@pytest.mark.parametrize("mode", ["normal", "twice", "never", "disorder", "late"])
def test_however_notifications_arrive_everything_ends_the_same(
    location: Location, heard: ContentToken, mode: str
) -> None:
    location.sim.control("notifications", mode=mode, seconds=0.2)
    asset = asset_of(heard)
    devices = known_devices(15)
    licenses.assign(asset, devices, by=None, why="Test")
    took = settle_all(location)
    licenses.revoke(asset, devices[:5], by=None, why="Test")
    settle_all(location)
    location.tell("buy", adam_id=asset.adam_id, count=9)
    location.sim.control("settle")
    location.sim.control("release-notifications")
    location.sim.control("settle")
    list(taken())
    for _ in range(2):
        tasks.apply_notifications(heard.pk)
    sync_now(heard)
    assert_level(heard, location)
    assert states() == {"done": 20}
    assert took <= timedelta(minutes=5, seconds=30)


@OVER_SOCKETS
def test_a_deleted_token_takes_its_notifications_with_it(location: Location, heard: ContentToken) -> None:
    location.tell("buy", adam_id=asset_of(heard).adam_id, count=9)
    location.sim.control("settle")
    assert Notification.objects.exists()
    removal.delete(heard, by=UserFactory())
    removal.purge(heard.pk)
    assert not Notification.objects.exists()
    location.tell("buy", adam_id=location.adam_ids[0], count=9)
    location.sim.control("settle")
    assert location.sim.world.notifications.report()[-1]["statuses"][0] == 403
