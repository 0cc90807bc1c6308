"""Storing groups, people and devices while somebody else does the same."""

from __future__ import annotations

import pytest

from tests.factories import UserFactory
from vppportal.activity.models import Entry
from vppportal.groups.changes import keep
from vppportal.groups.forms import DeviceForm, GroupForm, PersonForm

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("form_class", "sent", "field"),
    [
        (GroupForm, {"name": "Sales"}, "__all__"),
        (PersonForm, {"name": "Ada", "email": "ada@example.org"}, "email"),
        (DeviceForm, {"serial_number": "C02", "platform": "iOS", "enrollment_type": "device"}, "__all__"),
    ],
)
def test_of_two_who_store_the_same_at_once_the_second_is_told(
    form_class: type, sent: dict[str, str], field: str
) -> None:
    first, second = form_class(sent), form_class(sent)
    assert first.is_valid()
    assert second.is_valid()
    row = keep(first, UserFactory())
    assert keep(second, UserFactory()) is None
    assert "There is already a" in str(second.errors[field])
    assert list(type(row)._default_manager.all()) == [row]
    assert Entry.objects.count() == 1
