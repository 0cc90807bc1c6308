"""The policies of apps: what they are called, and changing those of one app."""

from __future__ import annotations

from typing import Any, Final

from django.db import transaction

from catalog import reconciling
from catalog.models import App
from tokens.models import ContentToken
from tokens.policies import POLICY_FIELDS
from vppportal.activity.models import Actor, record

HEADINGS: Final = {"remove_on_": "Remove app on: ", "revoke_on_": "Revoke license on: "}
OF_AN_APP: Final = tuple(name for name in POLICY_FIELDS if name != "require_approval")
"""What can be chosen for an app that is in the catalog already."""
TAKEN_ALONG: Final = ("remove_on_mdm_removal", "block_backup")
"""What a device is told together with the app, and keeps until it is told again."""


def named(name: str) -> str:
    """Return the name of a policy together with the heading it has on the Policies tab."""
    heading = next((words for start, words in HEADINGS.items() if name.startswith(start)), "")
    field: Any = App._meta.get_field(name)
    return f"{heading}{field.verbose_name}"


def store(app: App, changed: list[str], by: Actor) -> None:
    """Store the changed policies of an app; what they decide from now on is planned at once."""
    if not changed:
        return
    with transaction.atomic():
        app.save(update_fields=changed)
        record(by, "changed the policies of", app, fields=changed)
        reconciling.wake(App.objects.filter(pk=app.pk, reconciliation__isnull=False).values_list("pk", flat=True))


def changes(token: ContentToken, differing: dict[str, int]) -> list[str]:
    """Return in sentences what applying a token's policies changes, for so many apps each."""
    sentences = []
    for name, number in differing.items():
        now, before = ("on", "off") if getattr(token, name) else ("off", "on")
        apps = "1 app that has it" if number == 1 else f"{number:,} apps that have it"
        sentences.append(f"{named(name)}: {now} for {apps} {before}.")
    if any(name in differing for name in TAKEN_ALONG):
        told = " and ".join(f"“{named(name)}”" for name in TAKEN_ALONG if name in differing)
        sentences.append(f"Devices that have an app already follow {told} from its next install or update on.")
    return sentences
