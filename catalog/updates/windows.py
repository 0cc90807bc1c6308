"""When an update window is open, by the clocks of a device's time zone. Pure; clocks that are turned do no harm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from datetime import date as Date
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from catalog.models import UpdateWindow, WindowKind

DAY: Final = timedelta(days=1)
DAYS_BEFORE: Final = 2
"""An opening may have begun yesterday; and some zones have skipped a whole day of the calendar."""
DAYS_AHEAD: Final = 15


@dataclass(frozen=True, slots=True)
class Window:
    """An update window. An `end` that is not after the `start` means the next day: both alike, it is open for a day."""

    name: str
    kind: str
    weekdays: frozenset[int]
    date: Date | None
    start: time
    end: time


def window_of(row: UpdateWindow) -> Window:
    """Return what a stored window says."""
    return Window(row.name, row.kind, frozenset(row.weekdays), row.date, row.start, row.end)


def is_open(window: Window, zone: ZoneInfo, now: datetime) -> bool:
    """Is the window open now for a device in this time zone?"""
    opening = _opening(window, zone, now)
    return opening is not None and opening[0] <= now


def next_opening(window: Window, zone: ZoneInfo, now: datetime) -> datetime | None:
    """Return when the window is open next: `now` where it is open; None where it never opens again."""
    opening = _opening(window, zone, now)
    return max(opening[0], now) if opening else None


@lru_cache(maxsize=4096)
def _opening(window: Window, zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime] | None:
    """Return the first opening that is not over. Each is one stretch of time, however clocks are turned within it.

    Thousands of devices ask about the same window in the same zone at the same moment: hence the cache.
    """
    try:
        for day in _days(window, now.astimezone(zone).date()):
            begins = _first(datetime.combine(day, window.start), zone)
            ends = _first(datetime.combine(day if window.end > window.start else day + DAY, window.end), zone)
            if begins < ends and now < ends:
                return begins, ends
    except OverflowError:  # a date at the end of the calendar
        return None
    return None


def _days(window: Window, today: Date) -> Iterable[Date]:
    """Return the days, from the day before yesterday on, on which the window opens."""
    if window.kind == WindowKind.ONCE:
        return [window.date] if window.date else []
    days = (today + DAY * ahead for ahead in range(-DAYS_BEFORE, DAYS_AHEAD))
    return (day for day in days if day.weekday() in window.weekdays)


def _first(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment at which clocks in the zone show this time; a later one, where they skip it."""
    early, late = sorted(wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if _shown(early, zone) == wall:
        return early
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) // 2
        early, late = (middle, late) if _shown(middle, zone) < wall else (early, middle)
    return late.replace(microsecond=0)


def _shown(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)
