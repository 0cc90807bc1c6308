"""A worker dies at any statement of its work: the next one ends it, and nothing is missing or there twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count

import psycopg
import pytest
import time_machine
from django.db import OperationalError, connection
from django.utils import timezone

from catalog import additions
from catalog.models import Addition, App, Outcome
from tests.deliveries import run, sweep, taken
from tests.factories import UserFactory
from tests.locations import Location, assert_level
from tokens import registration, removal, tasks
from tokens.models import Asset, Assignment, ContentToken, SyncReason, SyncRun
from tokens.signals import Changes, token_changed
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """What SIGKILL would be."""


@contextmanager
def dying_at(number: int, error: BaseException) -> Iterator[None]:
    """Let the n-th statement that writes, and everything after it, fail with `error`.

    What is stored changes by writing only, so dying anywhere else is like dying at the next of these.
    """
    written = 0

    def execute_or_die(execute, sql, *arguments):
        nonlocal written
        written += sql.lstrip().startswith(("INSERT", "UPDATE", "DELETE", "CREATE"))
        if written > number and not sql.startswith(("ROLLBACK", "DROP TABLE IF EXISTS")):
            raise error
        return execute(sql, *arguments)

    with connection.execute_wrapper(execute_or_die):
        yield


def enumerate_deaths(prepare: Callable[[], Callable[[], None]], error: BaseException) -> Iterator[None]:
    """Carry the work out again and again, dying one statement later each time; yield after each death."""
    for number in count():
        work = prepare()
        try:
            with dying_at(number, error):
                work()
        except type(error):
            yield
        else:
            return


def the_next_worker_comes() -> None:
    """Let the lease end, and the sweepers' messages be carried out until there is no more to do."""
    with time_machine.travel(timezone.now() + SyncRun.lease + timedelta(minutes=10)):
        for _ in range(5):
            sweep()
            if not (messages := list(taken())):
                return
            run(messages)
    raise AssertionError("the sweepers find work again and again")


def test_a_first_sync_that_is_killed_anywhere_is_completed(make_location: Callable[..., Location]) -> None:
    """The listeners run inside the sync, so this is adding to the catalog as well."""
    by = UserFactory()
    locations: list[Location] = []

    def prepare() -> Callable[[], None]:
        locations.append(make_location(assets=2, assignments=4, users=1, devices=2))
        waiting = locations[-1].upload(by=by).pk
        return lambda: tasks.sync_token(waiting)

    for _ in enumerate_deaths(prepare, Killed()):
        the_next_worker_comes()
        token = ContentToken.objects.get(location_id=locations[-1].world.uid)
        assert_level(token, locations[-1])
        assert token.sync_runs.get().state == WorkState.DONE
        assert set(token.additions.values_list("outcome", flat=True)) == {Outcome.ADDED}
    assert len(locations) > 40
    assert App.objects.count() == Addition.objects.count() == 2 * len(locations)


def test_a_sync_with_changes_that_loses_the_database_anywhere_is_completed(location: Location) -> None:
    token = location.mirrored()
    additions.add(token)
    numbers = iter(range(10_000))

    def prepare() -> Callable[[], None]:
        number = next(numbers)
        location.tell("assign", adam_id=location.adam_ids[0], serial_numbers=[f"NEWSERIAL{number}"])
        row = next(iter(location.world.holdings))
        location.tell("take-back", adam_id=row.adam_id, serial_numbers=[row.serial_number])
        waiting = registration.ask_for_sync(token, SyncReason.MANUAL, None).pk
        return lambda: tasks.sync_token(waiting)

    location.world.assets[next(iter(location.world.assets))].total = 10_000
    for _ in enumerate_deaths(prepare, OperationalError("the connection was lost")):
        the_next_worker_comes()
        assert_level(token, location)
        assert set(SyncRun.objects.values_list("state", flat=True)) == {WorkState.DONE}


def test_a_purge_that_is_killed_anywhere_is_completed(make_location: Callable[..., Location]) -> None:
    by = UserFactory()

    def prepare() -> Callable[[], None]:
        token = make_location(assets=1, assignments=2, users=1, devices=1).mirrored(by=by)
        removal.delete(token, by=by)
        return lambda: tasks.purge_token(token.pk)

    for _ in enumerate_deaths(prepare, Killed()):
        the_next_worker_comes()
        assert not ContentToken.objects.exists()
        assert not Asset.objects.exists()
        assert not Assignment.objects.exists()


@pytest.mark.parametrize("phase", ["assets", "users"])
def test_a_database_that_ends_the_connection_in_the_middle_costs_the_lease_only(location: Location, phase: str) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no connection that somebody else could end")
    waiting = location.upload()

    def end_the_connection(changes: Changes, **kwargs: object) -> None:
        if changes.phase == phase:
            parameters = connection.get_connection_params()
            where = {name: parameters[name] for name in ("dbname", "host", "port", "user", "password")}
            with psycopg.connect(**where) as other:
                other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])

    token_changed.connect(end_the_connection)
    try:
        with pytest.raises(OperationalError):
            tasks.sync_token(waiting.pk)
    finally:
        token_changed.disconnect(end_the_connection)
        connection.close()
    the_next_worker_comes()
    assert_level(waiting.token, location)
    assert SyncRun.objects.get().state == WorkState.DONE
