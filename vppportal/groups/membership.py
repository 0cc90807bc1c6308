"""Put people into a user group and take them out, many at once, each with its activity record."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django.db.models import QuerySet

from vppportal.activity.models import record
from vppportal.groups.models import ManagedUser, UserGroup

Membership = ManagedUser.groups.through
BATCH = 5000


def add(group: UserGroup, people: QuerySet[ManagedUser], by: AbstractBaseUser | AnonymousUser) -> int:
    """Put people into a group; return how many were not in it."""
    with transaction.atomic():
        before = group.people.count()
        keys = people.order_by("pk").values_list("pk", flat=True)
        rows = [Membership(manageduser_id=pk, usergroup_id=group.pk) for pk in keys]
        Membership.objects.bulk_create(rows, ignore_conflicts=True, batch_size=BATCH)
        added = group.people.count() - before
        if added:
            record(by, "added people to the user group", group, people=added)
    return added


def take_out(group: UserGroup, people: QuerySet[ManagedUser], by: AbstractBaseUser | AnonymousUser) -> int:
    """Take people out of a group; return how many were in it."""
    with transaction.atomic():
        chosen = people.order_by().values("pk")
        removed, _ = Membership.objects.filter(usergroup=group, manageduser__in=chosen).delete()
        if removed:
            record(by, "removed people from the user group", group, people=removed)
    return removed
