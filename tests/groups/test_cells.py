"""What the cells of an imported file mean."""

from __future__ import annotations

from typing import Any

import pytest

from vppportal.groups.cells import DEVICES, GROUPS, PEOPLE, Kind, Line, understand
from vppportal.groups.csvfile import examine


def lines(kind: Kind, text: str) -> list[Line]:
    source = examine(text.encode(), kind.columns, kind.key)
    places = kind.reader(source)
    return [understand(kind, places, record, len(source.header)) for record in source.records()]


def value(kind: Kind, column: str, cell: str) -> Any:
    (line,) = lines(kind, f"{kind.key.name},{column}\na@x.example,{cell}\n")
    assert not line.problems, line.problems
    return line.values.get(column, "left alone")


def sentence(kind: Kind, text: str) -> str:
    (line,) = lines(kind, text)
    (problem,) = line.problems
    return f"{problem.column} “{problem.value}”: {problem.sentence}"


@pytest.mark.parametrize(
    ("kind", "column", "cell", "meant"),
    [
        (PEOPLE, "name", " Ada ", "Ada"),
        (PEOPLE, "name", "", "left alone"),
        (PEOPLE, "managed_apple_account", "-", ""),
        (PEOPLE, "managed_apple_account", "a@b.example", "a@b.example"),
        (PEOPLE, "groups", "Sales; SALES | Board", ["Sales", "Board"]),
        (PEOPLE, "groups", "-", []),
        (PEOPLE, "is_active", "YES", True),
        (PEOPLE, "is_active", "0", False),
        (PEOPLE, "is_active", "Left", False),
        (GROUPS, "description", "'=SUM(A1)", "=SUM(A1)"),
        (GROUPS, "description", "'-", "-"),
        (DEVICES, "platform", "iOS / iPadOS", "iOS"),
        (DEVICES, "platform", "ipados", "iOS"),
        (DEVICES, "platform", "MACOS", "macOS"),
        (DEVICES, "enrollment_type", "User enrollment", "user"),
        (DEVICES, "owner", "-", None),
        (DEVICES, "os_version", "18.2", "18.2"),
        (DEVICES, "time_zone", "america/new york", "America/New_York"),
        (DEVICES, "time_zone", "-", ""),
    ],
)
def test_a_cell_means(kind: Kind, column: str, cell: str, meant: Any) -> None:
    assert value(kind, column, cell) == meant


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        (PEOPLE, "name,email\nAda,\n", "E-mail “”: There is no e-mail in this line."),
        (PEOPLE, "email\nnobody\n", "E-mail “nobody”: This is no e-mail address."),
        (PEOPLE, "email,name\na@x.example,-\n", "Name “-”: This cannot be emptied."),
        (PEOPLE, "email,active\na@x.example,perhaps\n", "Active “perhaps”: Say yes or no."),
        (PEOPLE, f"email,name\na@x.example,{'x' * 151}\n", "Name “" + "x" * 100 + "”: This is longer than 150 chara"),
        (PEOPLE, 'email,name\na@x.example,"A\nB"\n', "Name “A\nB”: There is a line break"),
        (PEOPLE, "email,groups\na@x.example," + "x" * 121 + "\n", "This is longer than 120 characters."),
        (PEOPLE, "email\na@x.example,b,c\n", "The line has 3 cells, the first line only 1."),
        (DEVICES, "serial,platform\nC02,Android\n", "Platform “Android”: This is none of iOS, macOS, tvOS"),
        (DEVICES, "serial,timezone\nC02,Berlin\n", "Time zone “Berlin”: There is no such time zone"),
        (DEVICES, "serial\n" + "x" * 33 + "\n", "This is longer than 32 characters."),
        (DEVICES, 'serial\n"C02"x\n', "The quotation marks in this line do not match."),
    ],
)
def test_a_cell_that_says_what_cannot_be_gets_its_sentence(kind: Kind, text: str, told: str) -> None:
    assert told in sentence(kind, text)


def test_all_that_is_wrong_with_a_line_is_told() -> None:
    (line,) = lines(DEVICES, "serial,platform,enrollment\nC02,Android,none\n")
    assert [problem.column for problem in line.problems] == ["Platform", "Enrollment type"]


def test_serial_numbers_are_written_as_apple_does() -> None:
    (line,) = lines(DEVICES, "Serial Number\n c02abc \n")
    assert (line.key, line.values) == ("C02ABC", {"serial_number": "C02ABC"})


def test_a_line_may_be_shorter_than_the_first() -> None:
    (line,) = lines(PEOPLE, "email,name,groups\na@x.example\n")
    assert line.values == {"email": "a@x.example"}
