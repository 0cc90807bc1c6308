"""Read a CSV file as people have it: from any spreadsheet, in any usual encoding, with any usual separator.

Pure: bytes in, records out, or one sentence that says why not. A line that cannot be read is a record with that
sentence, and the others are read all the same.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from vppportal.lists import FORMULA_STARTS

LARGEST: Final = 32 * 1024 * 1024
MOST_ROWS: Final = 200_000
SEPARATORS: Final = {",": "comma", ";": "semicolon", "\t": "tab"}
MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
ENCODINGS: Final = {
    "utf-8-sig": "UTF-8",
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "cp1252": "Windows-1252",
}
WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
PIECE: Final = 1024 * 1024
LONGEST_LINE: Final = 256 * 1024
LONGEST_SHOWN: Final = 1000
MOST_LINES: Final = 1_000_000
LINES_OF_A_RECORD: Final = 50
"""A record may go over this many lines, in columns that we do not read."""
NOTHING: Final = "-"
"""Empties what it stands for; an empty cell leaves it as it is."""
_NAMES: Final = re.compile(r'\s*(?:"((?:[^"]|"")*)"\s*(?=[;|]|$)|([^;|]*))(?:[;|]|$)')


class Unreadable(Exception):
    """Nothing can be taken from this file, and why."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column we know: its name, how we call it, and how others do."""

    name: str
    label: str
    aliases: frozenset[str] = frozenset()

    @property
    def names(self) -> set[str]:
        """Our own names for it."""
        return {_plain(self.name), _plain(self.label)}


@dataclass(frozen=True, slots=True)
class Record:
    """A line of the file: where it begins, its cells as they stand there, and why it cannot be read, if so."""

    line: int
    cells: list[str]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A file that can be read, and what was found out about it; `columns` has None for columns nobody knows."""

    content: bytes
    encoding: str
    separator: str
    header: list[str]
    header_line: int
    columns: tuple[Column | None, ...]

    @property
    def ignored(self) -> list[str]:
        """Headings of columns that say nothing to us."""
        return [heading for heading, column in zip(self.header, self.columns, strict=True) if not column and heading]

    def records(self) -> Iterator[Record]:
        """Yield the lines below the header, leaving out empty ones."""
        for record in _records(self.content, self.encoding, self.separator):
            if record.line > self.header_line:
                yield record

    def count(self) -> int:
        """Return how many lines there are; raise Unreadable when they are too many."""
        rows = 0
        for rows, _ in enumerate(self.records(), 1):
            if rows > MOST_ROWS:
                raise Unreadable(f"The file has more than {MOST_ROWS:,} lines. Split it into several files.")
        return rows


def examine(content: bytes, columns: Sequence[Column], key: Column) -> Source:
    """Return the file with its columns found; raise Unreadable with a sentence for whoever sent it."""
    if len(content) > LARGEST:
        raise Unreadable(f"The file is larger than {LARGEST // PIECE} MiB. Split it into several files.")
    if content.startswith(WORKBOOKS):
        raise Unreadable("This is a workbook, no CSV file. Save it as “CSV UTF-8” in your spreadsheet program first.")
    if max(content.count(b"\n"), content.count(b"\r")) > MOST_LINES:
        raise Unreadable(f"The file has more than {MOST_LINES:,} lines, empty ones included.")
    encoding = _encoding(content)
    candidates = [_with_separator(content, encoding, separator, columns) for separator in SEPARATORS]
    source = max(candidates, key=lambda one: (sum(map(bool, one.columns)), len(one.header)))
    if not source.header:
        raise Unreadable(
            "The quotation marks in the first line do not match." if content.strip() else "The file is empty."
        )
    _check(source, key)
    return source


def _check(source: Source, key: Column) -> None:
    if key not in source.columns:
        found = ", ".join(f"“{heading[:30]}”" for heading in source.header[:12])
        raise Unreadable(f"The first line names no column “{key.label}”. It has: {found}.")
    for column in filter(None, source.columns):
        if source.columns.count(column) > 1:
            raise Unreadable(f"There are two columns for “{column.label}”. Remove one.")


def _with_separator(content: bytes, encoding: str, separator: str, columns: Sequence[Column]) -> Source:
    first = next((record for record in _records(content, encoding, separator) if not _is_hint(record)), Record(0, []))
    header = [] if first.error else [cell.strip() for cell in first.cells]
    return Source(content, encoding, separator, header, first.line, tuple(_columns(header, columns)))


def _columns(header: list[str], columns: Sequence[Column]) -> Iterator[Column | None]:
    """Yield which column each heading means; another's name for it counts where our own does not occur."""
    headings = [_plain(heading) for heading in header]
    other = [column for column in columns if not column.names.intersection(headings)]
    for heading in headings:
        ours = next((column for column in columns if heading in column.names), None)
        yield ours or next((column for column in other if heading in column.aliases), None)


def _is_hint(record: Record) -> bool:
    """Is this the line in which Excel names the separator, to itself?"""
    return "".join(record.cells).strip(";,\t").lower() == "sep="


def _encoding(content: bytes) -> str:
    """Return how the file is encoded: what its mark says, else UTF-8 if it can be, else what Windows writes."""
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return _decodes(content, encoding) or _refuse(ENCODINGS[encoding])
    start = content[:PIECE]
    zeros = len(start) // 4
    if start[1::2].count(0) > zeros:
        return _decodes(content, "utf-16-le") or _refuse("UTF-16")
    if start[::2].count(0) > zeros:
        return _decodes(content, "utf-16-be") or _refuse("UTF-16")
    return _decodes(content, "utf-8") or _decodes(content, "cp1252") or _refuse("")


def _decodes(content: bytes, encoding: str) -> str:
    """Return the encoding if all of the file is in it, else nothing; never holds more than a piece of the text."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for start in range(0, len(content), PIECE):
            decoder.decode(content[start : start + PIECE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return ""
    return encoding


def _refuse(claimed: str) -> str:
    if claimed:
        raise Unreadable(f"The file begins like {claimed}, but parts of it are not. Save it anew as “CSV UTF-8”.")
    raise Unreadable("The file is no text in UTF-8, UTF-16 or Windows-1252. Save it as “CSV UTF-8” first.")


class _Lines:
    """Hands lines to the CSV reader, and takes back those of a record that could not be read."""

    def __init__(self, text: Iterator[str]) -> None:
        self._text, self._again = text, deque[str]()
        self.number, self.given = 0, list[str]()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.given) == LINES_OF_A_RECORD:
            raise csv.Error("unexpected end")
        line = self._again.popleft() if self._again else next(self._text)
        if len(line) > LONGEST_LINE:
            raise Unreadable(f"Line {self.number + 1} is longer than {LONGEST_LINE:,} characters: this is no CSV file.")
        self.number += 1
        self.given.append(line)
        return line

    def take_back(self) -> None:
        """Give all lines but the first of the present record anew: one open quotation mark must not swallow them."""
        self.number -= len(self.given) - 1
        self._again.extendleft(reversed(self.given[1:]))


def _records(content: bytes, encoding: str, separator: str) -> Iterator[Record]:
    text = io.TextIOWrapper(io.BytesIO(content), encoding=encoding, newline="")
    lines = _Lines(iter(lambda: text.readline(LONGEST_LINE + 1), ""))
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        lines.given.clear()
        line = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            lines.take_back()
            yield Record(line, [lines.given[0].strip()[:LONGEST_SHOWN]], _told(error))
            continue
        if any(cell and not cell.isspace() for cell in cells):
            yield Record(line, cells)


def _told(error: csv.Error) -> str:
    if "expected after" in str(error):
        return "The quotation marks in this line do not match."
    return "A quotation mark in this line is never closed."


def _plain(heading: str) -> str:
    """Return a heading without case, spaces, hyphens and the like."""
    return "".join(filter(str.isalnum, heading)).casefold()


def undefused(cell: str) -> str:
    """Take away the apostrophe by which an export of ours keeps spreadsheets from running a cell as a formula."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULA_STARTS) else cell


def split(cell: str) -> list[str]:
    """Return the names in a cell, separated by ; or |; a name with one of these in it stands in quotation marks."""
    found = (quoted.replace('""', '"') or bare for quoted, bare in _NAMES.findall(cell))
    return list(dict.fromkeys(name for name in map(str.strip, found) if name))


def join(names: Iterable[str]) -> str:
    """Return names in one cell, as `split` reads them."""
    return "; ".join(_quoted(name) if set(name) & set(';|"') or name == NOTHING else name for name in names)


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
