"""Orders about simulated devices: make them, tell them how to behave, let things happen to them, look at them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from typing import Any

from vppportal.simulator.mdm.apps import UPDATING, installed_list, managed_list
from vppportal.simulator.mdm.company import serial_number
from vppportal.simulator.mdm.devices import IPHONE, KINDS, Conduct, Device, InstalledApp
from vppportal.simulator.world import World

Names = list[str] | str
MADE_NAMES = (
    "id",
    "serialNumber",
    "name",
    "kind",
    "product",
    "osVersion",
    "owner",
    "userEnrolled",
    "account",
    "timeZone",
)


def list_mdm_devices(world: World, devices: Names = "all") -> dict[str, Any]:
    """What each device has installed, what is queued for it, and how it behaves."""
    return {"devices": [describe(world, device) for device in world.fleet.find(devices)]}


def describe(world: World, device: Device) -> dict[str, Any]:
    """One device: its facts, its conduct, its apps as its lists would show them, and its queue."""
    now = time.monotonic()
    with world.fleet.lock:
        # A look from outside does not count as telling: what is told only once is still to be told.
        before = dict(device.apps)
        managed = managed_list(device, None, now)
        device.apps = before
        installed = installed_list(device, None, now, only_managed=False)
        queued = [{"uuid": one.uuid, "requestType": one.request_type} for one in world.mdm.queues.waiting(device.id)]
        return {
            **_summary(device),
            "platform": device.platform,
            "enrolled": device.is_enrolled,
            "conduct": asdict(device.conduct),
            "managed": {bundle_id: app["Status"] for bundle_id, app in managed.items()},
            "flags": {bundle_id: app["ManagementFlags"] for bundle_id, app in managed.items()},
            "installed": {
                app["Identifier"]: app["ExternalVersionIdentifier"]
                for app in installed
                if not app["Installing"] or managed.get(app["Identifier"], {}).get("Status") in UPDATING
            },
            "queue": queued,
        }


def _summary(device: Device) -> dict[str, Any]:
    return {
        "id": device.id,
        "serialNumber": device.serial,
        "name": device.name,
        "kind": device.kind,
        "product": device.product,
        "osVersion": device.os_version,
        "timeZone": device.time_zone,
        "owner": device.owner,
        "userEnrolled": device.is_user_enrolled,
    }


def mdm_add(
    world: World,
    count: int = 1,
    kind: str = IPHONE,
    user_enrolled: bool = False,
    owner: str = "",
    os_version: str = "",
    time_zone: str = "",
    devices: list[dict[str, Any]] | None = None,
    announce: bool = True,
) -> dict[str, Any]:
    """Enroll new devices: so many of a kind, or those described one by one; without `announce` no webhook tells of it.

    A description has any of id, serialNumber, name, kind, product, osVersion, timeZone, owner, userEnrolled, account.
    """
    usual = {"kind": kind, "userEnrolled": user_enrolled, "owner": owner}
    usual |= {"osVersion": os_version, "timeZone": time_zone}
    wanted = [usual] * int(count) if devices is None else [usual | one for one in devices]
    made = [_make(world, len(world.fleet.devices) + number, one) for number, one in enumerate(wanted)]
    for device in made:
        world.fleet.enroll(world.fleet.add(device), tell=announce)
    return {"devices": [_summary(device) for device in made]}


def _make(world: World, number: int, wanted: dict[str, Any]) -> Device:
    if unknown := set(wanted) - set(MADE_NAMES):
        raise ValueError(f"a device has no {', '.join(sorted(unknown))}; it has {', '.join(MADE_NAMES)}")
    if wanted["kind"] not in KINDS:
        raise ValueError(f"the kinds are {', '.join(KINDS)}")
    draw, kind = world.fleet.random, KINDS[wanted["kind"]]
    id, serial = str(uuid.UUID(int=draw.getrandbits(128), version=4)).upper(), serial_number(draw)
    is_user_enrolled = bool(wanted["userEnrolled"])
    device = Device(
        wanted.get("id") or id,
        "" if is_user_enrolled else wanted.get("serialNumber") or serial,
        wanted.get("name") or f"{wanted['kind']} {number + 1}",
        wanted["kind"],
        wanted.get("product") or kind.products[number % len(kind.products)],
        wanted["osVersion"] or kind.os_version,
        wanted["owner"],
        is_user_enrolled,
        wanted["timeZone"],
    )
    device.accounts = {account.casefold() for account in (wanted.get("account"), wanted["owner"]) if account}
    return device


def mdm_behave(world: World, devices: Names = "all", **members: Any) -> dict[str, Any]:
    """Tell devices how to behave from now on; told to all, those added later behave so, too.

    Members: notNow, silent, refuses, storageFull, stuck, installSeconds, licenseNotFound (how many installs, -1: all),
    licenseError, duplicate (how many). What is not named stays as it is.
    """
    known = {member.name for member in fields(Conduct)}
    if unknown := set(members) - known:
        raise ValueError(f"a device has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}")
    found = world.fleet.find(devices)
    with world.fleet.lock:
        if devices == "all":
            world.fleet.usual = replace(world.fleet.usual, **members)
        for device in found:
            device.conduct = replace(device.conduct, **members)
    if members.get("not_now") is False or members.get("silent") is False:
        _wake(world, found)
    return {"devices": len(found)}


def mdm_changes(
    world: World, devices: Names = "all", os_version: str | None = None, time_zone: str | None = None
) -> dict[str, Any]:
    """Let devices have another version of their operating system, or be in another time zone; they tell when asked."""
    found = world.fleet.find(devices)
    with world.fleet.lock:
        for device in found:
            device.os_version = device.os_version if os_version is None else os_version
            device.time_zone = device.time_zone if time_zone is None else time_zone
    return {"devices": len(found)}


def mdm_poll(world: World, devices: Names = "all") -> dict[str, Any]:
    """Let devices ask for commands now, without having been pushed."""
    found = world.fleet.find(devices)
    _wake(world, found)
    return {"devices": len(found)}


def _wake(world: World, devices: Iterable[Device]) -> None:
    for device in devices:
        world.fleet.wake(device.id)


def mdm_has_app(world: World, adam_id: str, devices: Names = "all") -> dict[str, Any]:
    """Let whoever holds the devices install an app from the store: it is there, and not managed."""
    product = world.store.find(str(adam_id))
    if product is None or not product.bundle_id:
        raise KeyError(f"the store has no app {adam_id}")
    newest, found = product.versions[-1], world.fleet.find(devices)
    with world.fleet.lock:
        for device in found:
            device.apps[product.bundle_id] = InstalledApp(
                str(adam_id), product.bundle_id, product.name, newest.display, newest.external_id, is_managed=False
            )
    return {"devices": len(found), "bundleId": product.bundle_id}


def mdm_deletes_app(world: World, adam_id: str, devices: Names = "all") -> dict[str, Any]:
    """Let whoever holds the devices delete an app: a managed one is listed as ManagedButUninstalled."""
    found = world.fleet.find(devices)
    gone = 0
    with world.fleet.lock:
        for device in found:
            for app in [app for app in device.apps.values() if app.adam_id == str(adam_id)]:
                gone += 1
                app.status, app.ready_at, app.before = "ManagedButUninstalled", 0.0, None
                if not app.is_managed:
                    del device.apps[app.bundle_id]
    return {"deleted": gone}


def mdm_wipe(world: World, devices: Names) -> dict[str, Any]:
    """Erase devices: all apps are gone, and they are never heard of again until they are enrolled anew."""
    found = world.fleet.find(devices)
    with world.fleet.lock:
        for device in found:
            device.apps.clear()
            device.is_enrolled = False
    return {"devices": len(found)}


def mdm_enroll(world: World, devices: Names, new_id: bool = False, announce: bool = True) -> dict[str, Any]:
    """Enroll devices again, under the id they had or a new one: Authenticate and TokenUpdate are sent anew."""
    found = world.fleet.find(devices)
    with world.fleet.lock:
        for device in found:
            if new_id:
                del world.fleet.devices[device.id]
                device.id = str(uuid.UUID(int=world.fleet.random.getrandbits(128), version=4)).upper()
                world.fleet.devices[device.id] = device
            world.fleet.enroll(device, tell=announce)
    return {"devices": [_summary(device) for device in found]}


def mdm_check_out(world: World, devices: Names) -> dict[str, Any]:
    """Let devices leave management: the profile is removed by hand, and CheckOut is sent."""
    found = world.fleet.find(devices)
    for device in found:
        world.fleet.check_out(device)
    return {"devices": len(found)}


READINGS = {"mdm-devices": list_mdm_devices}
ORDERS = (
    *(mdm_add, mdm_behave, mdm_changes, mdm_poll, mdm_has_app, mdm_deletes_app),
    *(mdm_wipe, mdm_enroll, mdm_check_out),
)
