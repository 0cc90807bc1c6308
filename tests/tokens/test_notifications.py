"""Apple's notifications hurry what would happen anyway, and are never believed."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.utils import timezone

from tests.changes import asset_of, settle_all
from tests.factories import ContentTokenFactory, ManagedUserFactory, OperationFactory
from tests.locations import Location, Mirror, assert_level
from tokens import notifications, people
from tokens.fields import Sealed
from tokens.models import ClientUser, ContentToken, Notification, Operation, OperationStep, SyncRun
from tokens.secret import Secret
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db


@pytest.fixture
def listening() -> ContentToken:
    """A token that Apple may notify, without any Apple."""
    return ContentTokenFactory(
        location_id="7001",
        notification_id=uuid.uuid4(),
        notification_secret=Sealed.seal(Secret("any"), bound_to="7001"),
    )


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
