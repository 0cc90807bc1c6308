"""Rows of work and their pauses, whatever the order of things: bounds, growth, one holder."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from vppportal.work import backoff

ATTEMPTS = st.integers(min_value=-5, max_value=10**9)


@given(ATTEMPTS)
def test_a_pause_is_never_shorter_than_the_first_nor_longer_than_the_longest_and_a_fifth(attempt: int) -> None:
    assert timedelta(seconds=15) <= backoff(attempt) <= timedelta(hours=1.2)


@given(st.integers(min_value=1, max_value=30))
def test_a_pause_doubles_until_it_is_the_longest(attempt: int) -> None:
    expected = min(3600.0, 15.0 * 2 ** (attempt - 1))
    assert expected <= backoff(attempt).total_seconds() <= expected * 1.2 + 1e-6


@given(ATTEMPTS, st.floats(min_value=0.1, max_value=60), st.floats(min_value=60, max_value=10**6))
def test_first_and_longest_can_be_chosen(attempt: int, first: float, longest: float) -> None:
    assert first <= backoff(attempt, first=first, longest=longest).total_seconds() + 1e-6 <= longest * 1.2 + 1


@given(st.integers(min_value=1, max_value=12))
def test_those_who_fail_together_do_not_come_back_together(attempt: int) -> None:
    assert len({backoff(attempt) for _ in range(10)}) > 1
