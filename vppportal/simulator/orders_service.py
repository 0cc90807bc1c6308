"""Orders about the service itself: trouble, delays, events, notifications, limits, and the request log."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from vppportal.simulator.events import Order
from vppportal.simulator.faults import FOREVER
from vppportal.simulator.location import LISTINGS, Move, Webhook
from vppportal.simulator.notifications import MODES
from vppportal.simulator.world import World


def list_requests(world: World, path: str = "", location: str = "", after: int | str = 0) -> dict[str, Any]:
    """The request log: what was asked of Apple, filtered by the end of the path, location, or the id before."""
    entries = world.log.find(path=path, location=location, after=int(after))
    return {"summary": world.log.summary(), "requests": entries}


def clear_requests(world: World) -> dict[str, Any]:
    """Empty the request log."""
    world.log.clear()
    return {}


def faults(world: World, **members: Any) -> dict[str, Any]:
    """Order trouble for the n-th call that matches path, method and location.

    Members: path, method, location, nth, times (-1: for ever), delay, hold, drop ("before", "after"), apply, status,
    errorNumber, body, bodyBase64, bodySize, headers, merge, remove, truncate.
    """
    return asdict(world.faults.order(**members))


def list_faults(world: World) -> dict[str, Any]:
    """The orders of trouble in force, with how often each was met and has acted."""
    return {"faults": [asdict(fault) for fault in world.faults.orders]}


def clear_faults(world: World) -> dict[str, Any]:
    """Take back every order of trouble, latency included."""
    world.faults.clear()
    return {}


def latency(world: World, seconds: float, path: str = "*", location: str = "") -> dict[str, Any]:
    """Let every answer take so much longer, from now on."""
    return asdict(world.faults.order(path=path, location=location, delay=float(seconds), times=FOREVER))


def events(
    world: World,
    seconds: float | None = None,
    lag: float | None = None,
    failing: dict[str, int] | None = None,
    following: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Say how long events take, how late their assignments show, who always fails, how the following ones go wrong.

    `failing` names serial numbers, clientUserIds or adamIds with an error number; each of `following` is for one event
    and has the members fail (how many units), errorNumber, pending, forget, seconds.
    """
    desk = world.events
    orders = [Order(**{ORDER_NAMES.get(name, name): value for name, value in one.items()}) for one in following or ()]
    with desk.lock:
        desk.seconds = desk.seconds if seconds is None else float(seconds)
        desk.lag = desk.lag if lag is None else float(lag)
        desk.failing = desk.failing if failing is None else {str(name): int(number) for name, number in failing.items()}
        desk.orders.extend(orders)
    return {"seconds": desk.seconds, "lag": desk.lag, "failing": desk.failing, "following": len(desk.orders)}


ORDER_NAMES = {"errorNumber": "error_number"}


def release_events(world: World) -> dict[str, Any]:
    """Carry out the events that were ordered to stay pending."""
    return {"released": world.events.release()}


def notifications(
    world: World,
    mode: str = "normal",
    seconds: float | None = None,
    tries: int | None = None,
    retry_seconds: float | None = None,
) -> dict[str, Any]:
    """Deliver notifications in the mode normal, late, twice, never or disorder; with how many tries how far apart."""
    if mode not in MODES:
        raise ValueError(f"the modes are {', '.join(MODES)}")
    manner = world.notifications.manner
    manner.mode = mode
    manner.seconds = manner.seconds if seconds is None else float(seconds)
    manner.tries = manner.tries if tries is None else int(tries)
    manner.retry_seconds = manner.retry_seconds if retry_seconds is None else float(retry_seconds)
    return asdict(manner)


def release_notifications(world: World) -> dict[str, Any]:
    """Deliver after all what the mode never has withheld."""
    return {"released": world.notifications.release()}


def list_notifications(world: World) -> dict[str, Any]:
    """Every notification with what became of it: delivered, waiting, withheld or lost."""
    return {"manner": asdict(world.notifications.manner), "notifications": world.notifications.report()}


def notify(
    world: World,
    location: str,
    type: str,
    content: dict[str, Any] | None = None,
    envelope: dict[str, Any] | None = None,
    auth_token: str | None = None,
) -> dict[str, Any]:
    """Send any notification, right or wrong: of an unknown type, for another uId, with another bearer."""
    place = world.location(location)
    if place.webhook is None:
        raise ValueError(f"{location} has no notification URL")
    webhook = Webhook(place.webhook.url, place.webhook.auth_token if auth_token is None else auth_token, [])
    world.notifications.send(place, type, content or {}, webhook, envelope)
    return {}


def limits(world: World, **members: int) -> dict[str, Any]:
    """Change limits of service/config, which are enforced as they are shown."""
    names = {name.replace("_", "").lower(): name for name in world.limits}
    for name, value in members.items():
        shown = names.get(name.replace("_", "").lower())
        if shown is None:
            raise ValueError(f"the limits are {', '.join(world.limits)}")
        world.limits[shown] = int(value)
    return dict(world.limits)


def page_size(world: World, size: int) -> dict[str, Any]:
    """Change the number of records on a page."""
    if size < 1:
        raise ValueError("a page has at least one record")
    world.page_size = int(size)
    return {"size": world.page_size}


def move_version(
    world: World, location: str, listing: str, page: int = 1, times: int = 1, take_back: int = 0
) -> dict[str, Any]:
    """Let the versionId of a listing move when a page is asked for, and its first rows be taken back if ordered."""
    if listing not in LISTINGS:
        raise ValueError(f"the listings are {', '.join(LISTINGS)}")
    world.location(location).moves.append(Move(listing, page, times, take_back))
    return {}


def list_waiting(world: World) -> dict[str, Any]:
    """How many events and deliveries are still to come."""
    return {"events": world.events.timetable.waiting(), "deliveries": world.notifications.timetable.waiting()}


def settle(world: World, seconds: float = 10.0) -> dict[str, Any]:
    """Wait until no event and no delivery is due any more, at most so long."""
    end = time.monotonic() + float(seconds)
    while any(list_waiting(world).values()) and time.monotonic() < end:
        time.sleep(0.005)
    return list_waiting(world)


def reset(world: World) -> dict[str, Any]:
    """Go back to where the seed starts: locations, orders, events and log."""
    world.reset()
    return {}


ORDERS = (
    *(faults, latency, events, release_events, notifications, release_notifications, notify),
    *(limits, page_size, move_version, settle, reset),
)
