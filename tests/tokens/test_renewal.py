"""A renewal puts a newer file of the same location in place; what the old file still brings in is ignored."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.factories import UserFactory
from tests.locations import Location, finish, refusal, sync_now
from tokens import registration, removal
from tokens.apple import AppleClient, ClaimedElsewhere, MdmInfo, TokenRejected
from tokens.models import ContentToken, SyncReason, SyncRun, TokenStatus
from vppportal.activity.models import Entry
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db


def renewed(token: ContentToken, location: Location, consents: tuple[str, ...] = ()) -> SyncRun:
    facts = registration.examine(location.file, consents, renews=token)
    return registration.renew(token, location.file, facts, by=UserFactory(username=f"renewer-{uuid.uuid4()}"))


@pytest.mark.parametrize("order", ["revoke", "expire"])
def test_a_newer_file_of_the_location_sets_everything_going_again(location: Location, order: str) -> None:
    token = location.mirrored()
    location.tell(order)
    assert sync_now(token).state == WorkState.FAILED
    location.tell("tokens")
    run = renewed(ContentToken.objects.get(), location)
    now = ContentToken.objects.get()
    assert (now.pk, now.status, now.status_number) == (token.pk, TokenStatus.ACTIVE, None)
    assert now.open_secret() == location.file.secret
    assert run.reason == SyncReason.RENEWAL
    assert finish(run).state == WorkState.DONE
    assert Entry.objects.filter(verb="renewed the VPP token").count() == 1


def test_a_file_of_another_location_is_refused(make_location: Callable[..., Location]) -> None:
    mine, other = make_location(name="Mine"), make_location(name="Other")
    token = mine.mirrored()
    why = refusal(registration.examine, other.file, renews=token)
    assert "Other" in why.sentence
    assert "Mine" in why.sentence


def test_the_same_file_is_no_renewal_of_a_token_that_works(location: Location) -> None:
    token = location.mirrored()
    assert "already uploaded" in refusal(registration.examine, location.file, renews=token).sentence


def test_a_location_that_was_claimed_elsewhere_is_taken_back_with_the_same_file(location: Location) -> None:
    token = location.mirrored()
    location.tell("claim", name="Other MDM", metadata="mdm.example")
    sync_now(token)
    token.refresh_from_db()
    assert (token.status, token.claimed_by) == (TokenStatus.CLAIMED_ELSEWHERE, "Other MDM (mdm.example)")
    assert refusal(registration.examine, location.file, renews=token).consent == "take_over"
    assert finish(renewed(token, location, ("take_over",))).state == WorkState.DONE
    token.refresh_from_db()
    assert (token.status, token.claimed_by) == (TokenStatus.ACTIVE, "")


def test_a_renewal_leaves_alone_what_was_edited_meanwhile(location: Location) -> None:
    stale = location.mirrored(name="Old name")
    registration.edit(
        ContentToken.objects.get(), {"name": "New name", "block_backup": True}, by=UserFactory(), version=0
    )
    location.tell("tokens")
    renewed(stale, location)
    now = ContentToken.objects.get()
    assert (now.name, now.block_backup, now.version) == ("New name", True, 1)


@pytest.mark.parametrize("is_purged", [False, True])
def test_a_token_deleted_meanwhile_is_not_brought_back_by_a_renewal(location: Location, is_purged: bool) -> None:
    token = location.mirrored()
    location.tell("tokens")
    facts = registration.examine(location.file, renews=token)
    removal.delete(token, by=UserFactory())
    if is_purged:
        removal.purge(token.pk)
    why = refusal(registration.renew, token, location.file, facts, by=UserFactory())
    assert "deleted meanwhile" in why.sentence
    assert not ContentToken.objects.kept().exists()


def test_a_refusal_is_kept_with_its_number_and_recorded_once(location: Location) -> None:
    token = location.mirrored()
    for _ in range(2):
        assert registration.note_refusal(token, TokenRejected(number=9625))
    now = ContentToken.objects.get()
    assert (now.status, now.status_number) == (TokenStatus.REVOKED, 9625)
    assert now.status_since > token.status_since
    assert Entry.objects.filter(verb__contains="revoked").count() == 1


@pytest.mark.parametrize("error", [TokenRejected(number=9625), ClaimedElsewhere(owner=MdmInfo("x", "Other", ""))])
def test_a_refusal_of_the_old_file_does_not_touch_the_renewed_token(location: Location, error: Any) -> None:
    old = location.mirrored()
    location.tell("tokens")
    renewed(ContentToken.objects.get(), location)
    assert not registration.note_refusal(old, error)
    assert ContentToken.objects.get().status == TokenStatus.ACTIVE


def test_facts_learned_with_the_old_file_do_not_touch_the_renewed_token(location: Location) -> None:
    old = location.mirrored()
    with AppleClient(location.sim.apple_url, location.file.secret) as client:
        facts = client.client_config()
    location.tell("tokens", days=500)
    renewed(ContentToken.objects.get(), location)
    before = ContentToken.objects.values().get()
    registration.keep_facts(old, facts, is_read_only=False)
    assert ContentToken.objects.values().get() == before


def test_a_refusal_of_a_deleted_token_writes_nothing(location: Location) -> None:
    token = location.mirrored()
    removal.delete(token, by=UserFactory())
    entries = Entry.objects.count()
    assert not registration.note_refusal(token, TokenRejected(number=9625))
    assert Entry.objects.count() == entries
