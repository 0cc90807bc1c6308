"""One location: what it owns, who holds it, who is registered, and which MDM claims it."""

from __future__ import annotations

import hashlib
import random
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from vppportal.simulator.assignments import Assignment, Assignments, Holder
from vppportal.simulator.users import ASSOCIATED, REGISTERED, ClientUser, Users

UNLIMITED = 2147483647
LISTINGS = ("assets", "assignments", "users")


class AssetKey(NamedTuple):
    """What identifies an asset at Apple."""

    adam_id: str
    pricing_param: str = "STDQ"


@dataclass(slots=True)
class Asset:
    """Licenses of one product at one location."""

    key: AssetKey
    total: int
    product_type: str = "App"
    device_assignable: bool = True
    revocable: bool = True
    platforms: tuple[str, ...] = ("iOS",)
    is_unlimited: bool = False
    assigned: int = 0
    retired: int = 0

    @property
    def available(self) -> int:
        """What is left to assign."""
        return self.total - self.assigned - self.retired

    def encode(self, show_counts: bool = True) -> str:
        """The asset as JSON text; unlimited ones may be listed without the counts that mean nothing."""
        counts = f'"totalCount":{self.total},"availableCount":{self.available},"retiredCount":{self.retired},'
        return (
            f'{{"adamId":"{self.key.adam_id}","pricingParam":"{self.key.pricing_param}",'
            f'"productType":"{self.product_type}",{counts if show_counts else ""}"assignedCount":{self.assigned},'
            f'"deviceAssignable":{str(self.device_assignable).lower()},"revocable":{str(self.revocable).lower()},'
            f'"supportedPlatforms":[{",".join(map(_quote, self.platforms))}]}}'
        )


def _quote(text: str) -> str:
    return f'"{text}"'


@dataclass(slots=True)
class Webhook:
    """Where an MDM wants to be told of changes."""

    url: str
    auth_token: str
    types: list[str]


@dataclass(slots=True)
class Move:
    """An order to let the versionId of a listing move when a certain page is asked for."""

    listing: str
    page: int
    times: int
    take_back: int


@dataclass(slots=True)
class Identity:
    """The facts of a location that never change by themselves."""

    key: str
    name: str
    organization: str
    country: str = "US"
    platform: str = "enterprisestore"
    domain: str = "example.com"
    # Apple leaves mdmInfo out of some answers and sends null in others before the first claim; both kinds exist here.
    hides_unclaimed: bool = False

    @property
    def website(self) -> str:
        """The portal its administrators use at Apple."""
        return f"https://{'school' if self.platform == 'volumestore' else 'business'}.apple.com"


@dataclass
class Location:
    """The state of one location; hold `lock` while reading or changing more than one fact."""

    identity: Identity
    seed: str
    run: str = ""
    uid: str = ""
    mdm_info: dict[str, str] | None = None
    webhook: Webhook | None = None
    types: list[str] = field(default_factory=list)
    assets: dict[AssetKey, Asset] = field(default_factory=dict)
    # Assets that were transferred away while licenses of them were still in use.
    departed: dict[AssetKey, Asset] = field(default_factory=dict)
    holdings: Assignments = field(default_factory=Assignments)
    arriving: set[Assignment] = field(default_factory=set)
    users: Users = field(default_factory=Users)
    versions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LISTINGS, 1))
    moves: list[Move] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.told = random.Random(f"{self.seed}:{self.run}")
        self.uid = self.uid or str(self.random.randint(10**9, 10**10 - 1))
        self.mark = hashlib.sha256(self.uid.encode()).hexdigest()[:10]

    def new_id(self) -> str:
        """An id of a person, which the same seed gives again."""
        with self.lock:
            return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def new_event_id(self) -> str:
        """An id of an event or a notification, which the same run and the same history give again.

        A portal that outlives the simulator would take an event of the next run for one it has heard of.
        """
        with self.lock:
            return str(uuid.UUID(int=self.told.getrandbits(128), version=4))

    def version_id(self, listing: str) -> str:
        """The opaque version Apple shows for a listing."""
        return f"{self.mark}{listing[:5]}{self.versions[listing]:08x}"

    def version_number(self, listing: str, version_id: str) -> int | None:
        """What a version id of ours means, or None for one we never gave out."""
        head = f"{self.mark}{listing[:5]}"
        try:
            number = int(version_id.removeprefix(head), 16) if version_id.startswith(head) else 0
        except ValueError:
            return None
        return number if 1 <= number <= self.versions[listing] else None

    def change(self, *listings: str) -> int:
        """Move the versions of these listings on; the new version of the last one."""
        for listing in listings:
            self.versions[listing] += 1
        return self.versions[listings[-1]]

    def asset(self, adam_id: str, pricing_param: str = "") -> Asset | None:
        """An owned asset; without a pricing the standard one, or the only one there is."""
        for pricing in (pricing_param,) if pricing_param else ("STDQ", "PLUS"):
            found = self.assets.get(AssetKey(adam_id, pricing))
            if found:
                return found
        return None

    def owns(self, adam_id: str) -> bool:
        """Whether store data of a product that is not public may be shown to this location."""
        return self.asset(adam_id) is not None

    def assign(self, row: Assignment, *, arrives_later: bool = False) -> int:
        """Take a license into use; 0 or the number of Apple's error. Doing it again costs nothing.

        With `arrives_later` the license is gone from the counts, but the assignment is not listed before `arrive`.
        """
        asset = self.assets.get(AssetKey(row.adam_id, row.pricing_param))
        if row.client_user_id and row.client_user_id not in self.users.active:
            return 9609
        if row in self.holdings or row in self.arriving:
            return 0
        if asset is None or asset.available < 1:
            return 9709
        asset.assigned += 1
        if arrives_later:
            self.arriving.add(row)
        else:
            self.holdings.add(row, self.versions["assignments"])
        return 0

    def arrive(self) -> None:
        """List what was assigned and not shown yet."""
        version = self.change("assignments")
        for row in sorted(self.arriving):
            self.holdings.add(row, version)
        self.arriving.clear()

    def take_back(self, row: Assignment) -> bool:
        """Free a license; False when it was not in use."""
        if row in self.arriving:
            self.arriving.remove(row)
        elif not self.holdings.remove(row):
            return False
        asset = self.asset_of(row)
        if asset:
            asset.assigned -= 1
        return True

    def revocable_of(self, holder: Holder) -> list[Assignment]:
        """What a device or user holds and can be made to give back."""
        return [row for row in self.holdings.held_by(holder) if self._is_revocable(row)]

    def asset_of(self, row: Assignment) -> Asset | None:
        """The asset a license belongs to, even one that was transferred away meanwhile."""
        key = AssetKey(row.adam_id, row.pricing_param)
        return self.assets.get(key) or self.departed.get(key)

    def _is_revocable(self, row: Assignment) -> bool:
        asset = self.asset_of(row)
        return asset is None or asset.revocable

    def retire(self, user: ClientUser) -> None:
        """Retire a user: what can come back does, the rest counts as retired from now on."""
        holder = Holder("", user.client_user_id)
        for row in self.holdings.held_by(holder):
            asset = self.asset_of(row)
            if asset is None or asset.revocable:
                self.take_back(row)
            else:
                asset.assigned, asset.retired = asset.assigned - 1, asset.retired + 1
        self.users.retire(user, self.versions["users"])

    def register(self, client_user_id: str, email: str, managed_apple_id: str) -> ClientUser:
        """Register a user whose id is free: associated at once with a Managed Apple Account, otherwise invited."""
        user = ClientUser(client_user_id, email, managed_apple_id, version=self.versions["users"])
        user.invite_code = hashlib.sha256(f"{self.seed}:{client_user_id}:{len(self.users.rows)}".encode()).hexdigest()[
            :32
        ]
        if managed_apple_id:
            user.status, user.id_hash = ASSOCIATED, self.id_hash(managed_apple_id)
        self.users.add(user)
        return user

    def accept(self, user: ClientUser) -> None:
        """An invited person signed in with an Apple Account and accepted."""
        if user.status == REGISTERED:
            self.users.associate(user, self.id_hash(user.email or user.client_user_id), self.change("users"))

    def id_hash(self, account: str) -> str:
        """Apple's hash of an account, the same wherever the account is seen."""
        return hashlib.sha256(f"account:{account.casefold()}".encode()).hexdigest()[:40]

    def common(self, expires: str) -> dict[str, Any]:
        """The members every answer may carry."""
        body: dict[str, Any] = {"uId": self.uid, "tokenExpirationDate": expires}
        if self.mdm_info or not self.identity.hides_unclaimed:
            body["mdmInfo"] = self.mdm_info
        return body
