"""Fields to choose user groups, people or devices from thousands: what is chosen, plus what a search found, to tick.

Ticking is choosing and unticking is removing, so it works without scripts; with them the matches appear while typing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet

from vppportal.groups.models import Device, ManagedUser, UserGroup
from vppportal.lists import is_key
from vppportal.wording import number

OFFERED = 20
Hints = Callable[[Sequence[Any]], dict[int, str]]


@dataclass(frozen=True, slots=True)
class Kind:
    """What is chosen: which rows, what a search looks at, and what each row says about itself beside its name."""

    rows: QuerySet[Any]
    searched: tuple[str, ...]
    hints: Hints
    one: str
    many: str
    url: str

    def matching(self, search: str) -> QuerySet[Any]:
        """Return the rows in which every word of a search occurs somewhere."""
        matches = self.rows
        for word in search.split()[:8]:
            anywhere = Q()
            for field in self.searched:
                anywhere |= Q(**{f"{field}__icontains": word})
            matches = matches.filter(anywhere)
        return matches

    def offer(self, chosen: Iterable[str], search: str) -> dict[str, Any]:
        """Return the chosen rows, the first rows that match a search, and how many match in all."""
        keys = [key for key in chosen if is_key(key)]
        matches = self.matching(search).exclude(pk__in=keys)
        ticked = list(self.rows.filter(pk__in=keys)) if keys else []
        offered = list(matches[:OFFERED])
        hints = self.hints([*ticked, *offered])
        return {
            "kind": self,
            "chosen": [(row, hints.get(row.pk, "")) for row in ticked],
            "offered": [(row, hints.get(row.pk, "")) for row in offered],
            "matching": len(offered) if len(offered) < OFFERED else matches.count(),
            "search": search,
        }


def is_searching(data: Mapping[str, Any]) -> bool:
    """Return whether a form was sent to search in a picker only: by its button, or by Enter after typing there.

    Enter presses the form's first button wherever the cursor is. Only what is typed in a search field, and not what the
    boxes below it show, then tells a search from the wish to store the form.
    """
    if "search_choices" in data or "entered" not in data:
        return "search_choices" in data
    searches = [name for name in data if name.endswith("_searched")]
    return any(data[name] != data.get(name.removesuffix("ed"), "") for name in searches)


def _who_is_in(groups: Sequence[UserGroup]) -> dict[int, str]:
    counted = UserGroup.objects.filter(pk__in=[group.pk for group in groups]).order_by().values_list("pk")
    people = dict(counted.annotate(number=Count("people", filter=Q(people__is_active=True))))
    devices = dict(counted.annotate(number=Count("people__devices", filter=Q(people__is_active=True))))
    return {
        key: f"{number(people[key], 'person', 'people')}, {number(devices[key], 'device', 'devices')}" for key in people
    }


def _what_they_have(people: Sequence[ManagedUser]) -> dict[int, str]:
    counted = ManagedUser.objects.filter(pk__in=[person.pk for person in people]).order_by().values_list("pk")
    devices = dict(counted.annotate(number=Count("devices")))
    return {
        person.pk: f"{person.email}, {number(devices.get(person.pk, 0), 'device', 'devices')}"
        if person.is_active
        else f"{person.email}, left"
        for person in people
    }


def _whose_they_are(devices: Sequence[Device]) -> dict[int, str]:
    return {
        device.pk: ", ".join(
            word
            for word in (
                device.serial_number if device.name else "",
                device.get_platform_display(),
                f"of {device.owner}" if device.owner else "of nobody",
            )
            if word
        )
        for device in devices
    }


GROUPS = Kind(
    UserGroup.objects.all(), ("name", "description"), _who_is_in, "user group", "user groups", "group-choices"
)
PEOPLE = Kind(
    ManagedUser.objects.all(),
    ("name", "email", "managed_apple_account"),
    _what_they_have,
    "person",
    "people",
    "person-choices",
)
DEVICES = Kind(
    Device.objects.select_related("owner"),
    ("serial_number", "name", "model", "owner__name", "owner__email"),
    _whose_they_are,
    "device",
    "devices",
    "device-choices",
)


class Picker(forms.SelectMultiple):
    """Draws the boxes; the search typed is kept over a round trip."""

    template_name = "groups/_picker.html"

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.kind, self.search = kind, ""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return what is ticked, remembering what was searched for."""
        self.search = data.get(f"{name}_search", "")
        return super().value_from_datadict(data, files, name)

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Return what the template shows: never more than the chosen and the first matches."""
        return {"name": name, **self.kind.offer([str(key) for key in value or ()], self.search)}


class PickField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # generic to the type checker only
    """Chooses rows of a kind with a `Picker`."""

    def __init__(self, kind: Kind, **kwargs: Any) -> None:
        super().__init__(queryset=kind.rows, required=False, widget=Picker(kind), **kwargs)

    def clean(self, value: Any) -> Any:
        """Return the rows; one that cannot be is an error, as leaving it out might lift a restriction."""
        for key in value or ():
            if not is_key(str(key)):
                raise ValidationError(self.error_messages["invalid_pk_value"], params={"pk": str(key)[:20]})
        return super().clean(value)


class GroupsField(PickField):
    """Chooses user groups."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(GROUPS, **kwargs)
