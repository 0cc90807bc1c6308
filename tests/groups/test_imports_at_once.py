"""Two imports at the same time, by threads of their own: each row is there once, and nobody is turned away."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from tests.deliveries import deliver, sweep
from tests.factories import ManagedUserFactory, UserGroupFactory
from vppportal.activity.models import Entry
from vppportal.groups import importing
from vppportal.groups.models import Device, Import, ImportKind, ManagedUser, UserGroup

pytestmark = pytest.mark.django_db(transaction=True)
LINES = 3000


def at_once(*files: tuple[ImportKind, bytes]) -> list[Import]:
    """Import files in a thread each, all starting at the same moment."""
    start = threading.Barrier(len(files))

    def begin(file: tuple[ImportKind, bytes]) -> Import:
        start.wait()
        try:
            return importing.load(*file)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(files)) as pool:
        return list(pool.map(begin, files))


def people(name: str, *, backwards: bool = False) -> tuple[ImportKind, bytes]:
    lines = [f"{name} {n},Person{n}@x.example,G{n % 11};G{n % 13}" for n in range(LINES)]
    return ImportKind.PEOPLE, "\n".join(["name,email,groups", *(reversed(lines) if backwards else lines)]).encode()


def devices(*, backwards: bool = False) -> tuple[ImportKind, bytes]:
    lines = [f"S{n},person{n}@x.example" for n in range(LINES)]
    return ImportKind.DEVICES, "\n".join(["serial,owner", *(reversed(lines) if backwards else lines)]).encode()


def test_the_same_people_in_different_order() -> None:
    jobs = at_once(people("A"), people("A", backwards=True))
    assert [job.bad for job in jobs] == [0, 0]
    assert ManagedUser.objects.count() == LINES
    assert UserGroup.objects.count() == 13
    assert ManagedUser.groups.through.objects.count() == sum(len({n % 11, n % 13}) for n in range(LINES))


def test_two_files_that_contradict_each_other_leave_one_word_of_each() -> None:
    jobs = at_once(people("A"), people("B", backwards=True))
    assert all(job.bad == 0 and job.done == LINES for job in jobs)
    assert ManagedUser.objects.count() == LINES
    assert {name[0] for name in ManagedUser.objects.values_list("name", flat=True)} <= {"A", "B"}


def test_people_change_while_their_devices_arrive() -> None:
    ManagedUserFactory.create_batch(2)
    importing.load(*people("A"))
    jobs = at_once(people("B"), devices(), devices(backwards=True))
    assert [job.bad for job in jobs] == [0, 0, 0]
    assert Device.objects.exclude(owner=None).count() == LINES
    assert ManagedUser.objects.filter(name__startswith="B").count() == LINES


def test_messages_and_the_timetable_carry_an_import_out_once() -> None:
    UserGroupFactory(name="G1")
    job = importing.ask(ImportKind.GROUPS, b"name\nG1\nG2\n", "groups.csv", by=None)
    sweep()
    sweep()
    deliver(times=2)
    job.refresh_from_db()
    assert job.is_in_review
    importing.start(job, None)
    sweep()
    deliver(times=2)
    job.refresh_from_db()
    assert (job.is_finished, job.new, job.same, Entry.objects.count()) == (True, 1, 1, 1)
