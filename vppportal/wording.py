"""Numbers with their words, for sentences."""

from __future__ import annotations


def number(count: int, one: str, many: str) -> str:
    """Return a count with its word; nothing is “no”, not a bare zero."""
    return f"{f'{count:,}' if count else 'no'} {one if count == 1 else many}"
