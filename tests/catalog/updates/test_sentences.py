"""What an update by hand says beforehand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from catalog.updates import Verdict
from catalog.updates.facts import PHRASES
from catalog.updates.sentences import ByHand

NUMBERS = st.dictionaries(st.sampled_from(sorted(PHRASES)), st.integers(1, 10_000))


@given(NUMBERS)
def test_each_device_that_is_behind_is_reached_or_said_to_be_not(numbers: dict[Verdict, int]) -> None:
    by_hand = ByHand.of(numbers)
    never = sum(numbers.get(one, 0) for one in (Verdict.UNDER_WAY, Verdict.END_USERS))
    assert by_hand.reached + by_hand.later + never == sum(numbers.values())
    assert by_hand.is_possible == (by_hand.reached + by_hand.later > 0)
    assert by_hand.sentences
    assert all(sentence[0].isupper() or sentence[0].isdigit() for sentence in by_hand.sentences)
    assert all(sentence.endswith(".") for sentence in by_hand.sentences)


@given(NUMBERS)
def test_the_title_asks_only_where_there_is_something_to_do(numbers: dict[Verdict, int]) -> None:
    by_hand = ByHand.of(numbers)
    assert by_hand.title("it").endswith("?") == by_hand.is_possible
