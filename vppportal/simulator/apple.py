"""Apple's side of the wire: which path is answered by what, and who is let in."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

from vppportal.simulator import icons, reads, registrations, writes
from vppportal.simulator.errors import AppleError, error_reply
from vppportal.simulator.location import LISTINGS, Location
from vppportal.simulator.messages import Reply, Request, json_object, json_reply
from vppportal.simulator.tokens import Token
from vppportal.simulator.world import World

Read = Callable[[World, Location, Token, dict[str, str]], Reply]
Write = Callable[[World, Location, Token, writes.Body], Reply]


def _client_config(world: World, location: Location, token: Token, query: dict[str, str]) -> Reply:
    return reads.client_config(location, token)


READS: dict[str, Read] = {
    "/client/config": _client_config,
    "/assets": reads.assets,
    "/assignments": reads.assignments,
    "/users": reads.users,
    "/status": reads.status,
}
WRITES: dict[str, Write] = {
    "/client/config": writes.change_client_config,
    "/assets/associate": writes.associate,
    "/assets/disassociate": writes.disassociate,
    "/assets/revoke": writes.revoke,
    "/users/create": writes.create_users,
    "/users/update": writes.update_users,
    "/users/retire": writes.retire_users,
}
COUNTED = ("assets", "serialNumbers", "clientUserIds", "users")


def answer(world: World, request: Request) -> Reply:
    """Answer a request below /mdm/v2, refusals included."""
    try:
        if request.route == "/service/config":
            _need(request.method == "GET", 9726)
            return reads.service_config(world)
        if request.route not in READS and request.route not in WRITES:
            return json_reply({"message": "There is nothing here."}, 404)
        location, token = _enter(world, request)
        if not world.pace.admit(token.location, world.limits["maxRequestPerSecond"]):
            raise AppleError(9646, headers={"Retry-After": "1"})
        return _route(world, location, token, request)
    except AppleError as error:
        return error_reply(error)


def _route(world: World, location: Location, token: Token, request: Request) -> Reply:
    if request.method == "GET" and request.route in READS:
        listing = request.route.strip("/")
        if listing in LISTINGS:
            reads.move(location, listing, request.query)
        return READS[request.route](world, location, token, request.query)
    _need(request.method == "POST" and request.route in WRITES, 9726)
    _need(request.headers.get("Content-Type", "").split(";")[0].strip().lower() == "application/json", 9727)
    body = json_object(request.body)
    if body is None:
        raise AppleError(9602)
    request.summary = {name: len(body[name]) for name in COUNTED if isinstance(body.get(name), list)}
    _need(not token.is_read_only, 9637)
    return WRITES[request.route](world, location, token, body)


def _need(condition: bool, number: int) -> None:
    if not condition:
        raise AppleError(number)


def identify(world: World, request: Request) -> None:
    """Note whose token a request carries, for orders and the log; whether it is let in is decided later."""
    text = request.headers.get("Authorization", "").removeprefix("Bearer ").strip() or _cookie(request, "itvt")
    token = world.tokens.get(text)
    request.location = token.location if token else ""


def _enter(world: World, request: Request) -> tuple[Location, Token]:
    """The location behind the bearer, which is the whole text of a token file and not the token inside it."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    _need(scheme == "Bearer" and bool(text.strip()), 9722)
    token = world.tokens.get(text.strip())
    if token is None:
        raise AppleError(9622)
    _need(not token.is_revoked, 9625)
    _need(not token.is_expired(), 9621)
    return world.locations[token.location], token


def lookup(world: World, request: Request) -> Reply:
    """The metadata lookup; a cookie that does not work is treated as no cookie, without a word."""
    token = world.tokens.get(_cookie(request, "itvt"))
    if token is None or token.is_revoked or token.is_expired():
        return json_reply(world.store.lookup(request.query, lambda adam_id: False))
    return json_reply(world.store.lookup(request.query, world.locations[token.location].owns))


def _cookie(request: Request, name: str) -> str:
    for part in request.headers.get("Cookie", "").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return unquote(value.strip('"'))
    return ""


def icon(world: World, request: Request) -> Reply:
    """The drawn icon of a product: /icons/<adamId>/<width>x<height>bb.png."""
    adam_id, _, name = request.route.strip("/").partition("/")
    product = world.store.find(adam_id)
    edge = name.partition("x")[0]
    if product is None or not edge.isdigit():
        return Reply(404, b"", "text/plain")
    picture = icons.png(product.adam_id, product.name, min(512, max(32, int(edge))))
    return Reply(200, picture, "image/png", {"Cache-Control": "public, max-age=86400"})


def invitation(world: World, request: Request) -> Reply:
    """The page an invited person opens; opening it stands for signing in and accepting."""
    for location in world.locations.values():
        with location.lock:
            user = location.users.by_code(request.query.get("inviteCode", ""))
            if user:
                request.location = location.identity.key
                return accept(world, location, user.client_user_id)
    return Reply(404, b"This invitation is not valid.", "text/plain")


def accept(world: World, location: Location, client_user_id: str) -> Reply:
    """Let an invited user accept, and thank for it."""
    registrations.accept(world.notifications, location, client_user_id)
    return Reply(200, b"Thank you. Apps from your organization can now be installed.", "text/plain")


MOUNTS: dict[str, Callable[[World, Request], Reply]] = {
    "/mdm/v2": answer,
    "/metadata/lookup": lookup,
    "/icons": icon,
    "/invitation": invitation,
}
