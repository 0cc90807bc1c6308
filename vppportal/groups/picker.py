"""A field to choose user groups from thousands: what is chosen, plus what a search found, as boxes to tick.

Ticking is choosing and unticking is removing, so it works without scripts; with them the matches appear while typing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q

from vppportal.groups.models import UserGroup
from vppportal.lists import is_key

OFFERED = 20


def offer(chosen: Iterable[str], search: str) -> dict[str, Any]:
    """Return the chosen groups, the first groups that match a search, and how many match in all."""
    keys = [key for key in chosen if is_key(key)]
    matches = UserGroup.objects.exclude(pk__in=keys)
    for word in search.split()[:8]:
        matches = matches.filter(Q(name__icontains=word) | Q(description__icontains=word))
    return {
        "chosen": list(UserGroup.objects.filter(pk__in=keys)),
        "offered": list(matches[:OFFERED]),
        "matching": matches.count(),
        "search": search,
    }


class GroupPicker(forms.SelectMultiple):
    """Draws the boxes; the search typed is kept over a round trip."""

    template_name = "groups/_picker.html"
    search = ""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return the ticked groups, remembering what was searched for."""
        self.search = data.get(f"{name}_search", "")
        return super().value_from_datadict(data, files, name)

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Return what the template shows: never more than the chosen and the first matches."""
        return {"name": name, **offer([str(key) for key in value or ()], self.search)}


class GroupsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # generic to the type checker only
    """Chooses user groups with a `GroupPicker`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(queryset=UserGroup.objects.all(), required=False, widget=GroupPicker(), **kwargs)

    def clean(self, value: Any) -> Any:
        """Return the groups; one that cannot be is an error, as leaving it out might lift a restriction."""
        for key in value or ():
            if not is_key(str(key)):
                raise ValidationError(self.error_messages["invalid_pk_value"], params={"pk": str(key)[:20]})
        return super().clean(value)
