"""Sealed secrets, for any text, any row and any list of keys: they open for their own row with their own key only."""

from __future__ import annotations

import string

import pytest
from cryptography.fernet import Fernet
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from tokens.fields import CannotOpen, Sealed
from tokens.secret import Secret

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
BASE64 = string.ascii_letters + string.digits + "-_"
KEYS = [Fernet.generate_key().decode() for _ in range(4)]
KEYRINGS = st.lists(st.sampled_from(KEYS), min_size=1, unique=True)


@given(TEXTS, TEXTS)
def test_any_text_comes_back_for_its_row(text: str, row: str) -> None:
    assert Sealed.seal(Secret(text), bound_to=row).open(bound_to=row).reveal() == text


@given(TEXTS, TEXTS, TEXTS)
def test_no_text_comes_back_for_another_row(text: str, row: str, other: str) -> None:
    sealed = Sealed.seal(Secret(text), bound_to=row)
    if row != other:
        with pytest.raises(CannotOpen):
            sealed.open(bound_to=other)


@given(TEXTS.filter(bool), TEXTS)
def test_the_text_is_nowhere_in_the_ciphertext_and_never_sealed_the_same_twice(text: str, row: str) -> None:
    first, second = (Sealed.seal(Secret(text), bound_to=row).ciphertext for _ in range(2))
    assert first != second
    assert len(text) < 6 or text not in first


@given(KEYRINGS, KEYRINGS)
def test_after_any_rotation_it_opens_exactly_where_its_key_is_kept(before: list[str], after: list[str]) -> None:
    with override_settings(TOKEN_ENCRYPTION_KEYS=before):
        sealed = Sealed.seal(Secret("text"), bound_to="row")
    with override_settings(TOKEN_ENCRYPTION_KEYS=after):
        if before[0] in after:
            assert sealed.open(bound_to="row").reveal() == "text"
        else:
            with pytest.raises(CannotOpen):
                sealed.open(bound_to="row")


@given(st.floats(0, 1), st.integers(1, 63))
def test_no_changed_ciphertext_opens(where: float, by: int) -> None:
    # The ciphertext is another one each time, so what is drawn must not depend on it.
    ciphertext = Sealed.seal(Secret("text"), bound_to="row").ciphertext
    place = round(where * (len(ciphertext.rstrip("=")) - 2))
    other = BASE64[(BASE64.index(ciphertext[place]) + by) % 64]
    with pytest.raises(CannotOpen):
        Sealed(ciphertext[:place] + other + ciphertext[place + 1 :]).open(bound_to="row")
