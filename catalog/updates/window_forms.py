"""The form of an update window: on which days, from when to when."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils import timezone

from catalog.models import UpdateWindow, WindowKind
from catalog.updates.window_words import DAYS

NOT_A_TIME = {"invalid": "Write a time like 22:00.", "required": "Write a time like 22:00."}


class WindowForm(forms.ModelForm):  # type: ignore[type-arg]  # generic to the type checker only
    """An update window; it opens every week on some days, or once."""

    weekdays = forms.TypedMultipleChoiceField(
        label="Days",
        choices=list(enumerate(DAYS)),
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="The days on which it opens; what it lets through after midnight belongs to the day before.",
        error_messages={"invalid_choice": "Tick days of the week."},
    )

    class Meta:
        model = UpdateWindow
        fields = ["name", "kind", "weekdays", "date", "start", "end"]
        labels = {"kind": "Opens", "date": "Day"}
        help_texts = {
            "name": "Apps choose it by this name, for example “Nights”.",
            "start": "In the time zone of each device.",
            "end": "An earlier time than the start is on the next day: 22:00 to 05:00 is a night. The same time as the"
            " start is 24 hours later. What was sent in the window may be carried out a little after it.",
        }
        widgets = {
            "kind": forms.RadioSelect,
            "date": forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
            "start": forms.TimeInput({"type": "time"}, format="%H:%M"),
            "end": forms.TimeInput({"type": "time"}, format="%H:%M"),
        }
        error_messages = {
            "start": NOT_A_TIME,
            "end": NOT_A_TIME,
            "date": {"invalid": "Write a day like 2026-12-24."},
        }

    def clean_name(self) -> str:
        """Return the name; it belongs to one window only, however it is written."""
        name: str = self.cleaned_data["name"]
        if UpdateWindow.objects.exclude(pk=self.instance.pk).filter(name__iexact=name).exists():
            raise forms.ValidationError("There is an update window of this name already.")
        return name

    def clean(self) -> dict[str, Any]:
        """Return what was typed; of days of the week and the one day only what the window goes by."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("kind") == WindowKind.ONCE:
            self._forget("weekdays", [])
            self._look_at_the_day()
        else:
            self._forget("date", None)
            self._look_at_the_days()
        return cleaned

    def _forget(self, name: str, value: Any) -> None:
        """Forget what was typed into a field that does not count, and what is wrong with it."""
        self.errors.pop(name, None)
        self.cleaned_data[name] = value

    def _look_at_the_day(self) -> None:
        day = self.cleaned_data.get("date")
        if "date" in self.errors:
            return
        if day is None:
            self.add_error("date", "Say on which day it opens.")
        elif "date" in self.changed_data and day < timezone.localdate():
            self.add_error("date", "This day is over already.")

    def _look_at_the_days(self) -> None:
        if "weekdays" in self.errors:
            return
        self.cleaned_data["weekdays"] = sorted(self.cleaned_data["weekdays"])
        if not self.cleaned_data["weekdays"]:
            self.add_error("weekdays", "Tick at least one day, or choose that it opens once.")
