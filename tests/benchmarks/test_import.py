"""How long a file of people and one of their devices take to be compared and to go in, new and unchanged."""

from __future__ import annotations

import os
import resource
import time

import pytest
from django.db import connection

from vppportal.groups import importing
from vppportal.groups.models import Device, Import, ImportKind, ManagedUser

pytestmark = [pytest.mark.bench, pytest.mark.django_db(transaction=True)]
LINES = int(os.environ.get("LINES", "100000"))


def people() -> bytes:
    lines = [f"Person {n},person{n}@company.example,Team {n % 300};Site {n % 20},yes" for n in range(LINES)]
    return "\n".join(["name,email,groups,active", *lines]).encode()


def devices() -> bytes:
    lines = [f"C02X{n:08},Phone of {n},iOS,iPhone 16,18.{n % 6},person{n}@company.example" for n in range(LINES)]
    return "\n".join(["serial,name,platform,model,os version,owner", *lines]).encode()


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(kind: ImportKind, content: bytes) -> tuple[float, float, float]:
    """Return the seconds to compare a file and to bring it in, and the processor's seconds for both."""
    started, worked = time.perf_counter(), time.process_time()
    job = importing.ask(kind, content, f"{kind}.csv", by=None)
    carry_out(job)
    compared = time.perf_counter()
    importing.start(job, None)
    carry_out(job)
    job.refresh_from_db()
    assert job.is_finished
    assert job.bad == 0
    return compared - started, time.perf_counter() - compared, time.process_time() - worked


def carry_out(job: Import) -> None:
    (held,) = Import.objects.filter(pk=job.pk).claim(1)
    importing.carry_out(held)


def test_a_large_file() -> None:
    before = peak()
    for kind, content, model in (
        (ImportKind.PEOPLE, people(), ManagedUser),
        (ImportKind.DEVICES, devices(), Device),
    ):
        first, again = timed(kind, content), timed(kind, content)
        assert model._default_manager.count() == LINES
        print(
            f"\n{LINES:>9,} {kind}, {connection.vendor}"
            f"\n  first      compare {first[0]:5.1f} s, import {first[1]:5.1f} s"
            f" ({LINES / first[1]:,.0f} lines a second), {first[2]:5.1f} s of this process"
            f"\n  unchanged  compare {again[0]:5.1f} s, import {again[1]:5.1f} s, {again[2]:5.1f} s of this process"
            f"\n  memory     peak grew by {peak() - before:.0f} MiB"
        )
