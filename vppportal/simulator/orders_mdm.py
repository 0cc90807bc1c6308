"""Orders about the MDM server: what it has queued and told, how it tells it, and whether it can be reached."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict
from functools import partial
from typing import Any

from vppportal.simulator.mdm.gate import MODES as GATE_MODES
from vppportal.simulator.mdm.service import TOPIC
from vppportal.simulator.mdm.webhooks import MODES, Event
from vppportal.simulator.world import World


def list_mdm(world: World) -> dict[str, Any]:
    """The MDM server at a glance: whether it can be reached, how many devices, commands and events there are."""
    queues = world.mdm.queues
    with queues.lock:
        enrollments = list(queues.enrollments.values())
        return {
            "down": world.gate.mode,
            "devices": len(world.fleet.devices),
            "enrolled": sum(enrollment.is_enabled for enrollment in enrollments),
            "commands": len(queues.commands),
            "kinds": Counter(command.request_type for command in queues.commands.values()),
            "queued": sum(len(enrollment.waiting) for enrollment in enrollments),
            **list_mdm_waiting(world),
        }


def list_mdm_requests(world: World, path: str = "", after: int | str = 0) -> dict[str, Any]:
    """What was asked of the MDM server, filtered by the end of the path, or the id before."""
    return {"summary": world.mdm.log.summary(), "requests": world.mdm.log.find(path=path, after=int(after))}


def list_mdm_events(world: World, topic: str = "", device: str = "", after: str = "") -> dict[str, Any]:
    """Every webhook event with its body, its signature and what became of it: delivered, waiting, withheld or lost."""
    found = world.mdm.webhooks.find(topic=topic, device=device, after=after)
    return {"manner": asdict(world.mdm.webhooks.manner), "events": [_shown(event) for event in found]}


def _shown(event: Event) -> dict[str, Any]:
    names = ("id", "topic", "device", "signature", "state", "statuses")
    return {name: getattr(event, name) for name in names} | {"body": event.body.decode()}


def mdm_webhooks(
    world: World,
    mode: str = "normal",
    seconds: float | None = None,
    topic: str = "",
    times: int = -1,
    url: str | None = None,
    key: str | None = None,
) -> dict[str, Any]:
    """Deliver events in the mode normal, late, twice, never or disorder: all, those of a topic, or only so many."""
    if mode not in MODES:
        raise ValueError(f"the modes are {', '.join(MODES)}")
    webhooks = world.mdm.webhooks
    with webhooks.lock:
        manner = webhooks.manner
        manner.mode, manner.topic, manner.times = mode, topic, int(times)
        manner.seconds = manner.seconds if seconds is None else float(seconds)
        webhooks.url = webhooks.url if url is None else url
        webhooks.key = webhooks.key if key is None else key
    return asdict(manner) | {"url": webhooks.url}


def release_mdm_webhooks(world: World) -> dict[str, Any]:
    """Deliver after all what the mode never has withheld."""
    return {"released": world.mdm.webhooks.release()}


def mdm_down(world: World, mode: str = GATE_MODES[0], seconds: float | None = None) -> dict[str, Any]:
    """Let the MDM server be away: connections are refused, or with the mode 503 answered so; for a time or for good."""
    world.gate.shut(mode)
    if seconds is not None:
        world.mdm.webhooks.timetable.after(float(seconds), partial(_let_in, world))
    return {"down": mode}


def mdm_up(world: World) -> dict[str, Any]:
    """Let the MDM server be back; the devices come as soon as they notice."""
    _let_in(world)
    return {"down": ""}


def _let_in(world: World) -> None:
    world.gate.open()
    world.fleet.wake_all()


def mdm_push_certificate(world: World, topic: str = "", stored: bool = False) -> dict[str, Any]:
    """Take away the push certificate of a topic, by default the simulated devices'; with `stored` put it back."""
    named = {topic or TOPIC}
    world.mdm.topics = world.mdm.topics | named if stored else world.mdm.topics - named
    return {"topics": sorted(world.mdm.topics)}


def list_mdm_waiting(world: World) -> dict[str, Any]:
    """How many devices are on their way to the server, and how many events on theirs to the portal."""
    return {"coming": world.fleet.due, "events": world.mdm.webhooks.waiting()}


def mdm_settle(world: World, seconds: float = 10.0) -> dict[str, Any]:
    """Wait until no device is coming and no event is on its way any more, at most so long."""
    end = time.monotonic() + float(seconds)
    while any(list_mdm_waiting(world).values()) and time.monotonic() < end:
        time.sleep(0.005)
    return list_mdm_waiting(world)


READINGS = {
    "mdm": list_mdm,
    "mdm-requests": list_mdm_requests,
    "mdm-events": list_mdm_events,
    "mdm-waiting": list_mdm_waiting,
}
ORDERS = (mdm_webhooks, release_mdm_webhooks, mdm_down, mdm_up, mdm_push_certificate, mdm_settle)
