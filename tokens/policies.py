"""The policies of a token, which its apps take over when they are added to the catalog."""

from __future__ import annotations

from typing import Final

from django.db import models


class Policies(models.Model):
    """What an administrator decides about the apps of a token; an app takes them over when it is added."""

    remove_on_mdm_removal = models.BooleanField(
        "MDM control removal",
        default=True,
        help_text="The device deletes the app and its data when it leaves management.",
    )
    remove_on_selective_wipe = models.BooleanField(
        "Selective wipe",
        default=True,
        help_text="The app is removed when an administrator wipes only what the organization put on the device.",
    )
    remove_on_stop = models.BooleanField(
        "Deletion from the portal or stopping distribution",
        default=True,
        help_text="The app is removed when it is deleted from the catalog or no longer distributed to the device.",
    )
    revoke_on_stop = models.BooleanField(
        "App is deleted or its distribution is stopped",
        default=True,
        help_text="The license returns to the token and can be given to somebody else. Books cannot be taken back.",
    )
    block_backup = models.BooleanField(
        "Restrict data backup",
        default=False,
        help_text="The data of the apps is left out of iTunes, Finder and iCloud backups.",
    )
    require_approval = models.BooleanField(
        "App approval",
        default=False,
        help_text="New apps wait as “Pending approval” and cannot be distributed until somebody approves them.",
    )

    class Meta:
        abstract = True


POLICY_FIELDS: Final = tuple(field.name for field in Policies._meta.local_fields)
