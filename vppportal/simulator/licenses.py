"""What an event does to licenses, unit by unit: assets x holders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vppportal.simulator.assignments import Assignment
from vppportal.simulator.events import Failure, Outcome
from vppportal.simulator.location import Location

Failed = list[tuple[Assignment, int]]


def associate(
    location: Location, rows: Sequence[Assignment], doomed: Mapping[Assignment, int], *, late: bool
) -> Outcome:
    """Assign what can be assigned; `doomed` units fail with their number whatever else is true."""
    failed: Failed = []
    done: list[Assignment] = []
    with location.lock:
        location.change("assets", "assignments")
        for row in rows:
            number = doomed.get(row) or location.assign(row, arrives_later=late)
            if number:
                failed.append((row, number))
            else:
                done.append(row)
    return _outcome(done, failed)


def take_back(location: Location, rows: Sequence[Assignment], doomed: Mapping[Assignment, int]) -> Outcome:
    """Free licenses; one that was not in use is free already."""
    with location.lock:
        location.change("assets", "assignments")
        done = [row for row in rows if row not in doomed]
        for row in done:
            location.take_back(row)
    return _outcome(done, [(row, doomed[row]) for row in rows if row in doomed])


def _outcome(done: Sequence[Assignment], failed: Failed) -> Outcome:
    return Outcome([row.as_json() for row in done], _failures(failed))


def _failures(failed: Failed) -> list[Failure]:
    """One failure for each number and set of targets, naming the assets they have in common."""
    by_asset: dict[tuple[int, str, str], list[Assignment]] = {}
    for row, number in failed:
        by_asset.setdefault((number, row.adam_id, row.pricing_param), []).append(row)
    merged: dict[tuple[int, tuple[tuple[str, str], ...]], list[Assignment]] = {}
    for (number, _, _), rows in by_asset.items():
        targets = tuple((row.serial_number, row.client_user_id) for row in rows)
        merged.setdefault((number, targets), []).extend(rows)
    return [
        Failure(number, _info(targets, rows), [row.as_json() for row in rows])
        for (number, targets), rows in merged.items()
    ]


def _info(targets: Sequence[tuple[str, str]], rows: Sequence[Assignment]) -> dict[str, object]:
    assets = dict.fromkeys((row.adam_id, row.pricing_param) for row in rows)
    named = {
        "assets": [{"adamId": adam_id, "pricingParam": pricing} for adam_id, pricing in assets],
        "clientUserIds": [user for _, user in targets if user],
        "serialNumbers": [serial for serial, _ in targets if serial],
    }
    return {name: value for name, value in named.items() if value}
