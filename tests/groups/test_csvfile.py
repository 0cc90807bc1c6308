"""Reading CSV files as people have them."""

from __future__ import annotations

import codecs

import pytest

from vppportal.groups.csvfile import (
    LARGEST,
    LONGEST_LINE,
    MOST_LINES,
    MOST_ROWS,
    Column,
    Record,
    Source,
    Unreadable,
    examine,
    join,
    split,
    undefused,
)

NAME = Column("name", "Name", frozenset({"fullname"}))
EMAIL = Column("email", "E-mail", frozenset({"mail"}))
COLUMNS = (NAME, EMAIL)


def read(content: bytes) -> Source:
    return examine(content, COLUMNS, EMAIL)


def cells(content: bytes) -> list[list[str]]:
    return [record.cells for record in read(content).records()]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("name,email\nZoë,z\n".encode(), "utf-8"),
        ("name,email\nZoë,z\n".encode("utf-8-sig"), "utf-8-sig"),
        ("name,email\nZoë,z\n".encode("cp1252"), "cp1252"),
        (codecs.BOM_UTF16_LE + "name,email\nZoë,z\n".encode("utf-16-le"), "utf-16"),
        (codecs.BOM_UTF16_BE + "name,email\nZoë,z\n".encode("utf-16-be"), "utf-16"),
        ("name,email\nZoë,z\n".encode("utf-16-le"), "utf-16-le"),
        ("name,email\nZoë,z\n".encode("utf-16-be"), "utf-16-be"),
    ],
)
def test_every_usual_encoding_is_read(content: bytes, encoding: str) -> None:
    assert read(content).encoding == encoding
    assert cells(content) == [["Zoë", "z"]]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_usual_separator_and_line_end_is_read(separator: str, end: str) -> None:
    content = end.join([separator.join(line) for line in (["E-Mail", " NAME "], ["a", "b, c; d"])])
    content = content.replace("b, c; d", '"b, c; d"') + end
    assert cells(content.encode()) == [["a", "b, c; d"]]


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("Full Name;E_MAIL", (NAME, EMAIL)),
        ("mail;Phone;name", (EMAIL, None, NAME)),
        ("mail;email", (None, EMAIL)),
    ],
)
def test_columns_are_found_in_any_order_case_and_by_other_names(
    header: str, columns: tuple[Column | None, ...]
) -> None:
    assert read(header.encode()).columns == columns


def test_columns_that_say_nothing_to_us_are_named() -> None:
    assert read(b"mail,Phone,,Shoe size").ignored == ["Phone", "Shoe size"]


def test_the_line_in_which_excel_names_the_separator_is_left_out() -> None:
    assert list(read(b"sep=;\r\nname;mail\r\na;b\r\n").records()) == [Record(3, ["a", "b"])]


def test_empty_lines_are_left_out_and_lines_keep_their_numbers() -> None:
    content = b'\n\nname,mail\n\n,,\na,"b\nc"\nd,e\n'
    assert [(record.line, record.cells) for record in read(content).records()] == [
        (6, ["a", "b\nc"]),
        (8, ["d", "e"]),
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty."),
        (b" \n\n", "The file is empty."),
        (b"PK\x03\x04...", "This is a workbook"),
        (b"\xd0\xcf\x11\xe0...", "This is a workbook"),
        (b"\xff\xfe\x00", "begins like UTF-16"),
        (codecs.BOM_UTF8 + b"\xff", "begins like UTF-8"),
        (b"name,\x81\n", "no text in UTF-8, UTF-16 or Windows-1252"),
        (b"name,phone\n", "names no column “E-mail”. It has: “name”, “phone”."),
        (b"mail,e-mail,email\n", "two columns for “E-mail”"),
        (b'"mail"x,name\n', "The quotation marks in the first line do not match."),
        (b"mail\n" + b"x" * (LONGEST_LINE + 1), "Line 2 is longer than"),
        (b"x" * (LARGEST + 1), "larger than 32 MiB"),
        (b"mail\n" + b"\n" * MOST_LINES, "more than 1,000,000 lines, empty ones included"),
    ],
)
def test_a_file_from_which_nothing_can_be_taken_gets_its_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        read(content).count()
    assert sentence in str(refusal.value)


def test_a_file_with_too_many_lines_is_refused() -> None:
    assert read(b"mail\n" + b"a\n" * MOST_ROWS).count() == MOST_ROWS
    with pytest.raises(Unreadable, match="more than 200,000 lines"):
        read(b"mail\n" + b"a\n" * (MOST_ROWS + 1)).count()


def test_a_quotation_mark_that_is_not_closed_spoils_its_line_only() -> None:
    lines = b'mail,name\na,"b\n' + b"c,d\n" * 100
    first, *others = read(lines).records()
    assert (first.line, first.error) == (2, "A quotation mark in this line is never closed.")
    assert [record.line for record in others] == list(range(3, 103))


def test_quotation_marks_that_do_not_match_spoil_their_line_only() -> None:
    first, second = read(b'mail,name\n"a"b,c\nd,e\n').records()
    assert first == Record(2, ['"a"b,c'], "The quotation marks in this line do not match.")
    assert second.cells == ["d", "e"]


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("Sales", ["Sales"]),
        (" Sales ; Board;;Sales", ["Sales", "Board"]),
        ("Sales|Board", ["Sales", "Board"]),
        ('"Sales; North" ; Board', ["Sales; North", "Board"]),
        ('"Sales" North; "', ['"Sales" North', '"']),
        (";|;", []),
    ],
)
def test_a_cell_holds_several_names(cell: str, names: list[str]) -> None:
    assert split(cell) == names


def test_names_with_separators_are_written_in_quotation_marks() -> None:
    assert join(["a;b", 'c"d', "-", "e, f"]) == '"a;b"; "c""d"; "-"; e, f'


@pytest.mark.parametrize(
    ("cell", "text"), [("'=1+1", "=1+1"), ("''-", "'-"), ("'s Hertogenbosch", "'s Hertogenbosch"), ("'", "'")]
)
def test_only_the_apostrophe_that_defuses_a_formula_is_taken_away(cell: str, text: str) -> None:
    assert undefused(cell) == text
