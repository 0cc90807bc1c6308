"""Assignments are compared inside the database: what is missing, what has vanished, and nothing else."""

from __future__ import annotations

import pytest
from django.db import connection
from django.utils import timezone

from tests.factories import AssetFactory, AssignmentFactory
from tokens import staging
from tokens.models import Asset, Assignment

pytestmark = pytest.mark.django_db


@pytest.fixture
def asset() -> Asset:
    return AssetFactory()


def held(asset: Asset, *serials: str) -> list[staging.Row]:
    return [(asset.pk, serial, "") for serial in serials]


def stored(asset: Asset) -> set[str]:
    return set(asset.assignments.values_list("serial_number", flat=True))


def test_what_is_missing_is_inserted_and_what_has_vanished_deleted(asset: Asset) -> None:
    for serial in ("STAYS", "GOES"):
        AssignmentFactory(asset=asset, serial_number=serial)
    with staging.stage(asset.token) as stage:
        stage.add(held(asset, "STAYS", "COMES"))
        stage.compare()
        assert (stage.to_insert, stage.to_delete) == (1, 1)
        assert (stage.insert(10, timezone.now()), stage.delete(10)) == (1, 1)
    assert stored(asset) == {"STAYS", "COMES"}


def test_a_row_that_stays_keeps_its_key_and_its_date(asset: Asset) -> None:
    row = AssignmentFactory(asset=asset, serial_number="STAYS")
    with staging.stage(asset.token) as stage:
        stage.add(held(asset, "STAYS"))
        stage.compare()
        assert (stage.to_insert, stage.to_delete) == (0, 0)
    assert Assignment.objects.values().get() == Assignment.objects.filter(pk=row.pk).values().get()


def test_writing_goes_in_batches_and_counts_down(asset: Asset) -> None:
    AssignmentFactory.create_batch(5, asset=asset)
    with staging.stage(asset.token) as stage:
        stage.add(held(asset, *"ABCDEFG"))
        stage.compare()
        left = []
        while stage.to_insert:
            stage.insert(3, timezone.now())
            left.append((stage.to_insert, stored(asset) & set("ABCDEFG") != set()))
        while stage.to_delete:
            stage.delete(2)
            left.append((stage.to_delete, True))
    assert [count for count, _ in left] == [4, 1, 0, 3, 1, 0]
    assert stored(asset) == set("ABCDEFG")


def test_a_first_import_is_written_while_it_is_read(asset: Asset) -> None:
    with staging.stage(asset.token) as stage:
        assert stage.is_first_import
        stage.add(held(asset, "A", "B"))
        assert stage.insert(1, timezone.now()) == 2
        assert stored(asset) == {"A", "B"}
        stage.add(held(asset, "B", "C"))
        assert stage.insert(1, timezone.now()) == 1
        stage.compare()
        assert (stage.to_insert, stage.to_delete) == (0, 0)
    assert stored(asset) == {"A", "B", "C"}


@pytest.mark.parametrize("is_first", [True, False])
def test_a_row_that_was_listed_twice_is_stored_once(asset: Asset, is_first: bool) -> None:
    if not is_first:
        AssignmentFactory(asset=asset, serial_number="OLD")
    with staging.stage(asset.token) as stage:
        stage.add(held(asset, "TWICE", "TWICE"))
        stage.compare()
        while stage.to_insert:
            stage.insert(1, timezone.now())
    assert asset.assignments.filter(serial_number="TWICE").count() == 1


def test_other_tokens_are_left_alone(asset: Asset) -> None:
    theirs = AssignmentFactory()
    AssignmentFactory(asset=asset, serial_number="GOES")
    with staging.stage(asset.token) as stage:
        stage.compare()
        stage.delete(10)
    assert Assignment.objects.get() == theirs


def test_a_holder_is_a_device_or_a_person(asset: Asset) -> None:
    AssignmentFactory(asset=asset, serial_number="OLD")
    with staging.stage(asset.token) as stage:
        stage.add([(asset.pk, "SAME", ""), (asset.pk, "", "SAME"), (asset.pk, "OLD", "")])
        stage.compare()
        assert stage.insert(10, timezone.now()) == 2
    assert set(asset.assignments.values_list("serial_number", "client_user_id")) == {
        ("SAME", ""),
        ("", "SAME"),
        ("OLD", ""),
    }


def test_nothing_is_left_of_a_stage_even_when_its_user_fails(asset: Asset) -> None:
    with pytest.raises(ZeroDivisionError), staging.stage(asset.token) as stage:
        stage.add(held(asset, "A"))
        stage.compare()
        raise ZeroDivisionError
    with staging.stage(asset.token) as stage:
        stage.compare()
        assert stage.rows == 0
    assert not {"staged", "missing", "vanished"} & set(connection.introspection.table_names())


def test_more_rows_than_one_statement_takes(asset: Asset) -> None:
    serials = [f"SERIAL{number:05}" for number in range(staging.INSERT_ROWS * 3 + 7)]
    with staging.stage(asset.token) as stage:
        stage.add(held(asset, *serials))
        assert stage.insert(10_000, timezone.now()) == len(serials)
    assert stored(asset) == set(serials)
