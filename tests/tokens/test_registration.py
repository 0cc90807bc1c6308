"""Tokens are taken into service, renewed and changed: each refusal has its sentence, and refused is unchanged."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from tests.factories import AssetFactory, ContentTokenFactory, UserFactory, UserGroupFactory
from tests.locations import Location, finish, refusal
from tokens import registration
from tokens.models import ContentToken, Listing, SyncReason, SyncRun, TokenStatus
from tokens.registration import Refused
from vppportal.activity.models import Entry
from vppportal.simulator import Simulator
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db


# --- Adding -----------------------------------------------------------------------------------------------------------


def test_a_token_is_stored_with_its_first_sync_and_its_record(location: Location) -> None:
    by, group = UserFactory(), UserGroupFactory()
    run = location.upload(by=by, name="Head office", block_backup=True, restricted_to=[group])
    token = ContentToken.objects.get()
    assert (run.token, run.reason, run.requested_by, run.state) == (token, SyncReason.UPLOAD, by, WorkState.WAITING)
    assert (token.name, token.status, token.block_backup) == ("Head office", TokenStatus.ACTIVE, True)
    assert list(token.restricted_to.all()) == [group]
    assert (token.location_id, token.location_name) == (location.world.uid, location.world.identity.name)
    assert token.open_secret() == location.file.secret
    (entry,) = Entry.objects.all()
    assert (entry.actor, entry.verb, entry.object_id) == (by, "added the VPP token", token.pk)


def test_the_secret_stays_out_of_everything_that_is_stored(location: Location) -> None:
    location.upload()
    secret = location.file.secret.reveal()
    for model in (ContentToken, SyncRun, Entry):
        assert secret not in str(list(model.objects.values()))


def test_apple_is_asked_once(location: Location) -> None:
    location.upload()
    assert [request["path"] for request in location.asked()] == ["/mdm/v2/client/config"]


def test_a_file_that_is_here_already_is_refused_by_name_without_asking_apple(location: Location) -> None:
    token = location.upload(name="Head office").token
    asked = len(location.asked())
    why = refusal(registration.examine, location.file, region="US")
    assert "“Head office”" in why.sentence
    assert why.existing == token
    assert len(location.asked()) == asked


def test_a_second_file_of_a_location_is_refused_offering_renewal(location: Location) -> None:
    token = location.upload(name="Head office").token
    location.tell("tokens")
    why = refusal(registration.examine, location.file, region="US")
    assert why.existing == token
    assert "renew “Head office”" in why.sentence


@pytest.mark.parametrize(("order", "word"), [("revoke", "revoked"), ("expire", "expired")])
def test_a_token_that_apple_refuses_is_refused_with_its_reason(location: Location, order: str, word: str) -> None:
    location.tell(order)
    why = refusal(registration.examine, location.file, region="US")
    assert word in why.sentence
    assert "Apple error 962" in why.details


def test_a_token_apple_does_not_know_is_refused_as_not_accepted(location: Location) -> None:
    file = location.file
    location.sim.world.tokens.clear()
    assert "does not accept" in refusal(registration.examine, file, region="US").sentence


def test_an_expired_file_is_refused_without_asking_apple(location: Location) -> None:
    file = location.file
    with time_machine.travel(file.expires_at, tick=False):
        assert "expired on" in refusal(registration.examine, file, region="US").sentence
    assert location.asked() == []


@pytest.mark.parametrize(
    "trouble",
    [{"status": 503, "body": "down"}, {"drop": "before"}, {"body": "<html>"}, {"error_number": 9646}],
    ids=str,
)
def test_apple_in_trouble_saves_nothing_and_says_so(location: Location, trouble: dict[str, Any]) -> None:
    location.sim.control("faults", times=-1, **trouble)
    assert "Nothing was saved" in refusal(registration.examine, location.file, region="US").sentence


def test_apple_that_is_not_there_is_told_as_such(location: Location, settings) -> None:
    settings.APPLE_VPP_URL = "http://127.0.0.1:9/mdm/v2"
    assert "cannot be reached" in refusal(registration.examine, location.file, region="US").sentence


def test_another_region_than_apples_needs_consent(make_location: Callable[..., Location]) -> None:
    location = make_location(country="DE")
    why = refusal(registration.examine, location.file, region="US")
    assert (why.field, why.consent) == ("region", "accept_region")
    assert "Germany" in why.sentence
    assert registration.examine(location.file, ["accept_region"], region="US").country == "DE"


def test_a_location_of_another_mdm_needs_consent_and_is_taken_over_by_the_sync(location: Location) -> None:
    location.tell("claim", name="Other MDM", metadata="mdm.example")
    why = refusal(registration.examine, location.file, region="US")
    assert why.consent == "take_over"
    assert "Other MDM (mdm.example)" in why.sentence
    run = location.upload(consents=("take_over",))
    assert (location.world.mdm_info or {})["name"] == "Other MDM"
    assert finish(run).state == WorkState.DONE
    assert (location.world.mdm_info or {})["name"] == "VPP Portal"


def test_consent_covers_the_claim_that_was_seen_and_no_other(location: Location) -> None:
    location.tell("claim", id="first", name="Other MDM")
    run = location.upload(consents=("take_over",))
    location.tell("claim", id="second", name="A third MDM")
    assert finish(run).state == WorkState.FAILED
    assert ContentToken.objects.get().status == TokenStatus.CLAIMED_ELSEWHERE
    assert (location.world.mdm_info or {})["id"] == "second"


def test_names_differ_by_more_than_case(location: Location) -> None:
    ContentTokenFactory(name="Head Office")
    why = refusal(location.upload, by=UserFactory(), name="head office")
    assert why.field == "name"


def submit_at_once(location: Location, submissions: list[uuid.UUID]) -> list[str]:
    """Send the form from as many threads as submissions, all at the same moment; return how each ended."""
    by = UserFactory()
    facts = registration.examine(location.file, region="US")
    start = threading.Barrier(len(submissions))

    def submit(number: int, submission: uuid.UUID) -> str:
        start.wait()
        choices = {"name": f"Number {number}", "region": "US"}
        try:
            registration.register(location.file, facts, choices, by=by, submission=submission)
        except Refused as refused:
            return refused.sentence
        finally:
            connection.close()
        return "stored"

    with ThreadPoolExecutor(len(submissions)) as pool:
        return sorted(pool.map(submit, range(len(submissions)), submissions))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["two tabs", "double click"])
def test_the_same_file_sent_at_once_becomes_one_token(location: Location, kind: str) -> None:
    one = uuid.uuid4()
    ends = submit_at_once(location, [one if kind == "double click" else uuid.uuid4() for _ in range(4)])
    assert ends.count("stored") == 1
    assert all("already uploaded" in end for end in ends if end != "stored")
    assert ContentToken.objects.count() == SyncRun.objects.count() == Entry.objects.count() == 1


# --- Changing ---------------------------------------------------------------------------------------------------------


def test_an_edit_stores_the_choices_and_names_what_changed() -> None:
    token, group = ContentTokenFactory(name="Old"), UserGroupFactory()
    choices = {"name": "New", "region": "US", "block_backup": True, "restricted_to": [group]}
    assert registration.edit(token, choices, by=UserFactory(), version=0)
    now = ContentToken.objects.get()
    assert (now.name, now.block_backup, now.version, list(now.restricted_to.all())) == ("New", True, 1, [group])
    assert Entry.objects.get().details == {"fields": ["name", "block_backup"]}


def test_a_stale_edit_is_refused() -> None:
    token = ContentTokenFactory()
    assert registration.edit(token, {"name": "First"}, by=UserFactory(), version=0)
    assert not registration.edit(ContentToken.objects.get(), {"name": "Second"}, by=UserFactory(), version=0)
    assert ContentToken.objects.get().name == "First"
    assert Entry.objects.count() == 1


def test_an_edit_of_a_deleted_token_is_refused() -> None:
    assert not registration.edit(ContentTokenFactory(deleted=True), {"name": "New"}, by=UserFactory(), version=0)


def test_a_new_region_makes_the_apps_due_in_its_store() -> None:
    token = ContentTokenFactory(region="US")
    AssetFactory(token=token, adam_id="100")
    registration.edit(token, {"region": "FR"}, by=UserFactory(), version=0)
    assert list(Listing.objects.due().values_list("adam_id", "storefront")) == [("100", "FR")]


# --- Asking for a sync ------------------------------------------------------------------------------------------------


def test_a_sync_that_is_open_is_hurried_rather_than_doubled(location: Location) -> None:
    token, by = location.mirrored(), UserFactory()
    first = registration.ask_for_sync(token, SyncReason.MANUAL, by)
    SyncRun.objects.filter(pk=first.pk).update(next_attempt_at=timezone.now() + timedelta(hours=1))
    assert registration.ask_for_sync(token, SyncReason.MANUAL, by) == first
    assert SyncRun.objects.due().get() == first
    assert Entry.objects.filter(verb="asked for a sync of").count() == 1


@pytest.mark.django_db(transaction=True)
def test_syncs_asked_for_at_once_become_one(sim: Simulator) -> None:
    token = ContentTokenFactory()
    start = threading.Barrier(4)

    def ask() -> int:
        start.wait()
        run = registration.ask_for_sync(token, SyncReason.MANUAL, None)
        connection.close()
        return run.pk

    with ThreadPoolExecutor(4) as pool:
        assert len({future.result() for future in [pool.submit(ask) for _ in range(4)]}) == 1
    assert SyncRun.objects.count() == 1
