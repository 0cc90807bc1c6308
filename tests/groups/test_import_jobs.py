"""Imports as work: previews, decisions, workers that die, queries, and being forgotten."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import ImportFactory, ManagedUserFactory, UserGroupFactory
from tests.groups.files import DEVICES, GROUPS, PEOPLE, asked, compared, counts, imported, people
from vppportal.activity.models import Entry
from vppportal.groups import importing
from vppportal.groups.importing import load
from vppportal.groups.merging import BATCH
from vppportal.groups.models import (
    Import,
    ImportedRow,
    ImportFile,
    ImportPhase,
    ManagedUser,
    UserGroup,
)
from vppportal.groups.tasks import carry_out_import
from vppportal.work import LeaseLost, WorkState

pytestmark = pytest.mark.django_db


def test_a_preview_changes_nothing() -> None:
    person = ManagedUserFactory(name="Ada", email="person0@x.example")
    job = compared(PEOPLE, people(3))
    assert counts(job) == (2, 1, 0, 0)
    assert job.changes == {"Name": 1, "User groups": 1}
    assert job.new_groups == {"count": 3, "names": ["Group 0", "Group 1", "Group 2"]}
    assert list(ManagedUser.objects.all()) == [person]
    assert not UserGroup.objects.exists()
    assert not Entry.objects.exists()


def test_what_goes_in_is_recorded_once_with_its_counts() -> None:
    job = imported(PEOPLE, people(3))
    entry = Entry.objects.get()
    assert entry.verb == "imported people from"
    assert entry.object_name == "file.csv"
    assert entry.details == {"new": 3, "changed": 0, "same": 0, "bad": 0}
    assert not ImportFile.objects.filter(job=job).exists()


def test_what_changed_since_the_preview_is_compared_anew() -> None:
    job = compared(PEOPLE, people(3))
    ManagedUserFactory(name="Person 1", email="PERSON1@x.example", groups=[UserGroupFactory(name="Group 1")])
    importing.start(job, None)
    carry_out_import(job.pk)
    job.refresh_from_db()
    assert counts(job) == (2, 0, 1, 0)


def test_only_one_decides() -> None:
    job = compared(PEOPLE, people(1))
    assert importing.start(job, None)
    assert not importing.start(job, None)
    assert not importing.discard(job)


def test_a_discarded_file_is_forgotten() -> None:
    job = compared(PEOPLE, people(1))
    assert importing.discard(job)
    assert not importing.discard(job)
    assert not importing.start(job, None)
    assert not ImportedRow.objects.exists()


def test_messages_that_come_twice_or_late_do_nothing() -> None:
    job = imported(PEOPLE, people(3))
    before = Import.objects.get(pk=job.pk)
    carry_out_import(job.pk)
    job.refresh_from_db()
    assert (job.epoch, counts(job)) == (before.epoch, (3, 0, 0, 0))


class Died(BaseException):
    """A worker that was killed."""


@pytest.mark.parametrize("phase", [ImportPhase.COMPARING, ImportPhase.STORING])
@pytest.mark.parametrize("batches", [0, 1, 2])
def test_another_worker_takes_over_where_one_died(phase: ImportPhase, batches: int) -> None:
    content = people(2 * BATCH + 10)
    if phase == ImportPhase.COMPARING:
        job = asked(PEOPLE, content)
    else:
        job = compared(PEOPLE, content)
        importing.start(job, None)
    (held,) = Import.objects.filter(pk=job.pk).claim(1)
    with pytest.raises(Died), dying_after(batches):
        importing.carry_out(held)
    if phase == ImportPhase.STORING:
        assert ManagedUser.objects.count() == batches * BATCH
    Import.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    carry_out_import(job.pk)
    job.refresh_from_db()
    assert counts(job) == (2 * BATCH + 10, 0, 0, 0)
    assert job.new_groups["count"] == 7
    assert job.done == job.total
    assert ManagedUser.objects.count() == (0 if phase == ImportPhase.COMPARING else job.total)
    with pytest.raises(LeaseLost):
        held.renew()


def dying_after(batches: int) -> AbstractContextManager[None]:
    """Let the worker be killed at the end of a batch, before it is committed, after so many whole ones."""
    seen = []

    def die(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("UPDATE") and '"new_groups"' in sql and '"started_at"' not in sql:
            seen.append(sql)
            if len(seen) > batches:
                raise Died
        return execute(sql, params, many, context)

    return connection.execute_wrapper(die)


def test_a_file_that_takes_workers_down_is_given_up() -> None:
    job = asked(PEOPLE, people(1))
    Import.objects.update(state=WorkState.RUNNING, deaths=4, lease_until=timezone.now() - timedelta(seconds=1))
    carry_out_import(job.pk)
    job.refresh_from_db()
    assert job.state == WorkState.FAILED


@pytest.mark.parametrize("writes", [False, True])
def test_a_line_more_costs_no_query_more(writes: bool) -> None:
    load(PEOPLE, b"name,email\nOwner,owner@x.example\n")

    def queries(lines: int) -> int:
        rows = [f"S{lines}-{n},owner@x.example" for n in range(lines)]
        content = "\n".join(["serial,owner", *rows]).encode()
        with CaptureQueriesContext(connection) as captured:
            if writes:
                load(DEVICES, content)
            else:
                (job,) = Import.objects.filter(pk=asked(DEVICES, content).pk).claim(1)
                importing.carry_out(job)
        return len(captured)

    assert queries(60) == queries(5)


def test_an_existing_line_more_costs_no_query_more() -> None:
    load(PEOPLE, people(100))

    def queries(lines: int, name: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert load(PEOPLE, people(lines, name=name)).changed == lines
        return len(captured)

    assert queries(60, "B") == queries(5, "A")


def test_old_imports_are_forgotten_with_their_rows() -> None:
    old = load(GROUPS, b"name\nSales\n")
    Import.objects.update(created_at=timezone.now() - timedelta(days=91))
    recent, waiting = ImportFactory(), ImportFactory(state=WorkState.WAITING)
    Import.objects.filter(pk=waiting.pk).update(created_at=timezone.now() - timedelta(days=91))
    importing.forget_old()
    assert set(Import.objects.all()) == {recent, waiting}
    assert not ImportedRow.objects.filter(job=old.pk).exists()
    assert UserGroup.objects.exists()
