"""A million computed rows behave as if they had been written down one by one."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from vppportal.simulator.assignments import Assignment, Assignments, Block, Holder


def block(size=40, devices=7, users=3, assets=9):
    return Block([str(100 + n) for n in range(assets)], size, devices, users, ("K", "user-"))


def written(holdings, start=0, stop=None):
    texts = holdings.encode(start, len(holdings) if stop is None else stop)
    return [
        Assignment(row["adamId"], row["pricingParam"], row.get("serialNumber", ""), row.get("clientUserId", ""))
        for row in map(json.loads, texts)
    ]


def test_rows_of_a_block_are_unique_and_found_where_they_lie():
    rows = [block().row(position) for position in range(40)]
    assert len(set(rows)) == 40
    assert [block().find(row) for row in rows] == list(range(40))
    assert {bool(row.serial_number) for row in rows} == {True, False}


def test_a_row_that_is_not_in_the_block_is_not_found():
    row = block().row(0)
    strangers = [row._replace(adam_id="1"), row._replace(pricing_param="PLUS"), row._replace(serial_number="K0000099")]
    assert [block().find(stranger) for stranger in strangers] == [-1, -1, -1]
    assert block().number_of(Holder("K000000g")) == block().number_of(Holder("k0000001")) == -1


@given(
    size=st.integers(0, 60),
    devices=st.integers(1, 8),
    users=st.integers(0, 4),
    changes=st.lists(st.tuples(st.booleans(), st.integers(0, 80)), max_size=60),
    start=st.integers(0, 70),
    length=st.integers(0, 70),
)
@settings(max_examples=150, deadline=None)
def test_changes_and_slices_agree_with_a_plain_list(size, devices, users, changes, start, length):
    assets = 12
    size = min(size, assets * (devices + users))
    holdings = Assignments(block(size, devices, users, assets))
    known = [holdings.block.row(position) for position in range(size)]
    candidates = [*known, *(Assignment("9", "STDQ", f"S{n}") for n in range(10))]
    model = list(known)
    for version, (add, pick) in enumerate(changes, start=2):
        row = candidates[pick % len(candidates)]
        if add:
            assert holdings.add(row, version) is (row not in model)
            model += [row] if row not in model else []
        else:
            assert holdings.remove(row) is (row in model)
            model = [one for one in model if one != row]
    assert len(holdings) == len(model)
    assert list(holdings) == model
    assert written(holdings, start, min(start + length, len(model))) == model[start : start + length]
    for holder in {Holder(row.serial_number, row.client_user_id) for row in candidates}:
        assert set(holdings.held_by(holder)) == {row for row in model if row[2:] == tuple(holder)}
    for adam_id in {row.adam_id for row in candidates}:
        assert set(holdings.of_asset(adam_id)) == {row for row in model if row.adam_id == adam_id}


def test_a_delta_has_what_was_added_after_a_version():
    holdings = Assignments(block())
    holdings.add(Assignment("9", "STDQ", "A"), 2)
    holdings.add(Assignment("9", "STDQ", "B"), 3)
    assert [row.serial_number for row in holdings.since(2)] == ["B"]


def test_ids_with_quotes_are_escaped():
    holdings = Assignments()
    holdings.add(Assignment("9", "STDQ", 'a"b\\c'), 2)
    assert written(holdings)[0].serial_number == 'a"b\\c'


class CountingBlock(Block):
    """A block that notes how many rows it computed."""

    computed = 0

    def encode(self, start, stop):
        type(self).computed += max(0, stop - start)
        return super().encode(start, stop)


def test_a_page_of_a_million_computes_only_its_own_rows():
    adam_ids = [str(number) for number in range(20_000)]
    holdings = Assignments(CountingBlock(adam_ids, 1_000_000, 60_000, 2_000, ("K", "user-")))
    for position in range(0, 1_000_000, 1_000):
        holdings.remove(holdings.block.row(position))
    assert len(holdings.encode(549 * 1_500, 549 * 1_501)) == 549
    assert CountingBlock.computed == 549
    assert len(holdings) == 999_000
