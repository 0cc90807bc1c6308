"""Whatever Apple lists and whatever is stored, staging makes the second equal to the first, character by character."""

from __future__ import annotations

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import AssetFactory
from tokens import staging
from tokens.models import Asset, Assignment

pytestmark = pytest.mark.django_db

# What the client hands on: no NUL and no half of a surrogate pair, but everything that COPY or SQL might trip over.
HOLDERS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12),
    st.text(st.sampled_from("\\\t\n\r.N'\"%;,ab\x1b\x7f\u2028"), min_size=1, max_size=8),
    st.sampled_from(["\\N", "\\.", "%s", "NULL", "''", "\\\\", "é", "é", "İ", "😀"]),
)
ROWS = st.lists(st.tuples(st.integers(0, 2), st.booleans(), HOLDERS), max_size=30)
QUICK = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


@pytest.fixture
def assets() -> list[Asset]:
    first = AssetFactory()
    return [first, *AssetFactory.create_batch(2, token=first.token)]


def rows_of(assets: list[Asset], drawn: list[tuple[int, bool, str]]) -> list[staging.Row]:
    return [
        (assets[number].pk, holder if is_device else "", "" if is_device else holder)
        for number, is_device, holder in drawn
    ]


def level(assets: list[Asset], listed: list[staging.Row], batch: int) -> None:
    with staging.stage(assets[0].token) as stage:
        for start in range(0, len(listed), 7):
            stage.add(listed[start : start + 7])
            if stage.to_insert >= batch:
                stage.insert(batch, timezone.now())
        stage.compare()
        while stage.to_insert:
            stage.insert(batch, timezone.now())
        while stage.to_delete:
            stage.delete(batch)


def stored() -> list[staging.Row]:
    return sorted(Assignment.objects.values_list("asset_id", "serial_number", "client_user_id"))


@QUICK
@given(st.lists(ROWS, min_size=1, max_size=3), st.integers(1, 20))
def test_any_list_after_any_other_is_stored_exactly(
    assets: list[Asset], lists: list[list[tuple[int, bool, str]]], batch: int
) -> None:
    Assignment.objects.all().delete()
    for drawn in lists:
        listed = rows_of(assets, drawn)
        level(assets, listed, batch)
        assert stored() == sorted(set(listed))


@QUICK
@given(ROWS, st.integers(1, 20))
def test_the_same_list_again_keeps_every_row(
    assets: list[Asset], drawn: list[tuple[int, bool, str]], batch: int
) -> None:
    Assignment.objects.all().delete()
    level(assets, rows_of(assets, drawn), batch)
    before = sorted(Assignment.objects.values_list("pk", "since"))
    level(assets, rows_of(assets, drawn[::-1]), batch)
    assert sorted(Assignment.objects.values_list("pk", "since")) == before
