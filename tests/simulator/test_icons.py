"""Icons are real pictures, quickly drawn, and the same every time."""

from __future__ import annotations

import struct
import zlib

import pytest
import requests

from vppportal.simulator import icons


def pixels(png: bytes) -> tuple[int, int, bytes]:
    """Width, height and raw rows of a PNG that was written without filters."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    start = png.index(b"IDAT") + 4
    length = struct.unpack(">I", png[start - 8 : start - 4])[0]
    return width, height, zlib.decompress(png[start : start + length])


@pytest.mark.parametrize("edge", [32, 60, 128, 512])
def test_an_icon_has_the_size_asked_for_and_round_corners(edge):
    width, height, rows = pixels(icons.png(1_600_000_001, "Quill Notes", edge))
    assert (width, height, len(rows)) == (edge, edge, edge * (1 + 4 * edge))
    assert rows[4] == 0
    middle = (edge // 2) * (1 + 4 * edge) + 1 + 4 * (edge // 2)
    assert rows[middle + 3] == 255


def test_the_same_product_always_looks_the_same_and_others_look_different():
    drawn = [icons.png(1_600_000_000 + number, "Quill Notes", 64) for number in range(30)]
    assert len(set(drawn)) == 30
    icons.png.cache_clear()
    assert icons.png(1_600_000_000, "Quill Notes", 64) == drawn[0]


@pytest.mark.parametrize("name", ["", "  ", "écran", "7 Days", "日本"])
def test_any_name_can_be_drawn(name):
    assert icons.png(5, name, 32)


def test_unreasonable_sizes_are_brought_into_bounds(mdm, sim):
    adam_id = mdm.an_app()["adamId"]
    for asked, drawn in (("1x1bb.png", 32), ("9999x9999bb.png", 512)):
        assert pixels(requests.get(f"{sim.url}/icons/{adam_id}/{asked}", timeout=5).content)[0] == drawn


@pytest.mark.parametrize("path", ["1/64x64bb.png", "x/64x64bb.png", "1600001000/big.png", ""])
def test_what_is_no_icon_is_not_found(sim, path):
    assert requests.get(f"{sim.url}/icons/{path}", timeout=5).status_code == 404
