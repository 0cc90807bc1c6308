"""Forms of the App Catalog."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict

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


class ChosenForm(forms.Form):
    """The rows chosen in a list, carried unseen through the page that asks whether it is meant so."""

    selected = forms.MultipleChoiceField(widget=forms.MultipleHiddenInput, required=False)
    all_matching = forms.CharField(widget=forms.HiddenInput, required=False)
    confirmed = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, chosen: QueryDict, **kwargs: Any) -> None:
        initial = {"selected": chosen.getlist("selected"), "all_matching": chosen.get("all_matching", "")}
        super().__init__(initial={**initial, "confirmed": "yes"}, **kwargs)
