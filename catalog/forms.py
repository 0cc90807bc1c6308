"""Forms of the App Catalog."""

from __future__ import annotations

from django import forms

from catalog.models import App, CatalogSettings
from catalog.policies import OF_AN_APP, named


class SettingsForm(forms.ModelForm):
    """The App Settings."""

    class Meta:
        model = CatalogSettings
        fields = ["approval"]
        widgets = {"approval": forms.RadioSelect}
        help_texts = {"approval": "Concerns apps that are added from now on. Apps that already wait keep waiting."}


class PoliciesForm(forms.ModelForm):
    """The policies of an app."""

    class Meta:
        model = App
        fields = OF_AN_APP
        labels = {name: named(name) for name in OF_AN_APP}


class RejectForm(forms.Form):
    """Why an app is rejected."""

    reason = forms.CharField(
        max_length=250,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Kept with the app's history.",
        error_messages={"required": "Say why: others will look for the reason."},
    )
