"""What is known about an app before it is decided who gets it, and what a decision looks like. Plain values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from catalog.models import InstallState, LicenseKind, Reason, When
from vppportal.groups.models import EnrollmentType, Platform

DEVICE: Final = "device"
USER: Final = "user"
WITHOUT: Final = "none"
Key = tuple[int, str]
"""An asset's key and the holder of one of its licenses: a serial number or a client user id."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A distribution in force, as far as the plan cares."""

    id: int
    license_kind: str = LicenseKind.AUTOMATIC
    when: str = When.NOW
    priority: int = 100
    is_paused: bool = False


@dataclass(frozen=True, slots=True)
class Current:
    """Where the app is on a device now: the stored installation."""

    state: InstallState
    asset_id: int | None = None
    holder: str = ""
    license_kind: str = ""
    queued_at: datetime | None = None
    is_due: bool = False
    is_requested: bool = False
    was_there: bool = False
    """A list of the device named it, or an install was given up that the device may still carry out."""
    is_leaving: bool = False
    """It was being taken away when it was last planned."""


@dataclass(frozen=True, slots=True)
class Target:
    """A device an app is meant for, was meant for, or (`device_id` None) a person without one."""

    device_id: int | None
    person_id: int | None
    wish: Wish | None = None
    serial_number: str = ""
    platform: str = Platform.IOS
    os_version: tuple[int, ...] = ()
    enrollment_type: str = EnrollmentType.DEVICE
    blocked: Reason = Reason.NONE
    is_enrolled: bool = True
    has_account: bool = True
    current: Current | None = None


@dataclass(frozen=True, slots=True)
class Supply:
    """An asset of the app: where licenses may come from, in the order of preference; `free` None is unlimited."""

    asset_id: int
    token_id: int
    free: int | None
    is_usable: bool = True
    is_device_assignable: bool = True
    is_revocable: bool = True
    admitted: frozenset[int] | None = None
    client_users: Mapping[int, tuple[str, bool]] = field(default_factory=dict)
    by_account: frozenset[int] = frozenset()
    """Who was invited and can be registered by an account now, without accepting anything."""
    troubles: Mapping[int, str] = field(default_factory=dict)
    """Why Apple did not register a person, in words."""
    quotas: tuple[tuple[frozenset[int], int], ...] = ()
    """Those of its token on the app, the same for each of its assets: whom each counts, and how many more it allows."""

    def admits(self, person_id: int | None) -> bool:
        """May this person have a license of the token, or this device of nobody?"""
        return self.admitted is None or person_id in self.admitted

    @property
    def gives_back(self) -> bool:
        """Can licenses be taken back now?"""
        return self.is_revocable and self.is_usable


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known about an app's targets, licenses and rules at one moment."""

    app_id: int
    targets: tuple[Target, ...]
    supplies: tuple[Supply, ...] = ()
    held: frozenset[Key] = frozenset()
    assigning: frozenset[Key] = frozenset()
    revoking: frozenset[Key] = frozenset()
    refused: Mapping[Key, str] = field(default_factory=dict)
    is_approved: bool = True
    is_deleted: bool = False
    platforms: frozenset[str] = frozenset()
    minimum_os: tuple[int, ...] = ()
    remove_on_stop: bool = True
    remove_on_mdm_removal: bool = True
    remove_on_selective_wipe: bool = True
    revoke_on_stop: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to one target: a device, or a person without one (`device_id` None)."""

    app_id: int
    device_id: int | None
    person_id: int | None
    state: InstallState
    reason: Reason = Reason.NONE
    license_kind: str = ""
    asset_id: int | None = None
    token_id: int | None = None
    holder: str = ""
    distribution_id: int | None = None
    priority: int = 100
    details: str = ""
    asks: bool = False
    """Apple is to be asked for this license."""
    sends: str = ""
    """The command to send: "install", "remove", or none."""
    lets_go: bool = False
    """The license named is the one it had; it is needed here no more."""
    is_over: bool = False
    """Nothing is left of it: the row can go."""
