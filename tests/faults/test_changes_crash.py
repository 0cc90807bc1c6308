"""A worker dies at any statement of a change, or right after Apple has taken it: the next one brings it to its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.db import OperationalError
from django.utils import timezone

from tests.changes import assert_agreed, asset_of, carry_out_due, known_devices, settle_all, states
from tests.deliveries import taken
from tests.factories import UserFactory
from tests.faults.test_crashes import Killed, dying_at, enumerate_deaths
from tests.locations import Location
from tokens import connection, licenses, removal, tasks
from tokens.apple import AppleClient
from tokens.models import ContentToken, Operation, OperationKind, OperationStep, Target
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db(transaction=True)


def work_until_settled(location: Location) -> None:
    """Be a worker until the change is settled, time passing between its steps."""
    with time_machine.travel(timezone.now(), tick=True) as clock:
        for _ in range(20):
            carry_out_due()
            location.sim.control("settle")
            if not Operation.objects.open().exists():
                return
            clock.shift(timedelta(seconds=31))
    raise AssertionError("it is not settled")


def licensed(location: Location) -> ContentToken:
    token = location.mirrored()
    asset = asset_of(token)
    location.tell("buy", adam_id=asset.adam_id, count=10_000)
    token.assets.filter(pk=asset.pk).update(total=asset.total + 10_000, available=asset.available + 10_000)
    list(taken())
    return token


@pytest.mark.parametrize("error", [Killed(), OperationalError("the connection was lost")], ids=["killed", "database"])
def test_giving_a_license_survives_a_death_at_every_statement(location: Location, error: BaseException) -> None:
    token = licensed(location)
    asset = asset_of(token)

    def prepare() -> Callable[[], None]:
        licenses.assign(asset, known_devices(2), by=None, why="Test")
        return lambda: work_until_settled(location)

    deaths = 0
    for _ in enumerate_deaths(prepare, error):
        deaths += 1
        settle_all(location)
        assert_agreed(token, location)
    assert deaths > 8
    assert states() == {"done": 2 * (deaths + 1)}


def test_taking_a_license_back_survives_a_death_at_every_statement(location: Location) -> None:
    token = licensed(location)
    asset = asset_of(token)

    def prepare() -> Callable[[], None]:
        devices = known_devices(2)
        licenses.assign(asset, devices, by=None, why="Test")
        settle_all(location)
        licenses.revoke(asset, devices, by=None, why="Test")
        return lambda: work_until_settled(location)

    for _ in enumerate_deaths(prepare, Killed()):
        settle_all(location)
        # What was read back as still assigned is asked for again by whoever wants it back.
        dropped = [*Target.objects.filter(operation__kind=OperationKind.REVOKE, state="dropped")]
        licenses.revoke(asset, [licenses.Holder(row.serial_number) for row in dropped], by=None, why="Test")
        settle_all(location)
        assert_agreed(token, location)
        assert asset.assignments.count() == 6


def test_asking_for_licenses_dies_whole_or_not_at_all(location: Location) -> None:
    token = licensed(location)
    asset = asset_of(token)

    def prepare() -> Callable[[], None]:
        devices = known_devices(3)

        def ask() -> None:
            licenses.assign(asset, devices, by=None, why="Test")

        return ask

    for _ in enumerate_deaths(prepare, Killed()):
        assert not Operation.objects.exists()
        assert not Target.objects.exists()
    assert Target.objects.count() == 3


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("method", ["associate", "event_status", "assets"])
def test_a_worker_that_dies_with_the_call_leaves_nothing_undone_or_done_twice(
    location: Location, monkeypatch: pytest.MonkeyPatch, method: str, moment: str
) -> None:
    token = licensed(location)
    asset = asset_of(token)
    licenses.assign(asset, known_devices(3), by=None, why="Test")
    real = getattr(AppleClient, method)

    def dying(self: AppleClient, *arguments: object, **named: object) -> object:
        if moment == "after":
            answer = real(self, *arguments, **named)
            if method == "assets":
                list(answer)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(AppleClient, method, dying)
        work_until_settled(location)
    operation = Operation.objects.get()
    assert operation.state == WorkState.RUNNING
    assert operation.step == (OperationStep.SENDING if method == "associate" else OperationStep.PENDING)
    settle_all(location)
    assert_agreed(token, location)
    assert len(location.asked("/assets/associate")) == 1
    assert states() == {"done": 3}


def test_a_deletion_in_the_middle_of_changes_survives_a_death_at_every_statement(
    make_location: Callable[..., Location],
) -> None:
    by = UserFactory()
    made: list[tuple[ContentToken, Location]] = []

    def prepare() -> Callable[[], None]:
        location = make_location(assets=1, assignments=2, users=1, devices=2)
        token = location.mirrored(by=by)
        made.append((token, location))
        location.sim.control("limits", maxSerialNumbers=2)
        connection.forget_service()
        licenses.assign(asset_of(token), known_devices(4), by=None, why="Test")
        tasks.carry_out_operation(Operation.objects.order_by("pk")[0].pk)
        removal.delete(token, by=by)
        list(taken())
        return lambda: bury(token, location)

    for _ in enumerate_deaths(prepare, Killed()):
        token, location = made[-1]
        settle_all(location)
        bury(token, location)
        assert not ContentToken.objects.exists()
        assert not Target.objects.exists()
        assert len(location.asked("/assets/associate")) == 1


def bury(token: ContentToken, location: Location) -> None:
    """Let a worker follow what was sent to its end and delete the rest."""
    with time_machine.travel(timezone.now(), tick=True) as clock:
        for _ in range(20):
            carry_out_due()
            tasks.purge_token(token.pk)
            location.sim.control("settle")
            if not ContentToken.objects.filter(pk=token.pk).exists():
                return
            clock.shift(timedelta(seconds=31))
    raise AssertionError("it is not gone")


def test_dying_is_noticed_by_these_tests(location: Location) -> None:
    token = licensed(location)
    licenses.assign(asset_of(token), known_devices(1), by=None, why="Test")
    with dying_at(0, Killed()), pytest.raises(Killed):
        work_until_settled(location)
    assert Operation.objects.get().state == WorkState.WAITING
