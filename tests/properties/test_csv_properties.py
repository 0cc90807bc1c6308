"""No bytes make the reader fail, and what was exported is read back character by character."""

from __future__ import annotations

import csv
import io

import pytest
from django.test import Client
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.factories import ManagedUserFactory
from tests.signed_in import sign_in
from vppportal.groups.cells import DEVICES, GROUPS, KINDS, PEOPLE, understand
from vppportal.groups.csvfile import Unreadable, examine, join, split, undefused
from vppportal.groups.importing import load
from vppportal.groups.models import ImportKind, ManagedUser, UserGroup
from vppportal.lists import defused

PRINTED = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=12)
TRICKY = st.text(st.sampled_from("'=+-@;|,\" \tsS"), min_size=1, max_size=8)
NAMES = st.one_of(PRINTED, TRICKY).map(str.strip).filter(lambda name: name and "\t" not in name)
QUICK = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
FILES = st.one_of(
    st.binary(max_size=300),
    st.tuples(
        st.sampled_from(["email,name,groups\n", "sep=;\nserial;owner\r", "\ufeffName\tDescription\n"]),
        st.text(st.sampled_from(",;\t\"'\n\r=-|xé\0@. "), max_size=120),
        st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "utf-32"]),
    ).map(lambda drawn: (drawn[0] + drawn[1]).encode(drawn[2], "ignore")),
)


@settings(max_examples=500, deadline=None)
@given(FILES)
@example(b'email\n"' + b"\n" * 200)
@example("email\n".encode("utf-32"))
def test_no_bytes_make_the_reader_fail(content: bytes) -> None:
    for kind in (GROUPS, PEOPLE, DEVICES):
        try:
            source = examine(content, kind.columns, kind.key)
            records = list(source.records())
            assert source.count() == len(records)
        except Unreadable:
            continue
        numbers = [record.line for record in records]
        assert numbers == sorted(set(numbers))
        for record in records:
            line = understand(kind, kind.reader(source), record, len(source.header))
            assert bool(line.key) or bool(line.problems)


@settings(max_examples=500, deadline=None)
@given(st.text())
def test_any_cell_is_the_same_after_defusing_and_back(cell: str) -> None:
    assert undefused(str(defused(cell))) == cell


@settings(max_examples=500, deadline=None)
@given(st.lists(NAMES, unique=True, max_size=5))
def test_any_names_are_the_same_after_joining_and_splitting(names: list[str]) -> None:
    assert split(join(names)) == names


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2), min_size=1),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_a_csv_writer_wrote_is_read(rows: list[list[str]], separator: str, encoding: str) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=separator).writerows([["name", "description"], *rows])
    try:
        source = examine(file.getvalue().encode(encoding), GROUPS.columns, GROUPS.key)
    except Unreadable:
        return  # only a line that is far too long
    written = [row for row in rows if any(cell and not cell.isspace() for cell in row)]
    read = [record.cells for record in source.records() if not record.error]
    assert read == written or any("\n" in cell or "\r" in cell for row in rows for cell in row)


@pytest.fixture
def viewer() -> Client:
    return sign_in("Viewer")


@pytest.mark.django_db
@QUICK
@given(st.dictionaries(NAMES.filter(lambda name: name == name.lower()), NAMES, max_size=5), NAMES)
def test_what_was_exported_changes_nothing_when_it_is_imported(
    viewer: Client, descriptions: dict[str, str], name: str
) -> None:
    UserGroup.objects.all().delete()
    ManagedUser.objects.all().delete()
    groups = UserGroup.objects.bulk_create(UserGroup(name=n, description=d) for n, d in descriptions.items())
    ManagedUserFactory(name=name, groups=groups)
    for kind in (ImportKind.GROUPS, ImportKind.PEOPLE):
        before = list(KINDS[kind].model._default_manager.values())
        job = load(kind, b"".join(viewer.get(f"/{kind}/", {"export": "csv"})))
        assert (job.new, job.changed, job.bad) == (0, 0, 0), list(job.rows.values())
        assert list(KINDS[kind].model._default_manager.values()) == before


@pytest.mark.django_db
@QUICK
@given(FILES)
def test_whatever_goes_in_goes_in_once(content: bytes) -> None:
    for kind in ImportKind:
        try:
            first = load(kind, content)
        except Unreadable:
            continue
        again = load(kind, content)
        assert (again.new, again.changed, again.bad) == (0, 0, first.bad)
