"""Compare what Apple lists with what is stored, as sets inside the database, however many rows there are.

Rows are streamed into a temporary table (COPY on PostgreSQL), and two more are made from it: what is missing in the
mirror and what has vanished from Apple's list. Writing goes through these in batches. Nothing here grows with the
number of rows but the database's own temporary files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from tokens.models import Assignment, ContentToken

INSERT_ROWS: Final = 300
"""Rows of one INSERT where there is no COPY: three values each, under SQLite's old limit of 999 variables."""
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

LAG: Final = timedelta(minutes=2)
"""So long an assignment may be missing in Apple's list, or still be there, after Apple said it was done."""

Row = tuple[int, str, str]
"""asset pk, serial number, client user id"""


@contextmanager
def stage(token: ContentToken) -> Iterator[Stage]:
    """Open an empty stage for the token on the current connection, and clear it away afterwards."""
    opened = Stage(token)
    opened.clear()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE staged (asset_id bigint, serial_number text, client_user_id text)")
    try:
        yield opened
    finally:
        opened.clear()


class Stage:
    """The assignments Apple lists for one token, on their way into the mirror.

    Where the mirror has nothing of the token yet (`is_first_import`), there is nothing to compare: all rows are
    missing. They wait in memory for the next `insert`, which goes on while others are still being read.
    """

    def __init__(self, token: ContentToken) -> None:
        self._token = token
        self._since = connection.ops.adapt_datetimefield_value(timezone.now() - LAG)
        self.is_first_import = not Assignment.objects.filter(asset__in=token.assets.values("pk")).exists()
        self.rows = 0
        self.missing = 0
        self.vanished = 0
        self._waiting: list[Row] = []
        self._inserted_to = 0
        self._deleted_to = 0

    def clear(self) -> None:
        """Drop the temporary tables."""
        with connection.cursor() as cursor:
            for table in ("staged", "missing", "vanished"):
                cursor.execute(f"DROP TABLE IF EXISTS {table}")

    def add(self, rows: Sequence[Row]) -> None:
        """Take more rows in."""
        self.rows += len(rows)
        if self.is_first_import:
            self._waiting += rows
            self.missing = self.rows
        else:
            self._stage(rows)

    def compare(self) -> None:
        """Find what the mirror lacks (`missing`) and what it has too much (`vanished`)."""
        if self.is_first_import:
            return
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("ANALYZE staged")
            else:
                cursor.execute("CREATE INDEX staged_key ON staged (asset_id, serial_number, client_user_id)")
            cursor.execute(_MISSING + _settled("staged", "revoke"), [self._since])
            cursor.execute("CREATE INDEX missing_n ON missing (n)")
            cursor.execute(_VANISHED + _settled("mirror", "assign"), [self._token.pk, self._since])
            cursor.execute("CREATE INDEX vanished_n ON vanished (n)")
            cursor.execute("SELECT (SELECT count(*) FROM missing), (SELECT count(*) FROM vanished)")
            self.missing, self.vanished = cursor.fetchone()

    @property
    def to_insert(self) -> int:
        """Missing rows that were not inserted yet."""
        return self.missing - self._inserted_to

    @property
    def to_delete(self) -> int:
        """Vanished rows that were not deleted yet."""
        return self.vanished - self._deleted_to

    def insert(self, rows: int, now: datetime) -> int:
        """Insert the next missing rows into the mirror; return how many were new."""
        if self.is_first_import:
            return self._insert_waiting(now)
        with connection.cursor() as cursor:
            cursor.execute(_INSERT_MISSING, [now, self._inserted_to, self._inserted_to + rows])
            self._inserted_to = min(self._inserted_to + rows, self.missing)
            return int(cursor.rowcount)

    def _insert_waiting(self, now: datetime) -> int:
        rows, self._waiting = self._waiting, []
        self._inserted_to = self.missing
        if connection.vendor == "postgresql":
            try:
                with transaction.atomic():
                    _copy("tokens_assignment (asset_id, serial_number, client_user_id, since)", rows, now.isoformat())
            except IntegrityError:
                pass  # A list that moved while it was read shows a row twice: what follows leaves out the second.
            else:
                return len(rows)
        self._stage(rows)
        with connection.cursor() as cursor:
            cursor.execute(_INSERT_STAGED, [now])
            new = int(cursor.rowcount)
            cursor.execute("DELETE FROM staged")
        return new

    def delete(self, rows: int) -> int:
        """Delete the next vanished rows from the mirror; return how many there were."""
        with connection.cursor() as cursor:
            cursor.execute(_DELETE_VANISHED, [self._deleted_to, self._deleted_to + rows])
            self._deleted_to = min(self._deleted_to + rows, self.vanished)
            return int(cursor.rowcount)

    @staticmethod
    def _stage(rows: Sequence[Row]) -> None:
        if connection.vendor == "postgresql":
            _copy("staged", rows)
            return
        with connection.cursor() as cursor:
            for start in range(0, len(rows), INSERT_ROWS):
                part = rows[start : start + INSERT_ROWS]
                values: list[Any] = [value for row in part for value in row]
                placeholders = ",".join(["(%s,%s,%s)"] * len(part))
                cursor.execute(f"INSERT INTO staged VALUES {placeholders}", values)  # noqa: S608


def _copy(table: str, rows: Sequence[Row], *more: str) -> None:
    """Stream rows into a table of PostgreSQL; `more` are the values of its further columns, the same for all rows."""
    end = "".join(f"\t{value}" for value in more) + "\n"
    lines = [f"{asset}\t{_plain(serial)}\t{_plain(user)}{end}" for asset, serial, user in rows]
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} FROM STDIN") as copy,
    ):
        copy.write("".join(lines))


def _plain(text: str) -> str:
    """Escape what COPY's text format gives a meaning to."""
    return text if text.isalnum() else text.translate(_ESCAPES)


def _settled(rows: str, kind: str) -> str:
    return _UNLESS_SETTLED.replace("these_rows.", f"{rows}.").replace("kind_of_change", kind)


# Apple's lists lag behind what it has done: what an operation settled a moment ago counts more than they do.
_UNLESS_SETTLED = """
AND NOT EXISTS (
    SELECT 1 FROM tokens_target AS target JOIN tokens_operation AS operation ON operation.id = target.operation_id
    WHERE target.asset_id = these_rows.asset_id
      AND target.serial_number = these_rows.serial_number
      AND target.client_user_id = these_rows.client_user_id
      AND target.state = 'done' AND operation.kind = 'kind_of_change' AND operation.settled_at > %s
)
"""
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
_INSERT_STAGED = """
INSERT INTO tokens_assignment (asset_id, serial_number, client_user_id, since)
SELECT asset_id, serial_number, client_user_id, %s FROM staged WHERE true
ON CONFLICT DO NOTHING
"""
_INSERT_MISSING = _INSERT_STAGED.replace("staged WHERE true", "missing WHERE n >= %s AND n < %s")
_DELETE_VANISHED = "DELETE FROM tokens_assignment WHERE id IN (SELECT id FROM vanished WHERE n >= %s AND n < %s)"
