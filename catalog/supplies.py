"""What licenses of an app there are, who holds them, and who may, in a constant number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db.models import Q, QuerySet
from django.utils import timezone

from catalog.facts import Key, Supply
from catalog.models import App
from catalog.targets import Groups
from tokens import licenses
from tokens.models import (
    Asset,
    Assignment,
    ClientUser,
    ClientUserQuerySet,
    ClientUserStatus,
    OperationKind,
    Quota,
    Target,
    TargetState,
)
from vppportal.groups.models import Device, ManagedUser

NOT_ENOUGH_LICENSES: Final = 9709


@dataclass(frozen=True, slots=True)
class Stock:
    """The assets of an app in the order of preference, and the quotas on it."""

    assets: list[Asset]
    quotas: list[Quota]

    @classmethod
    def of(cls, app: App) -> Stock:
        """Return what the tokens in the portal own of an app."""
        assets = list(
            Asset.objects.filter(adam_id=app.adam_id, gone_at=None, token__deleted_at=None, product_type="App")
            .select_related("token")
            .prefetch_related("token__restricted_to")
            .order_by("token__preference", "token__name", "pricing_param")
        )
        tokens = {asset.token_id for asset in assets}
        return cls(assets, list(Quota.objects.filter(adam_id=app.adam_id, token__in=tokens)))

    def groups(self) -> set[int]:
        """Return the groups that decide who may have a license."""
        restricted = {group.pk for asset in self.assets for group in asset.token.restricted_to.all()}
        return restricted | {quota.group_id for quota in self.quotas}

    def platforms(self) -> frozenset[str]:
        """Return the platforms that Apple names with the licenses."""
        return frozenset(platform for asset in self.assets for platform in asset.platforms.split(",") if platform)


@dataclass(slots=True)
class Holders:
    """Who holds, or is about to hold or lose, licenses of the app, and who could."""

    held: set[Key]
    assigning: set[Key]
    revoking: set[Key]
    client_users: dict[int, dict[int, tuple[str, bool]]]
    by_account: dict[int, set[int]]
    troubles: dict[int, dict[int, str]]
    accounts: dict[int, bool]
    owners: dict[str, int | None]


def holders_of(stock: Stock, devices: QuerySet[Device]) -> Holders:
    """Return what is known of those devices, of the people at the tokens' locations, and of who has a quota."""
    counted = ManagedUser.groups.through.objects.filter(usergroup__in=[quota.group_id for quota in stock.quotas])
    known = Device.objects.filter(Q(pk__in=devices.values("pk")) | Q(owner__in=counted.values("manageduser")))
    tokens = {asset.token_id for asset in stock.assets}
    people = ClientUser.objects.filter(token__in=tokens, person__isnull=False)
    assigning, revoking = _changes(stock.assets)
    holders = Holders(
        held=_held(stock.assets, known, people),
        assigning=assigning,
        revoking=revoking,
        client_users=defaultdict(dict),
        by_account=defaultdict(set),
        troubles=defaultdict(dict),
        accounts={},
        owners={},
    )
    _put_people_on(holders, people)
    _put_devices_on(holders, known)
    return holders


def _held(assets: Sequence[Asset], known: QuerySet[Device], people: QuerySet[ClientUser]) -> set[Key]:
    assigned = Assignment.objects.filter(asset__in=assets)
    by_devices = assigned.filter(serial_number__in=known.values("serial_number"))
    by_people = assigned.filter(client_user_id__in=people.values("client_user_id"))
    return {*by_devices.values_list("asset", "serial_number"), *by_people.values_list("asset", "client_user_id")}


def _changes(assets: Sequence[Asset]) -> tuple[set[Key], set[Key]]:
    """Return who is being given a license, and from whom one is being revoked."""
    changes: dict[str, set[Key]] = {OperationKind.ASSIGN: set(), OperationKind.REVOKE: set()}
    under_way = Target.objects.filter(asset__in=assets, state=TargetState.OPEN)
    rows = under_way.values_list("operation__kind", "asset", "serial_number", "client_user_id")
    for kind, asset_id, serial, client_user in rows:
        changes[kind].add((asset_id or 0, serial or client_user))
    return changes[OperationKind.ASSIGN], changes[OperationKind.REVOKE]


def _put_people_on(holders: Holders, people: ClientUserQuerySet) -> None:
    live = people.exclude(status__in=(ClientUserStatus.RETIRED, ClientUserStatus.DELETED))
    rows = live.values_list("token", "person", "client_user_id", "status", "trouble")
    for token_id, person_id, name, status, trouble in rows:
        is_associated = status == ClientUserStatus.ASSOCIATED
        holders.client_users[token_id][person_id or 0] = (name if status else "", is_associated)
        if trouble and not status:
            holders.troubles[token_id][person_id or 0] = trouble
        holders.owners[name] = person_id
    for token_id, person_id in people.to_associate().values_list("token", "person"):
        holders.by_account[token_id].add(person_id or 0)


def _put_devices_on(holders: Holders, known: QuerySet[Device]) -> None:
    rows = known.values_list("serial_number", "owner", "owner__email", "owner__managed_apple_account")
    for serial, owner, email, account in rows:
        holders.owners[serial] = owner
        holders.accounts[owner or 0] = bool(email or account)


def refused_by_apple(assets: Sequence[Asset]) -> dict[Key, str]:
    """Return whom Apple refused a license within a day, with its sentence; for want of licenses does not count."""
    failed = Target.objects.filter(
        asset__in=assets,
        state=TargetState.FAILED,
        operation__kind=OperationKind.ASSIGN,
        operation__settled_at__gt=timezone.now() - timedelta(days=1),
    ).exclude(number=NOT_ENOUGH_LICENSES)
    rows = failed.order_by("pk").values_list("asset", "serial_number", "client_user_id", "message")
    return {(asset_id or 0, serial or client_user): message for asset_id, serial, client_user, message in rows}


def supplies_of(stock: Stock, groups: Groups, holders: Holders) -> Iterable[Supply]:
    """Yield where licenses may come from, who is admitted to them, and what quotas leave."""
    free = licenses.free(stock.assets)
    quotas: dict[int, list[tuple[frozenset[int], int]]] = defaultdict(list)
    for quota in stock.quotas:
        quotas[quota.token_id].append(_quota(stock, quota, groups, holders))
    for asset in stock.assets:
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
            by_account=frozenset(holders.by_account.get(asset.token_id, ())),
            troubles=holders.troubles.get(asset.token_id, {}),
            quotas=tuple(quotas[asset.token_id]),
        )


def _quota(stock: Stock, quota: Quota, groups: Groups, holders: Holders) -> tuple[frozenset[int], int]:
    """Return whose licenses a quota counts, of all its token's assets of the app, and how many more it allows."""
    members = frozenset(groups[quota.group_id])
    assets = {asset.pk for asset in stock.assets if asset.token_id == quota.token_id}
    taken = holders.held | holders.assigning
    used = sum(1 for asset_id, holder in taken if asset_id in assets and holders.owners.get(holder) in members)
    return members, max(0, quota.limit - used)
