"""Is the process alive, and is it ready to serve? For load balancers and people who watch."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis import Redis
from redis.exceptions import RedisError


@login_not_required
@never_cache
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """The process answers. Asks nobody else: a database that blinks must not get the web server killed."""
    return HttpResponse("alive\n", content_type="text/plain; charset=utf-8")


@login_not_required
@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Say part by part what works; 503 when pages cannot be served.

    A broker that is down makes background work late, not pages wrong: it is reported and does not count.
    """
    parts = {"database": _state(_database), "migrations": _state(_migrations), "keys": _state(_keys)}
    is_ready = all(state == "ok" for state in parts.values())
    return JsonResponse({**parts, "broker": _state(_broker)}, status=200 if is_ready else 503)


def _state(check: Callable[[], bool]) -> str:
    try:
        return "ok" if check() else "failing"
    except (Error, RedisError, ValueError):
        return "unreachable"


def _database() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return bool(cursor.fetchone() == (1,))


def _migrations() -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def _keys() -> bool:
    return all(Fernet(key) for key in settings.TOKEN_ENCRYPTION_KEYS)


def _broker() -> bool:
    with Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1, retry=None) as redis:
        return bool(redis.ping())
