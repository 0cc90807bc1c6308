"""MDM commands in Apple's words: what each holds, and the property list that carries it."""

from __future__ import annotations

import plistlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from catalog.models import App
from tokens.policies import Policies
from vppportal.groups.models import EnrollmentType, Platform

Payload = dict[str, Any]

FACTS: Final = ("DeviceName", "OSVersion", "ModelName", "ProductName", "TimeZone")

ITEMS: Final = ("Identifier", "Name", "ShortVersion", "Version")
PROGRAM: Final = "com.apple.cloudvpp"
REMOVE_WITH_PROFILE: Final = 1
NO_BACKUP: Final = 4
FREE, ASSIGNED = 0, 1
"""Apple's purchase methods: the person's own Apple Account gets the app, or a license of ours is there for it."""


@dataclass(frozen=True, slots=True)
class InstallApplication:
    """Install an app from the App Store, or update it; members that are off are left out."""

    store_id: int
    purchase_method: int
    management_flags: int = 0
    takes_over: bool = False
    installs_as_managed: bool = False
    is_ios_app: bool = False

    def members(self) -> Payload:
        """Return the command's members."""
        made: Payload = {"iTunesStoreID": self.store_id, "Options": {"PurchaseMethod": self.purchase_method}}
        if self.management_flags:
            made["ManagementFlags"] = self.management_flags
        if self.takes_over:
            made["ChangeManagementState"] = "Managed"
        if self.installs_as_managed:
            made["InstallAsManaged"] = True
        if self.is_ios_app:
            made["iOSApp"] = True
        return made


def install_payload(
    app: App, *, is_licensed: bool, policies: Policies, platform: str, enrollment_type: str, take_over: bool
) -> Payload:
    """Return the members of a command that installs an app.

    Apple's rules: in user enrollment nothing is taken over and only assigned licenses work; a Mac there takes no word
    about management at all, and elsewhere only together with `InstallAsManaged`.
    """
    is_mac, is_users = platform == Platform.MACOS, enrollment_type == EnrollmentType.USER
    flags = REMOVE_WITH_PROFILE * policies.remove_on_mdm_removal | NO_BACKUP * policies.block_backup
    platforms = {name for name in app.listing.platforms.split(",") if name}
    return InstallApplication(
        store_id=int(app.adam_id),
        purchase_method=ASSIGNED if is_licensed or is_users else FREE,
        management_flags=0 if is_mac and is_users else flags,
        takes_over=take_over and not is_users,
        installs_as_managed=is_mac and not is_users,
        is_ios_app=is_mac and bool(platforms) and Platform.MACOS not in platforms,
    ).members()


def remove_payload(bundle_id: str) -> Payload:
    """Return the members of a command that removes a managed app and its data."""
    return {"Identifier": bundle_id}


def list_payload(bundle_ids: Iterable[str] = ()) -> Payload:
    """Return the members of a command that asks for managed apps; without names it asks for all."""
    names = sorted({bundle_id for bundle_id in bundle_ids if bundle_id})
    return {"Identifiers": names} if names else {}


def installed_payload(bundle_ids: Iterable[str] = (), *, managed_only: bool = False) -> Payload:
    """Return the members of a command that asks for installed apps; without names it asks for all.

    Only what is shown is asked of each: a device may have thousands.
    """
    return {**list_payload(bundle_ids), "Items": list(ITEMS), **({"ManagedAppsOnly": True} if managed_only else {})}


def facts_payload() -> Payload:
    """Return the members of a command that asks a device about itself."""
    return {"Queries": list(FACTS)}


def invite_payload(url: str) -> Payload:
    """Return the members of a command that shows Apple's invitation to the person at the device."""
    return {"ProgramID": PROGRAM, "InvitationURL": url}


def remove_profile_payload(profile_identifier: str) -> Payload:
    """Return the members of a command that removes a profile; removing the enrollment profile ends MDM control."""
    return {"Identifier": profile_identifier}


def command_plist(command_uuid: UUID, request_type: str, payload: Mapping[str, Any]) -> bytes:
    """Return a command as the XML property list that NanoMDM takes; it refuses binary ones."""
    command = {"Command": {"RequestType": request_type, **payload}, "CommandUUID": str(command_uuid)}
    return plistlib.dumps(command, fmt=plistlib.FMT_XML)
