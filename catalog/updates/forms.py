"""The forms of an app's update rules: one app's, and the same for many."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.http import QueryDict

from catalog.models import App, UpdateMode, UpdateWindow
from catalog.updates.window_words import in_words
from vppportal.chosen import ChosenForm
from vppportal.groups.models import UserGroup

RULES: Final = ("update_automatically", "update_window", "pilot_group", "pilot_hours", "pilot_failure_percent")
OF_A_PILOT: Final = ("pilot_group", "pilot_hours", "pilot_failure_percent")
MOST_HOURS: Final = 90 * 24
AT_ONCE, STAGED = "at_once", "staged"
ROLLOUTS: Final = [
    (AT_ONCE, "All devices at once"),
    (STAGED, "A pilot group first, the others later if it goes well"),
]
DOES_NOT_COUNT: Final = {
    UpdateMode.END_USERS: "Does not count now: in App Settings the people decide on their devices.",
    UpdateMode.OFF: "Does not count now: in App Settings automatic updates are off.",
}
"""Why the switch of an app has no effect, by the mode of the portal."""
KEEP, ANY_TIME = "keep", "any"


class WindowChoice(forms.ModelChoiceField):
    """An update window, with its hours beside its name."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            UpdateWindow.objects.all(),
            required=False,
            empty_label="At any time",
            error_messages={"invalid_choice": "Choose one of the windows, or none."},
            **kwargs,
        )

    def label_from_instance(self, obj: Any) -> str:
        """Return the name and the hours."""
        return f"{obj} ({in_words(obj)})"


class UpdatesForm(forms.ModelForm):
    """When and to whom new versions of an app are sent. What belongs to a pilot counts only where one is chosen."""

    update_window = WindowChoice(
        label="Update window",
        help_text="Hours in which updates are sent, in the time zone of each device; windows are kept under App"
        " Catalog, More, Update windows.",
    )
    rollout = forms.ChoiceField(label="Roll-out", choices=ROLLOUTS, widget=forms.RadioSelect)
    pilot_group = forms.ModelChoiceField(
        UserGroup.objects.all(),
        required=False,
        empty_label="Choose a user group",
        help_text="The devices of its people update first.",
    )
    pilot_hours = forms.IntegerField(
        label="Hours until the others follow",
        required=False,
        min_value=1,
        max_value=MOST_HOURS,
        help_text="Counted from when the first of these devices was sent the version; at least one of them must have it"
        " by then.",
    )
    pilot_failure_percent = forms.IntegerField(
        label="Stop at this share of failures (percent)",
        required=False,
        min_value=0,
        max_value=100,
        help_text="Of the pilot's devices. From this share on the roll-out stops until somebody decides; with 0 the"
        " first failure stops it.",
    )

    class Meta:
        model = App
        fields = RULES
        labels = {"update_automatically": "Update automatically"}

    field_order = ("update_automatically", "update_window", "rollout", *OF_A_PILOT)

    def __init__(self, *args: Any, mode: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["rollout"] = AT_ONCE if self.instance.pilot_hours is None else STAGED
        if mode in DOES_NOT_COUNT:
            self.fields["update_automatically"].help_text = DOES_NOT_COUNT[UpdateMode(mode)]

    def clean(self) -> dict[str, Any]:
        """Return what was typed; without a pilot what was typed about one does not count."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("rollout") != STAGED:
            for name in OF_A_PILOT:
                self.errors.pop(name, None)
            percent = self.initial["pilot_failure_percent"]
            cleaned |= {"pilot_group": None, "pilot_hours": None, "pilot_failure_percent": percent}
            return cleaned
        for name, wanted in (
            ("pilot_group", "Choose the user group whose devices update first."),
            ("pilot_hours", "Say how many hours the others wait."),
            ("pilot_failure_percent", "Say how many percent of these devices may fail."),
        ):
            if name not in self.errors and cleaned.get(name) is None:
                self.add_error(name, wanted)
        return cleaned

    @property
    def changed_rules(self) -> list[str]:
        """Return the fields that are different from before."""
        now = {name: getattr(value, "pk", value) for name, value in self.cleaned_data.items()}
        return [name for name in RULES if now[name] != self.initial[name]]


class ManyRulesForm(ChosenForm):
    """The rules that many apps are given, carried along with the choice of apps."""

    automatic = forms.ChoiceField(
        label="Update automatically",
        choices=[(KEEP, "As each app has it"), ("on", "On"), ("off", "Off")],
        initial=KEEP,
        widget=forms.RadioSelect,
    )
    window = forms.ChoiceField(label="Update window", initial=KEEP)

    def __init__(self, chosen: QueryDict, **kwargs: Any) -> None:
        super().__init__(chosen, **kwargs)
        self.fields["selected"].choices = [(key, key) for key in chosen.getlist("selected")]  # type: ignore[attr-defined]
        known = [(str(window.pk), f"{window} ({in_words(window)})") for window in UpdateWindow.objects.all()]
        choices = [(KEEP, "As each app has it"), (ANY_TIME, "At any time"), *known]
        self.fields["window"].choices = choices  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Return what was chosen; something has to be."""
        cleaned = super().clean() or self.cleaned_data
        if not (self.errors or self.rules):
            raise forms.ValidationError("Choose what these apps are given.")
        return cleaned

    @property
    def rules(self) -> dict[str, Any]:
        """Return the fields of an app that change, with their values."""
        rules: dict[str, Any] = {}
        if self.cleaned_data["automatic"] != KEEP:
            rules["update_automatically"] = self.cleaned_data["automatic"] == "on"
        if (window := self.cleaned_data["window"]) != KEEP:
            rules["update_window_id"] = None if window == ANY_TIME else int(window)
        return rules


class VersionForm(forms.Form):
    """Which version an answer is about: a newer one may come while somebody reads the question."""

    version = forms.CharField(widget=forms.HiddenInput)
