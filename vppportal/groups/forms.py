"""Forms for user groups, people and devices."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse_lazy

from vppportal.groups import time_zones
from vppportal.groups.csvfile import LARGEST, MOST_ROWS
from vppportal.groups.models import Device, ImportKind, ManagedUser, UserGroup
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


class TimeZoneInput(forms.TextInput):
    """The name of a time zone, with all there are offered while typing."""

    template_name = "groups/_time_zone_input.html"

    def __init__(self) -> None:
        super().__init__({"list": "time-zones", "autocomplete": "off"})

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Return what the template shows."""
        return {**super().get_context(name, value, attrs), "zones": time_zones.known()}


class TimeZoneField(forms.CharField):
    """A time zone by its IANA name."""

    widget = TimeZoneInput

    def clean(self, value: Any) -> str:
        """Return the name as it is written; none but a known one is taken."""
        typed: str = super().clean(value)
        name = time_zones.named(typed)
        if typed and not name:
            raise ValidationError(f"There is no time zone “{typed}”. Names are like Europe/Berlin or America/New_York.")
        return name


class ImportForm(forms.Form):
    """A CSV file of groups, people or devices."""

    file = forms.FileField(
        label="CSV file",
        help_text=f"Up to {LARGEST // 1024 // 1024} MiB and {MOST_ROWS:,} lines, from any spreadsheet program.",
        widget=forms.FileInput(attrs={"accept": ".csv,.txt,.tsv,text/csv"}),
        error_messages={"empty": "The file is empty."},
    )
    replaces_groups = forms.BooleanField(
        required=False,
        label="The file's groups replace what is there",
        help_text="Otherwise people join the groups the file names and leave none. "
        "Either way, people the file does not name, or names without groups, stay where they are.",
    )

    def __init__(self, kind: ImportKind, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if kind != ImportKind.PEOPLE:
            del self.fields["replaces_groups"]


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

    def clean_email(self) -> str:
        """Return the address; it belongs to one person only, however it is written."""
        address: str = self.cleaned_data["email"]
        if ManagedUser.objects.exclude(pk=self.instance.pk).filter(email__iexact=address).exists():
            raise ValidationError("There is already a person with this e-mail address.")
        return address


class DeviceForm(forms.ModelForm):
    """A device; its owner is found by e-mail address."""

    owner = forms.ModelChoiceField(
        ManagedUser.objects.all(),
        required=False,
        to_field_name="email__iexact",
        help_text="The e-mail address of the person who uses it; empty for a shared device.",
        error_messages={"invalid_choice": "There is no person with this e-mail address."},
        widget=PersonInput(),
    )

    class Meta:
        model = Device
        fields = ["serial_number", "name", "platform", "model", "os_version", "owner", "enrollment_type", "time_zone"]
        field_classes = {"time_zone": TimeZoneField}
        widgets = {"time_zone": TimeZoneInput()}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.owner is not None:
            self.initial["owner"] = self.instance.owner.email

    def clean_serial_number(self) -> str:
        """Return the serial number as Apple writes it; only a device that has enrolled may do without."""
        number: str = self.cleaned_data["serial_number"].strip().upper()
        if not number and not self.instance.enrollment_id:
            raise ValidationError("A device that has not enrolled is known by its serial number only.")
        return number
