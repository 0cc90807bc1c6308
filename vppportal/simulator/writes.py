"""The writing half of the Apps and Books API: claim, subscription, licenses, users."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from vppportal.simulator import licenses, registrations
from vppportal.simulator.assignments import Assignment, Holder
from vppportal.simulator.errors import AppleError
from vppportal.simulator.events import Order, Outcome
from vppportal.simulator.location import Location, Webhook
from vppportal.simulator.messages import Reply, json_reply
from vppportal.simulator.notifications import is_loopback, test_notification
from vppportal.simulator.reads import client_config, common
from vppportal.simulator.tokens import Token
from vppportal.simulator.world import World

Body = dict[str, Any]

NOTIFICATION_TYPES = {
    "ASSET_COUNT",
    "ASSET_MANAGEMENT",
    "USER_MANAGEMENT",
    "USER_ASSOCIATED",
    "SUBSCRIPTION_COUNT",
    "SUBSCRIPTION_MANAGEMENT",
    "UNLIMITED_ASSET",
    "TEST_NOTIFICATION",
}
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


def change_client_config(world: World, location: Location, token: Token, body: Body) -> Reply:
    """Claim the location, subscribe to notifications, or both; nothing is kept when any part is refused.

    A foreign claim is never refused: the last writer wins. How a claim is cleared is not known, so nothing clears it.
    """
    mdm_info = _mdm_info(world, body)
    webhook = _webhook(world, location, body)
    types = _types(body)
    if webhook and not test_notification(location, webhook):
        raise AppleError(9728)
    with location.lock:
        location.mdm_info = mdm_info or location.mdm_info
        location.types = location.types if types is None else types
        location.webhook = webhook or location.webhook
        if location.webhook:
            location.webhook.types = location.types
    return client_config(location, token)


def _mdm_info(world: World, body: Body) -> dict[str, str] | None:
    given = body.get("mdmInfo")
    if given is None:
        return None
    if not isinstance(given, dict) or not all(_is_text(given.get(name)) for name in ("id", "name", "metadata")):
        raise AppleError(9723)
    for name, limit, number in (("id", "Id", 9724), ("name", "Name", 9725), ("metadata", "Metadata", 9713)):
        if len(given[name]) > world.limits[f"maxMdm{limit}Length"]:
            raise AppleError(number)
    return {name: given[name] for name in ("id", "name", "metadata")}


def _webhook(world: World, location: Location, body: Body) -> Webhook | None:
    url, auth_token = body.get("notificationUrl"), body.get("notificationAuthToken")
    if not url and not auth_token:
        return None
    if not (isinstance(url, str) and isinstance(auth_token, str) and url and auth_token):
        raise AppleError(9710)
    if max(len(url), len(auth_token)) > world.limits["maxNotificationLength"]:
        raise AppleError(9711)
    try:
        address = urlsplit(url)
        host = address.hostname or ""
    except ValueError:
        raise AppleError(9602) from None
    # Apple takes https only; on this machine itself a test or a demonstration may go without.
    if address.scheme != "https" and not (address.scheme == "http" and is_loopback(host)):
        raise AppleError(9712)
    if not host or address.query or address.fragment:
        raise AppleError(9602)
    return Webhook(url, auth_token, location.types)


def _types(body: Body) -> list[str] | None:
    types = body.get("notificationTypes")
    if types is None:
        return None
    if not isinstance(types, list) or not all(isinstance(kind, str) and kind in NOTIFICATION_TYPES for kind in types):
        raise AppleError(9602)
    return [kind for kind in dict.fromkeys(types) if kind != "TEST_NOTIFICATION"]


def associate(world: World, location: Location, token: Token, body: Body) -> Reply:
    """Queue the assignment of assets x targets. Serial numbers are not checked: Apple takes any."""
    rows = _license_rows(world, location, body)
    if body.get("serialNumbers") and any(_asset_refuses(location, row, "device_assignable") for row in rows):
        raise AppleError(9707)

    def work(order: Order) -> Outcome:
        late = world.events.lag > 0
        outcome = licenses.associate(location, rows, _doomed(world, order, rows), late=late)
        if late:
            world.events.timetable.after(world.events.lag, location.arrive)
        return outcome

    return _queue(world, location, token, "ASSOCIATE", len(rows), work)


def disassociate(world: World, location: Location, token: Token, body: Body) -> Reply:
    """Queue taking named assets back from targets."""
    rows = _license_rows(world, location, body)
    if any(_asset_refuses(location, row, "revocable") for row in rows):
        raise AppleError(9706)

    def work(order: Order) -> Outcome:
        return licenses.take_back(location, rows, _doomed(world, order, rows))

    return _queue(world, location, token, "DISASSOCIATE", len(rows), work)


def revoke(world: World, location: Location, token: Token, body: Body) -> Reply:
    """Queue taking everything revocable back from targets."""
    holders = _holders(world, body, "maxRevokeSerialNumbers", "maxRevokeClientUserIds")
    with location.lock:
        rows = [row for holder in holders for row in location.revocable_of(holder)]

    def work(order: Order) -> Outcome:
        return licenses.take_back(location, rows, _doomed(world, order, rows))

    return _queue(world, location, token, "REVOKE", len(rows), work)


def _license_rows(world: World, location: Location, body: Body) -> list[Assignment]:
    given = body.get("assets")
    if not given:
        raise AppleError(9718)
    _need_objects(given, "adamId")
    if len(given) > world.limits["maxAssets"]:
        raise AppleError(9700)
    keys = [_key(location, one) for one in given]
    if len(set(keys)) < len(keys):
        raise AppleError(9703)
    holders = _holders(world, body, "maxSerialNumbers", "maxClientUserIds")
    return [Assignment(*key, *holder) for key in keys for holder in holders]


def _key(location: Location, given: dict[str, Any]) -> tuple[str, str]:
    pricing = given.get("pricingParam") or ""
    if pricing not in ("", "STDQ", "PLUS"):
        raise AppleError(9602)
    asset = location.asset(given["adamId"], pricing)
    return asset.key if asset else (given["adamId"], pricing or "STDQ")


def _holders(world: World, body: Body, device_limit: str, user_limit: str) -> list[Holder]:
    serials, user_ids = _texts(body, "serialNumbers"), _texts(body, "clientUserIds")
    if not serials and not user_ids:
        raise AppleError(9719)
    if len(user_ids) > world.limits[user_limit]:
        raise AppleError(9701)
    if len(serials) > world.limits[device_limit]:
        raise AppleError(9702)
    if len(set(user_ids)) < len(user_ids):
        raise AppleError(9704)
    if len(set(serials)) < len(serials):
        raise AppleError(9705)
    return [Holder(serial) for serial in serials] + [Holder("", user_id) for user_id in user_ids]


def _texts(body: Body, name: str) -> list[str]:
    given = body.get(name) or []
    if not isinstance(given, list) or not all(isinstance(text, str) and text for text in given):
        raise AppleError(9602)
    return given


def _asset_refuses(location: Location, row: Assignment, what: str) -> bool:
    asset = location.asset_of(row)
    return asset is not None and not getattr(asset, what)


def _doomed(world: World, order: Order, rows: Sequence[Assignment]) -> dict[Assignment, int]:
    failing = world.events.failing
    doomed = dict.fromkeys(rows[len(rows) - min(order.fail, len(rows)) :], order.error_number)
    if failing:
        for row in rows:
            number = failing.get(row.serial_number or row.client_user_id) or failing.get(row.adam_id)
            if number:
                doomed[row] = number
    return doomed


def create_users(world: World, location: Location, token: Token, body: Body) -> Reply:
    """Queue the registration of users."""
    return _users(world, location, token, "CREATE", _members(world, body), registrations.create)


def update_users(world: World, location: Location, token: Token, body: Body) -> Reply:
    """Queue changes of users; an unknown one is refused at once."""
    members = _members(world, body)
    _known(location, members)
    return _users(world, location, token, "UPDATE", members, registrations.update)


def retire_users(world: World, location: Location, token: Token, body: Body) -> Reply:
    """Queue the retirement of users; an unknown one is refused at once."""
    members = _members(world, body)
    _known(location, members)
    return _users(world, location, token, "RETIRE", members, registrations.retire)


def _members(world: World, body: Body) -> list[Body]:
    given = body.get("users")
    if not given:
        raise AppleError(9720)
    _need_objects(given, "clientUserId")
    if len(given) > world.limits["maxUsers"]:
        raise AppleError(9714)
    if len({one["clientUserId"] for one in given}) < len(given):
        raise AppleError(9715)
    for one in given:
        for name in ("email", "managedAppleId"):
            if one.get(name) and not (isinstance(one[name], str) and EMAIL.fullmatch(one[name])):
                raise AppleError(9717)
    return list(given)


def _need_objects(given: object, name: str) -> None:
    if not isinstance(given, list) or not all(isinstance(one, dict) and _is_text(one.get(name)) for one in given):
        raise AppleError(9602)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _known(location: Location, members: Sequence[Body]) -> None:
    unknown = [one["clientUserId"] for one in members if one["clientUserId"] not in location.users.active]
    if unknown:
        raise AppleError(9609, {"clientUserIds": unknown})


def _users(
    world: World,
    location: Location,
    token: Token,
    kind: str,
    members: Sequence[Body],
    act: Callable[[Location, Sequence[Body], dict[str, int]], Outcome],
) -> Reply:
    def work(order: Order) -> Outcome:
        ids = [one["clientUserId"] for one in members]
        doomed = {user_id: world.events.failing[user_id] for user_id in ids if user_id in world.events.failing}
        doomed |= dict.fromkeys(ids[len(ids) - min(order.fail, len(ids)) :], order.error_number)
        return act(location, members, doomed)

    return _queue(world, location, token, kind, len(members), work)


def _queue(
    world: World, location: Location, token: Token, kind: str, requested: int, work: Callable[[Order], Outcome]
) -> Reply:
    event = world.events.queue(location, kind, requested, work)
    return json_reply({"eventId": event.id, **common(location, token)})
