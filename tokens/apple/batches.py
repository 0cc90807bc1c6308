"""Cut a large change into requests that Apple takes: few, as large as its limits allow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

from tokens.apple.values import Limits

T = TypeVar("T")


class Batch(NamedTuple):
    """The targets of one request; one of the two kinds of holders is empty."""

    assets: tuple[tuple[str, str], ...]
    serial_numbers: tuple[str, ...] = ()
    client_user_ids: tuple[str, ...] = ()


def batches(
    limits: Limits,
    assets: Iterable[tuple[str, str]],
    *,
    serial_numbers: Iterable[str] = (),
    client_user_ids: Iterable[str] = (),
) -> Iterator[Batch]:
    """Yield the requests that give (or take back) every asset to every holder; nothing is named twice in one.

    Apple's samples mix devices and users in one request, but no working client does: here neither.
    """
    packs = list(cut(dict.fromkeys(assets), limits.max_assets))
    serials = dict.fromkeys(serial.strip().upper() for serial in serial_numbers)
    for devices in cut(serials, limits.max_serial_numbers):
        yield from (Batch(pack, serial_numbers=devices) for pack in packs)
    for people in cut(dict.fromkeys(client_user_ids), limits.max_client_user_ids):
        yield from (Batch(pack, client_user_ids=people) for pack in packs)


def cut(items: Iterable[T], longest: int) -> Iterator[tuple[T, ...]]:
    """Yield the items in pieces of at most that many."""
    remaining = iter(items)
    while piece := tuple(islice(remaining, longest)):
        yield piece
