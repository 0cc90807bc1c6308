"""What is chosen in a list, on its way through the page that asks whether it is meant so."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict


class ChosenForm(forms.Form):
    """The rows chosen in a list, carried unseen; sent back, it says that the answer was yes."""

    selected = forms.MultipleChoiceField(widget=forms.MultipleHiddenInput, required=False)
    all_matching = forms.CharField(widget=forms.HiddenInput, required=False)
    confirmed = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, chosen: QueryDict, **kwargs: Any) -> None:
        initial = {"selected": chosen.getlist("selected"), "all_matching": chosen.get("all_matching", "")}
        super().__init__(initial={**initial, "confirmed": "yes"}, **kwargs)
