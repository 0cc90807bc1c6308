"""What a device answers to a command."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from vppportal.simulator import registrations
from vppportal.simulator.mdm import apps
from vppportal.simulator.mdm.devices import Device

if TYPE_CHECKING:
    from vppportal.simulator.world import World

PROGRAM = "com.apple.cloudvpp"
Members = dict[str, Any]


def answer(world: World, device: Device, command: Members, now: float) -> Members:
    """The members of the report about one command, without those that every report has."""
    if device.conduct.not_now:
        return {"Status": "NotNow"}
    act = ANSWERS.get(command["RequestType"])
    if act is None:
        return apps.refusal(12021, f"“{command['RequestType']}” is not a valid request type.")
    return act(world, device, command, now)


def _install(world: World, device: Device, command: Members, now: float) -> Members:
    wish = apps.Wish.read(command, world.store)
    if wish is None:
        return apps.refusal(12023, "The iTunes Store ID could not be validated.", "CouldNotVerifyAppID")
    seconds = device.conduct.install_seconds
    usual = world.mdm.options.install_seconds
    return apps.install(device, wish, list(world.locations.values()), now, usual if seconds is None else seconds)


def _remove(world: World, device: Device, command: Members, now: float) -> Members:
    return apps.remove(device, str(command.get("Identifier")))


def _managed(world: World, device: Device, command: Members, now: float) -> Members:
    listed = apps.managed_list(device, command.get("Identifiers"), now)
    return {"Status": "Acknowledged", "ManagedApplicationList": listed}


def _installed(world: World, device: Device, command: Members, now: float) -> Members:
    only_managed = bool(command.get("ManagedAppsOnly"))
    listed = apps.installed_list(device, command.get("Identifiers"), now, only_managed=only_managed)
    return {"Status": "Acknowledged", "InstalledApplicationList": listed}


def _invite(world: World, device: Device, command: Members, now: float) -> Members:
    if device.is_user_enrolled:
        return apps.refusal(12021, "“InviteToProgram” is not a valid request type.")
    if command.get("ProgramID") != PROGRAM:
        return {"Status": "Acknowledged", "InvitationResult": "InvalidProgramID"}
    code = parse_qs(urlsplit(str(command.get("InvitationURL", ""))).query).get("inviteCode", [""])[0]
    for location in list(world.locations.values()):
        with location.lock:
            user = location.users.by_code(code)
        if user:
            if not device.conduct.refuses:
                registrations.accept(world.notifications, location, user.client_user_id)
                device.accounts.add(user.account)
            return {"Status": "Acknowledged", "InvitationResult": "Acknowledged"}
    return {"Status": "Acknowledged", "InvitationResult": "InvalidInvitationURL"}


def _release(world: World, device: Device, command: Members, now: float) -> Members:
    device.leave_management()
    return {"Status": "Acknowledged"}


def _information(world: World, device: Device, command: Members, now: float) -> Members:
    known = {
        "DeviceName": device.name,
        "OSVersion": device.os_version,
        "ModelName": device.kind,
        "ProductName": device.product,
        **({"TimeZone": device.time_zone} if device.time_zone else {}),
        **({} if device.is_user_enrolled else {"SerialNumber": device.serial, "UDID": device.id}),
    }
    wanted = command.get("Queries") or list(known)
    return {"Status": "Acknowledged", "QueryResponses": {name: known[name] for name in wanted if name in known}}


ANSWERS: dict[str, Callable[[World, Device, Members, float], Members]] = {
    "InstallApplication": _install,
    "RemoveApplication": _remove,
    "ManagedApplicationList": _managed,
    "InstalledApplicationList": _installed,
    "InviteToProgram": _invite,
    "RemoveProfile": _release,
    "DeviceInformation": _information,
}
