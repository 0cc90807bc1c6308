"""Store and delete groups, people and devices, each with its activity record."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import IntegrityError, models, transaction

from vppportal.activity.models import record

WORDS = {"usergroup": "the user group", "manageduser": "the person", "device": "the device"}


def keep(form: forms.ModelForm[Any], by: AbstractBaseUser | AnonymousUser) -> Any:
    """Store what a valid form holds and record who added or changed it.

    Return None where somebody stored the same name, address or number a moment ago; the form then says so.
    """
    verb = "added" if form.instance._state.adding else "changed"
    try:
        with transaction.atomic():
            row: models.Model = form.save()
            record(by, f"{verb} {_word(row)}", row)
    except IntegrityError:
        form.full_clean()
        return None
    return row


def remove(row: models.Model, by: AbstractBaseUser | AnonymousUser) -> None:
    """Delete a row and record who did."""
    with transaction.atomic():
        record(by, f"deleted {_word(row)}", row)
        row.delete()


def _word(row: models.Model) -> str:
    return WORDS[row._meta.model_name or ""]
