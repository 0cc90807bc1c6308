"""Load balancers learn whether the process lives and can serve; each part that does not work is named."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test import Client

from tests.processes import Valkey

pytestmark = pytest.mark.django_db
WELL = {"database": "ok", "migrations": "ok", "keys": "ok", "broker": "ok"}


def ready() -> tuple[int, dict[str, Any]]:
    answer = Client().get("/health/ready")
    return answer.status_code, answer.json()


def test_a_process_that_answers_is_alive_and_asks_nobody(django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        answer = Client().get("/health/live")
    assert (answer.status_code, answer.content) == (200, b"alive\n")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_nobody_need_sign_in_and_no_cache_keeps_the_answer(path: str) -> None:
    answer = Client().get(path)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert Client().post(path).status_code == 405


def test_all_is_well() -> None:
    assert ready() == (200, WELL)


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_database_that_is_away_makes_the_portal_unready(error: type[Exception]) -> None:
    def fail(*arguments: object) -> None:
        raise error("the connection is closed")

    with connection.execute_wrapper(fail):
        status, parts = ready()
    assert status == 503
    assert parts["database"] == parts["migrations"] == "unreachable"
    assert "closed" not in str(parts)


def test_a_missing_migration_makes_the_portal_unready() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'catalog'")
    assert ready() == (503, WELL | {"migrations": "failing"})


def test_a_key_that_is_none_makes_the_portal_unready(settings) -> None:
    settings.TOKEN_ENCRYPTION_KEYS = [*settings.TOKEN_ENCRYPTION_KEYS, "not a key"]
    status, parts = ready()
    assert (status, parts["keys"]) == (503, "unreachable")
    assert "not a key" not in str(parts)


def test_a_broker_that_is_away_is_reported_and_pages_go_on(valkey: Valkey) -> None:
    valkey.process.kill()
    try:
        assert ready() == (200, WELL | {"broker": "unreachable"})
    finally:
        valkey.start()
