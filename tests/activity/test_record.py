"""What was done is written down once, with the deed or not at all, and holds only what was named."""

from __future__ import annotations

import pytest
import structlog
from django.contrib.auth.models import AnonymousUser
from django.db import transaction

from tests.factories import ContentTokenFactory, UserFactory
from vppportal.activity.models import ONE_GO, Entry, count, record

pytestmark = pytest.mark.django_db


def test_a_person_and_a_deed_are_written_down() -> None:
    by, token = UserFactory(username="ada"), ContentTokenFactory(name="Head office")
    entry = record(by, "renewed", token, expires="2027-01-01")
    assert Entry.objects.get() == entry
    assert (entry.actor, entry.actor_name, entry.verb) == (by, "ada", "renewed")
    assert (entry.object_type, entry.object_id, entry.object_name) == ("contenttoken", token.pk, "Head office")
    assert entry.details == {"expires": "2027-01-01"}
    assert str(entry) == "ada renewed Head office"


@pytest.mark.parametrize("actor", [None, AnonymousUser()], ids=["nobody", "anonymous"])
def test_what_no_person_did_the_portal_did(actor: AnonymousUser | None) -> None:
    entry = record(actor, "found", ContentTokenFactory())
    assert (entry.actor, entry.actor_name) == (None, "Portal")


def test_the_name_outlives_the_account_and_the_object() -> None:
    by, token = UserFactory(username="ada"), ContentTokenFactory(name="Head office")
    record(by, "renewed", token)
    by.delete()
    token.delete()
    entry = Entry.objects.get()
    assert (entry.actor, entry.actor_name, entry.object_name) == (None, "ada", "Head office")


def test_only_what_is_named_is_kept() -> None:
    token = ContentTokenFactory()
    record(None, "found", token)
    assert Entry.objects.get().details == {}
    assert token.secret.ciphertext not in str(Entry.objects.values().get())


def test_an_entry_is_undone_with_its_deed() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        record(None, "found", ContentTokenFactory())
        raise ZeroDivisionError
    assert not Entry.objects.exists()


def test_an_entry_names_the_request_it_came_from() -> None:
    with structlog.contextvars.bound_contextvars(request_id="abc-123"):
        assert record(None, "found", ContentTokenFactory()).request_id == "abc-123"
    assert record(None, "found", ContentTokenFactory()).request_id == ""


def test_a_long_name_is_cut() -> None:
    token = ContentTokenFactory.build(pk=1, name="x" * 300)
    assert len(record(None, "found", token).object_name) == 250


def test_the_newest_entry_comes_first() -> None:
    entries = [record(None, "found", ContentTokenFactory()) for _ in range(3)]
    assert list(Entry.objects.all()) == entries[::-1]


def test_what_the_portal_does_in_many_batches_is_one_entry() -> None:
    token, other = ContentTokenFactory(), ContentTokenFactory()
    for added in (50, 50, 7):
        count("added apps from", token, apps=added)
    count("added apps from", other, apps=3)
    assert sorted(entry.details["apps"] for entry in Entry.objects.all()) == [3, 107]


def test_what_the_portal_does_again_much_later_is_a_new_entry() -> None:
    token = ContentTokenFactory()
    first = count("added apps from", token, apps=50)
    Entry.objects.filter(pk=first.pk).update(at=first.at - 2 * ONE_GO)
    count("added apps from", token, apps=1)
    assert sorted(entry.details["apps"] for entry in Entry.objects.all()) == [1, 50]
