"""Whom a distribution is meant for: in words for the pages, and as people for the letters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from django.db.models import CharField, Count, Min, Q, QuerySet, Value
from django.db.models.functions import Cast

from catalog.models import Distribution
from vppportal.groups.models import Device, ManagedUser
from vppportal.wording import number

CHOSEN = ("groups", "people", "devices")
EXCLUDED = ("excluded_groups", "excluded_people", "excluded_devices")
AUDIENCE = (*CHOSEN, *EXCLUDED)
WORDS = {"groups": ("user group", "user groups"), "people": ("person", "people"), "devices": ("device", "devices")}
Told = dict[str, tuple[int, str]]
"""For each kind of an audience how many there are, and the name of one."""


def describe(distributions: Sequence[Distribution]) -> dict[int, str]:
    """Return the audience of each of the distributions in words; one query, however many there are."""
    told: dict[int, Told] = defaultdict(dict)
    keys = [row.pk for row in distributions]
    if keys:
        first, *others = (_counted(kind, keys) for kind in AUDIENCE)
        for distribution, kind, count, name in first.union(*others, all=True):
            told[distribution][kind] = (count, name)
    return {row.pk: _words(row, told[row.pk]) for row in distributions}


def in_words(distribution: Distribution) -> str:
    """Return the audience of one distribution in words."""
    return describe([distribution])[distribution.pk]


def people_of(distribution: Distribution) -> QuerySet[ManagedUser]:
    """Return the active people a distribution is meant for, those who have a chosen device among them."""
    people = ManagedUser.objects.filter(is_active=True)
    if not distribution.is_for_everyone:
        in_groups = ManagedUser.groups.through.objects.filter(usergroup__in=distribution.groups.all())
        owners = distribution.devices.exclude(owner=None)
        people = people.filter(
            Q(pk__in=in_groups.values("manageduser"))
            | Q(pk__in=distribution.people.values("pk"))
            | Q(pk__in=owners.values("owner"))
        )
    excluded = ManagedUser.groups.through.objects.filter(usergroup__in=distribution.excluded_groups.all())
    return people.exclude(pk__in=excluded.values("manageduser")).exclude(
        pk__in=distribution.excluded_people.values("pk")
    )


def reach(distribution: Distribution) -> int:
    """Return how many devices and people a distribution is at most about, exclusions of devices not counted."""
    people = people_of(distribution)
    devices = Device.objects.all()
    if not distribution.is_for_everyone:
        devices = devices.filter(Q(owner__in=people.values("pk")) | Q(pk__in=distribution.devices.values("pk")))
    return devices.count() + people.filter(devices=None).count()


def everyone() -> str:
    """Return how many people and devices “everyone” means now."""
    people, devices = ManagedUser.objects.filter(is_active=True).count(), Device.objects.count()
    return f"{number(people, *WORDS['people'])} and {number(devices, *WORDS['devices'])}"


def _counted(kind: str, keys: Sequence[int]) -> QuerySet[Any, Any]:
    """Return, for each distribution that names any of a kind, how many and one of their names."""
    field: Any = Distribution._meta.get_field(kind)
    target = field.m2m_reverse_field_name()
    name = f"{target}__{'serial_number' if target == 'device' else 'name'}"
    rows = field.remote_field.through.objects.filter(distribution__in=keys).order_by().values("distribution")
    counted: QuerySet[Any, Any] = rows.annotate(
        kind=Value(kind, CharField()), number=Count("pk"), name=Cast(Min(name), CharField())
    ).values_list("distribution", "kind", "number", "name")
    return counted


def _words(row: Distribution, told: Told) -> str:
    chosen = "everyone" if row.is_for_everyone else ", ".join(_parts(told, CHOSEN)) or "nobody yet"
    excluded = ", ".join(_parts(told, EXCLUDED))
    return f"{chosen}, except {excluded}" if excluded else chosen


def _parts(told: Told, kinds: Sequence[str]) -> Iterator[str]:
    for kind in kinds:
        count, name = told.get(kind, (0, ""))
        one, many = WORDS[kind.removeprefix("excluded_")]
        if count == 1:
            yield name or f"one {one}"
        elif count:
            yield f"{name} and {number(count - 1, f'more {one}', f'more {many}')}" if name else number(count, one, many)
