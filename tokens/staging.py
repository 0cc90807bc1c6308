"""Compare what Apple lists with what is stored, as sets inside the database, however many rows there are.

Rows are streamed into a temporary table (COPY on PostgreSQL), and two more are made from it: what is missing in the
mirror and what has vanished from Apple's list. Writing goes through these in batches. Nothing here grows with the
number of rows but the database's own temporary files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from django.db import connection

from tokens.models import Assignment, ContentToken

INSERT_ROWS: Final = 200
"""Rows of one INSERT where there is no COPY: four values each, under SQLite's old limit of 999 variables."""
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

Row = tuple[int, str, str]
"""asset pk, serial number, client user id"""


@contextmanager
def stage() -> Iterator[Stage]:
    """Open an empty stage on the current connection, and clear it away afterwards."""
    opened = Stage()
    opened.clear()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE staged (n bigint, asset_id bigint, serial_number text, client_user_id text)"
        )
    try:
        yield opened
    finally:
        opened.clear()


class Stage:
    """The assignments Apple lists for one token, on their way into the mirror."""

    def __init__(self) -> None:
        self.rows = 0
        self._source = "staged"

    def clear(self) -> None:
        """Drop the temporary tables."""
        with connection.cursor() as cursor:
            for table in ("staged", "missing", "vanished"):
                cursor.execute(f"DROP TABLE IF EXISTS {table}")

    def add(self, rows: Sequence[Row]) -> None:
        """Take more rows in."""
        if connection.vendor == "postgresql":
            self._copy(rows)
        else:
            self._insert(rows)
        self.rows += len(rows)

    def compare(self, token: ContentToken) -> tuple[int, int]:
        """Find what the mirror lacks and what it has too much; return how many rows each.

        Where the mirror has nothing of the token yet, there is nothing to compare: all rows are missing.
        """
        if not Assignment.objects.filter(asset__in=token.assets.values("pk")).exists():
            return self.rows, 0
        self._source = "missing"
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("ANALYZE staged")
            else:
                cursor.execute("CREATE INDEX staged_key ON staged (asset_id, serial_number, client_user_id)")
            cursor.execute(_MISSING)
            cursor.execute(_VANISHED, [token.pk])
            cursor.execute("SELECT (SELECT count(*) FROM missing), (SELECT count(*) FROM vanished)")
            missing, vanished = cursor.fetchone()
        return missing, vanished

    def insert_missing(self, first: int, rows: int, now: datetime) -> int:
        """Write `rows` missing rows from number `first` (0-based) into the mirror; return how many were new."""
        with connection.cursor() as cursor:
            cursor.execute(_INSERT_MISSING.format(source=self._source), [now, first, first + rows])
            return int(cursor.rowcount)

    def delete_vanished(self, first: int, rows: int) -> int:
        """Delete `rows` vanished rows from number `first` (0-based) from the mirror; return how many there were."""
        with connection.cursor() as cursor:
            cursor.execute(_DELETE_VANISHED, [first, first + rows])
            return int(cursor.rowcount)

    def _copy(self, rows: Sequence[Row]) -> None:
        lines = [
            f"{n}\t{asset}\t{_plain(serial)}\t{_plain(user)}\n"
            for n, (asset, serial, user) in enumerate(rows, start=self.rows)
        ]
        with connection.cursor() as cursor, cursor.copy("COPY staged FROM STDIN") as copy:
            copy.write("".join(lines))

    def _insert(self, rows: Sequence[Row]) -> None:
        with connection.cursor() as cursor:
            for start in range(0, len(rows), INSERT_ROWS):
                part = rows[start : start + INSERT_ROWS]
                values: list[Any] = [value for n, row in enumerate(part, self.rows + start) for value in (n, *row)]
                placeholders = ",".join(["(%s,%s,%s,%s)"] * len(part))
                cursor.execute(f"INSERT INTO staged VALUES {placeholders}", values)  # noqa: S608


def _plain(text: str) -> str:
    """Escape what COPY's text format gives a meaning to."""
    return text if text.isalnum() else text.translate(_ESCAPES)


# Row numbers let the writing go in batches.
_MISSING = """
CREATE TEMPORARY TABLE missing AS
SELECT row_number() OVER () - 1 AS n, asset_id, serial_number, client_user_id
FROM staged
WHERE NOT EXISTS (
    SELECT 1 FROM tokens_assignment AS mirror
    WHERE mirror.asset_id = staged.asset_id
      AND mirror.serial_number = staged.serial_number
      AND mirror.client_user_id = staged.client_user_id
)
"""
_VANISHED = """
CREATE TEMPORARY TABLE vanished AS
SELECT row_number() OVER () - 1 AS n, mirror.id AS id
FROM tokens_assignment AS mirror
WHERE mirror.asset_id IN (SELECT id FROM tokens_asset WHERE token_id = %s)
  AND NOT EXISTS (
    SELECT 1 FROM staged
    WHERE staged.asset_id = mirror.asset_id
      AND staged.serial_number = mirror.serial_number
      AND staged.client_user_id = mirror.client_user_id
  )
"""
# A list that moved while it was read may show a row on two pages: the second is a conflict.
_INSERT_MISSING = """
INSERT INTO tokens_assignment (asset_id, serial_number, client_user_id, since)
SELECT asset_id, serial_number, client_user_id, %s FROM {source} WHERE n >= %s AND n < %s
ON CONFLICT DO NOTHING
"""
_DELETE_VANISHED = "DELETE FROM tokens_assignment WHERE id IN (SELECT id FROM vanished WHERE n >= %s AND n < %s)"
