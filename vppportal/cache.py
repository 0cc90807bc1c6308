"""The cache: what is in it may be gone at any time, and so may the whole of Redis."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError


class Json:
    """How values are written. Django's own way is a pickle, which runs whatever somebody else wrote to Redis."""

    def dumps(self, value: Any) -> str:
        return json.dumps(value)

    def loads(self, text: bytes) -> Any:
        return json.loads(text)


class ForgetfulCache(RedisCache):
    """A Redis cache that is empty while Redis cannot be reached, so that pages and workers go on without it."""

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        with suppress(RedisError, ValueError):
            return super().get(key, default, version)
        return default

    def set(self, key: Any, value: Any, *options: Any, **named: Any) -> None:
        with suppress(RedisError):
            super().set(key, value, *options, **named)

    def add(self, key: Any, value: Any, *options: Any, **named: Any) -> bool:
        with suppress(RedisError):
            return super().add(key, value, *options, **named)
        return True

    def delete(self, key: Any, version: int | None = None) -> bool:
        with suppress(RedisError):
            return super().delete(key, version)
        return False
