"""The reading half of the Apps and Books API: configuration, assets, assignments, users, status."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from vppportal.simulator.assignments import Assignment, Holder, Rows, encode_rows
from vppportal.simulator.errors import TABLE, AppleError
from vppportal.simulator.location import UNLIMITED, Asset, Location
from vppportal.simulator.messages import Reply, json_reply
from vppportal.simulator.tokens import Token, apple_time
from vppportal.simulator.users import RETIRED, UserRows
from vppportal.simulator.world import World

Query = dict[str, str]

PATHS = {
    "clientConfig": "/client/config",
    "createUsers": "/users/create",
    "updateUsers": "/users/update",
    "retireUsers": "/users/retire",
    "getUsers": "/users",
    "getAssets": "/assets",
    "getAssignments": "/assignments",
    "associateAssets": "/assets/associate",
    "disassociateAssets": "/assets/disassociate",
    "revokeAssets": "/assets/revoke",
    "eventStatus": "/status",
}
# Apple's own sample names only these although more can be subscribed.
ADVERTISED_TYPES = ["ASSET_MANAGEMENT", "ASSET_COUNT", "USER_MANAGEMENT", "USER_ASSOCIATED"]


def service_config(world: World) -> Reply:
    """Addresses, limits and error texts; needs no token and says nothing about one."""
    invitation = f"{world.url}/invitation/associateVPPUserWithITSAccount?cc=us&inviteCode=%25inviteCode%25&mt=8"
    return json_reply(
        {
            "errorCodes": [{"errorNumber": number, "errorMessage": text} for number, (_, text) in TABLE.items()],
            "limits": world.limits,
            "notificationTypes": ADVERTISED_TYPES,
            "urls": {
                "invitationEmail": invitation,
                "contentMetadataLookup": f"{world.url}/metadata/lookup",
                **{name: f"{world.url}/mdm/v2{path}" for name, path in PATHS.items()},
            },
        }
    )


def client_config(location: Location, token: Token) -> Reply:
    """The facts of a location, its subscription (with the secret, as Apple does) and its claim."""
    identity, webhook = location.identity, location.webhook
    body: dict[str, Any] = {
        "countryISO2ACode": identity.country,
        "defaultPlatform": identity.platform,
        "locationName": identity.name,
        "websiteURL": identity.website,
        "subscribedNotificationTypes": webhook.types if webhook else location.types,
        **common(location, token),
    }
    if identity.platform == "volumestore":
        # Not documented, but seen.
        body["apnToken"] = location.mark
    if webhook:
        body |= {"notificationUrl": webhook.url, "notificationAuthToken": webhook.auth_token}
    return json_reply(body)


def common(location: Location, token: Token) -> dict[str, Any]:
    """The members every answer may carry."""
    return location.common(apple_time(token.expires_at))


def assets(world: World, location: Location, token: Token, query: Query) -> Reply:
    """Owned apps and books; filters are inclusive, unlimited ones come in three ways."""
    unlimited = _boolean(query, "unlimited")
    with location.lock:
        found = _filtered_assets(location, query)
        if unlimited is False:
            found = [asset for asset in found if not asset.is_unlimited]
        page = _page(world, location, "assets", query, len(found))
        shown = found[page.start : page.stop]
        apart = [asset for asset in shown if asset.is_unlimited] if unlimited else []
        parts = {"assets": [asset.encode() for asset in shown if not (unlimited and asset.is_unlimited)]}
        if unlimited:
            parts["unlimitedAssets"] = [asset.encode(show_counts=False) for asset in apart]
        return _write(page, common(location, token), parts)


def _filtered_assets(location: Location, query: Query) -> list[Asset]:
    tests: list[Callable[[Asset], bool]] = []
    for name, allowed in (("productType", ("App", "Book")), ("pricingParam", ("STDQ", "PLUS"))):
        if name in query and query[name] not in allowed:
            raise AppleError(9602)
    if kind := query.get("productType"):
        tests.append(lambda asset: asset.product_type == kind)
    if pricing := query.get("pricingParam"):
        tests.append(lambda asset: asset.key.pricing_param == pricing)
    if adam_id := query.get("adamId"):
        tests.append(lambda asset: asset.key.adam_id == adam_id)
    if (revocable := _boolean(query, "revocable")) is not None:
        tests.append(lambda asset: asset.revocable == revocable)
    if (assignable := _boolean(query, "deviceAssignable")) is not None:
        tests.append(lambda asset: asset.device_assignable == assignable)
    if any(name.endswith("Count") for name in query):
        low, high = _number(query, "minAvailableCount", 0), _number(query, "maxAvailableCount", UNLIMITED)
        fewest, most = _number(query, "minAssignedCount", 0), _number(query, "maxAssignedCount", UNLIMITED)
        tests.append(lambda asset: low <= asset.available <= high and fewest <= asset.assigned <= most)
    found = list(location.assets.values())
    for test in tests:
        found = [asset for asset in found if test(asset)]
    return found


def assignments(world: World, location: Location, token: Token, query: Query) -> Reply:
    """Who holds what, in full, filtered, or what came since a version."""
    with location.lock:
        since = _since(location, "assignments", query)
        rows = _assignment_rows(location, query, since)
        page = _page(world, location, "assignments", query, len(rows))
        texts = rows.encode(page.start, page.stop)
        if _boolean(query, "includeUserState"):
            texts = [_with_user_state(location, text) for text in texts]
        return _write(page, common(location, token), {"assignments": texts})


class _Chosen:
    """Some assignments, ready to be paged."""

    def __init__(self, rows: Sequence[Assignment]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def encode(self, start: int, stop: int) -> list[str]:
        return encode_rows(self.rows[start:stop])


def _assignment_rows(location: Location, query: Query, since: int | None) -> Rows:
    holder = Holder(query.get("serialNumber", ""), query.get("clientUserId", ""))
    adam_id, pricing = query.get("adamId", ""), query.get("pricingParam", "")
    only_active = bool(_boolean(query, "excludeInactiveUsers"))
    if since is not None:
        rows: list[Assignment] = location.holdings.since(since)
    elif holder.serial_number and holder.client_user_id:
        rows = []
    elif any(holder):
        rows = location.holdings.held_by(holder)
    elif adam_id:
        rows = location.holdings.of_asset(adam_id)
    elif pricing or only_active:
        rows = list(location.holdings)
    else:
        return location.holdings
    return _Chosen(
        [
            row
            for row in rows
            if adam_id in ("", row.adam_id)
            and pricing in ("", row.pricing_param)
            and holder.serial_number in ("", row.serial_number)
            and holder.client_user_id in ("", row.client_user_id)
            and not (only_active and row.client_user_id and row.client_user_id not in location.users.active)
        ]
    )


def _with_user_state(location: Location, text: str) -> str:
    row = json.loads(text)
    if "clientUserId" in row:
        user = location.users.active.get(row["clientUserId"])
        row["userStatus"] = user.status if user else RETIRED
        if user and user.id_hash:
            row["idHash"] = user.id_hash
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def users(world: World, location: Location, token: Token, query: Query) -> Reply:
    """Registered users."""
    active, retired = _boolean(query, "activeOnly"), _boolean(query, "retiredOnly")
    user_id = query.get("clientUserId")
    with location.lock:
        since = _since(location, "users", query)
        found = location.users.rows
        if since is not None or active or retired or user_id is not None:
            found = [
                user
                for user in found
                if (since is None or user.version > since)
                and user_id in (None, user.client_user_id)
                and not (active and user.status == RETIRED)
                and not (retired and user.status != RETIRED)
            ]
        rows = UserRows(found)
        page = _page(world, location, "users", query, len(rows))
        return _write(page, common(location, token), {"users": rows.encode(page.start, page.stop)})


def status(world: World, location: Location, token: Token, query: Query) -> Reply:
    """How far an event is."""
    if not query.get("eventId"):
        raise AppleError(9602)
    event = world.events.find(location, query["eventId"])
    if event is None:
        raise AppleError(9708)
    return json_reply(event.as_json() | common(location, token))


class _Page:
    """A slice of a listing and the paging members that describe it."""

    def __init__(self, index: int, size: int, total: int, version_id: str) -> None:
        self.start, self.stop = index * size, min(total, (index + 1) * size)
        pages = max(1, -(-total // size))
        if not 0 <= index < pages:
            raise AppleError(9650)
        self.members: dict[str, Any] = {
            "currentPageIndex": index,
            "size": self.stop - self.start,
            "totalPages": pages,
            "versionId": version_id,
        }
        if index + 1 < pages:
            self.members["nextPageIndex"] = index + 1


def _page(world: World, location: Location, listing: str, query: Query, total: int) -> _Page:
    index = _number(query, "pageIndex", 0)
    return _Page(index, world.page_size, total, location.version_id(listing))


def move(location: Location, listing: str, query: Query) -> None:
    """Let the version move now, if that was ordered for the page that is asked for."""
    with location.lock:
        for order in location.moves:
            if order.listing == listing and order.times and str(order.page) == query.get("pageIndex", "0"):
                order.times -= 1
                location.change(listing)
                for row in location.holdings.first(order.take_back):
                    location.take_back(row)


def _since(location: Location, listing: str, query: Query) -> int | None:
    if "sinceVersionId" not in query:
        return None
    number = location.version_number(listing, query["sinceVersionId"])
    if number is None:
        raise AppleError(9721)
    return number


def _write(page: _Page, members: dict[str, Any], parts: dict[str, list[str]]) -> Reply:
    head = json.dumps(members | page.members, ensure_ascii=False)[:-1]
    lists = "".join(f', "{name}": [{",".join(texts)}]' for name, texts in parts.items())
    return Reply(200, f"{head}{lists}}}".encode())


def _number(query: Query, name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    try:
        number = int(text)
    except ValueError:
        raise AppleError(9602) from None
    if not -UNLIMITED <= number <= UNLIMITED:
        raise AppleError(9602)
    return number


def _boolean(query: Query, name: str) -> bool | None:
    if name not in query:
        return None
    if query[name] not in ("true", "false"):
        raise AppleError(9602)
    return query[name] == "true"
