"""NanoMDM's HTTP: the API of its operators and the address of the devices."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from vppportal.simulator.mdm.certificates import push_certificate, signer
from vppportal.simulator.mdm.queues import Command, Refused, decode
from vppportal.simulator.mdm.service import VERSION, Failed, read
from vppportal.simulator.messages import Reply, Request

if TYPE_CHECKING:
    from vppportal.simulator.world import World

USER = "nanomdm"
JSON, TEXT, XML = "application/json", "text/plain; charset=utf-8", "text/xml; charset=utf-8"
CHECK_IN = "application/x-apple-aspen-mdm-checkin"
STATUS_TEXTS = {400: "Bad Request", 401: "Unauthorized", 410: "Gone", 500: "Internal Server Error"}
MISSING = Reply(404, b"404 page not found\n", TEXT)

Answer = Callable[["World", Request], Reply]


def _plain(status: int) -> Reply:
    return Reply(status, f"{STATUS_TEXTS[status]}\n".encode(), TEXT)


def version(world: World, request: Request) -> Reply:
    """The only address that needs no key."""
    return Reply(200, json.dumps({"version": VERSION}, separators=(",", ":")).encode(), JSON)


def for_operators(answer: Answer) -> Answer:
    """Let only those in who know the API key."""

    def guarded(world: World, request: Request) -> Reply:
        wanted = base64.b64encode(f"{USER}:{world.mdm.options.api_key}".encode())
        given = request.headers.get("Authorization", "").removeprefix("Basic ").encode()
        if not hmac.compare_digest(wanted, given):
            return Reply(401, b"Unauthorized\n", TEXT, {"WWW-Authenticate": f'Basic realm="{USER}"'})
        return answer(world, request)

    return guarded


def _ids(request: Request) -> list[str]:
    path = unquote(request.route.removeprefix("/"))
    return path.split(",") if path else []


def enqueue(world: World, request: Request) -> Reply:
    """Queue the command in the body for the ids in the path, and push them unless told not to."""
    ids, no_push = _ids(request), bool(request.query.get("nopush"))
    if not ids:
        return _result(500, command_error="getting enrollment ids: empty path")
    command: Command | None = None
    if request.body:
        try:
            command = decode(request.body)
        except ValueError as error:
            return _result(500, command_error=f"decoding command: {error}")
        request.summary = {"RequestType": command.request_type, "CommandUUID": command.uuid}
    elif no_push:
        return _result(500, no_push=True, command_error="must enqueue or push")
    return _carry_out(world, ids, command, no_push=no_push)


def push(world: World, request: Request) -> Reply:
    """Push the ids in the path."""
    ids = _ids(request)
    if not ids:
        return _result(500, push_error="getting enrollment ids: empty path")
    return _carry_out(world, ids, None, no_push=False)


def _carry_out(world: World, ids: list[str], command: Command | None, *, no_push: bool) -> Reply:
    named = {"command_uuid": command.uuid, "request_type": command.request_type} if command else {}
    try:
        if command:
            world.mdm.queues.enqueue(ids, command)
    except Refused as error:
        return _result(500, no_push=no_push, command_error=str(error), **named)
    results, problem = ({}, "") if no_push else world.mdm.push(ids)
    failed = sum("push_error" in result for result in results.values())
    status = 500 if problem or (failed and failed == len(ids)) else 207 if failed else 200
    return _result(status, status=results, no_push=no_push, push_error=problem, **named)


def _result(code: int, /, **members: Any) -> Reply:
    order = ("status", "no_push", "push_error", "command_error", "command_uuid", "request_type")
    shown = {name: members[name] for name in order if members.get(name)}
    return Reply(code, _written(shown) + b"\n", JSON)


def _written(content: dict[str, Any]) -> bytes:
    """JSON as Go writes it with indentation."""
    text = json.dumps(content, indent="\t", ensure_ascii=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()


def store_push_certificate(world: World, request: Request) -> Reply:
    """Store the push certificate in the body."""
    try:
        topic, expires = push_certificate(request.body.decode(errors="replace"))
    except ValueError as error:
        content = {"error": str(error), "not_after": "0001-01-01T00:00:00Z"}
        return Reply(500, _written(content), TEXT)
    world.mdm.topics.add(topic)
    content = {"topic": topic, "not_after": f"{expires:%Y-%m-%dT%H:%M:%SZ}"}
    return Reply(200, _written(content), JSON)


def device(world: World, request: Request) -> Reply:
    """What a device sends: a check-in or a report, told apart by the content type."""
    try:
        certificate = signer(request.headers.get("Mdm-Signature", ""), request.body)
    except (ValueError, binascii.Error):
        return _plain(400)
    try:
        message = read(request.body, request.query)
        world.mdm.admit(message, certificate)
        if request.headers.get("Content-Type", "").startswith(CHECK_IN) or request.path == "/checkin":
            world.mdm.check_in(message)
            return Reply(200, b"", "")
        raw = world.mdm.report(message)
    except Failed as error:
        return _plain(error.status)
    return Reply(200, raw, XML if raw else "")


MOUNTS: dict[str, Answer] = {
    "/version": version,
    "/v1/enqueue": for_operators(enqueue),
    "/v1/push": for_operators(push),
    "/v1/pushcert": for_operators(store_push_certificate),
    "/mdm": device,
    "/checkin": device,
}
