"""Changes asked of Apple as tests follow them: let time pass until all are settled, and compare both sides."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import time_machine
from django.conf import settings
from django.utils import timezone
from redis import Redis

from tests.factories import DeviceFactory
from tests.locations import Location, Mirror
from tokens import connection, licenses, tasks
from tokens.licenses import Asked, Holder
from tokens.models import Asset, ContentToken, Operation, OperationKind, Target, TargetState
from vppportal.groups.models import Device

LONGEST = timedelta(hours=8)
ASSOCIATE, DISASSOCIATE, STATUS = "/assets/associate", "/assets/disassociate", "/status"


def asset_of(token: ContentToken, number: int = 0) -> Asset:
    """Return one of the token's assets, in the order of their store ids."""
    return token.assets.order_by("adam_id", "pk")[number]


def known_devices(count: int, **fields: object) -> list[Holder]:
    """Make devices that the portal knows and that hold nothing yet."""
    made = Device.objects.bulk_create(DeviceFactory.build_batch(count, **fields))
    return [Holder(device.serial_number) for device in made]


def give(asset: Asset, wanted: list[Holder]) -> Asked:
    """Ask for licenses."""
    return licenses.assign(asset, wanted, by=None, why="Test")


def take(asset: Asset, wanted: list[Holder]) -> Asked:
    """Ask for licenses back."""
    return licenses.revoke(asset, wanted, by=None, why="Test")


def given(location: Location, asset: Asset, count: int = 3) -> list[Holder]:
    """Give licenses to so many devices, and wait until they have them."""
    devices = known_devices(count)
    give(asset, devices)
    settle_all(location)
    return devices


def trouble(location: Location, path: str, **members: Any) -> None:
    """Order trouble for the next call of a path."""
    location.sim.control("faults", path=path, **members)


def events(location: Location, *following: dict[str, Any], **members: Any) -> None:
    """Say how Apple's next events go."""
    location.sim.control("events", following=[*following], **members)


def sent(location: Location, path: str = ASSOCIATE) -> list[int]:
    """Return how many holders each call named; 0 for one that did not get through."""
    bodies = [entry.get("body", {}) for entry in location.asked(path)]
    return [body.get("serialNumbers", 0) + body.get("clientUserIds", 0) for body in bodies]


def next_step() -> datetime | None:
    """Return when the next open operation is due, or None where all are settled."""
    rows = Operation.objects.open().values_list("next_attempt_at", "lease_until")
    return min((max(due, lease or due) for due, lease in rows), default=None)


def carry_out_due() -> int:
    """Let a worker take each operation that is due, once; return how many there were."""
    due = [*Operation.objects.due().order_by("pk").values_list("pk", flat=True)]
    for pk in due:
        tasks.carry_out_operation(pk)
    return len(due)


def settle_all(location: Location, within: timedelta = LONGEST) -> timedelta:
    """Let time pass, and Apple and workers act, until no change is open; return how long that took."""
    start = timezone.now()
    with time_machine.travel(start, tick=True) as clock:
        while due := next_step():
            assert due - start < within, [*Operation.objects.open().values("kind", "step", "last_error", "sends")]
            if due > timezone.now():
                clock.move_to(due + timedelta(milliseconds=1))
                end_pauses()
            location.sim.control("settle")
            carry_out_due()
        return timezone.now() - start


def end_pauses() -> None:
    """Let the pauses that Apple asked for be over, as they are when time has passed."""
    connection.pace.cache_clear()
    with Redis.from_url(settings.REDIS_URL) as redis:
        for key in redis.scan_iter("pace:*"):
            redis.delete(key)


def states(*, kind: OperationKind | None = None) -> Counter[str]:
    """Count targets by what became of them."""
    rows = Target.objects.filter(operation__kind=kind) if kind else Target.objects.all()
    return Counter(rows.values_list("state", flat=True))


def messages(state: TargetState = TargetState.FAILED) -> set[tuple[int | None, str]]:
    """Return what is said of the targets in a state: Apple's number and the sentence."""
    return {*Target.objects.filter(state=state).values_list("number", "message")}


def assert_agreed(token: ContentToken, location: Location) -> None:
    """Check that Apple has not promised more than it has, and that the portal knows every license and its counts."""
    for asset in location.world.assets.values():
        assert asset.is_unlimited or asset.assigned + asset.retired <= asset.total
    assert Mirror(token).assignments == location.assignments
    assert Mirror(token).assets == location.assets
