"""Files to be imported, and imports carried out here and now."""

from __future__ import annotations

from typing import Any

from tests.factories import UserFactory
from vppportal.groups import importing
from vppportal.groups.models import Import, ImportKind
from vppportal.groups.tasks import carry_out_import

GROUPS, PEOPLE, DEVICES = ImportKind.GROUPS, ImportKind.PEOPLE, ImportKind.DEVICES


def counts(job: Import) -> tuple[int, int, int, int]:
    return job.new, job.changed, job.same, job.bad


def reasons(job: Import) -> list[tuple[int, str]]:
    return [(row.line, error[2]) for row in job.rows.all() for error in row.errors]


def people(number: int, *, name: str = "Person") -> bytes:
    lines = [f"{name} {n};person{n}@x.example;Group {n % 7}" for n in range(number)]
    return "\n".join(["name;email;groups", *lines]).encode()


def asked(kind: ImportKind, content: bytes, **options: Any) -> Import:
    return importing.ask(kind, content, "file.csv", by=UserFactory(role="Operator"), **options)


def compared(kind: ImportKind, content: bytes, **options: Any) -> Import:
    job = asked(kind, content, **options)
    carry_out_import(job.pk)
    job.refresh_from_db()
    assert job.is_in_review, job.last_error
    return job


def imported(kind: ImportKind, content: bytes, **options: Any) -> Import:
    job = compared(kind, content, **options)
    assert importing.start(job, UserFactory(role="Operator"))
    carry_out_import(job.pk)
    job.refresh_from_db()
    assert job.is_finished, job.last_error
    return job
