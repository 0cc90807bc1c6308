"""Apple's App and Book Management API, one method an endpoint; above each stands Apple's name for its page."""

from __future__ import annotations

import contextvars
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import cached_property, partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from tokens.apple import parsing, rows
from tokens.apple.addresses import is_at, is_plain
from tokens.apple.answers import Body
from tokens.apple.errors import AppleError, ClaimedElsewhere
from tokens.apple.metadata import look_up
from tokens.apple.transport import Ask, HeaderCredential, NoCredential, Transport
from tokens.apple.values import (
    Asset,
    Assignment,
    ClientConfig,
    EventReceipt,
    EventStatus,
    Limits,
    MdmInfo,
    NewUser,
    Page,
    ServiceConfig,
    StoreItem,
    Timeout,
    User,
)
from tokens.apple.walk import AT_ONCE, walk_pages
from tokens.pace import NoPace, Pace
from tokens.secret import Secret

R = TypeVar("R")
T = TypeVar("T")
AssetKey = tuple[str, str]
Filter = str | int | bool

TIMEOUT: Final = Timeout()
LIMITS: Final = Limits()
NO_PACE: Final = NoPace()
APPLES_LOOKUP: Final = "https://uclient-api.itunes.apple.com/WebObjects/MZStorePlatform.woa/wa/lookup"


# Service Config
def service_config(base_url: str, *, timeout: Timeout = TIMEOUT, pace: Pace = NO_PACE) -> ServiceConfig:
    """Return what Apple tells everybody; needs no credential, and proves nothing about one."""
    transport = _transport(pace, LIMITS, timeout)
    try:
        url = base_url.rstrip("/") + "/service/config"
        config = transport.call(Ask("GET service/config", url, parsing.service_config, NoCredential()), url)
    finally:
        transport.close()
    if config.lookup_url or not is_at(base_url, "apple.com"):
        return config
    return replace(config, urls={**config.urls, "contentMetadataLookup": APPLES_LOOKUP})


# Getting App and Book Information
def public_store_items(
    lookup_url: str,
    adam_ids: Iterable[str],
    *,
    base_url: str,
    country: str,
    language: str,
    platform: str,
    timeout: Timeout = TIMEOUT,
    pace: Pace = NO_PACE,
) -> dict[str, StoreItem]:
    """Look products up in the store as anybody may; custom apps and those no longer sold are missing."""
    transport = _transport(pace, LIMITS, timeout)
    where = {"base_url": base_url, "country": country, "language": language, "platform": platform}
    try:
        return look_up(transport, NoCredential(), lookup_url, adam_ids, **where)
    finally:
        transport.close()


def _transport(pace: Pace, limits: Limits, timeout: Timeout, retries: int = 2) -> Transport:
    return Transport(
        pace=pace,
        per_second=limits.max_requests_per_second,
        timeout=timeout,
        retries=retries,
        connections=AT_ONCE + 1,
    )


class AppleClient:
    """Speak for one location; use it as a context manager, from as many threads as you like.

    With `mdm_id` every answer is watched for somebody else's claim; None asks without minding whose it is.
    `location_key` names the location to the pace: all who ask for one location must give the same.
    """

    def __init__(
        self,
        base_url: str,
        secret: Secret,
        *,
        mdm_id: str | None = None,
        pace: Pace = NO_PACE,
        location_key: str = "",
        timeout: Timeout = TIMEOUT,
        limits: Limits = LIMITS,
        retries: int = 2,
    ) -> None:
        if not is_plain(base_url):
            raise ValueError("the base address of Apple's service must be a plain http or https address")
        self._base_url, self._mdm_id, self._key = base_url.rstrip("/"), mdm_id, location_key
        self._bearer = HeaderCredential("Authorization", "Bearer ", secret)
        self._cookie = HeaderCredential("Cookie", "itvt=", secret)
        self._transport = _transport(pace, limits, timeout, retries)

    def __repr__(self) -> str:
        return f"<AppleClient of {self._base_url}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections and threads back."""
        if "_pool" in self.__dict__:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._transport.close()

    # Client Config
    def client_config(self) -> ClientConfig:
        """Return the location, and who claims it."""
        return self._get("client/config", parsing.client_config)

    # Client Config
    def claim(self, mdm_info: MdmInfo) -> ClientConfig:
        """Take the location. Apple lets the last writer win and refuses nobody: look before."""
        inspect = partial(_foreign_claim, mdm_info.id)
        return self._post("client/config", {"mdmInfo": asdict(mdm_info)}, parsing.client_config, inspect=inspect)

    # Subscribing to Notifications
    def subscribe(self, url: str, auth_token: Secret, types: Iterable[str]) -> ClientConfig:
        """Have these notifications, and no others, sent to `url`; Apple tries it during this very call."""
        return self._post(
            "client/config",
            {"notificationUrl": url, "notificationAuthToken": auth_token, "notificationTypes": list(types)},
            parsing.client_config,
        )

    # Get Assets
    def assets(self, **filters: Filter) -> Iterator[Page[Asset]]:
        """Yield what the location owns, page by page; filters by Apple's names."""
        return self._walk("assets", {"assets": rows.assets, "unlimitedAssets": rows.unlimited_assets}, filters)

    # Get Assignments
    def assignments(self, since: str | None = None, **filters: Filter) -> Iterator[Page[Assignment]]:
        """Yield who holds what, page by page, all or what changed since a version; filters by Apple's names."""
        return self._walk("assignments", {"assignments": rows.assignments}, _since(since, filters))

    # Get Users
    def users(self, since: str | None = None, **filters: Filter) -> Iterator[Page[User]]:
        """Yield the client users, page by page, all or what changed since a version; filters by Apple's names."""
        return self._walk("users", {"users": rows.users}, _since(since, filters))

    # Associate Assets
    def associate(
        self, assets: Iterable[AssetKey], *, serial_numbers: Iterable[str] = (), client_user_ids: Iterable[str] = ()
    ) -> EventReceipt:
        """Ask that every holder gets every asset; name one kind of holder a call, and nothing twice."""
        payload = {"assets": _named(assets), **_holders(serial_numbers, client_user_ids)}
        return self._post("assets/associate", payload, parsing.event_receipt)

    # Disassociate Assets
    def disassociate(
        self, assets: Iterable[AssetKey], *, serial_numbers: Iterable[str] = (), client_user_ids: Iterable[str] = ()
    ) -> EventReceipt:
        """Ask to take every asset back from every holder."""
        payload = {"assets": _named(assets), **_holders(serial_numbers, client_user_ids)}
        return self._post("assets/disassociate", payload, parsing.event_receipt)

    # Revoke Assets
    def revoke(self, *, serial_numbers: Iterable[str] = (), client_user_ids: Iterable[str] = ()) -> EventReceipt:
        """Ask to take everything revocable back from these holders."""
        return self._post("assets/revoke", _holders(serial_numbers, client_user_ids), parsing.event_receipt)

    # Create Users
    def create_users(self, users: Iterable[NewUser]) -> EventReceipt:
        """Ask to register client users; one with a Managed Apple Account is associated at once."""
        return self._post("users/create", {"users": _people(users)}, parsing.event_receipt)

    # Update Users
    def update_users(self, users: Iterable[NewUser]) -> EventReceipt:
        """Ask to change client users."""
        return self._post("users/update", {"users": _people(users)}, parsing.event_receipt)

    # Retire Users
    def retire_users(self, client_user_ids: Iterable[str]) -> EventReceipt:
        """Ask to retire client users, which gives their licenses back."""
        users = _people(NewUser(client_user_id) for client_user_id in client_user_ids)
        return self._post("users/retire", {"users": users}, parsing.event_receipt)

    # Event Status
    def event_status(self, event_id: str) -> EventStatus:
        """Return how far a queued change is."""
        return self._get("status", partial(parsing.event_status, event_id=event_id), {"eventId": event_id})

    # Getting App and Book Information
    def store_items(
        self, lookup_url: str, adam_ids: Iterable[str], *, country: str, language: str, platform: str
    ) -> dict[str, StoreItem]:
        """Look products up in the store as this location, custom apps included; unknown ones are missing."""
        where = {"base_url": self._base_url, "country": country, "language": language, "platform": platform}
        return look_up(self._transport, self._cookie, lookup_url, adam_ids, **where)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="apple")

    def _walk(self, path: str, readers: rows.Readers[T], filters: Mapping[str, Filter]) -> Iterator[Page[T]]:
        params = {name: _written(value) for name, value in filters.items()}

        def fetch(index: int) -> Page[T]:
            paged = {**params, "pageIndex": str(index)} if index else params
            return self._get(path, partial(rows.page, asked=index, readers=readers), paged)

        def begin(index: int) -> Future[Page[T]]:
            # The log of what another thread asks names the same request or task as the caller's.
            return self._pool.submit(contextvars.copy_context().run, fetch, index)

        return walk_pages(fetch, begin)

    def _get(self, path: str, parse: parsing.Parser[R], params: Mapping[str, str] | None = None) -> R:
        ask = Ask(f"GET {path}", self._url(path), parse, self._bearer, params or {}, inspect=self._inspect)
        return self._transport.call(ask, self._key)

    def _post(self, path: str, payload: Mapping[str, Any], parse: parsing.Parser[R], **how: Any) -> R:
        ask = Ask(
            f"POST {path}", self._url(path), parse, self._bearer, payload=payload, **{"inspect": self._inspect, **how}
        )
        return self._transport.call(ask, self._key)

    def _url(self, path: str) -> str:
        return f"{self._base_url}/{path}"

    def _inspect(self, body: Body) -> AppleError | None:
        return None if self._mdm_id is None else _foreign_claim(self._mdm_id, body)


def _foreign_claim(mdm_id: str, body: Body) -> AppleError | None:
    owner = parsing.mdm_info(body)
    if owner is None or owner.id == mdm_id:
        return None
    return ClaimedElsewhere(owner=owner, event_id=parsing.text(body.get("eventId"), 100) or None)


def _since(since: str | None, filters: Mapping[str, Filter]) -> Mapping[str, Filter]:
    return filters if since is None else {**filters, "sinceVersionId": since}


def _written(value: Filter) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _named(assets: Iterable[AssetKey]) -> list[dict[str, str]]:
    return [{"adamId": adam_id, "pricingParam": pricing} for adam_id, pricing in dict.fromkeys(assets)]


def _holders(serial_numbers: Iterable[str], client_user_ids: Iterable[str]) -> dict[str, list[str]]:
    """Return the holders as Apple wants them named: each once, and no empty list."""
    lists = {
        "serialNumbers": list(dict.fromkeys(serial.strip().upper() for serial in serial_numbers)),
        "clientUserIds": list(dict.fromkeys(client_user_ids)),
    }
    return {name: holders for name, holders in lists.items() if holders}


def _people(users: Iterable[NewUser]) -> list[dict[str, str]]:
    return [
        {
            "clientUserId": user.client_user_id,
            **({"email": user.email} if user.email else {}),
            **({"managedAppleId": user.managed_apple_id} if user.managed_apple_id else {}),
        }
        for user in users
    ]
