"""Apple refuses a token, or another MDM takes the location, in mid-sync: stop, say so, keep what is there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deliveries import deliver, sweep
from tests.factories import UserFactory
from tests.locations import Location, Mirror, assert_level, sync_now
from tokens import registration, tasks
from tokens.models import ContentToken, SyncRun, TokenStatus
from vppportal.activity.models import Entry
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db(transaction=True)

OTHER = {"id": "theirs", "name": "Other MDM", "metadata": "mdm.example"}
REFUSALS: dict[TokenStatus, dict[str, Any]] = {
    TokenStatus.REVOKED: {"error_number": 9625},
    TokenStatus.EXPIRED: {"error_number": 9621},
    TokenStatus.INVALID: {"error_number": 9622},
    TokenStatus.CLAIMED_ELSEWHERE: {"merge": {"mdmInfo": OTHER}},
}
LISTS = ("assets", "users", "assignments")


@pytest.fixture
def token(location: Location) -> ContentToken:
    """A token that has been mirrored, with changes at Apple on every list since."""
    mirrored = location.mirrored()
    location.sim.control("page-size", size=1)
    location.tell("buy", adam_id=location.adam_ids[0], count=3)
    location.tell("assign", adam_id=location.adam_ids[0], serial_numbers=["NEWSERIAL1"])
    row = next(iter(location.world.holdings))
    location.tell("take-back", adam_id=row.adam_id, serial_numbers=[row.serial_number])
    return mirrored


def refuse(location: Location, path: str, status: TokenStatus, nth: int) -> None:
    location.sim.control("faults", path=f"/{path}", nth=nth, times=-1, **REFUSALS[status])


def first_requests(location: Location) -> int:
    """Count requests without those for further pages: some of these were under way when the refusal came."""
    return len([entry for entry in location.asked() if "pageIndex" not in entry["query"]])


@pytest.mark.django_db
@pytest.mark.parametrize("nth", [1, 3])
@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_on_any_page_stops_the_sync_and_keeps_the_mirror(
    location: Location, token: ContentToken, status: TokenStatus, path: str, nth: int
) -> None:
    before = Mirror(token).assignments
    refuse(location, path, status, nth)
    run = sync_now(token)
    now = ContentToken.objects.get()
    assert (run.state, now.status) == (WorkState.FAILED, status)
    assert now.status_number == REFUSALS[status].get("error_number")
    assert now.synced_at == token.synced_at
    assert Mirror(token).assignments == before
    asked = [entry["path"].rpartition("/")[2] for entry in location.asked() if entry["fault"]]
    assert set(asked) == {path}
    assert len(asked) <= 6, "the page that was refused, and what was being read ahead"


@pytest.mark.parametrize("status", REFUSALS)
def test_nothing_is_tried_again_until_somebody_renews(
    location: Location, token: ContentToken, status: TokenStatus, settings: Any
) -> None:
    refuse(location, "assignments", status, 2)
    sync_now(token)
    location.sim.world.faults.clear()
    asked = first_requests(location)
    settings.SYNC_EVERY_HOURS = 0
    for _ in range(3):
        tasks.schedule_syncs()
        sweep()
        deliver()
    assert first_requests(location) == asked
    assert Entry.objects.filter(actor=None, verb__startswith="found").count() == 1


@pytest.mark.parametrize("status", REFUSALS)
def test_a_renewal_sets_everything_going_again(location: Location, token: ContentToken, status: TokenStatus) -> None:
    refuse(location, "assignments", status, 2)
    sync_now(token)
    location.sim.world.faults.clear()
    location.tell("tokens", revoke_others=True)
    facts = registration.examine(location.file, renews=ContentToken.objects.get())
    registration.renew(ContentToken.objects.get(), location.file, facts, by=UserFactory())
    sweep()
    deliver()
    assert ContentToken.objects.get().status == TokenStatus.ACTIVE
    assert SyncRun.objects.order_by("-pk")[0].state == WorkState.DONE
    assert_level(token, location)
