"""What devices say, in plain words: Apple's error codes, rejection reasons and states of managed apps."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final


class Turn(StrEnum):
    """What a reason leads to."""

    AGAIN = "again"  # it often helps to wait and send the command again
    NO_LICENSE = "no_license"  # so it does here; where it does not, Apple has to be asked for the license
    QUEUED = "queued"  # the device is at it already
    THERE = "there"  # the person has installed the app
    NOT_MANAGED = "not_managed"  # the app is not ours to command
    FINAL = "final"  # nothing but a person can help
    OTHER = "other"  # nobody knows


_NO_LICENSE: Final = "The device did not find its license at Apple"

CODES: Final[dict[int, tuple[Turn, str]]] = {
    506: (Turn.QUEUED, "The device is installing the app already"),
    2605: (Turn.NO_LICENSE, _NO_LICENSE),
    9610: (Turn.NO_LICENSE, _NO_LICENSE),
    12021: (Turn.FINAL, "The device does not know this command"),
    12023: (Turn.FINAL, "The App Store does not know the app in the device's country"),
    12025: (Turn.THERE, "The person has installed the app already"),
    12026: (Turn.NO_LICENSE, _NO_LICENSE),
    12029: (Turn.NOT_MANAGED, "The app is not under our management"),
    12031: (Turn.FINAL, "Installing apps is forbidden on the device"),
    12035: (Turn.FINAL, "The app cannot be bought"),
    12036: (Turn.FINAL, "The app cannot be removed"),
    12037: (Turn.FINAL, "The redemption code is not valid"),
    12038: (Turn.NOT_MANAGED, "The app is not under our management"),
    12040: (Turn.FINAL, "Somebody has to sign in to the App Store on the device"),
    12046: (Turn.NO_LICENSE, _NO_LICENSE),
    12047: (Turn.NO_LICENSE, _NO_LICENSE),
    12063: (Turn.FINAL, "The person declined the app"),
    12064: (Turn.NO_LICENSE, _NO_LICENSE),
    12065: (Turn.FINAL, "The app belongs to the device's system"),
    12081: (Turn.FINAL, "The device is not connected as it has to be for this"),
}
"""Apple's numbers of errors on devices, as far as they are known to come with apps."""

REJECTIONS: Final[dict[str, tuple[Turn, str]]] = {
    "AppAlreadyInstalled": (Turn.THERE, "The person has installed the app already"),
    "AppAlreadyQueued": (Turn.QUEUED, "The device is installing the app already"),
    "AppStoreDisabled": (Turn.FINAL, "The App Store is switched off on the device"),
    "CouldNotVerifyAppID": (Turn.FINAL, "The App Store does not know the app in the device's country"),
    "ManagementChangeNotSupported": (Turn.FINAL, "The device cannot put an app under management that is there already"),
    "NotAnApp": (Turn.FINAL, "The App Store says that this is no app"),
    "NotSupported": (Turn.FINAL, "The device does not support installing this app"),
    "PurchaseMethodNotSupported": (Turn.FINAL, "The device does not support this kind of license"),
    "PurchaseMethodNotSupportedInMultiUser": (Turn.FINAL, "A Shared iPad does not support this kind of license"),
}
"""Apple's reasons for not installing an app; a Mac always says `Other`, of which the error numbers say more."""

IN_PROGRESS: Final[dict[str, str]] = {
    "Queued": "The device will install the app.",
    "NeedsRedemption": "The device waits for a redemption code.",
    "Redeeming": "The device is redeeming a code.",
    "Prompting": "The device asks its person whether to install the app.",
    "PromptingForLogin": "The device asks its person to sign in to the App Store.",
    "ValidatingPurchase": "The device is checking the license.",
    "Installing": "The device is installing the app.",
    "PromptingForUpdate": "The device asks its person whether to update the app.",
    "PromptingForUpdateLogin": "The device asks its person to sign in to the App Store for the update.",
    "ValidatingUpdate": "The device is checking the license of the update.",
    "Updating": "The device is updating the app.",
    "PromptingForManagement": "The device asks its person whether the app may be managed.",
}
"""States of a managed app on its way, as a device names them."""

OVER: Final[dict[str, str]] = {
    "Failed": "The installation failed on the device.",
    "UserRejected": "The person declined the app.",
    "UpdateRejected": "The person declined the update.",
    "ManagementRejected": "The person did not let the app be managed.",
    "UserInstalledApp": "The person installed the app before the device could.",
}
"""States in which an installation ended; a device tells each once."""

UPDATE_OVER: Final[dict[str, tuple[Turn, str]]] = {
    "Failed": (Turn.AGAIN, "The update failed on the device, most often because its storage is full."),
    "UserRejected": (Turn.FINAL, "The person declined the update."),
    "UpdateRejected": (Turn.FINAL, "The person declined the update."),
    "ManagementRejected": (Turn.FINAL, "The person did not let the app be managed."),
    "UserInstalledApp": (Turn.AGAIN, "The person installed the app before the device could."),
}
"""The same states where the app was there before: it stays as it is."""

INVITATIONS: Final[dict[str, str]] = {
    "Acknowledged": "The device showed the invitation.",
    "InvalidProgramID": "The device does not know Apple's program.",
    "InvalidInvitationURL": "The device did not accept the address of the invitation.",
}
"""What a device says to an invitation to Apple's program."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")


def in_words(text: str) -> str:
    """Return a device's own sentence in one line, without its full stop."""
    return _CONTROL.sub(" ", text).strip().rstrip(".")[:200]
