"""Icons drawn without any library: a rounded square, a colour of its own, and a letter or a simple sign."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import lru_cache
from math import ceil, floor

from vppportal.simulator.glyphs import GLYPHS

Colour = tuple[int, int, int]
Span = tuple[float, float]
# For a height between 0 and 1, the spans between 0 and 1 that a shape covers there.
Shape = Callable[[float], list[Span]]

PALETTES: tuple[tuple[Colour, Colour], ...] = (
    ((38, 99, 235), (29, 58, 158)),
    ((13, 148, 136), (10, 92, 96)),
    ((217, 70, 60), (150, 33, 54)),
    ((124, 77, 219), (72, 41, 148)),
    ((234, 137, 32), (190, 84, 18)),
    ((22, 145, 74), (14, 90, 55)),
    ((51, 65, 92), (24, 32, 51)),
    ((219, 57, 130), (141, 30, 104)),
    ((14, 140, 190), (11, 79, 133)),
    ((121, 98, 72), (72, 55, 43)),
)
WHITE: Colour = (255, 255, 255)
LINES = 3  # scan lines a row, which smooths what is nearly horizontal


def disc(x: float, y: float, radius: float) -> Shape:
    """A filled circle."""

    def spans(height: float) -> list[Span]:
        inside = radius * radius - (height - y) ** 2
        return [(x - inside**0.5, x + inside**0.5)] if inside > 0 else []

    return spans


def ring(x: float, y: float, radius: float, width: float) -> Shape:
    """A circle line."""
    outer, inner = disc(x, y, radius), disc(x, y, radius - width)

    def spans(height: float) -> list[Span]:
        out, hole = outer(height), inner(height)
        return [(out[0][0], hole[0][0]), (hole[0][1], out[0][1])] if out and hole else out

    return spans


def box(left: float, top: float, right: float, bottom: float, corner: float = 0.0) -> Shape:
    """A rectangle, its corners rounded."""

    def spans(height: float) -> list[Span]:
        if not top <= height < bottom:
            return []
        depth = max(top + corner - height, height - (bottom - corner), 0.0)
        inset = corner - (max(0.0, corner * corner - depth * depth)) ** 0.5
        return [(left + inset, right - inset)]

    return spans


def letters(text: str, height: float) -> Shape:
    """One or two letters of a small bitmap font, in the middle."""
    rows = [""] * 7
    for number, char in enumerate(text):
        for row, pattern in enumerate(GLYPHS.get(char, GLYPHS["?"])):
            rows[row] += ("." if number else "") + pattern
    cell = height / 7
    left, top = 0.5 - len(rows[0]) * cell / 2, 0.5 - height / 2

    def spans(at: float) -> list[Span]:
        row = int((at - top) / cell) if at >= top else 7
        pattern = rows[row] if row < 7 else ""
        # A hair wider than the cell, so that neighbours leave no seam.
        return [(left + i * cell, left + (i + 1) * cell + 1e-6) for i, dot in enumerate(pattern) if dot == "#"]

    return spans


def bars(heights: tuple[float, ...]) -> list[Shape]:
    """A small bar chart."""
    width = 0.56 / len(heights)
    return [
        box(0.22 + i * width + 0.02, 0.76 - height, 0.22 + (i + 1) * width - 0.02, 0.76, 0.03)
        for i, height in enumerate(heights)
    ]


def _signs(adam_id: int, initials: str) -> list[tuple[Shape, Colour, float]]:
    """The shapes on top of the background: shape, colour, strength."""
    variant, twist = adam_id % 5, adam_id // 5
    if variant == 0:
        return [(letters(initials, 0.40), WHITE, 1.0)]
    if variant == 1:
        return [(ring(0.5, 0.5, 0.34, 0.055), WHITE, 0.95), (letters(initials[0], 0.34), WHITE, 1.0)]
    if variant == 2:
        heights = tuple(0.18 + (twist * (i + 3) * 7 % 11) * 0.036 for i in range(4))
        return [(bar, WHITE, 0.55 + 0.15 * i) for i, bar in enumerate(bars(heights))]
    if variant == 3:
        return [(disc(0.40, 0.42, 0.22), WHITE, 0.55), (disc(0.60, 0.58, 0.22), WHITE, 0.8)]
    page = box(0.27, 0.21, 0.73, 0.79, 0.07)
    lines = [box(0.35, 0.33 + i * 0.115, 0.65 - 0.09 * ((twist + i) % 3), 0.385 + i * 0.115, 0.02) for i in range(4)]
    return [(page, WHITE, 0.95), *((line, PALETTES[adam_id % len(PALETTES)][0], 0.8) for line in lines)]


@lru_cache(maxsize=4096)
def png(adam_id: int, name: str, edge: int) -> bytes:
    """The icon of a product as a PNG of `edge` x `edge` pixels; the same product always looks the same."""
    words = [word for word in name.upper().split() if word[0] in GLYPHS] or ["?"]
    initials = "".join(word[0] for word in words[:2])
    top, bottom = PALETTES[adam_id // 3 % len(PALETTES)]
    signs = _signs(adam_id, initials)
    square = box(0.0, 0.0, 1.0, 1.0, 0.225)
    rows = bytearray()
    for y in range(edge):
        share = y / edge
        background = bytes(round(a + (b - a) * share) for a, b in zip(top, bottom, strict=True))
        row = bytearray((background + b"\xff") * edge)
        for shape, colour, strength in signs:
            _paint(row, colour, shape, y, strength)
        _cut(row, square, y)
        rows += b"\x00" + row
    header = struct.pack(">IIBBBBB", edge, edge, 8, 6, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _coverage(shape: Shape, y: int, edge: int) -> tuple[list[tuple[int, int]], dict[int, float]]:
    """What a shape covers of a row: runs of whole pixels, and pixels in part.

    Nearly all pixels lie in runs, which are painted in one stroke: a large icon takes milliseconds, not a second.
    """
    lines = [shape((y + (line + 0.5) / LINES) / edge) for line in range(LINES)]
    runs: list[tuple[int, int]] = []
    if len({len(line) for line in lines}) == 1:
        for spans in zip(*lines, strict=True):
            first, last = ceil(max(start for start, _ in spans) * edge), floor(min(stop for _, stop in spans) * edge)
            runs.append((max(0, first), max(0, first, min(edge, last))))
    covered: dict[int, float] = {}
    for line in lines:
        for number, (start, stop) in enumerate(line):
            left, right = max(0.0, start * edge), min(float(edge), stop * edge)
            first, last = runs[number] if runs else (edge, edge)
            for x in (*range(int(left), min(first, ceil(right))), *range(max(int(left), last), ceil(right))):
                part = min(x + 1.0, right) - max(float(x), left)
                covered[x] = min(1.0, covered.get(x, 0.0) + max(0.0, part) / LINES)
    return runs, covered


def _paint(row: bytearray, colour: Colour, shape: Shape, y: int, strength: float) -> None:
    edge = len(row) // 4
    runs, covered = _coverage(shape, y, edge)
    for first, last in runs:
        if row[4 * first : 4 * last] == row[4 * first : 4 * first + 4] * (last - first):
            row[4 * first : 4 * last] = _blend(row[4 * first : 4 * first + 3], colour, strength) * (last - first)
        else:
            covered.update(dict.fromkeys(range(first, last), 1.0))
    for x, part in covered.items():
        row[4 * x : 4 * x + 4] = _blend(row[4 * x : 4 * x + 3], colour, part * strength)


def _blend(under: bytearray, colour: Colour, strength: float) -> bytes:
    return bytes(round(a + (b - a) * strength) for a, b in zip(under, colour, strict=True)) + b"\xff"


def _cut(row: bytearray, square: Shape, y: int) -> None:
    """Make transparent what lies outside the rounded square."""
    edge = len(row) // 4
    runs, covered = _coverage(square, y, edge)
    first, last = runs[0] if runs else (edge, edge)
    for x in (*range(first), *range(last, edge)):
        row[4 * x + 3] = round(255 * covered.get(x, 0.0))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
