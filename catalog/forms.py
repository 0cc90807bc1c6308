"""Forms of the App Catalog."""

from __future__ import annotations

from typing import Final

from django import forms

from catalog.models import App, CatalogSettings, UpdateMode
from catalog.policies import OF_AN_APP, named
from vppportal.groups.forms import TimeZoneField, TimeZoneInput

MODES: Final = [
    (
        UpdateMode.ADMINISTRATORS,
        "Administrators decide: each app says on its page whether new versions are sent by themselves, when, and to"
        " whom first",
    ),
    (
        UpdateMode.END_USERS,
        "The people decide on their devices: the portal sends no update at all, whatever an app says",
    ),
    (
        UpdateMode.OFF,
        "Off: nothing is sent by itself; an administrator presses “Update now” where a new version is wanted",
    ),
]


class SettingsForm(forms.ModelForm):
    """The App Settings."""

    update_mode = forms.ChoiceField(
        label="Automatic updates",
        choices=MODES,
        widget=forms.RadioSelect,
        help_text="One rule for custom (B2B) and public apps alike.",
    )

    class Meta:
        model = CatalogSettings
        fields = ["approval", "update_mode", "time_zone"]
        field_classes = {"time_zone": TimeZoneField}
        widgets = {"approval": forms.RadioSelect, "time_zone": TimeZoneInput}
        labels = {"time_zone": "Time zone of devices that tell none"}
        help_texts = {
            "approval": "Concerns apps that are added from now on. Apps that already wait keep waiting.",
            "time_zone": "Update windows open in the time zone of each device, and in this one where it is not known.",
        }


class PoliciesForm(forms.ModelForm):
    """The policies of an app."""

    class Meta:
        model = App
        fields = OF_AN_APP
        labels = {name: named(name) for name in OF_AN_APP}
