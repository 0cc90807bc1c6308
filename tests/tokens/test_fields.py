"""A sealed secret opens for its own row only, and shows itself nowhere."""

from __future__ import annotations

import pickle

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.db import connection
from django.forms import modelform_factory

from tests.factories import SECRET, ContentTokenFactory
from tokens.fields import CannotOpen, Sealed
from tokens.models import ContentToken
from tokens.secret import Secret


def test_a_sealed_secret_opens_for_what_it_is_bound_to() -> None:
    assert Sealed.seal(Secret(SECRET), bound_to="here").open(bound_to="here").reveal() == SECRET


def test_it_opens_for_nothing_else() -> None:
    sealed = Sealed.seal(Secret(SECRET), bound_to="here")
    with pytest.raises(CannotOpen, match="another row"):
        sealed.open(bound_to="there")


def test_the_newest_key_seals_and_all_keys_open(settings) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.TOKEN_ENCRYPTION_KEYS = [old]
    before = Sealed.seal(Secret(SECRET), bound_to="here")
    settings.TOKEN_ENCRYPTION_KEYS = [new, old]
    after = Sealed.seal(Secret(SECRET), bound_to="here")
    assert before.open(bound_to="here") == after.open(bound_to="here")
    settings.TOKEN_ENCRYPTION_KEYS = [new]
    assert after.open(bound_to="here").reveal() == SECRET
    with pytest.raises(CannotOpen, match="TOKEN_ENCRYPTION_KEYS"):
        before.open(bound_to="here")


@pytest.mark.parametrize("damaged", ["", "rubbish", "gAAAAA", "gÄÄÄ", "\x00"])
def test_a_damaged_secret_cannot_be_opened(damaged: str) -> None:
    with pytest.raises(CannotOpen):
        Sealed(damaged).open(bound_to="here")


@pytest.mark.parametrize("show", [repr, str, "{}".format, lambda sealed: pickle.dumps(sealed).decode("latin-1")])
def test_nothing_that_shows_a_sealed_secret_shows_the_secret(show) -> None:
    sealed = Sealed.seal(Secret(SECRET), bound_to="here")
    assert SECRET not in show(sealed)
    assert SECRET not in show(Secret(SECRET))


@pytest.mark.django_db
def test_the_column_holds_ciphertext_and_comes_back_sealed() -> None:
    token = ContentTokenFactory()
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM tokens_contenttoken WHERE id = %s", [token.pk])
        (column,) = cursor.fetchone()
    assert SECRET not in column
    assert column == token.secret.ciphertext
    assert ContentToken.objects.get().open_secret().reveal() == SECRET


@pytest.mark.django_db
def test_a_ciphertext_moved_to_another_row_does_not_open() -> None:
    mine, theirs = ContentTokenFactory(), ContentTokenFactory()
    ContentToken.objects.filter(pk=mine.pk).update(secret=theirs.secret)
    with pytest.raises(CannotOpen, match="another row"):
        ContentToken.objects.get(pk=mine.pk).open_secret()


@pytest.mark.django_db
@pytest.mark.parametrize("form", ["json", "xml", "python"])
def test_an_export_holds_a_mask(form: str) -> None:
    token = ContentTokenFactory()
    exported = str(serializers.serialize(form, [token]))
    assert "***" in exported
    assert SECRET not in exported
    assert token.secret.ciphertext not in exported


def test_no_form_has_the_field() -> None:
    form = modelform_factory(ContentToken, fields="__all__")
    assert "secret" not in form.base_fields
    assert "fingerprint" not in form.base_fields
