"""The way back: what is removed from devices and which licenses return, by the policies of each app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone

from catalog import commands, mdm, reconciling
from catalog.approval import decisions
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
from tokens.models import ContentToken
from tokens.policies import POLICY_FIELDS
from vppportal.activity.models import record
from vppportal.groups.models import Device

ON_DEVICE = Q(state__in=(InstallState.SENT, InstallState.INSTALLING, InstallState.INSTALLED)) | Q(
    confirmed_at__isnull=False
)
NOT_SENT_YET = (*IN_NEED, InstallState.LICENSING, InstallState.OFFERED, InstallState.READY)

STILL_THERE: Final = (
    *ON_THE_WAY,
    InstallState.INSTALLED,
    InstallState.FAILED,
    InstallState.LICENSING,
    InstallState.REMOVING,
)
"""Where an installation of a deleted app stands while it is not over: each next plan brings it nearer to its end."""

SENTENCES: Final = (
    (
        "removes",
        "installation is removed from its device, with its data.",
        "installations are removed from their devices, with their data.",
    ),
    (
        "keeps",
        "installation stays on its device, as the app's policies say.",
        "installations stay on their devices, as the app's policies say.",
    ),
    (
        "unreachable",
        "installation is on a device that cannot be reached.",
        "installations are on devices that cannot be reached.",
    ),
    (
        "cancels",
        "installation that is under way is cancelled.",
        "installations that are under way are cancelled.",
    ),
    (
        "frees",
        "license returns to the VPP token and can be given to somebody else.",
        "licenses return to the VPP token and can be given to somebody else.",
    ),
    (
        "holds",
        "license stays where it is, as the app's policies say.",
        "licenses stay where they are, as the app's policies say.",
    ),
    (
        "not_reclaimable",
        "license cannot come back: Apple does not take it back.",
        "licenses cannot come back: Apple does not take them back.",
    ),
)
"""Each consequence in words, of one and of many."""


@dataclass(frozen=True, slots=True)
class Consequences:
    """What taking apps away would do, in numbers of installations and licenses."""

    removes: int = 0
    keeps: int = 0
    unreachable: int = 0
    cancels: int = 0
    frees: int = 0
    holds: int = 0
    not_reclaimable: int = 0

    def sentences(self) -> list[str]:
        """Return the numbers as sentences for the confirmation page."""
        counted = [(getattr(self, name), one, many) for name, one, many in SENTENCES]
        told = [f"{number:,} {one if number == 1 else many}" for number, one, many in counted if number]
        return told or ["No device has anything of it, and no license is concerned."]


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


def consequences_of_stop(installations: QuerySet[Installation]) -> Consequences:
    """Return what stopping these installations does."""
    return _consequences(installations, removes=Q(app__remove_on_stop=True))


def consequences_of_wipe(device: Device) -> Consequences:
    """Return what a selective wipe of the device does."""
    return _consequences(device.installations.all(), removes=Q(app__remove_on_selective_wipe=True))


def consequences_of_release(device: Device) -> Consequences:
    """Return what removing MDM control from the device does."""
    return _consequences(device.installations.all(), removes=Q(app__remove_on_mdm_removal=True))


def consequences_of_retirement(device: Device) -> Consequences:
    """Return what taking the device out of use does: every app goes."""
    return _consequences(device.installations.all(), removes=Q(pk__isnull=False))


def consequences_of_delete(app: App) -> Consequences:
    """Return what deleting the app from the catalog does."""
    return consequences_of_stop(app.installations.all())


def _consequences(installations: QuerySet[Installation], *, removes: Q) -> Consequences:
    reachable = Q(device__unenrolled_at=None) & ~Q(device__enrollment_id="")
    given_up = Q(pk__in=commands.given_up_installs().values("installation"))
    there = (ON_DEVICE | given_up) & ~Q(state__in=WITHOUT_APP)
    licensed = Q(asset__isnull=False)
    returning = licensed & Q(app__revoke_on_stop=True)
    counted = installations.aggregate(
        removes=Count("pk", filter=there & reachable & removes),
        keeps=Count("pk", filter=there & reachable & ~removes),
        unreachable=Count("pk", filter=there & ~reachable),
        cancels=Count("pk", filter=~there & Q(state__in=NOT_SENT_YET)),
        frees=Count("asset", filter=returning & Q(asset__is_revocable=True)),
        holds=Count("asset", filter=licensed & Q(app__revoke_on_stop=False)),
        not_reclaimable=Count("asset", filter=returning & Q(asset__is_revocable=False)),
    )
    return Consequences(**counted)


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

    MDM control is removed last, where that can be, by `release_retired`, or the device would hear no other command. One
    that is enrolled again afterwards is in use again.
    """
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
