"""Quotas: how many licenses of an app the members of a group may hold at most."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, Exists, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, Upper

from tokens.models import Asset, Assignment, ClientUser, Quota
from vppportal.activity.models import record
from vppportal.groups.models import Device, UserGroup


def quota_rows(asset: Asset) -> QuerySet[Quota]:
    """Return the quotas of an asset's app, each with how many licenses the members of its group hold."""
    assets = asset.token.assets.filter(adam_id=asset.adam_id).values("pk")
    held = Assignment.objects.filter(asset__in=assets)
    devices = Device.objects.exclude(serial_number="").annotate(serial=Upper("serial_number"))
    holding = devices.filter(Exists(held.filter(serial_number=OuterRef("serial"), client_user_id="")))
    by_devices = holding.filter(owner__groups=OuterRef("group")).order_by().values("owner__groups")
    people = ClientUser.objects.filter(token=asset.token)
    registered = people.filter(Exists(held.filter(serial_number="", client_user_id=OuterRef("client_user_id"))))
    by_people = registered.filter(person__groups=OuterRef("group")).order_by().values("person__groups")
    return (
        Quota.objects.filter(token=asset.token, adam_id=asset.adam_id)
        .select_related("group")
        .annotate(held=_counted(by_devices) + _counted(by_people))
    )


def _counted(rows: QuerySet[Any, Any]) -> Coalesce:
    return Coalesce(Subquery(rows.annotate(number=Count("pk")).values("number"), output_field=IntegerField()), 0)


def add(asset: Asset, groups: Iterable[UserGroup], limit: int, by: User) -> None:
    """Give groups a quota of an asset's app; raises IntegrityError where one has got one meanwhile."""
    chosen = list(groups)
    with transaction.atomic():
        Quota.objects.bulk_create(
            Quota(token=asset.token, adam_id=asset.adam_id, group=group, limit=limit) for group in chosen
        )
        names = [group.name for group in chosen]
        record(by, "set quotas of licenses of", asset.token, app=asset.adam_id, groups=names, limit=limit)


def change(quota: Quota, limit: int, by: User) -> None:
    """Give a quota another limit."""
    with transaction.atomic():
        quota.limit = limit
        quota.save(update_fields=["limit"])
        names = [quota.group.name]
        record(by, "changed a quota of licenses of", quota.token, app=quota.adam_id, groups=names, limit=limit)


def remove(quota: Quota, by: User) -> None:
    """Lift a quota."""
    with transaction.atomic():
        record(by, "lifted a quota of licenses of", quota.token, app=quota.adam_id, groups=[quota.group.name])
        quota.delete()
