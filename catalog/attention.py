"""What needs a person: tokens, apps, installations, devices and people that wait for somebody. It looks down on all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, cast

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin, User
from django.db.models import Count, OuterRef, Subquery
from django.urls import reverse
from django.utils import timezone

from catalog.approval.approvers import pending, steps_without_approver, waiting_for
from catalog.models import Addition, App, DeviceEvent, Distribution, Installation, InstallState, Outcome
from catalog.rows import app_rows
from catalog.tables import by_licenses
from catalog.updates.facts import pilots_in_trouble, stuck
from catalog.updates.gathering import GAVE_UP
from catalog.updates.rows import FAILED_FOR_GOOD
from tokens.diagnosis import diagnose
from tokens.models import ClientUser, ClientUserStatus, ContentToken, SyncRun
from vppportal.groups.models import Device
from vppportal.templatetags.portal import days_left, spoken
from vppportal.wording import number
from vppportal.work import WorkState

SOON: Final = timedelta(days=30)
QUIET: Final = timedelta(days=1)
"""So long without a word from the MDM server, while devices are enrolled, something is wrong with it."""
NAMED: Final = 3
"""Of so many apps each is named; of more only their number."""


@dataclass(frozen=True, slots=True)
class Attention:
    """Something that needs a person: how bad it is (a tone of the status pills), what, and where to go."""

    tone: str
    sentence: str
    url: str
    step: str


def needing_attention(viewer: PermissionsMixin | AbstractBaseUser | AnonymousUser) -> Iterator[Attention]:
    """Yield what needs a person, as far as the viewer may see it; each kind costs one query, however much there is."""
    may = viewer.has_perm  # type: ignore[union-attr]
    yield from _tokens()
    yield from _apps()
    yield from _approvals(cast(User, viewer))
    yield from _installations()
    yield from _updates()
    if may("groups.view_device"):
        yield from _devices()
    if may("groups.view_manageduser"):
        yield from _invitations()


def _tokens() -> Iterator[Attention]:
    for token in ContentToken.objects.refused():
        diagnosis = diagnose(token)
        if diagnosis is not None:
            yield Attention("red", diagnosis.headline, token.get_absolute_url(), "See what to do")
    usable = ContentToken.objects.usable()
    for token in usable.filter(expires_at__lt=timezone.now() + SOON).order_by("expires_at"):
        days = days_left(token.expires_at)
        when = f"in {number(days, 'day', 'days')}" if days > 0 else "today"
        sentence = f"“{token}” expires {when}."
        yield Attention("orange", sentence, reverse("token-renew", args=[token.pk]), "Renew")
    for token in usable.filter(is_read_only=True):
        sentence = f"Apple lets the account of “{token}” only read."
        yield Attention("orange", sentence, token.get_absolute_url(), "See what to do")
    newest = SyncRun.objects.filter(token=OuterRef("pk")).order_by("-pk").values("state")[:1]
    for token in usable.annotate(last_state=Subquery(newest)).filter(last_state=WorkState.FAILED):
        yield Attention("orange", f"The last sync of “{token}” failed.", token.get_absolute_url(), "Show")


def _apps() -> Iterator[Attention]:
    failed = Addition.objects.filter(outcome=Outcome.NOT_FOUND, token__deleted_at=None)
    counted = failed.values_list("token", "token__name").annotate(number=Count("pk")).order_by("token__name")
    for token_id, name, count in counted:
        url = f"{reverse('token', args=[token_id])}?outcome={Outcome.NOT_FOUND}"
        sentence = f"“{name}”: {number(count, 'app is', 'apps are')} not found in the App Store."
        yield Attention("orange", sentence, url, "Show")
    if empty := by_licenses(app_rows(), "licenses", "none_left").count():
        url = f"{reverse('catalog')}?licenses=none_left"
        yield Attention("yellow", f"{number(empty, 'app is', 'apps are')} out of licenses.", url, "Show")


def _approvals(viewer: User) -> Iterator[Attention]:
    url = reverse("approvals")
    mine = waiting_for(viewer).count()
    if mine:
        sentence = f"{number(mine, 'app waits', 'apps wait')} for your approval."
        yield Attention("yellow", sentence, f"{url}?whose=me", "Decide")
    if others := pending().count() - mine:
        sentence = f"{number(others, 'app waits', 'apps wait')} for the approval of others."
        yield Attention("yellow", sentence, url, "Show")
    for step in steps_without_approver():
        sentence = f"Nobody can decide at the approval step “{step}”: its groups have no active member who may."
        if viewer.has_perm("catalog.change_catalogsettings"):
            address = reverse("approval-step-edit", args=[step.pk])
            yield Attention("orange", sentence, address, "Choose others")
        else:
            yield Attention("orange", sentence, url, "Show")


def _installations() -> Iterator[Attention]:
    of_apps = Installation.objects.filter(app__deleted_at=None)
    failed = of_apps.filter(state=InstallState.FAILED).values_list("app", "app__listing__name")
    counted = list(failed.annotate(number=Count("pk")).order_by("-number", "app"))
    for app_id, name, count in counted if len(counted) <= NAMED else ():
        url = f"{reverse('installations', args=[app_id])}?state={InstallState.FAILED}"
        yield Attention("orange", f"“{name}” failed on {number(count, 'device', 'devices')}.", url, "Show")
    if len(counted) > NAMED:
        failures = sum(count for *_, count in counted)
        sentence = f"{failures:,} installations of {len(counted):,} apps failed."
        yield Attention("orange", sentence, f"{reverse('catalog')}?installations={InstallState.FAILED}", "Show")
    if waiting := of_apps.filter(state=InstallState.IN_LINE).count():
        sentence = f"{number(waiting, 'installation waits', 'installations wait')} for a license."
        yield Attention("yellow", sentence, reverse("line"), "Show the line")


def _updates() -> Iterator[Attention]:
    pilots = pilots_in_trouble()
    many = "on too many devices"
    yield from _rollouts(pilots.stopped, f"stopped: its pilot failed {many}", f"stopped: their pilots failed {many}")
    late = "without a device that has the version"
    yield from _rollouts(pilots.stalled, f"waits: its pilot is over {late}", f"wait: their pilots are over {late}")
    waiting = list(stuck())
    for app in waiting[:NAMED]:
        sentence = f"Updates of “{app}” wait for ever: its pilot group was deleted, or its one-time window is over."
        yield Attention("orange", sentence, f"{app.get_absolute_url()}#updates", "Choose")
    if more := len(waiting[NAMED:]):
        sentence = f"So do updates of {number(more, 'more app', 'more apps')}."
        yield Attention("orange", sentence, f"{reverse('catalog')}?update=pending", "Show")
    failed = Installation.objects.filter(GAVE_UP, app__deleted_at=None).values_list("app", "app__listing__name")
    counted = list(failed.annotate(number=Count("pk")).order_by("-number", "app"))
    for app_id, name, count in counted if len(counted) <= NAMED else ():
        url = f"{reverse('installations', args=[app_id])}?update={FAILED_FOR_GOOD}"
        yield Attention("orange", f"Updating “{name}” failed on {number(count, 'device', 'devices')}.", url, "Show")
    if len(counted) > NAMED:
        failures = sum(count for *_, count in counted)
        sentence = f"{failures:,} updates of {len(counted):,} apps failed."
        yield Attention("orange", sentence, f"{reverse('catalog')}?update=failed", "Show")


def _rollouts(apps: list[App], what: str, what_of_many: str) -> Iterator[Attention]:
    for app in apps if len(apps) <= NAMED else ():
        sentence = f"The roll-out of “{app}” {app.listing.version} {what}."
        yield Attention("orange", sentence, f"{app.get_absolute_url()}#updates", "Decide")
    if len(apps) > NAMED:
        sentence = f"The roll-outs of {len(apps):,} apps {what_of_many}."
        yield Attention("orange", sentence, f"{reverse('catalog')}?update=pending", "Show")


def _devices() -> Iterator[Attention]:
    yield from _channel()
    if silent := Device.objects.silent().count():
        sentence = f"{number(silent, 'device was', 'devices were')} not seen for 14 days."
        yield Attention("yellow", sentence, f"{reverse('devices')}?seen=silent", "Show")


def _channel() -> Iterator[Attention]:
    url = reverse("device-channel")
    if not settings.NANOMDM_URL:
        if Distribution.objects.in_force().exists():
            sentence = "No MDM server is set up: apps are licensed, but reach no device."
            yield Attention("red", sentence, url, "See what to do")
        return
    heard = DeviceEvent.objects.order_by("-pk").values_list("received_at", flat=True).first()
    if heard is None:
        yield Attention("yellow", "The MDM server has not told the portal anything yet.", url, "Show")
    elif heard < timezone.now() - QUIET and Device.objects.enrolled().exists():
        sentence = f"The MDM server was heard last {spoken(heard, timezone.now())}."
        yield Attention("orange", sentence, url, "Show")


def _invitations() -> Iterator[Attention]:
    invited = ClientUser.objects.filter(status=ClientUserStatus.REGISTERED, person__isnull=False)
    kept = invited.filter(token__deleted_at=None).values_list("token", "token__name")
    for token_id, name, count in kept.annotate(number=Count("pk")).order_by("token__name"):
        sentence = f"“{name}”: {number(count, 'person has', 'people have')} not accepted Apple's invitation yet."
        url = f"{reverse('token-people', args=[token_id])}?standing={ClientUserStatus.REGISTERED}&known=no"
        yield Attention("yellow", sentence, url, "Show")
