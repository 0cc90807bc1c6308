"""Forms for user groups, people and devices."""

from __future__ import annotations

from typing import Any

from django import forms
from django.urls import reverse_lazy

from vppportal.groups.models import Device, ManagedUser, UserGroup
from vppportal.groups.picker import GroupsField


class PersonInput(forms.EmailInput):
    """An e-mail address, with people suggested while typing."""

    template_name = "groups/_suggesting_input.html"

    def __init__(self) -> None:
        super().__init__(
            {
                "list": "suggested-people",
                "autocomplete": "off",
                "hx-get": reverse_lazy("person-suggestions"),
                "hx-trigger": "input changed delay:250ms",
                "hx-target": "#suggested-people",
            }
        )


class GroupForm(forms.ModelForm):
    """A user group."""

    class Meta:
        model = UserGroup
        fields = ["name", "description"]


class PersonForm(forms.ModelForm):
    """A person and the groups the person is in."""

    groups = GroupsField(label="User groups")

    class Meta:
        model = ManagedUser
        labels = {"email": "E-mail"}
        fields = ["name", "email", "managed_apple_account", "is_active", "groups"]


class DeviceForm(forms.ModelForm):
    """A device; its owner is found by e-mail address."""

    owner = forms.ModelChoiceField(
        ManagedUser.objects.all(),
        required=False,
        to_field_name="email",
        help_text="The e-mail address of the person who uses it; empty for a shared device.",
        error_messages={"invalid_choice": "There is no person with this e-mail address."},
        widget=PersonInput(),
    )

    class Meta:
        model = Device
        fields = ["serial_number", "name", "platform", "model", "os_version", "owner"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.owner is not None:
            self.initial["owner"] = self.instance.owner.email

    def clean_serial_number(self) -> str:
        """Return the serial number as Apple writes it."""
        number: str = self.cleaned_data["serial_number"]
        return number.strip().upper()
