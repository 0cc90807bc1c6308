"""The forms of a token: what they check without asking Apple."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import pytest
from crispy_forms.utils import render_crispy_form
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.factories import ContentTokenFactory, UserGroupFactory
from tokens.forms import AddTokenForm, EditTokenForm, RenewTokenForm
from tokens.models import NAME_TAKEN
from tokens.policies import POLICY_FIELDS
from tokens.registration import Refused

pytestmark = pytest.mark.django_db

GOOD = base64.b64encode(
    json.dumps({"token": "c2VjcmV0", "expDate": "2099-01-01T00:00:00+0000", "orgName": "Example"}).encode()
)


def add_form(content: bytes = GOOD, **typed: Any) -> AddTokenForm:
    data = {"name": "Head office", "region": "DE", "submission": str(uuid.uuid4()), **typed}
    return AddTokenForm(data, {"token_file": SimpleUploadedFile("a.vpptoken", content)})


def test_a_good_file_is_parsed() -> None:
    form = add_form()
    assert form.is_valid(), form.errors
    assert form.cleaned_data["token_file"].organization == "Example"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty."),
        (b"A" * (64 * 1024 + 1), "larger than 64 KiB"),
        (b"this is no token!", "not Base64"),
    ],
)
def test_a_bad_file_is_refused_with_its_own_sentence(content: bytes, words: str) -> None:
    assert words in add_form(content).errors["token_file"][0]


def test_a_name_is_taken_whatever_its_case() -> None:
    ContentTokenFactory(name="head OFFICE")
    assert add_form().errors["name"] == [NAME_TAKEN]


def test_the_name_of_a_deleted_token_is_free() -> None:
    ContentTokenFactory(name="Head office", deleted=True)
    assert add_form().is_valid()


def test_all_175_regions_can_be_chosen() -> None:
    choices: Any = AddTokenForm().fields["region"]
    assert len(choices.choices) == 176


def test_a_group_that_does_not_exist_is_refused() -> None:
    assert "restricted_to" in add_form(restricted_to=["999"]).errors


def test_the_three_tabs_have_the_fields_of_the_reference() -> None:
    html = render_crispy_form(AddTokenForm())
    detail, policies = html.index('id="token-detail"'), html.index('id="policies"')
    distribution = html.index('id="distribution"')
    for field in ("name", "token_file", "region", "add_apps_automatically"):
        assert detail < html.index(f'name="{field}"') < policies
    for field in POLICY_FIELDS:
        assert policies < html.index(f'name="{field}"') < distribution
    assert html.index('name="restricted_to_search"') > distribution


def test_the_first_tab_with_an_error_is_open_and_marked() -> None:
    html = render_crispy_form(add_form(restricted_to=["999"]))
    assert 'class="nav-link active"\n         id="distribution-tab"' in html
    assert html.count("has an error") == 1


def test_what_was_typed_is_kept() -> None:
    group = UserGroupFactory(name="Sales")
    html = render_crispy_form(add_form(name="", block_backup="on", restricted_to=[str(group.pk)]))
    assert f'value="{group.pk}" checked' in html
    assert '<option value="DE" selected>' in html
    assert (
        'name="block_backup" class="checkboxinput form-check-input" aria-describedby="id_block_backup_helptext" '
        in html
    )


def test_a_consent_shows_only_when_it_is_what_stands_in_the_way() -> None:
    form = add_form()
    assert form.is_valid()
    assert 'name="take_over"' not in render_crispy_form(form)
    form.refuse(Refused("Another MDM manages it.", consent="take_over"))
    html = render_crispy_form(form)
    assert 'name="take_over"' in html
    assert 'name="accept_region"' not in html
    assert form.errors["token_file"] == ["Another MDM manages it."]


def test_a_consent_once_given_stays_given() -> None:
    form = add_form(take_over="on", name="")
    assert "checked" in render_crispy_form(form).split('name="take_over"')[1].split(">")[0]


def test_an_edit_form_knows_the_version_it_was_made_from() -> None:
    token = ContentTokenFactory(version=7)
    assert 'name="version" value="7"' in render_crispy_form(EditTokenForm(instance=token))


def test_a_renewal_needs_a_file() -> None:
    assert RenewTokenForm({}, None).errors["token_file"] == ["Choose the token file."]


def test_the_order_of_preference_may_be_left_as_it_is() -> None:
    form = add_form()
    assert form.is_valid(), form.errors
    assert form.cleaned_data["preference"] == 100
    token = ContentTokenFactory(preference=7)
    typed = {"name": token.name, "region": "US", "version": token.version}
    edited = EditTokenForm(typed, instance=token)
    assert edited.is_valid(), edited.errors
    assert edited.cleaned_data["preference"] == 7
    assert EditTokenForm({**typed, "preference": "-1"}, instance=token).errors["preference"]


def test_the_order_of_preference_is_on_the_distribution_tab() -> None:
    drawn = render_crispy_form(EditTokenForm(instance=ContentTokenFactory(preference=7)))
    tab = drawn[drawn.index('id="distribution"') :]
    assert 'name="preference"' in tab
    assert 'value="7"' in tab
