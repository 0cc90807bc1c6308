"""The forms of a token's license pages: whom to give licenses, quotas, and what a question takes along unseen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from tokens.by_hand import Choice
from tokens.models import Asset, Quota
from vppportal.groups.picker import DEVICES, GROUPS, PEOPLE, PickField, is_searching

CHOSEN = ("groups", "people", "devices")


class TakenAlong(forms.Form):
    """What was chosen before a question, sent once more with the answer: hidden fields only."""

    def __init__(self, data: QueryDict, names: Iterable[str]) -> None:
        super().__init__()
        for name in (name for name in names if name in data):
            self.fields[name] = forms.MultipleChoiceField(
                required=False, initial=data.getlist(name), widget=forms.MultipleHiddenInput()
            )
        self.fields["confirmed"] = forms.CharField(initial="yes", widget=forms.HiddenInput())


class ChooseForm(forms.Form):
    """People, by their names or their groups."""

    groups = PickField(GROUPS, label="User groups")
    people = PickField(PEOPLE, label="People")

    @property
    def is_searching(self) -> bool:
        """Was the form sent to search in a picker only?"""
        return is_searching(self.data)

    def clean(self) -> dict[str, Any]:
        """Return who was chosen; nobody is an error."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors and not self.is_searching and not any(cleaned.get(name) for name in CHOSEN):
            raise ValidationError("Choose at least one.", code="nobody")
        return cleaned


class AssignForm(ChooseForm):
    """Who is to receive a license, and what holds it."""

    kind = forms.ChoiceField(
        label="License",
        choices=[
            ("device", "Device: held by the serial number; of people and groups, all their devices"),
            ("user", "User: held by the person, on all the person's devices; of devices, their owners"),
        ],
        widget=forms.RadioSelect,
    )
    devices = PickField(DEVICES, label="Devices")
    field_order = ("kind", *CHOSEN)

    def __init__(self, *args: Any, asset: Asset, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["kind"].initial = "device" if asset.is_device_assignable else "user"
        if not asset.is_device_assignable:
            kind: Any = self.fields["kind"]
            kind.choices = kind.choices[1:]
            kind.help_text = "Apple gives licenses of this product to people only."

    def choice(self) -> Choice:
        """Return what was chosen."""
        chosen = {name: self.cleaned_data[name] for name in CHOSEN}
        return Choice(is_for_devices=self.cleaned_data["kind"] == "device", **chosen)


class LimitForm(forms.Form):
    """How many licenses."""

    limit = forms.IntegerField(
        label="Licenses at most",
        min_value=0,
        max_value=2_000_000_000,
        help_text="Once the members of the group hold that many licenses of this app from this token, further ones"
        " wait in line. What they hold already is never taken away by a quota.",
    )


class QuotaForm(LimitForm):
    """How many licenses the members of each of the chosen groups may hold."""

    groups = PickField(GROUPS, label="User groups", help_text="The limit counts for each of these groups by itself.")
    field_order = ("groups", "limit")

    def __init__(self, *args: Any, asset: Asset, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asset = asset

    @property
    def is_searching(self) -> bool:
        """Was the form sent to search in a picker only?"""
        return is_searching(self.data)

    def clean_groups(self) -> Any:
        """Return the groups; one that has a quota already is an error."""
        groups = self.cleaned_data["groups"]
        if not groups:
            raise ValidationError("Choose at least one group.", code="nobody")
        there = Quota.objects.filter(token=self.asset.token, adam_id=self.asset.adam_id, group__in=groups)
        names = sorted(there.values_list("group__name", flat=True))
        if names:
            raise ValidationError(f"There is already a quota of this app for {', '.join(names[:5])}.", code="there")
        return groups
