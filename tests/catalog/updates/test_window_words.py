"""Update windows in words."""

from __future__ import annotations

from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.models import UpdateWindow, WindowKind
from catalog.updates.window_words import DAYS, days, hours, in_words


@pytest.mark.parametrize(
    ("opens", "words"),
    [
        ([0, 1, 2, 3, 4, 5, 6], "every day"),
        ([0, 1, 2, 3, 4], "Mon to Fri"),
        ([5, 6], "Sat and Sun"),
        ([2], "Wed"),
        ([0, 1, 2, 4], "Mon to Wed and Fri"),
        ([0, 2, 4, 6], "Mon, Wed, Fri and Sun"),
        ([], "on no day"),
        ([6, 0, 0, 9], "Mon and Sun"),
    ],
)
def test_days_in_a_row_are_told_by_the_first_and_the_last(opens: list[int], words: str) -> None:
    assert days(opens) == words


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (time(9), time(17, 30), "09:00 to 17:30"),
        (time(22), time(5), "22:00 to 05:00 the next day"),
        (time(22), time(0), "22:00 to 00:00 the next day"),
        (time(), time(), "all day"),
        (time(6), time(6), "from 06:00 for 24 hours"),
    ],
)
def test_a_window_that_ends_on_the_next_day_says_so(start: time, end: time, words: str) -> None:
    assert hours(start, end) == words


def test_a_window_that_opens_once_names_its_day() -> None:
    window = UpdateWindow(kind=WindowKind.ONCE, date=date(2026, 12, 24), start=time(1), end=time(3))
    assert in_words(window) == "once on Thu, Dec 24, 2026, 01:00 to 03:00"


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6, unique=True))
def test_each_day_is_named_or_lies_between_two_that_are(opens: list[int]) -> None:
    names = [day[:3] for day in DAYS]
    told: set[int] = set()
    for part in days(opens).replace(" and ", ", ").split(", "):
        first, _, last = part.partition(" to ")
        told |= set(range(names.index(first), names.index(last or first) + 1))
    assert told == set(opens)
