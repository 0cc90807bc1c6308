"""The way back: what is removed from devices and which licenses return, by the policies of each app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, F, Q
from django.utils import timezone

from catalog import commands, mdm, reconciling
from catalog.approval import decisions
from catalog.consequences import held_without_app
from catalog.models import (
    IN_NEED,
    ON_THE_WAY,
    WITHOUT_APP,
    Addition,
    App,
    AppStatus,
    Command,
    CommandKind,
    Distribution,
    DistributionState,
    Installation,
    InstallState,
    Outcome,
    Reason,
)
from tokens import licenses
from tokens.licenses import Holder
from tokens.models import ContentToken
from tokens.policies import POLICY_FIELDS
from vppportal.activity.models import record
from vppportal.groups.models import Device

NOT_SENT_YET = (*IN_NEED, InstallState.LICENSING, InstallState.OFFERED, InstallState.READY)

STILL_THERE: Final = (
    *ON_THE_WAY,
    InstallState.INSTALLED,
    InstallState.FAILED,
    InstallState.LICENSING,
    InstallState.REMOVING,
)
"""Where an installation of a deleted app stands while it is not over: each next plan brings it nearer to its end."""


@dataclass(frozen=True, slots=True)
class WayBack:
    """What is still on its way back of an app that devices have no claim to any more."""

    removing: int
    removed: int
    returning: int

    @property
    def is_under_way(self) -> bool:
        """Is a removal or a license still to come?"""
        return bool(self.removing or self.returning)


def way_back(app: App) -> WayBack:
    """Count what is being removed, what is gone, and the licenses that are to return."""
    counted = app.installations.filter(distribution=None).aggregate(
        removing=Count("pk", filter=Q(state=InstallState.REMOVING)),
        removed=Count("pk", filter=Q(state=InstallState.REMOVED)),
        returning=Count("pk", filter=returning() & Q(state__in=WITHOUT_APP)),
    )
    return WayBack(**counted)


def wipe(device: Device, by: User) -> bool:
    """Take the organization's apps off a device; nothing is sent to it until that is lifted, or it is enrolled anew.

    False where that has been done already.
    """
    return _mark(device, "wiped_at", by, "wiped selectively")


def lift_wipe(device: Device, by: User) -> bool:
    """Send apps to a selectively wiped device again; False where there was nothing to lift."""
    with transaction.atomic():
        if not Device.objects.filter(pk=device.pk, wiped_at__isnull=False).update(wiped_at=None):
            return False
        record(by, "lifted the selective wipe of", device)
        reconciling.wake_for_devices([device.pk])
    return True


def can_release() -> bool:
    """Can MDM control be removed? Devices must be told the identifier of the profile that they are to remove."""
    return bool(settings.MDM_PROFILE_IDENTIFIER)


def release(device: Device, by: User) -> bool:
    """Remove MDM control from a device: it forgets the MDM server, and iOS the apps that are to go with it.

    False where the device cannot be reached, or was asked already, or nobody knows what to tell it.
    """
    if not can_release():
        return False
    with transaction.atomic():
        if not Device.objects.select_for_update().get(pk=device.pk).is_enrolled or _is_asked_to_forget(device):
            return False
        commands.enqueue([_release_command(device, by)])
        record(by, "removed MDM control from", device)
    return True


def retire(device: Device, by: User) -> bool:
    """Take a device out of use: its apps, its licenses and then MDM control. False where it is retired already.

    The license of an app returns when that is off the device; one that serves none, assigned by hand, is asked for now.
    MDM control is removed last, where that can be, by `release_retired`, or the device would hear no other command. One
    that is enrolled again afterwards is in use again.
    """
    # First, as a device that is marked is not asked about again: whoever is interrupted here can press once more.
    for held in held_without_app(device).select_related("asset").order_by("asset"):
        licenses.revoke(held.asset, [Holder(serial_number=device.serial_number)], by=by, why="Device retired")
    return _mark(device, "retired_at", by, "retired")


def release_retired() -> int:
    """Remove MDM control from retired devices on which nothing is left to remove; return how many.

    Until an app is planned for the retirement it may have to be removed. A removal that failed for good holds up
    nothing. Where nobody knows what to tell devices, they wait until somebody does.
    """
    if not can_release():
        return 0
    is_coming_or_there = Q(state__in=(*NOT_SENT_YET, *ON_THE_WAY, InstallState.INSTALLED))
    is_going = Q(state=InstallState.REMOVING) | Q(state=InstallState.FAILED, retry_at__isnull=False)
    is_unplanned = ~Q(state__in=WITHOUT_APP) & ~Q(reason=Reason.RETIRED)
    busy = Installation.objects.filter(is_coming_or_there | is_going | is_unplanned)
    asked = Command.objects.filter(kind=CommandKind.REMOVE_PROFILE, created_at__gte=F("device__retired_at"))
    devices = (
        Device.objects.enrolled()
        .exclude(retired_at=None)
        .exclude(pk__in=busy.values("device"))
        .exclude(pk__in=asked.values("device"))
    )
    with transaction.atomic():
        return commands.enqueue(_release_command(device, None) for device in devices)


def _is_asked_to_forget(device: Device) -> bool:
    return device.commands.open().filter(kind=CommandKind.REMOVE_PROFILE).exists()


def _release_command(device: Device, by: User | None) -> Command:
    return Command(
        device=device,
        enrollment_id=device.enrollment_id,
        kind=CommandKind.REMOVE_PROFILE,
        payload=mdm.remove_profile_payload(settings.MDM_PROFILE_IDENTIFIER),
        requested_by=by,
    )


def _mark(device: Device, field: str, by: User, verb: str) -> bool:
    with transaction.atomic():
        if not Device.objects.filter(pk=device.pk, **{field: None}).update(**{field: timezone.now()}):
            return False
        record(by, verb, device)
        reconciling.wake_for_devices([device.pk])
    return True


def delete_app(app: App, by: User) -> bool:
    """Delete an app from the catalog; False where somebody else did. Its row goes when nothing of it is left.

    Its distributions end, and what follows on devices and at Apple is what stopping them does.
    """
    now = timezone.now()
    with transaction.atomic():
        held = App.objects.kept().select_related("listing").select_for_update(of=("self",), no_key=True)
        present = held.filter(pk=app.pk).first()
        if present is None:
            return False
        App.objects.filter(pk=app.pk).update(deleted_at=now)
        if present.status != AppStatus.AVAILABLE:
            decisions.keep_deletion(present, by)
        Distribution.objects.filter(app=app).exclude(state=DistributionState.STOPPED).update(
            state=DistributionState.STOPPED, stopped_at=now
        )
        Addition.objects.filter(app=app).update(outcome=Outcome.DELETED, settled_at=now)
        record(by, "deleted the app", app)
        reconciling.wake([app.pk])
    return True


def purge_deleted() -> int:
    """Delete the rows of deleted apps of which no device and no license is left; return how many.

    A removal that failed for good, as the device is lost or refuses it, is waited for as long as its command is kept:
    until then a late answer can still tell that the app is gone. An app that only such devices have is forgotten then;
    a license that one of them still holds is found, and taken back by hand, on the pages of its token.
    """
    given_up = Q(state=InstallState.FAILED, retry_at=None, since__lt=timezone.now() - commands.COMMANDS_KEPT)
    left = Installation.objects.filter(Q(state__in=STILL_THERE) | returning()).exclude(given_up)
    planned = Q(reconciliation=None) | Q(reconciliation__planned_at__gt=F("deleted_at"))
    gone = App.objects.exclude(deleted_at=None).filter(planned).exclude(pk__in=left.values("app"))
    with transaction.atomic():
        # Locked, or one that is added again by hand meanwhile would go with them.
        keys = list(gone.select_for_update(of=("self",)).values_list("pk", flat=True))
        App.objects.filter(pk__in=keys).delete()
    return len(keys)


def returning() -> Q:
    """Installations whose license is still to return."""
    return Q(asset__isnull=False, asset__is_revocable=True, app__revoke_on_stop=True)


def differing_policies(token: ContentToken) -> dict[str, int]:
    """Return for each policy of a token how many of the apps it added have it set otherwise."""
    apps = token.apps_added.filter(deleted_at=None)
    return {name: number for name in POLICY_FIELDS if (number := apps.exclude(**{name: getattr(token, name)}).count())}


def apply_policies(token: ContentToken, by: User) -> int:
    """Give the token's policies to the apps it added; return how many changed."""
    policies = {name: getattr(token, name) for name in POLICY_FIELDS}
    with transaction.atomic():
        differing = token.apps_added.filter(deleted_at=None).exclude(**policies)
        apps = list(differing.values_list("pk", flat=True))
        App.objects.filter(pk__in=apps).update(**policies)
        if apps:
            record(by, "applied the policies of", token, apps=len(apps))
            reconciling.wake(App.objects.filter(pk__in=apps, reconciliation__isnull=False).values_list("pk", flat=True))
    return len(apps)
