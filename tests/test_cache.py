"""The cache forgets rather than fails."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.core.cache import cache
from redis import Redis

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


def test_nothing_in_it_runs_when_it_is_read() -> None:
    """Whoever may write to Redis must not thereby run programs in the portal, as a pickle would let them."""
    with pytest.raises(TypeError):
        cache.set("key", {1, 2})
    cache.set("key", {"a": [1, 2.5, True, None, "b"]})
    assert cache.get("key") == {"a": [1, 2.5, True, None, "b"]}


def test_what_is_none_of_ours_is_not_there(valkey: Valkey) -> None:
    cache.set("key", 1)
    with Redis.from_url(settings.REDIS_URL) as redis:
        [name] = redis.keys()
        redis.set(name, pickle.dumps("a pickle"))
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
