"""Time zones by their IANA names, as devices tell them and people type them."""

from __future__ import annotations

from functools import cache
from typing import Final
from zoneinfo import available_timezones

NO_PLACES: Final = frozenset({"Factory", "localtime"})


@cache
def known() -> tuple[str, ...]:
    """Return the names of all time zones, in order."""
    return tuple(sorted(available_timezones() - NO_PLACES))


@cache
def _by_fold() -> dict[str, str]:
    return {name.casefold(): name for name in known()}


def named(text: str) -> str:
    """Return the time zone of a name, whatever its capitals, and spaces for underscores; empty where there is none."""
    return _by_fold().get(text.strip().replace(" ", "_").casefold(), "")
