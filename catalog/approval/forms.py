"""Forms of approval: the reason for a decision, and the steps."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import QueryDict

from catalog.approval.approvers import approvers_by_group
from catalog.models import ApprovalStep
from vppportal.wording import number

GRANT = (
    "A step needs somebody who can decide. Under Administration, put an active account into the group, and give it,"
    " or the group, the permission “Can approve and reject apps”; or choose another group."
)


class ReasonForm(forms.Form):
    """Why an app is rejected, or is to be decided on again."""

    reason = forms.CharField(
        max_length=250,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Kept with the app's history.",
        error_messages={"required": "Say why: others will look for the reason."},
    )


class ManyReasonForm(ReasonForm):
    """The same for the rows chosen in a list, which it carries unseen."""

    selected = forms.Field(widget=forms.MultipleHiddenInput, required=False)
    all_matching = forms.CharField(widget=forms.HiddenInput, required=False)
    confirmed = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, sent: QueryDict) -> None:
        chosen = {"selected": sent.getlist("selected"), "all_matching": sent.get("all_matching", "")}
        super().__init__(sent if "confirmed" in sent else None, initial={**chosen, "confirmed": "yes"})


class GroupChoices(forms.ModelMultipleChoiceField):
    """Groups of accounts, each with how many approvers are in it."""

    widget = forms.CheckboxSelectMultiple
    people: dict[int, list[str]]

    def label_from_instance(self, group: Any) -> str:
        """Return the group's name and the number of its approvers."""
        approvers = len(self.people.get(group.pk, []))
        return f"{group.name} ({number(approvers, 'approver', 'approvers')})"


class StepForm(forms.ModelForm):
    """A step: what it is called and which groups decide."""

    groups = GroupChoices(
        Group.objects.order_by("name"),
        label="Approvers",
        help_text="One member of any of these groups is enough for the step. Groups of accounts are kept under"
        " Administration.",
        error_messages={"required": "Choose at least one group: somebody has to decide."},
    )

    class Meta:
        model = ApprovalStep
        fields = ["name", "groups"]
        help_texts = {"name": "What is looked at here, for example “Security” or “Data protection”."}
        error_messages = {"name": {"required": "Give the step a name: approvers and administrators see it."}}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        groups: Any = self.fields["groups"]
        self.people = groups.people = approvers_by_group()

    def clean_name(self) -> str:
        """Return the name; two steps of one name could not be told apart."""
        name: str = self.cleaned_data["name"]
        if ApprovalStep.objects.exclude(pk=self.instance.pk).filter(name__iexact=name).exists():
            raise ValidationError("There is already a step of this name.", code="taken")
        return name

    def clean_groups(self) -> QuerySet[Group]:
        """Return the groups; one that nobody could decide for is refused."""
        groups: QuerySet[Group] = self.cleaned_data["groups"]
        idle = [f"“{group.name}”" for group in groups if not self.people.get(group.pk)]
        if idle:
            nobody = f"{'has' if len(idle) == 1 else 'have'} no active member who may approve apps"
            raise ValidationError(f"{', '.join(idle)} {nobody}. {GRANT}", code="idle")
        return groups
