"""Ask the database about thousands of values at once: one statement, one parameter, however many there are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, ClassVar

from django.db.models import BigIntegerField, Expression, Field, TextField


class Texts(Expression):
    """Texts to stand on the right of an ``__in`` lookup, where a list would be one parameter for each."""

    array: ClassVar[str] = "text[]"
    column: ClassVar[type[Field[Any, Any]]] = TextField

    def __init__(self, values: Iterable[Any]) -> None:
        super().__init__(output_field=self.column())
        self.values = tuple(values)

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        """Return the values as rows of one column."""
        if connection.vendor == "postgresql":
            return f"(SELECT unnest(%s::{self.array}))", [list(self.values)]
        return "(SELECT value FROM json_each(%s))", [json.dumps(self.values)]


class Keys(Texts):
    """Primary keys, likewise."""

    array = "bigint[]"
    column = BigIntegerField
