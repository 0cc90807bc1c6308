"""The control address: how a test or a demonstration makes things happen at Apple.

POST /control/<verb> with a JSON object gives an order, GET reads, DELETE clears. Members are written as Apple writes
them (`adamId`); an unknown verb or member is refused, so that a misspelled order does not pass by doing nothing.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from vppportal.simulator import orders_licenses, orders_location, orders_mdm, orders_mdm_devices, orders_service
from vppportal.simulator.messages import Reply, Request, json_object, json_reply
from vppportal.simulator.world import World

Verb = Callable[..., dict[str, Any]]

ORDERS: dict[str, Verb] = {
    verb.__name__.replace("_", "-"): verb
    for verb in (
        *(*orders_location.ORDERS, *orders_licenses.ORDERS, *orders_service.ORDERS),
        *(*orders_mdm.ORDERS, *orders_mdm_devices.ORDERS),
    )
}
READINGS: dict[str, Verb] = {
    "locations": orders_location.list_locations,
    "requests": orders_service.list_requests,
    "faults": orders_service.list_faults,
    "notifications": orders_service.list_notifications,
    "waiting": orders_service.list_waiting,
    **orders_mdm.READINGS,
    **orders_mdm_devices.READINGS,
}
CLEARINGS: dict[str, Verb] = {
    "requests": orders_service.clear_requests,
    "faults": orders_service.clear_faults,
}


def answer(world: World, request: Request) -> Reply:
    """Answer a request below /control."""
    verb = request.route.strip("/")
    if not verb and request.method == "GET":
        return json_reply(help_text())
    table = {"GET": READINGS, "DELETE": CLEARINGS, "POST": ORDERS}.get(request.method, {})
    if verb not in table:
        return json_reply({"error": f"{request.method} /control/{verb} does not exist", **help_text()}, 404)
    members: dict[str, Any] | None = dict(request.query)
    if request.method == "POST":
        members = json_object(request.body or b"{}")
    if members is None:
        return json_reply({"error": "the body is not a JSON object"}, 400)
    try:
        return json_reply(_call(table[verb], world, members))
    except KeyError as error:
        return json_reply({"error": str(error.args[0])}, 404)
    except (TypeError, ValueError) as error:
        return json_reply({"error": str(error)}, 400)


def act(world: World, verb: str, members: dict[str, Any]) -> dict[str, Any]:
    """Give an order without HTTP; what is wrong with it is raised."""
    return _call(ORDERS[verb], world, members)


def _call(verb: Verb, world: World, members: dict[str, Any]) -> dict[str, Any]:
    named = snake_keys(members)
    # Bound first, so that a TypeError below can only mean a wrong member and never a mistake inside the verb.
    inspect.signature(verb).bind(world, **named)
    return verb(world, **named)


def snake_keys(members: dict[str, Any]) -> dict[str, Any]:
    """The names of members as Python writes them."""
    return {
        re.sub(r"(?<!^)([A-Z])", lambda found: f"_{found[1].lower()}", name): value for name, value in members.items()
    }


def help_text() -> dict[str, dict[str, str]]:
    """Every verb with its members and one sentence."""
    tables = {"GET": READINGS, "POST": ORDERS, "DELETE": CLEARINGS}
    return {
        f"{method} /control/": {name: _line(verb) for name, verb in table.items()} for method, table in tables.items()
    }


def _line(verb: Verb) -> str:
    names = [_camel(name) for name in inspect.signature(verb).parameters if name not in ("world", "members")]
    sentence = (verb.__doc__ or "").strip().split("\n")[0]
    return f"{sentence} ({', '.join(names)})" if names else sentence


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)
