"""What forbids sending a change, by the rules of the moment in which it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from django.db.models.functions import Upper

from tokens.many import Keys, Texts
from tokens.models import ClientUserStatus, ContentToken, Operation, OperationKind, Target
from vppportal.groups.models import Device, ManagedUser

NOT_REVOCABLE: Final = "Apple does not take licenses of this product back."
NOT_FOR_DEVICES: Final = "Apple gives this product to people only, not to devices."
UNKNOWN_DEVICE: Final = "The portal does not know this device."
RETIRED_DEVICE: Final = "The device is retired."
RETIRED_PERSON: Final = "The person is no longer registered with Apple."
OUTSIDE: Final = "Outside the user groups that the token is restricted to."


def admits(token: ContentToken, people: Iterable[int]) -> set[int]:
    """Return which of these people may have the token's licenses: all, or the members of the groups it is kept to."""
    wanted = {*people}
    groups = [*token.restricted_to.values_list("pk", flat=True)]
    if not groups:
        return wanted
    members = ManagedUser.objects.filter(groups__in=groups, pk__in=Keys(wanted))
    return {*members.values_list("pk", flat=True)}


def objections(operation: Operation, targets: Sequence[Target]) -> dict[int, str]:
    """Return, by their keys, the targets that must not be sent now, and why not."""
    asset = operation.asset
    if asset is None:
        return {}
    if operation.kind == OperationKind.REVOKE:
        return {} if asset.is_revocable else dict.fromkeys((target.pk for target in targets), NOT_REVOCABLE)
    devices = [target for target in targets if target.serial_number]
    people = [target for target in targets if not target.serial_number]
    if devices and not asset.is_device_assignable:
        return dict.fromkeys((target.pk for target in devices), NOT_FOR_DEVICES)
    return _against_devices(operation.token, devices) | _against_people(operation.token, people)


def _against_devices(token: ContentToken, targets: Sequence[Target]) -> dict[int, str]:
    if not targets:
        return {}
    known = Device.objects.annotate(serial=Upper("serial_number")).exclude(serial_number="")
    rows = known.filter(serial__in=Texts(target.serial_number for target in targets))
    devices = {serial: (owner, retired) for serial, owner, retired in rows.values_list("serial", "owner", "retired_at")}
    admitted = _admitted(token, (owner for owner, _ in devices.values()))
    found: dict[int, str] = {}
    for target in targets:
        owner, retired = devices.get(target.serial_number, (None, None))
        if target.serial_number not in devices:
            found[target.pk] = UNKNOWN_DEVICE
        elif retired:
            found[target.pk] = RETIRED_DEVICE
        elif admitted is not None and owner not in admitted:
            found[target.pk] = OUTSIDE
    return found


def _against_people(token: ContentToken, targets: Sequence[Target]) -> dict[int, str]:
    if not targets:
        return {}
    rows = token.client_users.filter(client_user_id__in=Texts(target.client_user_id for target in targets))
    users = {user: (person, status) for user, person, status in rows.values_list("client_user_id", "person", "status")}
    admitted = _admitted(token, (person for person, _ in users.values()))
    found: dict[int, str] = {}
    for target in targets:
        person, status = users.get(target.client_user_id, (None, ""))
        if status in (ClientUserStatus.RETIRED, ClientUserStatus.DELETED):
            found[target.pk] = RETIRED_PERSON
        elif admitted is not None and person not in admitted:
            found[target.pk] = OUTSIDE
    return found


def _admitted(token: ContentToken, people: Iterable[int | None]) -> set[int] | None:
    """Return whom the token's groups admit, None where there is no restriction."""
    if not token.restricted_to.exists():
        return None
    return admits(token, {person for person in people if person is not None})
