"""Show Apple's invitation on the devices of people who were invited by mail: once after each mail."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import structlog
from django.db import transaction
from django.db.models import BigIntegerField, Exists, F, OuterRef
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from catalog import commands
from catalog.mdm import invite_payload
from catalog.models import Command, CommandKind
from tokens import invitations
from tokens.apple import AppleUnavailable
from tokens.fields import CannotOpen
from tokens.models import ClientUser
from vppportal.groups.models import Device, EnrollmentType

log = structlog.get_logger(__name__)

WHOM: Final = "ClientUser"
"""Stored in place of the invitation's address, which is nobody's business: the key of who is invited."""


def show_on_devices() -> int:
    """Store the commands that show invitations which were mailed and not yet shown; return how many."""
    mailed = ClientUser.objects.to_invite().filter(invited_at__isnull=False)
    # Of several tokens each has an invitation of its own: whoever accepts one has not seen the others.
    whom = Cast(KeyTextTransform(WHOM, "payload"), BigIntegerField())
    shown = Command.objects.filter(device=OuterRef("pk"), kind=CommandKind.INVITE).annotate(whom=whom)
    devices = (
        Device.objects.enrolled()
        .filter(enrollment_type=EnrollmentType.DEVICE, platform__in=("iOS", "macOS"))
        .filter(owner__client_users__in=mailed)
        .annotate(invited=F("owner__client_users"), invited_at=F("owner__client_users__invited_at"))
        .exclude(Exists(shown.filter(whom=OuterRef("invited"), created_at__gte=OuterRef("invited_at"))))
        .order_by("invited_at", "pk")
        .values_list("pk", "enrollment_id", "invited")
    )
    with transaction.atomic():
        return commands.enqueue(
            Command(
                device_id=device_id,
                enrollment_id=enrollment_id,
                kind=CommandKind.INVITE,
                payload={WHOM: invited},
            )
            for device_id, enrollment_id, invited in devices
        )


def payloads(rows: Iterable[Command]) -> dict[int, dict[str, Any]]:
    """Return, by command, what is sent to the devices; an invitation that is not open any more has no payload."""
    rows = list(rows)
    wanted = {row.payload.get(WHOM) for row in rows if row.kind == CommandKind.INVITE}
    people = ClientUser.objects.to_invite().in_bulk([pk for pk in wanted if pk]) if wanted else {}
    filled = {row.pk: row.payload for row in rows if row.kind != CommandKind.INVITE}
    for row in rows:
        invited = people.get(row.payload.get(WHOM, 0)) if row.kind == CommandKind.INVITE else None
        if invited is not None:
            try:
                filled[row.pk] = invite_payload(invitations.link(invited))
            except (AppleUnavailable, CannotOpen, invitations.NotPossible) as error:
                log.info("invitation_not_shown", command=row.pk, error=str(error))
    return filled
