"""Commands hold what Apple's schema of them says, and nothing that it forbids."""

from __future__ import annotations

import json
import plistlib
import uuid
from typing import Any

import pytest

from catalog import mdm
from catalog.models import App
from tests.factories import AppFactory
from tokens.models import Listing


def app(platforms: str = "iOS", **policies: bool) -> App:
    """Return an app that is stored nowhere."""
    listing = Listing(adam_id="361309726", bundle_id="com.apple.Pages", platforms=platforms)
    chosen = {"remove_on_mdm_removal": True, "block_backup": False, **policies}
    made: App = AppFactory.build(listing=listing, **chosen)
    return made


def install(it: App | None = None, **how: Any) -> dict[str, Any]:
    how = {"is_licensed": True, "platform": "iOS", "enrollment_type": "device", "take_over": True, **how}
    it = it or app()
    return mdm.install_payload(it, policies=it, **how)


def test_a_licensed_app_for_an_ipad() -> None:
    assert install() == {
        "iTunesStoreID": 361309726,
        "Options": {"PurchaseMethod": 1},
        "ManagementFlags": 1,
        "ChangeManagementState": "Managed",
    }


@pytest.mark.parametrize(
    ("removes", "blocks", "flags"), [(True, True, 5), (True, False, 1), (False, True, 4), (False, False, None)]
)
def test_the_policies_are_management_flags_and_none_is_no_flag(removes: bool, blocks: bool, flags: int | None) -> None:
    payload = install(app(remove_on_mdm_removal=removes, block_backup=blocks))
    assert payload.get("ManagementFlags") == flags


def test_without_a_license_the_persons_own_account_gets_the_app() -> None:
    assert install(is_licensed=False)["Options"] == {"PurchaseMethod": 0}


@pytest.mark.parametrize("is_licensed", [True, False])
def test_in_user_enrollment_only_licenses_work_and_nothing_is_taken_over(is_licensed: bool) -> None:
    payload = install(is_licensed=is_licensed, enrollment_type="user")
    assert payload == {"iTunesStoreID": 361309726, "Options": {"PurchaseMethod": 1}, "ManagementFlags": 1}


def test_a_mac_manages_what_it_is_told_to_manage() -> None:
    payload = install(app("macOS"), platform="macOS")
    assert payload["InstallAsManaged"] is True
    assert "iOSApp" not in payload
    assert install(app("iOS"), platform="macOS")["iOSApp"] is True
    assert "iOSApp" not in install(app("iOS,macOS"), platform="macOS")


def test_a_mac_in_user_enrollment_takes_no_word_about_management() -> None:
    payload = install(app("macOS"), platform="macOS", enrollment_type="user")
    assert payload == {"iTunesStoreID": 361309726, "Options": {"PurchaseMethod": 1}}


def test_the_other_commands_hold_what_apple_names() -> None:
    assert mdm.remove_payload("com.apple.Pages") == {"Identifier": "com.apple.Pages"}
    assert mdm.list_payload(["b", "a", "b", ""]) == {"Identifiers": ["a", "b"]}
    assert mdm.list_payload() == {}
    items = ["Identifier", "Name", "ShortVersion", "Version"]
    assert mdm.installed_payload() == {"Items": items}
    assert mdm.installed_payload(["a"], managed_only=True) == {
        "Identifiers": ["a"],
        "Items": items,
        "ManagedAppsOnly": True,
    }
    assert mdm.invite_payload("https://buy.example/") == {
        "ProgramID": "com.apple.cloudvpp",
        "InvitationURL": "https://buy.example/",
    }
    assert mdm.remove_profile_payload("com.example.mdm") == {"Identifier": "com.example.mdm"}


def test_a_stored_command_is_the_same_property_list_as_a_fresh_one() -> None:
    name, payload = uuid.uuid4(), install(app("iOS"), platform="macOS")
    plist = mdm.command_plist(name, "InstallApplication", json.loads(json.dumps(payload)))
    assert plist == mdm.command_plist(name, "InstallApplication", payload)
    told = plistlib.loads(plist)
    assert told["CommandUUID"] == str(name)
    assert told["Command"] == {"RequestType": "InstallApplication", **payload}
