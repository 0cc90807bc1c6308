"""Apps of which a new version is out, and devices that have the old one, for tests of updates."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from catalog.models import App, CatalogSettings, Command, Installation
from catalog.updates import updating
from tests.channel import answer, told
from tests.factories import AppFactory, InstallationFactory, ListingFactory, ManagedUserFactory, UserGroupFactory
from tokens.models import Listing, ListingVersion
from vppportal.groups.models import UserGroup
from vppportal.work import OPEN_STATES

OLD, NEW = 10, 20


def released(**fields: Any) -> App:
    """Return an app whose store has version 2, and had version 1; `listing__...` fields are its listing's."""
    listing = {"bundle_id": "example.app", "version": "2.0", "external_version_id": NEW}
    given = {name.removeprefix("listing__"): fields.pop(name) for name in list(fields) if name.startswith("listing__")}
    entry: Listing = ListingFactory(**{**listing, "version_seen_at": timezone.now(), **given})
    ListingVersion.objects.create(listing=entry, external_version_id=OLD, version="1.0")
    app: App = AppFactory(listing=entry, **fields)
    return app


def behind(app: App | None = None, **fields: Any) -> Installation:
    """Return an installation of the old version on a device that told it a moment ago."""
    told_now = {"external_version_id": OLD, "version": "1.0", "confirmed_at": timezone.now()}
    row: Installation = InstallationFactory(app=app or released(), installed=True, **{**told_now, **fields})
    return row


def begun(app: App | None = None, **fields: Any) -> Command:
    """Return the command that updates an app on a device, as a pass stored it."""
    row = behind(app, **fields)
    updating.propagate()
    return update_of(row)


def update_of(row: Installation) -> Command:
    """Return the update that is open for an installation."""
    return Command.objects.get(installation=row, updates_to__isnull=False, state__in=OPEN_STATES)


def stored(row: Installation | Command) -> Installation:
    """Return an installation, or a command's, as it is stored now."""
    pk = row.pk if isinstance(row, Installation) else row.installation_id or 0
    return Installation.objects.select_related("app__listing", "device").get(pk=pk)


def lists(command: Command, status: str, version: int | None = None, *, at: Any = None) -> None:
    """Let the device of an update answer the list it is asked for."""
    asked = Command.objects.get(device=command.device_id, kind="ManagedApplicationList", state__in=OPEN_STATES)
    entry = {"Status": status} | ({"ExternalVersionIdentifier": version} if version else {})
    told(answer(asked, "Acknowledged", at=at, ManagedApplicationList={"example.app": entry} if status else {}))


def portal(**settings: Any) -> None:
    """Set the settings of the App Catalog."""
    CatalogSettings.objects.update_or_create(pk=1, defaults=settings)


def piloted(app: App, number: int = 1) -> tuple[UserGroup, list[Installation]]:
    """Give an app a pilot of 24 hours; return its group and so many installations on its people's devices."""
    group: UserGroup = UserGroupFactory(name=f"IT {app.pk}")
    App.objects.filter(pk=app.pk).update(pilot_group=group, pilot_hours=24)
    app.refresh_from_db()
    return group, [behind(app, device__owner=ManagedUserFactory(groups=[group])) for _ in range(number)]
