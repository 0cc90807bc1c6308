"""Who holds a license: names, owners and history for the serial numbers and ids on the page that is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models.functions import Upper

from tokens.many import Texts
from tokens.models import Assignment, ClientUser, ContentToken, Operation, OperationKind, Target, TargetState
from vppportal.groups.models import Device

Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Known:
    """What the portal knows of a holder: the device, or the registration with its person; nothing of strangers."""

    device: Device | None = None
    client_user: ClientUser | None = None

    @property
    def page(self) -> Any:
        """The row whose page tells more: the device or the person; None for strangers."""
        return self.device or (self.client_user and self.client_user.person)

    @property
    def email(self) -> str:
        """The address a stranger is registered with, as far as Apple tells."""
        return self.client_user.email if self.client_user else ""

    def __str__(self) -> str:
        if self.device is not None:
            return str(self.device)
        return str(self.page or self.client_user or "")


def know(token: ContentToken, rows: Iterable[Any]) -> None:
    """Put on each row (with a serial number or a client user id) as `known` whom it names; two queries for all."""
    found = list(rows)
    serials = {row.serial_number for row in found if row.serial_number}
    ids = {row.client_user_id for row in found if row.client_user_id}
    devices = Device.objects.exclude(serial_number="").annotate(serial=Upper("serial_number")).select_related("owner")
    by_serial = {device.serial_number.upper(): device for device in devices.filter(serial__in=Texts(serials))}
    people = token.client_users.filter(client_user_id__in=Texts(ids)).select_related("person")
    by_id = {row.client_user_id: row for row in people}
    for row in found:
        if row.serial_number:
            row.known = Known(device=by_serial.get(row.serial_number))
        else:
            row.known = Known(client_user=by_id.get(row.client_user_id))


def tell_history(token: ContentToken, rows: Sequence[Assignment]) -> None:
    """Put on each license as `known` its holder, as `origin` the operation it came from, as `change` one under way."""
    know(token, rows)
    by_asset = {row.asset_id for row in rows}
    serials = Texts({row.serial_number for row in rows if row.serial_number})
    ids = Texts({row.client_user_id for row in rows if row.client_user_id})
    origins: dict[Name, Operation] = {}
    changes: dict[Name, Operation] = {}
    of_asset = Target.objects.filter(asset__in=by_asset).select_related("operation__requested_by").order_by("pk")
    of_devices = of_asset.filter(serial_number__in=serials, client_user_id="")
    of_people = of_asset.filter(serial_number="", client_user_id__in=ids)
    for target in (*of_devices, *of_people):
        name = (target.serial_number, target.client_user_id)
        if target.state == TargetState.OPEN:
            changes[name] = target.operation
        elif target.state == TargetState.DONE and target.operation.kind == OperationKind.ASSIGN:
            origins[name] = target.operation
    for row in rows:
        name = (row.serial_number, row.client_user_id)
        row.origin, row.change = origins.get(name), changes.get(name)  # type: ignore[attr-defined]
