"""Cutting large changes into requests within Apple's limits."""

from __future__ import annotations

from tokens.apple import Batch, Limits, batches

ASSETS = [(str(number), "STDQ") for number in range(1, 27)]


def test_26_assets_take_two_requests():
    found = list(batches(Limits(), ASSETS, serial_numbers=["C02A"]))
    assert [len(batch.assets) for batch in found] == [25, 1]
    assert {batch.serial_numbers for batch in found} == {("C02A",)}


def test_1001_devices_take_two_requests():
    found = list(batches(Limits(), ASSETS[:1], serial_numbers=(f"S{number}" for number in range(1001))))
    assert [len(batch.serial_numbers) for batch in found] == [1000, 1]


def test_every_asset_meets_every_holder_once():
    limits = Limits(max_assets=4, max_serial_numbers=3, max_client_user_ids=2)
    found = list(batches(limits, ASSETS[:9], serial_numbers="ABCDEFG", client_user_ids=["x", "y", "z"]))
    pairs = [
        (asset, holder)
        for batch in found
        for asset in batch.assets
        for holder in batch.serial_numbers + batch.client_user_ids
    ]
    assert len(pairs) == len(set(pairs)) == 9 * 10
    assert all(bool(batch.serial_numbers) != bool(batch.client_user_ids) for batch in found)


def test_what_is_named_twice_is_sent_once():
    (found,) = batches(Limits(), ASSETS[:1] * 3, serial_numbers=["c02a", " C02A "])
    assert found == Batch((("1", "STDQ"),), ("C02A",), ())


def test_nothing_to_do_is_no_request():
    assert list(batches(Limits(), ASSETS)) == []
    assert list(batches(Limits(), [], serial_numbers=["C02A"])) == []
