"""Who holds what at one location: a million rows cost no memory until somebody changes them.

The rows a location starts with are a `Block`, computed from their position; what is assigned later is kept in a
dictionary, and what is taken back from the block is a short sorted list of positions.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Protocol


class Assignment(NamedTuple):
    """One license in use; exactly one of the last two is filled."""

    adam_id: str
    pricing_param: str
    serial_number: str = ""
    client_user_id: str = ""

    def as_json(self) -> dict[str, str]:
        """The members Apple sends for it."""
        target = ("serialNumber", self.serial_number) if self.serial_number else ("clientUserId", self.client_user_id)
        return {"adamId": self.adam_id, "pricingParam": self.pricing_param, target[0]: target[1]}


class Holder(NamedTuple):
    """A device or a registered user."""

    serial_number: str = ""
    client_user_id: str = ""


class Rows(Protocol):
    """Anything that can be paged: it knows its length and writes a slice of itself as JSON texts."""

    def __len__(self) -> int: ...

    def encode(self, start: int, stop: int) -> list[str]: ...


class Block:
    """The rows of a location made to a size: asset `a` is held by consecutive holders, from `a * STRIDE` on."""

    STRIDE = 7919

    def __init__(self, adam_ids: Sequence[str], size: int, devices: int, users: int, marks: tuple[str, str]) -> None:
        if size > len(adam_ids) * (devices + users):
            raise ValueError("more assignments than pairs of an asset and a holder")
        self.adam_ids, self.size, self.devices, self.users = adam_ids, size, devices, users
        self.serial_mark, self.user_mark = marks
        self.each, self.extra = divmod(size, len(adam_ids)) if adam_ids else (0, 0)
        self.order = {adam_id: number for number, adam_id in enumerate(adam_ids)}

    def count(self, asset: int) -> int:
        """How many rows asset number `asset` has."""
        return self.each + (asset < self.extra)

    def start(self, asset: int) -> int:
        """Where the rows of asset number `asset` begin."""
        return asset * self.each + min(asset, self.extra)

    def asset_at(self, position: int) -> int:
        """The number of the asset the row at `position` belongs to."""
        wide = self.extra * (self.each + 1)
        return position // (self.each + 1) if position < wide else self.extra + (position - wide) // self.each

    def serial(self, device: int) -> str:
        """The serial number of the n-th device."""
        return f"{self.serial_mark}{device:07X}"

    def user_id(self, user: int) -> str:
        """The client user id of the n-th user."""
        return f"{self.user_mark}{user:012x}"

    def holder(self, number: int) -> Holder:
        """The n-th holder: devices first, then users."""
        return Holder(self.serial(number)) if number < self.devices else Holder("", self.user_id(number - self.devices))

    def number_of(self, holder: Holder) -> int:
        """The number of a holder of this block, or -1."""
        text = holder.serial_number or holder.client_user_id
        mark, first = (self.serial_mark, 0) if holder.serial_number else (self.user_mark, self.devices)
        try:
            number = first + int(text[len(mark) :], 16)
        except ValueError:
            return -1
        return number if 0 <= number < self.devices + self.users and self.holder(number) == holder else -1

    def row(self, position: int) -> Assignment:
        """The row at `position`."""
        asset = self.asset_at(position)
        number = (asset * self.STRIDE + position - self.start(asset)) % (self.devices + self.users)
        return Assignment(self.adam_ids[asset], "STDQ", *self.holder(number))

    def position(self, asset: int, holder_number: int) -> int:
        """Where holder and asset meet, or -1 when the holder does not hold it."""
        offset = (holder_number - asset * self.STRIDE) % (self.devices + self.users)
        return self.start(asset) + offset if offset < self.count(asset) else -1

    def find(self, row: Assignment) -> int:
        """The position of an assignment, or -1."""
        asset = self.order.get(row.adam_id, -1)
        number = self.number_of(Holder(row.serial_number, row.client_user_id))
        return -1 if asset < 0 or number < 0 or row.pricing_param != "STDQ" else self.position(asset, number)

    def encode(self, start: int, stop: int) -> list[str]:
        """The rows of positions `start` to `stop` as JSON texts."""
        texts: list[str] = []
        holders = self.devices + self.users
        while start < stop:
            asset = self.asset_at(start)
            begin = self.start(asset)
            end = min(stop, begin + self.count(asset))
            head = f'{{"adamId":"{self.adam_ids[asset]}","pricingParam":"STDQ",'
            device, user = f'{head}"serialNumber":"{self.serial_mark}', f'{head}"clientUserId":"{self.user_mark}'
            first = asset * self.STRIDE - begin
            for position in range(start, end):
                number = (first + position) % holders
                is_device = number < self.devices
                texts.append(f'{device}{number:07X}"}}' if is_device else f'{user}{number - self.devices:012x}"}}')
            start = end
        return texts


class Assignments:
    """All assignments of a location, in a stable order: the block first, then the rest as it came."""

    def __init__(self, block: Block | None = None) -> None:
        self.block = block or Block((), 0, 0, 0, ("", ""))
        self.gone: list[int] = []
        self.added: dict[Assignment, int] = {}
        self.by_holder: dict[Holder, dict[Assignment, None]] = {}

    def __len__(self) -> int:
        return self.block.size - len(self.gone) + len(self.added)

    def __contains__(self, row: Assignment) -> bool:
        return row in self.added or self._in_block(row) >= 0

    def __iter__(self) -> Iterator[Assignment]:
        gone = set(self.gone)
        yield from (self.block.row(position) for position in range(self.block.size) if position not in gone)
        yield from self.added

    def _in_block(self, row: Assignment) -> int:
        position = self.block.find(row) if self.block.size else -1
        return -1 if position < 0 or self._is_gone(position) else position

    def _is_gone(self, position: int) -> bool:
        place = bisect_left(self.gone, position)
        return place < len(self.gone) and self.gone[place] == position

    def add(self, row: Assignment, version: int) -> bool:
        """Note that the license is in use since `version`; False when it already was."""
        if row in self:
            return False
        self.added[row] = version
        self.by_holder.setdefault(Holder(row.serial_number, row.client_user_id), {})[row] = None
        return True

    def remove(self, row: Assignment) -> bool:
        """Take a license back; False when it was not in use."""
        if row in self.added:
            del self.added[row]
            del self.by_holder[Holder(row.serial_number, row.client_user_id)][row]
            return True
        position = self._in_block(row)
        if position >= 0:
            insort(self.gone, position)
        return position >= 0

    def held_by(self, holder: Holder) -> list[Assignment]:
        """Everything one device or user holds."""
        rows: list[Assignment] = []
        number = self.block.number_of(holder) if self.block.size else -1
        if number >= 0:
            for asset, adam_id in enumerate(self.block.adam_ids):
                position = self.block.position(asset, number)
                if position >= 0 and not self._is_gone(position):
                    rows.append(Assignment(adam_id, "STDQ", *holder))
        return rows + list(self.by_holder.get(holder, ()))

    def of_asset(self, adam_id: str) -> list[Assignment]:
        """Everything assigned of one store id, whatever its pricing."""
        asset = self.block.order.get(adam_id, -1)
        rows: list[Assignment] = []
        if asset >= 0:
            begin = self.block.start(asset)
            span = range(begin, begin + self.block.count(asset))
            rows = [self.block.row(position) for position in span if not self._is_gone(position)]
        return rows + [row for row in self.added if row.adam_id == adam_id]

    def since(self, version: int) -> list[Assignment]:
        """What came after `version`; what was taken back does not show, as far as Apple's text goes."""
        return [row for row, born in self.added.items() if born > version]

    def first(self, count: int) -> list[Assignment]:
        """The first rows in listing order."""
        return list(islice(self, count))

    def encode(self, start: int, stop: int) -> list[str]:
        """The rows of places `start` to `stop` as JSON texts."""
        left = self.block.size - len(self.gone)
        texts: list[str] = []
        if start < left:
            texts = self._encode_block(start, min(stop, left))
        if stop > left:
            texts += encode_rows(islice(self.added, max(0, start - left), stop - left))
        return texts

    def _encode_block(self, start: int, stop: int) -> list[str]:
        # The n-th row still there lies as many places further on as rows before it are gone. How many that are can
        # be bisected, because gone[i] - i never falls.
        texts: list[str] = []
        place = bisect_right(range(len(self.gone)), start, key=lambda i: self.gone[i] - i)
        position = start + place
        wanted = stop - start
        while wanted:
            barrier = self.gone[place] if place < len(self.gone) else self.block.size
            end = min(position + wanted, barrier)
            texts += self.block.encode(position, end)
            wanted -= end - position
            position, place = end + 1, place + 1
        return texts


def encode_rows(rows: Iterable[Assignment]) -> list[str]:
    """Assignments as JSON texts; ids come from outside, so they are escaped."""
    return [json.dumps(row.as_json(), ensure_ascii=False, separators=(",", ":")) for row in rows]
