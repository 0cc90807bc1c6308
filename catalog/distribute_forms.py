"""The form that distributes apps: who, with which license, when."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from catalog.audience import CHOSEN, EXCLUDED
from catalog.models import Distribution, LicenseKind, When
from vppportal.groups.picker import DEVICES, GROUPS, PEOPLE, PickField, is_searching

LICENSES = [
    (
        LicenseKind.AUTOMATIC,
        "Automatic: the device holds it where Apple allows that, otherwise the person (devices in user enrollment)",
    ),
    (LicenseKind.DEVICE, "Device: held by the serial number; nobody needs an Apple Account"),
    (
        LicenseKind.USER,
        "User: held by the person, who has a Managed Apple Account or accepts an invitation, on all the devices",
    ),
]
TIMES = [
    (When.NOW, "Now: as soon as the license is there"),
    (When.ON_DEMAND, "On demand: nothing is sent, and no license used, before you ask for it device by device"),
]


class DistributeForm(forms.ModelForm):  # type: ignore[type-arg]  # generic to the type checker only
    """What an administrator wishes. `submission` makes a second click the same form."""

    submission = forms.UUIDField(widget=forms.HiddenInput())
    is_for_everyone = forms.BooleanField(label="Everyone", required=False)
    groups = PickField(GROUPS, label="User groups")
    people = PickField(PEOPLE, label="People")
    devices = PickField(DEVICES, label="Devices")
    excluded_groups = PickField(GROUPS, label="Not these user groups")
    excluded_people = PickField(PEOPLE, label="Not these people")
    excluded_devices = PickField(DEVICES, label="Not these devices")
    license_kind = forms.ChoiceField(label="License", choices=LICENSES, widget=forms.RadioSelect)
    when = forms.ChoiceField(label="Install", choices=TIMES, widget=forms.RadioSelect)
    priority = forms.IntegerField(
        min_value=1,
        max_value=9999,
        help_text="Where licenses run out, the smallest number comes first; 100 is usual. It also decides which"
        " distribution of an app serves a device that several include.",
    )
    notify_by_email = forms.BooleanField(
        label="Tell the people by e-mail",
        required=False,
        help_text="Everybody in the audience who is active gets one mail that names the apps, once the distribution"
        " is started.",
    )

    class Meta:
        model = Distribution
        fields = [
            *("is_for_everyone", *CHOSEN, *EXCLUDED),
            *("license_kind", "when", "priority", "notify_by_email"),
        ]

    def __init__(self, *args: Any, submission: uuid.UUID | None = None, **kwargs: Any) -> None:
        kwargs["initial"] = {"submission": submission or uuid.uuid4()}
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        """Return what was typed; a distribution to nobody is none."""
        cleaned = super().clean() or self.cleaned_data
        if not (self.errors or cleaned["is_for_everyone"] or any(cleaned[name] for name in CHOSEN)):
            raise ValidationError(
                "Choose who gets it: everyone, or at least one user group, person or device.", code="nobody"
            )
        return cleaned

    @property
    def is_searching(self) -> bool:
        """Was the form sent to search in a picker only?"""
        return is_searching(self.data)

    @property
    def chosen(self) -> list[forms.BoundField]:
        """The pickers of the audience."""
        return [self[name] for name in CHOSEN]

    @property
    def excluded(self) -> list[forms.BoundField]:
        """The pickers of the exclusions."""
        return [self[name] for name in EXCLUDED]

    @property
    def has_exclusions(self) -> bool:
        """Is anybody left out, or being looked for to be left out?"""
        return any(self[name].value() or self[name].errors or self.data.get(f"{name}_search") for name in EXCLUDED)
