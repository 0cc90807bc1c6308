"""The forms of a VPP token: add (the Enable License Codes window), edit, renew.

They parse and check; nothing here asks Apple.
"""

from __future__ import annotations

import uuid
from typing import Any

from crispy_forms.bootstrap import Tab, TabHolder
from crispy_forms.helper import FormHelper
from crispy_forms.layout import Div, Field, Fieldset, Layout
from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone

from tokens import vpptoken
from tokens.models import NAME_TAKEN, ContentToken
from tokens.registration import Refused
from tokens.vpptoken import BadTokenFile, VppToken
from vppportal.groups.picker import GroupsField, is_searching


class TokenFileField(forms.FileField):
    """Takes a `*.vpptoken` file and returns what is in it; at most one byte more than allowed is read."""

    def __init__(self) -> None:
        super().__init__(
            label="VPP token file",
            allow_empty_file=True,
            help_text="The content token of the location, a file ending in .vpptoken. Download it from Apple Business"
            " or Apple School Manager: Preferences, Payments and Billing. It is kept encrypted and never shown again.",
            error_messages={"required": "Choose the token file."},
            # A chosen file survives when the form comes back with errors; browsers let no server fill it in again.
            widget=forms.FileInput(attrs={"accept": ".vpptoken,.txt", "hx-preserve": "true"}),
        )

    def clean(self, data: UploadedFile | None, initial: Any = None) -> VppToken:
        """Return the token in the file, or say what is wrong with the file."""
        uploaded: UploadedFile = super().clean(data, initial)
        try:
            return vpptoken.read(uploaded.read(vpptoken.MAX_BYTES + 1), now=timezone.now())
        except BadTokenFile as error:
            raise ValidationError(error.sentence, code=error.code) from None


class Consents(forms.Form):
    """What an administrator may agree to; a box appears only when it is what stands in the way."""

    take_over = forms.BooleanField(
        label="Take the location over: the portal becomes the service that manages its licenses.", required=False
    )
    accept_region = forms.BooleanField(label="Use this region although Apple names another one.", required=False)
    asked_for = ""
    refusal: Refused | None = None

    def consents(self) -> list[str]:
        """Return the names of the boxes that were ticked."""
        return [name for name in ("take_over", "accept_region") if self.cleaned_data.get(name)]

    def refuse(self, refusal: Refused) -> None:
        """Put what Apple or the portal has against the file where the administrator can see and settle it."""
        self.refusal, self.asked_for = refusal, refusal.consent
        self.add_error(refusal.field if refusal.field in self.fields else None, refusal.sentence)

    def consent(self, name: str) -> Field:
        """Return the layout of a consent: visible when it was asked for or given already."""
        wanted = name == self.asked_for or bool(self.data.get(name))
        return Field(name) if wanted else Field(name, template="tokens/_nothing.html")


class TokenForm(forms.ModelForm):
    """What an administrator chooses about a token, on three tabs."""

    restricted_to = GroupsField(
        label="Restrict to user groups", help_text=ContentToken._meta.get_field("restricted_to").help_text
    )

    class Meta:
        model = ContentToken
        fields = [*ContentToken.CHOICES, "restricted_to"]
        labels = {"name": "Token name", "add_apps_automatically": "Add apps automatically"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        region: Any = self.fields["region"]
        region.choices = [("", "Choose a region"), *region.choices[1:]]
        self.fields["name"].widget.attrs["autocomplete"] = "off"
        self.fields["preference"].required = False

    def clean_name(self) -> str:
        """Return a name no other token has."""
        name: str = self.cleaned_data["name"]
        if ContentToken.objects.kept().filter(name__iexact=name).exclude(pk=self.instance.pk).exists():
            raise ValidationError(NAME_TAKEN)
        return name

    def clean_preference(self) -> int:
        """Return the token's place among those that own the same app; none given leaves it where it is."""
        place: int | None = self.cleaned_data["preference"]
        return self.instance.preference if place is None else place

    @property
    def helper(self) -> FormHelper:
        """Return the layout: the three tabs of the reference."""
        helper = FormHelper(self)
        helper.form_tag, helper.disable_csrf = False, True
        helper.form_show_errors = not is_searching(self.data)
        helper.layout = Layout(
            *self.hidden(),
            TabHolder(
                Tab("Token Detail", *self.details(), css_id="token-detail"),
                Tab("Policies", *self.policies(), css_id="policies"),
                Tab("Distribution", *self.distribution(), css_id="distribution"),
            ),
        )
        return helper

    def hidden(self) -> list[str]:
        """Return the fields nobody sees."""
        return []

    def details(self) -> list[Any]:
        """Return the first tab."""
        return ["name", "region", "add_apps_automatically"]

    def policies(self) -> list[Any]:
        """Return the second tab, in the reference's four groups."""
        removals = ("remove_on_mdm_removal", "remove_on_selective_wipe", "remove_on_stop")
        return [
            Fieldset("Remove app on", *removals, css_class="policy"),
            Fieldset("Revoke license on", "revoke_on_stop", css_class="policy"),
            Fieldset("App policies and behavior", "block_backup", css_class="policy"),
            Fieldset("App approval", "require_approval", css_class="policy"),
        ]

    def distribution(self) -> list[Any]:
        """Return the third tab."""
        return [
            Field("restricted_to", template="tokens/_restricted_to.html"),
            Div("preference", css_class="mt-3"),
        ]


class AddTokenForm(Consents, TokenForm):
    """The Enable License Codes window. `submission` makes a second click the same form."""

    token_file = TokenFileField()
    submission = forms.UUIDField(widget=forms.HiddenInput())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, initial={"submission": uuid.uuid4()}, **kwargs)

    def hidden(self) -> list[str]:
        """Return the fields nobody sees."""
        return ["submission"]

    def details(self) -> list[Any]:
        """Return the first tab, with the file and the consents."""
        return [
            "name",
            "token_file",
            self.consent("take_over"),
            "region",
            self.consent("accept_region"),
            "add_apps_automatically",
        ]


class EditTokenForm(TokenForm):
    """The same without the file; `version` shows when somebody else was quicker."""

    version = forms.IntegerField(widget=forms.HiddenInput())

    def __init__(self, *args: Any, instance: ContentToken, **kwargs: Any) -> None:
        super().__init__(*args, instance=instance, initial={"version": instance.version}, **kwargs)

    def hidden(self) -> list[str]:
        """Return the fields nobody sees."""
        return ["version"]


class RenewTokenForm(Consents):
    """A newer file of the same location."""

    token_file = TokenFileField()

    @property
    def helper(self) -> FormHelper:
        """Return the layout: the file, and the consent where it was asked for."""
        helper = FormHelper(self)
        helper.form_tag, helper.disable_csrf = False, True
        helper.layout = Layout("token_file", self.consent("take_over"))
        return helper
