"""Gather what a plan needs to know about an app: a constant number of queries, however many devices there are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from catalog.facts import Current, Facts, Key, Supply, Target, Wish
from catalog.models import App, AppStatus, Distribution, DistributionState, Installation, InstallState, Reason, When
from tokens import licenses
from tokens.models import (
    Asset,
    Assignment,
    ClientUser,
    ClientUserStatus,
    OperationKind,
    Quota,
    TargetState,
)
from tokens.models import Target as OperationTarget
from vppportal.groups.models import Device, ManagedUser, UserGroup

AUDIENCE = ("groups", "people", "devices", "excluded_groups", "excluded_people", "excluded_devices")
WITHOUT_A_CLAIM: Final = (
    Reason.NOT_WANTED,
    Reason.WIPED,
    Reason.RETIRED,
    Reason.PERSON_LEFT,
    Reason.NOT_ENROLLED,
)
NOT_ENOUGH_LICENSES: Final = 9709
Groups = dict[int, set[int]]
"""The people of each group."""


@dataclass(frozen=True, slots=True)
class _Audience:
    """A distribution with the keys of whom it names."""

    wish: Wish
    is_for_everyone: bool
    people: set[int]
    devices: set[int]
    excluded_people: set[int]
    excluded_devices: set[int]

    def includes(self, device_id: int | None, person_id: int | None) -> bool:
        """Is the app meant for this device of this person? An exclusion always wins."""
        if device_id in self.excluded_devices or person_id in self.excluded_people:
            return False
        return self.is_for_everyone or person_id in self.people or device_id in self.devices


def gather(
    app: App, *, drafts: Sequence[Distribution] = (), replaces: Iterable[int] = (), people: bool = False
) -> Facts:
    """Return the facts about an app.

    `drafts` count as if they were in force, in place of the distributions whose keys are in `replaces`; with `people`,
    those who are meant and have no device are targets, too.
    """
    in_force = app.distributions.in_force().exclude(pk__in=[*replaces, *(draft.pk for draft in drafts)])
    wanted = [*in_force.prefetch_related(*AUDIENCE), *_prefetched(drafts)]
    assets = list(
        Asset.objects.filter(adam_id=app.adam_id, gone_at=None, token__deleted_at=None, product_type="App")
        .select_related("token")
        .prefetch_related("token__restricted_to")
        .order_by("token__preference", "token__name", "pricing_param")
    )
    quotas = list(Quota.objects.filter(adam_id=app.adam_id, token__in={asset.token_id for asset in assets}))
    groups = _groups(wanted, assets, quotas)
    audiences = sorted((_audience(row, groups) for row in wanted), key=lambda one: _precedence(one.wish))
    devices = _devices(app, wanted)
    holders = _holders(assets, devices, quotas)
    targets = _targets(app, devices, audiences, holders.accounts)
    if people:
        targets += _people_without_device(audiences, wanted)
    listing = app.listing
    known = {platform for asset in assets for platform in asset.platforms.split(",") if platform}
    return Facts(
        app_id=app.pk,
        targets=tuple(targets),
        supplies=tuple(_supplies(assets, groups, quotas, holders)),
        held=frozenset(holders.held),
        assigning=frozenset(holders.assigning),
        revoking=frozenset(holders.revoking),
        refused=_refused(assets),
        is_approved=app.status == AppStatus.AVAILABLE,
        is_deleted=app.deleted_at is not None,
        platforms=frozenset(known or {platform for platform in listing.platforms.split(",") if platform}),
        minimum_os=version(listing.minimum_os),
        remove_on_stop=app.remove_on_stop,
        remove_on_selective_wipe=app.remove_on_selective_wipe,
        revoke_on_stop=app.revoke_on_stop,
    )


def version(text: str) -> tuple[int, ...]:
    """Return the numbers of a version, without trailing zeros: 17.0 is 17; nothing for what has none."""
    numbers = [int(number[:9]) for number in re.findall(r"\d+", text.split(" ")[0])]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _prefetched(drafts: Sequence[Distribution]) -> list[Distribution]:
    return list(Distribution.objects.filter(pk__in=[draft.pk for draft in drafts]).prefetch_related(*AUDIENCE))


def _precedence(wish: Wish) -> tuple[int, bool, bool, int]:
    """Where several distributions include a device, the most urgent one serves it."""
    return (wish.priority, wish.is_paused, wish.when == When.ON_DEMAND, wish.id)


def _audience(row: Distribution, groups: Groups) -> _Audience:
    def members(chosen: Iterable[UserGroup], people: Iterable[ManagedUser]) -> set[int]:
        return {person.pk for person in people}.union(*(groups.get(group.pk, set()) for group in chosen))

    return _Audience(
        Wish(row.pk, row.license_kind, row.when, row.priority, row.state == DistributionState.PAUSED),
        row.is_for_everyone,
        members(row.groups.all(), row.people.all()),
        {device.pk for device in row.devices.all()},
        members(row.excluded_groups.all(), row.excluded_people.all()),
        {device.pk for device in row.excluded_devices.all()},
    )


def _groups(wanted: Iterable[Distribution], assets: Iterable[Asset], quotas: Iterable[Quota]) -> Groups:
    """Return the people of every group that matters here."""
    named = {group.pk for row in wanted for group in (*row.groups.all(), *row.excluded_groups.all())}
    named |= {group.pk for asset in assets for group in asset.token.restricted_to.all()}
    named |= {quota.group_id for quota in quotas}
    members: Groups = defaultdict(set)
    through = ManagedUser.groups.through.objects.filter(usergroup__in=named)
    for group_id, person_id in through.values_list("usergroup", "manageduser"):
        members[group_id].add(person_id)
    return members


def _devices(app: App, wanted: Sequence[Distribution]) -> QuerySet[Device]:
    """Return the devices that the app is, or was, meant for."""
    has_it = Q(Exists(Installation.objects.filter(app=app, device=OuterRef("pk"))))
    if any(row.is_for_everyone for row in wanted):
        return Device.objects.all()
    people = {person.pk for row in wanted for person in row.people.all()}
    devices = {device.pk for row in wanted for device in row.devices.all()}
    groups = {group.pk for row in wanted for group in row.groups.all()}
    in_groups = ManagedUser.groups.through.objects.filter(usergroup__in=groups).values("manageduser")
    return Device.objects.filter(has_it | Q(owner__in=in_groups) | Q(owner__in=people) | Q(pk__in=devices))


@dataclass(frozen=True, slots=True)
class _Holders:
    """Who holds, or is about to hold or lose, licenses of the app."""

    held: set[Key]
    assigning: set[Key]
    revoking: set[Key]
    client_users: dict[int, dict[int, tuple[str, bool]]]
    troubles: dict[int, dict[int, str]]
    accounts: dict[int, bool]
    owners: dict[str, int | None]


def _holders(assets: Sequence[Asset], devices: QuerySet[Device], quotas: Sequence[Quota]) -> _Holders:
    keys = [asset.pk for asset in assets]
    tokens = {asset.token_id for asset in assets}
    counted = ManagedUser.groups.through.objects.filter(usergroup__in=[quota.group_id for quota in quotas])
    known = Device.objects.filter(Q(pk__in=devices.values("pk")) | Q(owner__in=counted.values("manageduser")))
    people = ClientUser.objects.filter(token__in=tokens, person__isnull=False)
    assigned = Assignment.objects.filter(asset__in=keys)
    held = set(assigned.filter(serial_number__in=known.values("serial_number")).values_list("asset", "serial_number"))
    held |= set(
        assigned.filter(client_user_id__in=people.values("client_user_id")).values_list("asset", "client_user_id")
    )
    changes: dict[str, set[Key]] = {OperationKind.ASSIGN: set(), OperationKind.REVOKE: set()}
    under_way = OperationTarget.objects.filter(asset__in=keys, state=TargetState.OPEN)
    for kind, asset_id, serial, client_user in under_way.values_list(
        "operation__kind", "asset", "serial_number", "client_user_id"
    ):
        changes[kind].add((asset_id or 0, serial or client_user))
    client_users: dict[int, dict[int, tuple[str, bool]]] = defaultdict(dict)
    troubles: dict[int, dict[int, str]] = defaultdict(dict)
    owners: dict[str, int | None] = {}
    live = people.exclude(status__in=(ClientUserStatus.RETIRED, ClientUserStatus.DELETED))
    for token_id, person_id, name, status, trouble in live.values_list(
        "token", "person", "client_user_id", "status", "trouble"
    ):
        client_users[token_id][person_id or 0] = (name if status else "", status == ClientUserStatus.ASSOCIATED)
        if trouble and not status:
            troubles[token_id][person_id or 0] = trouble
        owners[name] = person_id
    accounts: dict[int, bool] = {}
    rows = known.values_list("serial_number", "owner", "owner__email", "owner__managed_apple_account")
    for serial, owner, email, account in rows:
        owners[serial] = owner
        accounts[owner or 0] = bool(email or account)
    return _Holders(
        held, changes[OperationKind.ASSIGN], changes[OperationKind.REVOKE], client_users, troubles, accounts, owners
    )


def _refused(assets: Sequence[Asset]) -> dict[Key, str]:
    """Return whom Apple refused a license within a day, with its sentence; for want of licenses does not count."""
    failed = OperationTarget.objects.filter(
        asset__in=assets,
        state=TargetState.FAILED,
        operation__kind=OperationKind.ASSIGN,
        operation__settled_at__gt=timezone.now() - timedelta(days=1),
    ).exclude(number=NOT_ENOUGH_LICENSES)
    rows = failed.order_by("pk").values_list("asset", "serial_number", "client_user_id", "message")
    return {(asset_id or 0, serial or client_user): message for asset_id, serial, client_user, message in rows}


def _targets(
    app: App, devices: QuerySet[Device], audiences: Sequence[_Audience], accounts: dict[int, bool]
) -> list[Target]:
    now = timezone.now()
    current = {row.device_id: _current(row, now) for row in app.installations.all()}
    known = [_target(device, audiences, current.get(device.pk), accounts) for device in devices.select_related("owner")]
    return [target for target in known if target.wish or target.current]


def _target(
    device: Device, audiences: Sequence[_Audience], current: Current | None, accounts: dict[int, bool]
) -> Target:
    owner = device.owner_id
    return Target(
        device.pk,
        owner,
        wish=next((one.wish for one in audiences if one.includes(device.pk, owner)), None),
        serial_number=device.serial_number.upper(),
        platform=device.platform,
        os_version=version(device.os_version),
        enrollment_type=device.enrollment_type,
        blocked=_blocked(device),
        is_enrolled=device.is_enrolled,
        has_account=accounts.get(owner or 0, False),
        current=current,
    )


def _blocked(device: Device) -> Reason:
    """Return what takes away any claim this device may have."""
    if device.retired_at is not None:
        return Reason.RETIRED
    if device.wiped_at is not None:
        return Reason.WIPED
    if device.owner is not None and not device.owner.is_active:
        return Reason.PERSON_LEFT
    return Reason.NONE if device.is_enrolled else Reason.NOT_ENROLLED


def _current(row: Installation, now: Any) -> Current:
    return Current(
        InstallState(row.state),
        row.asset_id,
        row.holder,
        row.license_kind,
        row.queued_at,
        is_due=row.retry_at is not None and row.retry_at <= now,
        is_requested=row.is_requested,
        was_there=row.confirmed_at is not None,
        is_leaving=row.reason in WITHOUT_A_CLAIM,
    )


def _people_without_device(audiences: Sequence[_Audience], wanted: Sequence[Distribution]) -> list[Target]:
    """Return the people who are meant and have no device; they are named in a preview, and nothing is stored."""
    people = ManagedUser.objects.filter(devices=None)
    if not any(row.is_for_everyone for row in wanted):
        people = people.filter(pk__in=set().union(*(one.people for one in audiences)))
    targets = []
    for person_id, is_active in people.values_list("pk", "is_active"):
        wish = next((one.wish for one in audiences if one.includes(None, person_id)), None)
        if wish is not None:
            blocked = Reason.NONE if is_active else Reason.PERSON_LEFT
            targets.append(Target(None, person_id, wish, blocked=blocked))
    return targets


def _supplies(assets: Sequence[Asset], groups: Groups, quotas: Sequence[Quota], holders: _Holders) -> Iterable[Supply]:
    free = licenses.free(assets)
    for asset in assets:
        restricted = list(asset.token.restricted_to.all())
        yield Supply(
            asset.pk,
            asset.token_id,
            free[asset.pk],
            is_usable=asset.token.is_usable and not asset.token.is_read_only,
            is_device_assignable=asset.is_device_assignable,
            is_revocable=asset.is_revocable,
            admitted=frozenset().union(*(groups[group.pk] for group in restricted)) if restricted else None,
            client_users=holders.client_users.get(asset.token_id, {}),
            troubles=holders.troubles.get(asset.token_id, {}),
            quotas=tuple(_quota(asset, quota, groups, holders) for quota in quotas if quota.token_id == asset.token_id),
        )


def _quota(asset: Asset, quota: Quota, groups: Groups, holders: _Holders) -> tuple[frozenset[int], int]:
    """Return whose licenses a quota counts, and how many more it allows."""
    members = frozenset(groups[quota.group_id])
    taken = holders.held | holders.assigning
    used = sum(1 for asset_id, holder in taken if asset_id == asset.pk and holders.owners.get(holder) in members)
    return members, max(0, quota.limit - used)
