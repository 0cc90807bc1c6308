"""The cache forgets rather than fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache

from tests.processes import Valkey


@pytest.fixture
def away(valkey: Valkey) -> Iterator[None]:
    cache.set("before", 1)
    valkey.process.kill()
    yield
    valkey.start()


def test_it_keeps_what_it_is_given() -> None:
    cache.set("key", "value")
    assert cache.get("key") == "value"
    assert not cache.add("key", "other")
    assert cache.delete("key")
    assert cache.get("key", "default") == "default"


def test_without_redis_it_is_empty_and_takes_everything(away: None) -> None:
    cache.set("key", "value")
    assert cache.get("key") is None
    assert cache.get("before", "default") == "default"
    assert cache.add("key", "value")
    assert not cache.delete("key")


def test_it_is_there_again_with_redis(valkey: Valkey) -> None:
    valkey.process.kill()
    cache.set("key", "lost")
    valkey.start()
    cache.set("key", "kept")
    assert cache.get("key") == "kept"
