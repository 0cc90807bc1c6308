"""Apple's notifications hurry what would happen anyway: lost, doubled or late ones change nothing in the end."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from tests.changes import assert_agreed, asset_of, carry_out_due, known_devices, settle_all, states
from tests.deliveries import deliver, taken
from tests.factories import ContentTokenFactory, ManagedUserFactory, OperationFactory, UserFactory
from tests.locations import Location, Mirror, assert_level, sync_now
from tokens import licenses, notifications, people, removal, tasks
from tokens.fields import Sealed
from tokens.models import ClientUser, ContentToken, Notification, Operation, OperationStep, SyncRun
from tokens.secret import Secret
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db
BEARER = "a-bearer-only-apple-knows"


# --- The address ------------------------------------------------------------------------------------------------------


@pytest.fixture
def listening() -> ContentToken:
    """A token that Apple may notify, without any Apple."""
    return ContentTokenFactory(
        location_id="7001",
        notification_id=uuid.uuid4(),
        notification_secret=Sealed.seal(Secret(BEARER), bound_to="7001"),
    )


def envelope(kind: str = "ASSET_COUNT", number: str = "n-1", uid: str = "7001", **content: Any) -> dict[str, Any]:
    return {"notificationId": number, "notificationType": kind, "uId": uid, "notification": content}


def post(token: ContentToken, body: object, bearer: str = f"Bearer {BEARER}", where: Any = None) -> int:
    data = body if isinstance(body, bytes) else json.dumps(body)
    address = f"/apple/notifications/{where or token.notification_id}/"
    headers = {"Authorization": bearer} if bearer else {}
    answer = Client(enforce_csrf_checks=True).post(address, data, content_type="application/json", headers=headers)
    assert answer.content == b""
    return int(answer.status_code)


def test_a_notification_is_stored_once(listening: ContentToken) -> None:
    assert [post(listening, envelope(adamId="1")) for _ in range(3)] == [200] * 3
    row = Notification.objects.get()
    assert (row.token, row.type, row.notification_id, row.body) == (listening, "ASSET_COUNT", "n-1", {"adamId": "1"})


def test_a_thousand_doubles_after_it_was_applied_are_one(listening: ContentToken) -> None:
    post(listening, envelope())
    Notification.objects.update(state=WorkState.DONE)
    for _ in range(30):
        post(listening, envelope())
    assert Notification.objects.get().state == WorkState.DONE


@pytest.mark.parametrize("bearer", ["", "Bearer", "Bearer wrong", BEARER, f"Basic {BEARER}", "Bearer ünïcode"])
def test_without_the_bearer_nothing_is_taken(listening: ContentToken, bearer: str) -> None:
    assert post(listening, envelope(), bearer) == 403
    assert not Notification.objects.exists()


def test_an_unknown_address_answers_as_a_wrong_bearer_does(listening: ContentToken) -> None:
    assert post(listening, envelope(), where=uuid.uuid4()) == 403


def test_a_token_without_a_secret_takes_nothing() -> None:
    token = ContentTokenFactory(notification_id=uuid.uuid4())
    for bearer in (f"Bearer {BEARER}", "Bearer the bearer of no token at all", "Bearer "):
        assert post(token, envelope(uid=token.location_id), bearer) == 403


def test_the_secret_of_another_location_opens_nothing(listening: ContentToken) -> None:
    other = ContentTokenFactory(
        notification_id=uuid.uuid4(), notification_secret=Sealed.seal(Secret("other"), bound_to="7002")
    )
    assert post(other, envelope(), f"Bearer {BEARER}") == 403


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"notificationId": "1"}', b"[" * 5000])
def test_what_is_not_a_notification_is_refused(listening: ContentToken, body: bytes) -> None:
    assert post(listening, body) == 400
    assert not Notification.objects.exists()


@pytest.mark.parametrize("number", [None, 7, "", ["x"]])
def test_a_notification_without_an_id_is_refused(listening: ContentToken, number: Any) -> None:
    assert post(listening, envelope() | {"notificationId": number}) == 400


def test_a_body_that_is_too_large_is_refused_unread(listening: ContentToken) -> None:
    assert post(listening, b" " * (1024 * 1024 + 1)) == 413


def test_what_is_about_another_location_changes_nothing(listening: ContentToken) -> None:
    assert post(listening, envelope(uid="7002")) == 200
    assert not Notification.objects.exists()


def test_a_test_is_answered_and_forgotten(listening: ContentToken) -> None:
    assert post(listening, envelope("TEST_NOTIFICATION")) == 200
    assert not Notification.objects.exists()


def test_invitation_codes_are_not_kept(listening: ContentToken) -> None:
    user = {"clientUserId": "u", "inviteCode": "secret-code", "status": "Associated"}
    post(listening, envelope("USER_ASSOCIATED", associatedUsers=[user]))
    assert "secret-code" not in json.dumps(Notification.objects.get().body)


def test_a_deleted_token_still_listens(listening: ContentToken) -> None:
    ContentToken.objects.update(deleted_at=timezone.now())
    assert post(listening, envelope()) == 200


def test_the_address_takes_posts_only(listening: ContentToken) -> None:
    assert Client().get(f"/apple/notifications/{listening.notification_id}/").status_code == 405


def test_nul_and_odd_texts_do_no_harm(listening: ContentToken) -> None:
    body = json.dumps(envelope(adamId="x")).replace('"x"', '"\\u0000\\ud800"').encode()
    assert post(listening, body) == 200


@pytest.mark.django_db(transaction=True)
def test_taking_one_in_asks_a_worker_and_costs_few_queries(
    listening: ContentToken, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(4):
        post(listening, envelope())
    assert [*taken()] == [("tokens.tasks.apply_notifications", (listening.pk,))]


def test_old_notifications_are_forgotten(listening: ContentToken) -> None:
    post(listening, envelope(number="old"))
    Notification.objects.update(received_at=timezone.now() - timedelta(days=15))
    post(listening, envelope(number="new"))
    tasks.forget_old_runs()
    assert Notification.objects.get().notification_id == "new"


# --- What they hurry --------------------------------------------------------------------------------------------------


def told(token: ContentToken, kind: str, **content: Any) -> Notification:
    notifications.take_in(token, str(uuid.uuid4()), kind, content)
    return Notification.objects.order_by("-pk")[0]


def apply(token: ContentToken) -> list[Any]:
    return [*notifications.apply(ContentToken.objects.get(pk=token.pk))]


def test_an_operation_that_waits_for_long_looks_at_once(listening: ContentToken) -> None:
    operation = OperationFactory(
        asset__token=listening,
        step=OperationStep.PENDING,
        event_id="e-1",
        next_attempt_at=timezone.now() + timedelta(minutes=5),
    )
    told(listening, "ASSET_MANAGEMENT", eventId="e-1")
    apply(listening)
    assert Operation.objects.due().get() == operation
    assert Notification.objects.get().state == WorkState.DONE


def test_an_operation_that_looks_soon_anyway_is_not_hurried(listening: ContentToken) -> None:
    due = timezone.now() + timedelta(seconds=20)
    OperationFactory(asset__token=listening, step=OperationStep.PENDING, event_id="e-1", next_attempt_at=due)
    told(listening, "ASSET_MANAGEMENT", eventId="e-1")
    apply(listening)
    assert Operation.objects.get().next_attempt_at == due


def test_an_event_of_another_token_hurries_nobody(listening: ContentToken) -> None:
    due = timezone.now() + timedelta(minutes=5)
    OperationFactory(step=OperationStep.PENDING, event_id="e-1", next_attempt_at=due)
    told(listening, "ASSET_MANAGEMENT", eventId="e-1")
    apply(listening)
    assert Operation.objects.get().next_attempt_at == due


def test_a_count_is_read_again_and_never_added_up(location: Location) -> None:
    token = location.mirrored()
    asset = asset_of(token)
    location.tell("buy", adam_id=asset.adam_id, count=5)
    for delta in (5, -1_000_000, "7", None):
        told(token, "ASSET_COUNT", adamId=asset.adam_id, pricingParam="STDQ", countDelta=delta)
    before = len(location.asked("/assets"))
    (changes,) = apply(token)
    assert (changes.phase, changes.changed) == ("assets", 1)
    assert_level(token, location)
    assert len(location.asked("/assets")) == before + 1


def test_counts_are_read_at_most_every_few_seconds_and_the_last_word_is_heard(location: Location) -> None:
    token = location.mirrored()
    asset = asset_of(token)
    before = len(location.asked("/assets"))
    told(token, "ASSET_COUNT", adamId=asset.adam_id)
    apply(token)
    location.tell("buy", adam_id=asset.adam_id, count=5)
    for _ in range(20):
        told(token, "ASSET_COUNT", adamId=asset.adam_id)
        apply(token)
    assert len(location.asked("/assets")) == before + 1
    waiting = Notification.objects.open()
    assert waiting.count() == 20
    assert max(waiting.values_list("next_attempt_at", flat=True)) < timezone.now() + timedelta(seconds=6)
    with time_machine.travel(timezone.now() + timedelta(seconds=6)):
        cache.clear()  # Redis keeps its own time
        apply(token)
    assert_level(token, location)
    assert len(location.asked("/assets")) == before + 2
    assert not Notification.objects.open().exists()


def test_a_purchase_of_something_new_brings_a_sync(location: Location) -> None:
    token = location.mirrored()
    SyncRun.objects.update(created_at=timezone.now() - timedelta(hours=1))
    adam_id = location.tell("add-app")["adamId"]
    told(token, "ASSET_COUNT", adamId=adam_id, countDelta=10)
    apply(token)
    run = SyncRun.objects.open().get()
    assert run.get_reason_display() == "Apple told of changes"
    told(token, "ASSET_COUNT", adamId=adam_id, countDelta=10)
    apply(token)
    assert SyncRun.objects.open().get() == run


def test_syncs_that_apple_asks_for_are_ten_minutes_apart(location: Location) -> None:
    token = location.mirrored()
    told(token, "UNLIMITED_ASSET")
    apply(token)
    assert not SyncRun.objects.open().exists()
    assert Notification.objects.open().count() == 1
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        apply(token)
        assert SyncRun.objects.open().count() == 1
    assert not Notification.objects.open().exists()


def test_news_from_before_a_sync_brings_no_other(location: Location) -> None:
    token = location.mirrored()
    row = told(token, "UNLIMITED_ASSET")
    Notification.objects.filter(pk=row.pk).update(received_at=timezone.now() - timedelta(hours=1))
    apply(token)
    assert not SyncRun.objects.open().exists()
    assert not Notification.objects.open().exists()


def test_a_change_that_is_not_ours_brings_a_sync_and_one_of_ours_does_not(location: Location) -> None:
    token = location.mirrored()
    SyncRun.objects.update(created_at=timezone.now() - timedelta(hours=1))
    OperationFactory(asset=asset_of(token), step=OperationStep.SETTLED, state=WorkState.DONE, event_id="ours")
    told(token, "ASSET_MANAGEMENT", eventId="ours")
    apply(token)
    assert not SyncRun.objects.open().exists()
    told(token, "ASSET_MANAGEMENT", eventId="theirs")
    apply(token)
    assert SyncRun.objects.open().count() == 1


def test_an_event_whose_receipt_is_under_way_brings_no_sync(location: Location) -> None:
    token = location.mirrored()
    SyncRun.objects.update(created_at=timezone.now() - timedelta(hours=1))
    OperationFactory(asset=asset_of(token), step=OperationStep.SENDING, state=WorkState.RUNNING)
    told(token, "ASSET_MANAGEMENT", eventId="not stored yet")
    apply(token)
    assert not SyncRun.objects.open().exists()


def test_a_person_who_accepted_is_read_again(location: Location) -> None:
    token = location.mirrored()
    people.register(token, [ManagedUserFactory()], by=None)
    settle_all(location)
    user = ClientUser.objects.get(status="Registered")
    location.tell("accept", client_user_id=user.client_user_id)
    told(token, "USER_ASSOCIATED", associatedUsers=[{"clientUserId": user.client_user_id}, 7, {"clientUserId": None}])
    (changes,) = apply(token)
    assert changes.phase == "users"
    assert Mirror(token).users == location.users
    user.refresh_from_db()
    assert user.is_associated


@pytest.mark.parametrize("content", [{}, {"adamId": 7}, {"users": "x"}, {"eventId": {}}, {"associatedUsers": [None]}])
@pytest.mark.parametrize("kind", ["ASSET_COUNT", "ASSET_MANAGEMENT", "USER_MANAGEMENT", "USER_ASSOCIATED", "NEWS"])
def test_nonsense_is_looked_at_once(location: Location, kind: str, content: dict[str, Any]) -> None:
    token = location.mirrored()
    told(token, kind, **content)
    SyncRun.objects.update(created_at=timezone.now() - timedelta(hours=1))
    apply(token)
    assert Notification.objects.get().state == WorkState.DONE


def test_while_apple_is_away_notifications_wait(location: Location) -> None:
    token = location.mirrored()
    asset = asset_of(token)
    location.tell("buy", adam_id=asset.adam_id, count=5)
    location.sim.control("faults", path="/assets", status=500, times=-1)
    told(token, "ASSET_COUNT", adamId=asset.adam_id)
    apply(token)
    assert Notification.objects.get().state == WorkState.WAITING
    location.sim.world.faults.clear()
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        cache.clear()
        apply(token)
    assert_level(token, location)


def test_a_refusal_is_noted(location: Location) -> None:
    token = location.mirrored()
    location.tell("revoke")
    told(token, "ASSET_COUNT", adamId=asset_of(token).adam_id)
    apply(token)
    token.refresh_from_db()
    assert token.status == "revoked"
    assert Notification.objects.get().state == WorkState.DONE


def test_a_notification_that_kills_its_workers_is_given_up(listening: ContentToken) -> None:
    told(listening, "ASSET_COUNT", adamId="1")
    Notification.objects.update(deaths=Notification.max_deaths)
    apply(listening)
    assert Notification.objects.get().state == WorkState.DONE


# --- Over real sockets ------------------------------------------------------------------------------------------------


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
