"""The control address: how a test or a demonstration makes things happen at Apple."""

from __future__ import annotations

from typing import Any

from vppportal.simulator.messages import Reply, Request, json_reply
from vppportal.simulator.world import World


def answer(world: World, request: Request) -> Reply:
    return json_reply({"seed": world.seed})


def act(world: World, verb: str, members: dict[str, Any]) -> dict[str, Any]:
    raise NotImplementedError
