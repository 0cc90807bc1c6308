"""What Apple answers, as plain frozen values; Apple's camel-case names stay behind in `parsing`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import quote

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Timeout:
    """Seconds to wait for a connection, for the next bytes, and for one whole answer."""

    connect: float = 5.0
    read: float = 20.0
    total: float = 60.0


@dataclass(frozen=True, slots=True)
class MdmInfo:
    """Who claims a location: the claim's id (ours is a UUID), the product's name, and free text such as a host name."""

    id: str
    name: str
    metadata: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How much Apple takes in one request; the defaults are Apple's published samples."""

    max_assets: int = 25
    max_client_user_ids: int = 1000
    max_serial_numbers: int = 1000
    max_revoke_client_user_ids: int = 100
    max_revoke_serial_numbers: int = 100
    max_users: int = 100
    max_notification_length: int = 512
    max_requests_per_second: int = 15
    max_mdm_id_length: int = 100
    max_mdm_name_length: int = 100
    max_mdm_metadata_length: int = 255
    max_subscriptions: int = 25
    max_subscription_client_user_ids: int = 1000


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """What Apple tells everybody: addresses, limits, error texts, kinds of notification."""

    urls: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    error_messages: Mapping[int, str] = field(default_factory=dict)
    notification_types: tuple[str, ...] = ()

    @property
    def lookup_url(self) -> str:
        """The address of the store lookup, empty where Apple names none."""
        return self.urls.get("contentMetadataLookup", "")

    def invitation_url(self, invite_code: str) -> str:
        """The page an invited user opens, empty where Apple names none."""
        template = self.urls.get("invitationEmail", "")
        code = quote(invite_code, safe="")
        return template.replace("%25inviteCode%25", code).replace("%inviteCode%", code)


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """One location as Apple describes it; texts Apple left out are empty."""

    location_id: str
    location_name: str
    country: str
    default_platform: str
    website_url: str
    mdm_info: MdmInfo | None
    token_expires_at: datetime | None
    notification_url: str
    subscribed_notification_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asset:
    """A product owned at a location with its counts; those of an unlimited one mean nothing and are 0."""

    adam_id: str
    pricing_param: str
    product_type: str
    total: int
    available: int
    assigned: int
    retired: int | None
    is_unlimited: bool
    is_device_assignable: bool
    is_revocable: bool
    platforms: tuple[str, ...]


class Assignment(NamedTuple):
    """One asset held by one device or one client user; the other of the two is empty."""

    adam_id: str
    pricing_param: str
    serial_number: str
    client_user_id: str


@dataclass(frozen=True, slots=True)
class User:
    """A client user as Apple knows it; several retired ones may share one client_user_id."""

    client_user_id: str
    email: str
    status: str
    invite_code: str = field(repr=False)
    id_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewUser:
    """A client user to be created, updated or (by its id alone) retired at Apple."""

    client_user_id: str
    email: str = ""
    managed_apple_id: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `skipped` rows were of no use, and a page that is not whole lacks rows it promised."""

    items: list[T]
    index: int
    next_index: int | None
    total_pages: int
    version_id: str | None
    skipped: int = 0
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class EventReceipt:
    """Apple has queued a change under this id; it is not done yet."""

    event_id: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a part of an event was not done, and for which assets and holders."""

    number: int | None
    message: str
    assets: tuple[tuple[str, str], ...] = ()
    client_user_ids: tuple[str, ...] = ()
    serial_numbers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EventStatus:
    """How far a queued change is: PENDING, COMPLETE or FAILED; a failed one may be done in part."""

    event_id: str
    type: str
    status: str
    requested: int
    completed: int
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreItem:
    """What the store says of one product; texts it does not give are empty."""

    adam_id: str
    name: str
    developer: str = ""
    bundle_id: str = ""
    kind: str = ""
    device_families: tuple[str, ...] = ()
    is_custom: bool = False
    is_device_assignable: bool = False
    icon_url: str = ""
    version: str = ""
    external_version_id: int | None = None
    minimum_os: str = ""
    price: Decimal | None = None
    price_formatted: str = ""
    release_notes: str = ""
    released_on: date | None = None
    version_released_on: date | None = None
    description: str = ""
    genres: tuple[str, ...] = ()
    store_url: str = ""
    content_rating: str = ""
    has_in_app_purchases: bool | None = None
