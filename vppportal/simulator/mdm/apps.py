"""What installing and removing an app does to a device, as the device answers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vppportal.simulator.assignments import Assignment
from vppportal.simulator.location import Location
from vppportal.simulator.mdm.devices import MACOS, Device, InstalledApp
from vppportal.simulator.store import Product, Store
from vppportal.simulator.users import ASSOCIATED

MDM, STORE, DAEMON = "MCMDMErrorDomain", "ASDServerErrorDomain", "ASDErrorDomain"
TOLD_ONCE = ("UserRejected", "Failed", "UserInstalledApp", "UpdateRejected", "ManagementRejected")
RUNS_ON = {
    "ios": ("iPhone", "iPad"),
    "ipad": ("iPad",),
    "mac": ("Mac",),
    "universal": ("iPhone", "iPad", "Mac"),
    "tv": ("Apple TV",),
    "book": (),
}
MAC_BUILD = 500_000_000
# While these last, the version that was there before is there still.
UPDATING = ("Updating", "PromptingForUpdate", "UpdateRejected")

Answer = dict[str, Any]


def refusal(code: int, text: str, reason: str = "", domain: str = MDM) -> Answer:
    """An answer that says no."""
    link = {"ErrorCode": code, "ErrorDomain": domain, "LocalizedDescription": text, "USEnglishDescription": text}
    return {"Status": "Error", "ErrorChain": [link]} | ({"RejectionReason": reason} if reason else {})


@dataclass(frozen=True)
class Wish:
    """An InstallApplication command, as far as a device looks at it."""

    product: Product
    is_licensed: bool
    takes_over: bool
    flags: int

    @classmethod
    def read(cls, command: dict[str, Any], store: Store) -> Wish | None:
        """Read a command; None when it names nothing the store sells as an app."""
        number = command.get("iTunesStoreID")
        if number is None:
            wanted = command.get("Identifier")
            product = next((one for one in list(store.products.values()) if one.bundle_id == wanted), None)
        else:
            product = store.find(str(number))
        if product is None or product.kind == "book":
            return None
        is_licensed = (command.get("Options") or {}).get("PurchaseMethod") == 1
        takes_over = command.get("ChangeManagementState") == "Managed"
        return cls(product, is_licensed, takes_over, int(command.get("ManagementFlags", 0)))


def install(device: Device, wish: Wish, locations: list[Location], now: float, seconds: float) -> Answer:
    """Begin to install or update an app, or say why not."""
    there = _present(device.apps.get(wish.product.bundle_id), now)
    if no := _refused(device, wish, locations, there, now):
        return no
    product, conduct = wish.product, device.conduct
    newest = product.versions[-1]
    is_update = there is not None and there.is_managed
    is_mac_build = device.platform == MACOS and product.kind == "universal"
    app = InstalledApp(
        str(product.adam_id),
        product.bundle_id,
        product.name,
        newest.display,
        newest.external_id + (MAC_BUILD if is_mac_build else 0),
        flags=wish.flags,
        has_device_license=wish.is_licensed and not device.is_user_enrolled,
        meanwhile="Updating" if is_update else "Installing",
        ready_at=now + seconds,
        before=there,
    )
    if conduct.refuses:
        app.status = "UpdateRejected" if is_update else "UserRejected"
        app.meanwhile = "PromptingForUpdate" if is_update else "Prompting"
    elif conduct.storage_full:
        app.status = "Failed"
    elif there and is_update and conduct.stuck:
        app.version, app.external_id = there.version, there.external_id
    device.apps[product.bundle_id] = app
    state = app.meanwhile if conduct.refuses else "Installing" if device.platform == MACOS else "Queued"
    return {"Status": "Acknowledged", "Identifier": product.bundle_id, "State": state}


def _refused(
    device: Device, wish: Wish, locations: list[Location], there: InstalledApp | None, now: float
) -> Answer | None:
    product, number = wish.product, wish.product.adam_id
    if device.conduct.use_up("duplicate") or (there and now < there.ready_at):
        return refusal(506, "The operation is a duplicate of one in progress.", "AppAlreadyQueued", DAEMON)
    if device.kind not in RUNS_ON[product.kind] or older(device.os_version, product.minimum_os):
        return refusal(12023, f"The app {number} cannot be installed on this device.", "NotSupported")
    if wish.takes_over and device.is_user_enrolled:
        return refusal(12008, "The management state cannot be changed.", "ManagementChangeNotSupported")
    if wish.is_licensed and (no := _no_license(device, product, locations)):
        return no
    if not wish.is_licensed and product.custom:
        return refusal(12035, f"The app {number} cannot be bought.", "Other")
    if there and not there.is_managed and not wish.takes_over:
        return refusal(12025, f"The app {product.bundle_id} is already installed.", "AppAlreadyInstalled")
    return None


def _no_license(device: Device, product: Product, locations: list[Location]) -> Answer | None:
    adam_id = str(product.adam_id)
    if device.conduct.use_up("license_not_found"):
        domain = STORE if device.conduct.license_error == 9610 else MDM
        return refusal(device.conduct.license_error, "License not found", "Other", domain)
    if any(holds_license(device, adam_id, location) for location in locations):
        return None
    text = f"Could not retrieve license for the app with iTunes Store ID {adam_id}."
    answer = refusal(12064, text, "Other")
    answer["ErrorChain"] += refusal(9610, "License not found", domain=STORE)["ErrorChain"]
    return answer


def holds_license(device: Device, adam_id: str, location: Location) -> bool:
    """Whether a location has assigned an app to a device, or to a person who is signed in on it."""
    people = [location.users.accounts.get(account) for account in device.accounts]
    associated = [user.client_user_id for user in people if user and user.status == ASSOCIATED]
    with location.lock:
        for pricing in ("STDQ", "PLUS"):
            rows = [Assignment(adam_id, pricing, client_user_id=user_id) for user_id in associated]
            if device.serial and not device.is_user_enrolled:
                rows.append(Assignment(adam_id, pricing, serial_number=device.serial))
            if any(row in location.holdings for row in rows):
                return True
    return False


def older(version: str, minimum: str) -> bool:
    """Whether a version of an operating system is below another one."""
    return _numbers(version) < _numbers(minimum)


def _numbers(version: str) -> list[int]:
    numbers = [int(part) for part in version.split(".") if part.isdigit()]
    return numbers + [0] * (3 - len(numbers))


def remove(device: Device, bundle_id: str) -> Answer:
    """Remove a managed app; the user's own stay."""
    app = device.apps.get(bundle_id)
    if app is None or not app.is_managed:
        return refusal(12029, f"The app {bundle_id} is not managed.")
    del device.apps[bundle_id]
    return {"Status": "Acknowledged", "Identifier": bundle_id}


def managed_list(device: Device, wanted: list[str] | None, now: float) -> dict[str, Any]:
    """Every managed app that was asked for; what ended badly is told once and then forgotten."""
    listed = {}
    for bundle_id, app in list(device.apps.items()):
        if not app.is_managed or (wanted and bundle_id not in wanted):
            continue
        status = app.status_at(now)
        shown = app.before if status in UPDATING and app.before else app
        listed[bundle_id] = {
            "Status": status,
            "ManagementFlags": app.flags,
            "HasConfiguration": False,
            "HasFeedback": False,
            "IsValidated": True,
        }
        if status in ("Managed", *UPDATING):
            listed[bundle_id]["ExternalVersionIdentifier"] = shown.external_id
        left = _present(app, now)
        if left is None:
            del device.apps[bundle_id]
        else:
            device.apps[bundle_id] = left
    return listed


def _present(app: InstalledApp | None, now: float) -> InstalledApp | None:
    """What is really there: what ended badly has gone back to what was there before it."""
    if app is None or now < app.ready_at:
        return app
    if app.status in TOLD_ONCE:
        return app.before
    app.before = None
    return app


def installed_list(device: Device, wanted: list[str] | None, now: float, *, only_managed: bool) -> list[dict[str, Any]]:
    """Every app that was asked for, whoever installed it."""
    listed = []
    for bundle_id, app in device.apps.items():
        if (only_managed and not app.is_managed) or (wanted and bundle_id not in wanted):
            continue
        is_installing = now < app.ready_at
        shown = app.before or app if is_installing else _present(app, now)
        if shown is None or shown.status == "ManagedButUninstalled":
            continue
        listed.append(
            {
                "Identifier": bundle_id,
                "Name": app.name,
                "ShortVersion": shown.version,
                "Version": shown.version,
                "ExternalVersionIdentifier": shown.external_id,
                "Installing": is_installing,
                "DeviceBasedVPP": app.has_device_license,
                "AppStoreVendable": not app.has_device_license,
                "IsValidated": True,
            }
        )
    return listed
