"""Apple's App and Book Management API, one method an endpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

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
from tokens.pace import NoPace, Pace
from tokens.secret import Secret

AssetKey = tuple[str, str]
TIMEOUT = Timeout()
LIMITS = Limits()
NO_PACE = NoPace()


def service_config(base_url: str, *, timeout: Timeout = TIMEOUT) -> ServiceConfig:
    """Service Config: what Apple tells everybody; needs no credential."""
    raise NotImplementedError


class AppleClient:
    """Speak for one location; use it as a context manager. `mdm_id` None asks without minding whose claim it is."""

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
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections and threads back."""

    def client_config(self) -> ClientConfig:
        """Client Config (GET)."""
        raise NotImplementedError

    def claim(self, mdm_info: MdmInfo) -> ClientConfig:
        """Client Config (POST): take the location; the last writer wins at Apple, so look before."""
        raise NotImplementedError

    def subscribe(self, url: str, auth_token: Secret, types: Iterable[str]) -> ClientConfig:
        """Client Config (POST): have notifications sent to `url`; Apple tests the address during this very call."""
        raise NotImplementedError

    def assets(self, **filters: str | int | bool) -> Iterator[Page[Asset]]:
        """Get Assets, page by page; filters by Apple's names."""
        raise NotImplementedError

    def assignments(self, since: str | None = None, **filters: str | int | bool) -> Iterator[Page[Assignment]]:
        """Get Assignments, page by page, all or what changed since a version; filters by Apple's names."""
        raise NotImplementedError

    def users(self, since: str | None = None, **filters: str | int | bool) -> Iterator[Page[User]]:
        """Get Users, page by page, all or what changed since a version; filters by Apple's names."""
        raise NotImplementedError

    def associate(
        self, assets: Iterable[AssetKey], *, serial_numbers: Iterable[str] = (), client_user_ids: Iterable[str] = ()
    ) -> EventReceipt:
        """Associate Assets: every asset with every holder."""
        raise NotImplementedError

    def disassociate(
        self, assets: Iterable[AssetKey], *, serial_numbers: Iterable[str] = (), client_user_ids: Iterable[str] = ()
    ) -> EventReceipt:
        """Disassociate Assets: take every asset back from every holder."""
        raise NotImplementedError

    def revoke(self, *, serial_numbers: Iterable[str] = (), client_user_ids: Iterable[str] = ()) -> EventReceipt:
        """Revoke Assets: take everything revocable back from these holders."""
        raise NotImplementedError

    def create_users(self, users: Iterable[NewUser]) -> EventReceipt:
        """Create Users."""
        raise NotImplementedError

    def update_users(self, users: Iterable[NewUser]) -> EventReceipt:
        """Update Users."""
        raise NotImplementedError

    def retire_users(self, client_user_ids: Iterable[str]) -> EventReceipt:
        """Retire Users."""
        raise NotImplementedError

    def event_status(self, event_id: str) -> EventStatus:
        """Event Status: how far a queued change is."""
        raise NotImplementedError

    def store_items(
        self, lookup_url: str, adam_ids: Iterable[str], *, country: str, language: str, platform: str
    ) -> dict[str, StoreItem]:
        """Look products up in the store as this location, custom apps included; unknown ones are missing."""
        raise NotImplementedError
