"""The address of Apple's notifications: who has the bearer is heard once, everybody else finds nothing out."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.deliveries import taken
from tests.factories import ContentTokenFactory
from tokens import tasks
from tokens.fields import Sealed
from tokens.models import ContentToken, Notification
from tokens.secret import Secret
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db
BEARER = "a-bearer-only-apple-knows"


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
