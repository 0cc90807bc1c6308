"""A device's page: its apps, licenses and commands, and what an administrator can do to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from catalog import consequences, installed, removal
from catalog.installation_tables import in_order, installation_rows
from catalog.models import UNDER_WAY, WITHOUT_APP, CommandKind, Installation, InstallState, UpdateState
from catalog.progress import is_being_planned
from catalog.rows import held_licenses
from catalog.updates.rows import put_rulings_on
from tokens.models import Assignment
from vppportal.groups.changes import remove
from vppportal.groups.models import Device, EnrollmentType
from vppportal.wording import number

COMMANDS_SHOWN = 20
NOTHING_ON_IT = "It has no apps of the portal and holds no licenses."
LEFT_BEHIND = "They stay where they are: nobody can take them back afterwards."
CANNOT_RELEASE = "MDM control cannot be removed: the portal is not told which profile that is (MDM_PROFILE_IDENTIFIER)."
GONE = (InstallState.SKIPPED, *WITHOUT_APP)


@permission_required("groups.view_device", raise_exception=True)
def device(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a device; what moves refreshes itself."""
    device = _device(pk)
    template = "catalog/_device_now.html" if request.headers.get("HX-Target") == "now" else "catalog/device.html"
    return render(request, template, _context(request, device))


@permission_required("groups.control_device", raise_exception=True)
def device_wipe(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the organization's apps off a device, after saying which."""
    device = _device(pk)
    if device.wiped_at or device.retired_at:
        return _too_late(request, device, "Its apps have been taken away already.")
    return _control(
        request,
        device,
        act=removal.wipe,
        title=f"Wipe “{device}” selectively?",
        sentences=[
            *consequences.of_wipe(device).sentences(),
            "What the person put on the device stays as it is, and the device stays enrolled.",
            "Nothing more is sent to it until somebody lifts the wipe, or it is enrolled anew.",
        ],
        verb="Wipe selectively",
        done="is being wiped: its apps are taken away.",
        is_grave=True,
    )


@permission_required("groups.control_device", raise_exception=True)
def device_lift(request: HttpRequest, pk: int) -> HttpResponse:
    """Send apps to a selectively wiped device again."""
    device = _device(pk)
    if not device.wiped_at:
        return _too_late(request, device, "It is not wiped.")
    return _control(
        request,
        device,
        act=removal.lift_wipe,
        title=f"Lift the wipe of “{device}”?",
        sentences=["The device receives apps and licenses again, as the distributions in force say."],
        verb="Lift the wipe",
        done="receives apps again.",
    )


@permission_required("groups.control_device", raise_exception=True)
def device_release(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove MDM control from a device, after saying what goes with it."""
    device = _device(pk)
    if not device.is_enrolled:
        return _too_late(request, device, "It is not under MDM control.")
    if not removal.can_release():
        return _too_late(request, device, CANNOT_RELEASE)
    return _control(
        request,
        device,
        act=removal.release,
        title=f"Remove MDM control from “{device}”?",
        sentences=[
            "The device is told to remove the MDM profile. From then on the portal cannot reach it.",
            *consequences.of_release(device).sentences(),
            "The device stays in the list, and can be enrolled again.",
        ],
        verb="Remove MDM control",
        done="is told to remove the MDM profile.",
        is_grave=True,
    )


@permission_required("groups.control_device", raise_exception=True)
def device_retire(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a device out of use, after saying what that takes away."""
    device = _device(pk)
    if device.retired_at:
        return _too_late(request, device, "It is retired already.")
    return _control(
        request,
        device,
        act=removal.retire,
        title=f"Retire “{device}”?",
        sentences=[
            *consequences.of_retirement(device).sentences(),
            "Then MDM control is removed, and nothing is sent to the device any more."
            if removal.can_release()
            else f"Nothing else is sent to the device any more. {CANNOT_RELEASE}",
            "The device stays in the list as retired; it can be deleted from there, or enrolled anew.",
        ],
        verb="Retire",
        done="is being retired.",
        is_grave=True,
    )


@permission_required("groups.control_device", raise_exception=True)
def device_ask(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask a device which apps are installed on it."""
    device = _device(pk)
    if not device.is_enrolled:
        return _too_late(request, device, "It is not under MDM control.")
    told_of = "Only the apps that are managed"
    if device.enrollment_type != EnrollmentType.USER:
        told_of = "All apps, those that the person installed among them,"
    return _control(
        request,
        device,
        act=installed.ask,
        title=f"Ask “{device}” what is installed?",
        sentences=[
            f"{told_of} are listed on this page, for those who may control devices.",
            "The answer is kept for 14 days. Nothing changes on the device.",
        ],
        verb="Ask",
        done="is asked what is installed.",
    )


@permission_required("groups.delete_device", raise_exception=True)
def device_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a device; one that has apps or licenses is to be retired first, or nobody would take them back."""
    device = _device(pk)
    hanging = _hanging(device)
    if hanging and not device.retired_at:
        context = {
            "title": f"“{device}” cannot be deleted yet",
            "sentences": [
                *hanging,
                "Deleted now, it would keep both, and the portal would have no way to take them back.",
                "Retire it first: that takes its apps away and gives its licenses back.",
            ],
            "device": device,
        }
        return render(request, "catalog/device_kept.html", context, status=409 if request.method == "POST" else 200)
    if request.method == "POST":
        remove(device, request.user)
        messages.success(request, f"“{device}” is deleted.")
        return redirect("devices")
    context = {
        "title": f"Delete “{device}”?",
        "sentences": [
            f"The portal forgets the device {device.serial_number}{f' ({device.name})' if device.name else ''}.",
            *([*hanging, LEFT_BEHIND] if hanging else [NOTHING_ON_IT]),
        ],
        "verb": "Delete",
        "back": device.get_absolute_url(),
        "is_grave": True,
    }
    return render(request, "confirm.html", context)


def _device(pk: int) -> Device:
    return get_object_or_404(Device.objects.select_related("owner"), pk=pk)


def _context(request: HttpRequest, device: Device) -> dict[str, Any]:
    """Return what the page shows, as far as the viewer may see it."""
    may_see_apps = request.user.has_perm("catalog.view_app")
    apps = list(in_order(installation_rows().filter(device=device))) if may_see_apps else []
    put_rulings_on(apps)
    commands = list(device.commands.select_related("installation__app__listing")[:COMMANDS_SHOWN])
    return {
        "device": device,
        "groups": device.owner.groups.all() if device.owner else (),
        "apps": apps,
        "licenses": held_licenses(_held(device)) if request.user.has_perm("tokens.view_contenttoken") else (),
        "installed": installed.last_told(device) if request.user.has_perm("groups.control_device") else None,
        "commands": commands,
        "can_release": removal.can_release(),
        "is_under_way": any(row.state in UNDER_WAY or row.update_state == UpdateState.UNDER_WAY for row in apps)
        or any(command.is_open for command in commands)
        or is_being_planned(row.app_id for row in apps),
        "is_being_released": any(
            command.kind == CommandKind.REMOVE_PROFILE and command.is_open for command in commands
        ),
    }


def _held(device: Device) -> Any:
    """Return the licenses a device holds by its serial number."""
    if not device.serial_number:
        return Assignment.objects.none()
    return Assignment.objects.filter(serial_number=device.serial_number)


def _hanging(device: Device) -> list[str]:
    """Return in sentences what would be left behind if the device were forgotten now."""
    apps = Installation.objects.filter(device=device).exclude(state__in=GONE).count()
    licenses = _held(device).filter(asset__token__deleted_at=None).count()
    return [
        sentence
        for left, sentence in (
            (apps, f"{number(apps, 'app is', 'apps are')} on it, or on the way to it."),
            (licenses, f"It holds {number(licenses, 'license', 'licenses')}."),
        )
        if left
    ]


def _too_late(request: HttpRequest, device: Device, why: str) -> HttpResponse:
    messages.info(request, f"Nothing was done to “{device}”. {why}")
    return redirect(device)


def _control(
    request: HttpRequest,
    device: Device,
    *,
    act: Callable[[Device, User], bool],
    title: str,
    sentences: list[str],
    verb: str,
    done: str,
    is_grave: bool = False,
) -> HttpResponse:
    """Ask whether it is meant so; do it once it is confirmed."""
    if request.method == "POST":
        if not act(device, cast(User, request.user)):
            return _too_late(request, device, "Somebody else has done this already.")
        messages.success(request, f"“{device}” {done}")
        return redirect(device)
    context = {
        "title": title,
        "sentences": sentences,
        "verb": verb,
        "back": reverse("device", args=[device.pk]),
        "is_grave": is_grave,
    }
    return render(request, "confirm.html", context)
