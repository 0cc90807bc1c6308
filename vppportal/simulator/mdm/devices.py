"""Simulated devices: what they are, what is installed on them, how they behave, and what they send to enroll."""

from __future__ import annotations

import hashlib
import plistlib
import uuid
from dataclasses import dataclass, field
from typing import Any

from vppportal.simulator.mdm.service import TOPIC

IOS, MACOS, TVOS = "iOS", "macOS", "tvOS"
IPHONE, IPAD, MAC, APPLE_TV = "iPhone", "iPad", "Mac", "Apple TV"


@dataclass(frozen=True)
class Kind:
    """What can be bought in a shop."""

    platform: str
    products: tuple[str, ...]
    os_version: str


KINDS = {
    IPHONE: Kind(IOS, ("iPhone14,5", "iPhone15,4", "iPhone16,1", "iPhone17,3"), "26.1"),
    IPAD: Kind(IOS, ("iPad13,18", "iPad14,3", "iPad15,7"), "26.1"),
    MAC: Kind(MACOS, ("Mac14,2", "Mac15,12", "MacBookPro18,3"), "26.1"),
    APPLE_TV: Kind(TVOS, ("AppleTV14,1", "AppleTV11,1"), "26.1"),
}


@dataclass
class Conduct:
    """How a device behaves; changed by the control address."""

    # Answers every command NotNow, as a locked device does; does not answer at all, as one in a drawer.
    not_now: bool = False
    silent: bool = False
    # Whoever holds it says no when asked; nothing fits on it any more; updates are taken and change nothing.
    refuses: bool = False
    storage_full: bool = False
    stuck: bool = False
    install_seconds: float | None = None
    # How many of the next installs do not find their license, and with which number; how many are duplicates. -1: all.
    license_not_found: int = 0
    license_error: int = 9610
    duplicate: int = 0

    def use_up(self, name: str) -> bool:
        """Whether an order to go wrong so many times still holds; it has gone wrong once more then."""
        left: int = getattr(self, name)
        if left > 0:
            setattr(self, name, left - 1)
        return left != 0


@dataclass(slots=True)
class InstalledApp:
    """One app on one device; what happens by itself is worked out when somebody looks."""

    adam_id: str
    bundle_id: str
    name: str
    version: str
    external_id: int
    is_managed: bool = True
    flags: int = 0
    has_device_license: bool = False
    # Until `ready_at` the status is `meanwhile`; what it is then. Some are told only once.
    status: str = "Managed"
    meanwhile: str = ""
    ready_at: float = 0.0
    # What is there while this is on its way, and stays if it fails.
    before: InstalledApp | None = None

    def status_at(self, now: float) -> str:
        """What a list made now says of it."""
        return self.meanwhile if now < self.ready_at else self.status


@dataclass(slots=True)
class Device:
    """One device; `id` is how the MDM server calls it."""

    id: str
    serial: str
    name: str
    kind: str
    product: str
    os_version: str
    owner: str = ""
    is_user_enrolled: bool = False
    # Its IANA name; empty for one that does not tell.
    time_zone: str = ""
    # The Apple Accounts signed in on it, as far as licenses of people are concerned.
    accounts: set[str] = field(default_factory=set)
    conduct: Conduct = field(default_factory=Conduct)
    apps: dict[str, InstalledApp] = field(default_factory=dict)
    is_enrolled: bool = False
    # Counts enrollments, so that what was meant for an earlier one is not carried out.
    enrollment: int = 0
    is_due: bool = False

    @property
    def platform(self) -> str:
        """Apple's name for what runs on it."""
        return KINDS[self.kind].platform

    @property
    def identity(self) -> dict[str, str]:
        """How it names itself in everything it sends."""
        return {"EnrollmentID" if self.is_user_enrolled else "UDID": self.id}

    @property
    def params(self) -> dict[str, str]:
        """The query of the address in its enrollment profile: a device without a serial number says whose it is."""
        return {"owner": self.owner} if self.is_user_enrolled and self.owner else {}

    def authenticate(self) -> dict[str, Any]:
        """The first message of an enrollment."""
        message = {
            "MessageType": "Authenticate",
            "Topic": TOPIC,
            "DeviceName": self.name,
            "Model": self.product,
            "ModelName": self.kind,
            "ProductName": self.product,
            "OSVersion": self.os_version,
            "BuildVersion": f"{self.os_version.partition('.')[0]}B{self.enrollment:03d}",
            **self.identity,
        }
        return message | ({} if self.is_user_enrolled else {"SerialNumber": self.serial})

    def token_update(self) -> dict[str, Any]:
        """The second one, with which it counts as enrolled."""
        token = hashlib.sha256(f"{self.id}:{self.enrollment}".encode()).digest()
        magic = str(uuid.UUID(bytes=token[:16])).upper()
        members = {"MessageType": "TokenUpdate", "Topic": TOPIC, "PushMagic": magic, "Token": token}
        return {**members, "NotOnConsole": False, **self.identity}

    def check_out(self) -> dict[str, Any]:
        """The last one: it is no longer managed."""
        return {"MessageType": "CheckOut", "Topic": TOPIC, **self.identity}

    def leave_management(self) -> None:
        """Without MDM control go the apps that were installed to go with it; the others stay, unmanaged."""
        self.is_enrolled = False
        self.apps = {bundle_id: app for bundle_id, app in self.apps.items() if not (app.is_managed and app.flags & 1)}
        for app in self.apps.values():
            app.is_managed, app.before = False, None


def write(members: dict[str, Any]) -> bytes:
    """A message as a device sends it."""
    return plistlib.dumps(members)
