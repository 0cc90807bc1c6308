"""The way back: what is removed from devices and which licenses return, by the policies of each app."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import QuerySet

from catalog.models import App, Installation
from tokens.models import ContentToken
from vppportal.groups.models import Device


@dataclass(frozen=True, slots=True)
class Consequences:
    """What taking apps away would do, in numbers."""

    removes: int = 0
    keeps: int = 0
    frees: int = 0
    holds: int = 0
    not_reclaimable: int = 0
    cancels: int = 0

    def sentences(self) -> list[str]:
        """Return the numbers as sentences for the confirmation page."""
        raise NotImplementedError


def consequences_of_stop(installations: QuerySet[Installation]) -> Consequences:
    """Return what stopping these installations does."""
    raise NotImplementedError


def consequences_of_wipe(device: Device) -> Consequences:
    """Return what a selective wipe of the device does."""
    raise NotImplementedError


def wipe(device: Device, by: User) -> None:
    """Take the organization's apps off a device; nothing is sent to it until that is lifted."""
    raise NotImplementedError


def lift_wipe(device: Device, by: User) -> None:
    """Send apps to a selectively wiped device again."""
    raise NotImplementedError


def release(device: Device, by: User) -> None:
    """Remove MDM control from a device: it forgets the MDM server and what came with it."""
    raise NotImplementedError


def retire(device: Device, by: User) -> None:
    """Take a device out of use: apps, MDM control and licenses."""
    raise NotImplementedError


def delete_app(app: App, by: User) -> None:
    """Delete an app from the catalog, after taking it off devices and its licenses back as its policies say."""
    raise NotImplementedError


def apply_policies(token: ContentToken, by: User) -> int:
    """Give the token's policies to the apps it added; return how many changed."""
    raise NotImplementedError
