"""Update windows open and close by the clocks of a device, also in the nights in which clocks are turned."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from catalog.models import WindowKind
from catalog.updates.windows import Window, is_open, next_opening, window_of
from tests.factories import UpdateWindowFactory

BERLIN = ZoneInfo("Europe/Berlin")
EVERY_DAY = range(7)


def window(start: str, end: str, *, days: Any = EVERY_DAY, on: date | None = None) -> Window:
    """Return a window, every week or on one day only."""
    kind = WindowKind.ONCE if on else WindowKind.RECURRING
    return Window("Nights", kind, frozenset(days), on, time.fromisoformat(start), time.fromisoformat(end))


def berlin(text: str, fold: int = 0) -> datetime:
    """Return the moment at which clocks in Berlin show this."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-03-04 21:59", False),
        ("2026-03-04 22:00", True),
        ("2026-03-05 04:59", True),
        ("2026-03-05 05:00", False),
        ("2026-03-05 12:00", False),
    ],
)
def test_a_night_reaches_into_the_next_day(now: str, expected: bool) -> None:
    assert is_open(window("22:00", "05:00", days=[2]), BERLIN, berlin(now)) == expected


def test_the_night_after_a_day_that_is_not_named_stays_closed() -> None:
    assert not is_open(window("22:00", "05:00", days=[2]), BERLIN, berlin("2026-03-06 01:00"))


def test_a_window_opens_by_the_clock_of_the_device() -> None:
    now, nights = berlin("2026-03-04 23:00"), window("22:00", "05:00")
    assert is_open(nights, BERLIN, now)
    assert not is_open(nights, ZoneInfo("America/New_York"), now)


def test_a_window_that_ends_when_it_starts_is_open_for_a_day() -> None:
    whole = window("06:00", "06:00", days=[2])
    opens = [is_open(whole, BERLIN, berlin(f"2026-03-{day} {hour}:00")) for day, hour in [("04", "05"), ("04", "06")]]
    assert opens == [False, True]
    assert is_open(whole, BERLIN, berlin("2026-03-05 05:59"))
    assert not is_open(whole, BERLIN, berlin("2026-03-05 06:00"))


def test_the_next_opening_is_told() -> None:
    nights = window("22:00", "05:00", days=[0, 4])
    assert next_opening(nights, BERLIN, berlin("2026-03-03 12:00")) == berlin("2026-03-06 22:00")
    assert next_opening(nights, BERLIN, berlin("2026-03-07 12:00")) == berlin("2026-03-09 22:00")


def test_a_window_that_is_open_opens_now() -> None:
    now = berlin("2026-03-04 23:00")
    assert next_opening(window("22:00", "05:00"), BERLIN, now) == now


def test_a_window_of_one_day_is_over_for_good() -> None:
    once = window("22:00", "05:00", on=date(2026, 3, 4))
    assert next_opening(once, BERLIN, berlin("2026-01-01 00:00")) == berlin("2026-03-04 22:00")
    assert is_open(once, BERLIN, berlin("2026-03-05 04:00"))
    assert next_opening(once, BERLIN, berlin("2026-03-05 05:00")) is None


@pytest.mark.parametrize("days", [[], [7]])
def test_a_window_without_a_day_never_opens(days: list[int]) -> None:
    assert next_opening(window("22:00", "05:00", days=days), BERLIN, berlin("2026-03-04 23:00")) is None


def test_a_date_at_the_end_of_the_calendar_opens_never() -> None:
    assert next_opening(window("22:00", "05:00", on=date.max), BERLIN, berlin("2026-03-04 23:00")) is None


def test_hours_that_clocks_skip_are_no_opening() -> None:
    skipped = window("02:15", "02:45")
    assert not is_open(skipped, BERLIN, berlin("2026-03-29 03:15"))
    assert next_opening(skipped, BERLIN, berlin("2026-03-28 12:00")) == berlin("2026-03-30 02:15")


def test_a_window_that_begins_in_a_skipped_hour_opens_when_clocks_are_turned() -> None:
    assert next_opening(window("02:30", "04:00"), BERLIN, berlin("2026-03-28 12:00")) == berlin("2026-03-29 03:00")


def test_an_hour_that_comes_twice_counts_as_one_stretch() -> None:
    night = window("01:00", "02:30", days=[6])
    first, second = berlin("2026-10-25 02:29"), berlin("2026-10-25 02:10", fold=1)
    assert is_open(night, BERLIN, first)
    assert not is_open(night, BERLIN, second)
    late = window("02:30", "04:00", days=[6])
    assert is_open(late, BERLIN, berlin("2026-10-25 02:40"))
    assert is_open(late, BERLIN, second)


def test_a_day_that_a_zone_skipped_has_no_opening() -> None:
    apia = ZoneInfo("Pacific/Apia")
    before = datetime(2011, 12, 29, 12, tzinfo=apia).astimezone(UTC)
    opens = next_opening(window("09:00", "17:00", days=[4]), apia, before)
    assert opens is not None
    assert opens.astimezone(apia).isoformat() == "2012-01-06T09:00:00+14:00"


def test_a_stored_window_is_read_as_it_is() -> None:
    read = window_of(UpdateWindowFactory.build(name="Nights"))
    assert read == Window("Nights", "recurring", frozenset(range(5)), None, time(22), time(5))


def test_windows_of_every_quarter_of_an_hour_open_when_they_say() -> None:
    start = berlin("2026-10-24 00:00")
    for quarter in range(2 * 24 * 4):
        now = start + timedelta(minutes=15 * quarter)
        opens = next_opening(window("22:00", "05:00"), BERLIN, now)
        assert opens is not None
        assert is_open(window("22:00", "05:00"), BERLIN, opens)
        assert (opens == now) == is_open(window("22:00", "05:00"), BERLIN, now)
