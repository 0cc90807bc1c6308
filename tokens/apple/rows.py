"""Turn the rows of Apple's lists into values; a row of no use is left out, never guessed at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from tokens.apple.answers import Body, Unreadable
from tokens.apple.parsing import LONGEST_SERIAL, adam_id, count, integer, pricing, text, texts, truth
from tokens.apple.values import Asset, Assignment, Page, User

T = TypeVar("T")
Readers = Mapping[str, Callable[[list[Any]], list[T]]]

UNLIMITED: Final = 2147483647
LONGEST_USER_ID: Final = 100


def page(body: Body, asked: int, readers: Readers[T]) -> Page[T]:
    """Return one page of a list; it is whole when the list is there, as long as it says, and the page asked for."""
    lists = {key: rows for key in readers if isinstance(rows := body.get(key), list)}
    size = integer(body.get("size"))
    if not lists and size:
        raise Unreadable("its list is missing")
    items = [item for key, rows in lists.items() for item in readers[key](rows)]
    lengths = [len(rows) for rows in lists.values()] or [0]
    version = body.get("versionId")
    return Page(
        items=items,
        index=asked,
        next_index=integer(body.get("nextPageIndex")),
        total_pages=count(body.get("totalPages")),
        version_id=str(version)[:250] if isinstance(version, (str, int)) and version != "" else None,
        skipped=sum(lengths) - len(items),
        is_whole=(
            (bool(lists) or size == 0)
            and size in (None, sum(lengths), lengths[0])
            and integer(body.get("currentPageIndex")) in (None, asked)
        ),
    )


def assets(rows: list[Any]) -> list[Asset]:
    """Return the products owned, without rows that name none."""
    return _assets(rows, are_unlimited=False)


def unlimited_assets(rows: list[Any]) -> list[Asset]:
    """Return the products of the list that Apple keeps for what has no total."""
    return _assets(rows, are_unlimited=True)


def _assets(rows: list[Any], *, are_unlimited: bool) -> list[Asset]:
    return [
        _asset(row, found, are_unlimited)
        for row in rows
        if isinstance(row, dict) and (found := adam_id(row.get("adamId")))
    ]


def _asset(row: Body, found: str, is_unlimited: bool) -> Asset:
    told = integer(row.get("totalCount"))
    is_unlimited = is_unlimited or told == UNLIMITED
    is_app = row.get("productType") != "Book"
    assigned, retired = count(row.get("assignedCount")), integer(row.get("retiredCount"))
    available = integer(row.get("availableCount"))
    if available is None:
        available = count((told or 0) - assigned - max(retired or 0, 0))
    total = count(available) + assigned + max(retired or 0, 0) if told is None else count(told)
    return Asset(
        adam_id=found,
        pricing_param=pricing(row.get("pricingParam")),
        product_type=text(row.get("productType"), 10) or "App",
        total=0 if is_unlimited else total,
        available=0 if is_unlimited else count(available),
        assigned=assigned,
        retired=None if retired is None else count(retired),
        is_unlimited=is_unlimited,
        is_device_assignable=truth(row.get("deviceAssignable"), is_app),
        is_revocable=truth(row.get("revocable"), is_app),
        platforms=texts(row.get("supportedPlatforms"), 20),
    )


class _Known(dict[object, str]):
    """A page names the same few products over and over: check each once, and keep one copy of its text."""

    def __init__(self, check: Callable[[object], str]) -> None:
        super().__init__()
        self._check = check

    def __missing__(self, raw: object) -> str:
        checked = self[raw] = self._check(raw)
        return checked


def assignments(rows: list[Any]) -> list[Assignment]:
    """Return who holds what, without rows that name no asset, or not exactly one holder.

    A million rows pass here: hence the bare loop. Serial numbers become upper case, as devices report them.
    """
    adam_ids, pricings = _Known(adam_id), _Known(pricing)
    found: list[Assignment] = []
    add, new = found.append, tuple.__new__
    for row in rows:
        try:
            asset, get = adam_ids[row["adamId"]], row.get
            paid, serial, user = pricings[get("pricingParam")], get("serialNumber"), get("clientUserId")
            if user:
                if asset and not serial and type(user) is str and len(user) <= LONGEST_USER_ID:
                    add(new(Assignment, (asset, paid, "", user)))
            elif serial:
                serial = serial.strip().upper()
                if asset and 0 < len(serial) <= LONGEST_SERIAL:
                    add(new(Assignment, (asset, paid, serial, "")))
        except (TypeError, KeyError, AttributeError):
            continue
    return found


def users(rows: list[Any]) -> list[User]:
    """Return the client users, without rows that name none."""
    return [
        User(
            found,
            text(row.get("email"), 254),
            text(row.get("status"), 20),
            text(row.get("inviteCode")),
            text(row.get("idHash"), 100),
        )
        for row in rows
        if isinstance(row, dict)
        and isinstance(found := row.get("clientUserId"), str)
        and 0 < len(found) <= LONGEST_USER_ID
    ]
