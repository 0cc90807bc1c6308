"""Update windows in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import time
from typing import Final

from django.utils.formats import date_format

from catalog.models import UpdateWindow, WindowKind

DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WEEK: Final = range(7)
SHORTEST_RUN: Final = 3
"""So many days in a row are told by the first and the last."""


def in_words(window: UpdateWindow) -> str:
    """Return when a window is open, like “Mon to Fri, 22:00 to 05:00 the next day”."""
    if window.kind == WindowKind.ONCE:
        day = date_format(window.date, "D, M j, Y") if window.date else "on no day"
        return f"once on {day}, {hours(window.start, window.end)}"
    return f"{days(window.weekdays)}, {hours(window.start, window.end)}"


def hours(start: time, end: time) -> str:
    """Return from when to when, and where that ends on the next day."""
    if start == end:
        return "all day" if start == time() else f"from {start:%H:%M} for 24 hours"
    next_day = " the next day" if end < start else ""
    return f"{start:%H:%M} to {end:%H:%M}{next_day}"


def days(weekdays: Iterable[int]) -> str:
    """Return days of the week, those in a row by the first and the last."""
    opens = sorted(set(weekdays) & set(WEEK))
    if len(opens) == len(WEEK):
        return "every day"
    parts = [part for run in _runs(opens) for part in _told(run)]
    if not parts:
        return "on no day"
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _runs(opens: list[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for day in opens:
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


def _told(run: list[int]) -> list[str]:
    names = [DAYS[day][:3] for day in run]
    return [f"{names[0]} to {names[-1]}"] if len(run) >= SHORTEST_RUN else names
