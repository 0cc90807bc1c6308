"""In whatever order and batches events come, and however often, devices and apps end up the same."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog import events
from catalog.models import App, Command, CommandKind, CommandStatus, DeviceEvent, Installation, InstallState
from tests.channel import START, answer, apply, authenticate, event
from tests.factories import AppFactory, CommandFactory, DeviceFactory, InstallationFactory, ManagedUserFactory
from vppportal.groups.models import Device, ManagedUser

pytestmark = pytest.mark.django_db
SERIALS, NAMES = ("C1", "C2"), ("E-1", "E-2", "E-3")
NO_CHECK = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)

STEPS = st.one_of(
    st.tuples(st.just("Authenticate"), st.sampled_from(NAMES), st.sampled_from(SERIALS)),
    st.tuples(st.sampled_from(["TokenUpdate", "Connect", "CheckOut"]), st.sampled_from(NAMES), st.just("")),
)
HISTORIES = st.lists(STEPS, min_size=1, max_size=9)


def plausible(history: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Return a history as it can happen: an enrollment begins with Authenticate, keeps its device, and ends once."""
    serial_of: dict[str, str] = {}
    active: set[str] = set()
    kept = []
    for topic, name, serial in history:
        if topic == "Authenticate":
            serial = serial_of.setdefault(name, serial)
            active.add(name)
        elif name not in active:
            continue
        if topic == "CheckOut":
            active.discard(name)
        kept.append((topic, name, serial))
    return kept


def bodies(history: list[tuple[str, str, str]]) -> list[dict[str, Any]]:
    made = []
    for at, (topic, name, serial) in enumerate(plausible(history)):
        if topic == "Authenticate":
            made.append(authenticate(name, serial, at=at, owner="ada@company.example"))
        else:
            made.append(event(topic, name, at=at))
    return made


def devices() -> list[tuple[object, ...]]:
    rows = Device.objects.exclude(serial_number="")
    return sorted(
        rows.values_list(
            "serial_number", "enrollment_id", "enrolled_at", "unenrolled_at", "last_seen_at", "owner__email", "model"
        )
    )


def happen(told: list[dict[str, Any]], batch: int) -> None:
    for start in range(0, len(told), batch):
        for body in told[start : start + batch]:
            events.store(body)
        apply()


def clean() -> None:
    for model in (DeviceEvent, Installation, Command, Device, App, ManagedUser):
        model.objects.all().delete()
    ManagedUserFactory(email="ada@company.example")
    DeviceFactory(serial_number="C1", name="Known before")


@NO_CHECK
@given(HISTORIES, st.randoms(use_true_random=False), st.integers(1, 4))
def test_any_order_of_check_ins_ends_with_the_same_devices(history: Any, random: Any, batch: int) -> None:
    told = bodies(history)
    clean()
    happen(told, len(told) or 1)
    in_order = devices()

    clean()
    shuffled = [*told, *random.sample(told, len(told) // 2)]
    random.shuffle(shuffled)
    happen(json.loads(json.dumps(shuffled)), batch)
    assert devices() == in_order
    serials = [row[0] for row in in_order]
    assert len(serials) == len(set(serials))


def under_way() -> tuple[Command, Command]:
    """Return an install and a list that a device has been sent."""
    clean()
    sent_at = START - timedelta(minutes=1)
    device = Device.objects.get()
    Device.objects.update(enrollment_id="E-1", enrolled_at=START - timedelta(days=1))
    device.refresh_from_db()
    app = AppFactory(listing__bundle_id="example.app")
    installation = InstallationFactory(app=app, device=device, state=InstallState.SENT, since=sent_at)
    fields = {"device": device, "status": CommandStatus.SENT, "sent_at": sent_at, "created_at": sent_at}
    install = CommandFactory(installation=installation, kind=CommandKind.INSTALL, **fields)
    return install, CommandFactory(kind=CommandKind.MANAGED_LIST, **fields)


def story(install: Command, asked: Command, is_refused: bool, is_there: bool, is_erased: bool) -> list[dict[str, Any]]:
    """Return what a device says to both, in its order, and perhaps that it was erased and enrolled anew."""
    listed = {"ManagedApplicationList": {"example.app": {"Status": "Managed"}} if is_there else {}}
    told = [
        answer(install, "NotNow", at=1),
        answer(install, "Error", at=2, RejectionReason="NotSupported")
        if is_refused
        else answer(install, "Acknowledged", at=2, State="Queued"),
        answer(asked, "NotNow", at=3),
        answer(asked, "Acknowledged", at=4, **listed),
    ]
    return [*told, authenticate("E-1", "C1", at=5), event("TokenUpdate", "E-1", at=6)] if is_erased else told


def outcome() -> list[object]:
    installation = Installation.objects.get()
    return [installation.state, installation.tries, installation.retry_at is None, *devices()]


@NO_CHECK
@given(st.booleans(), st.booleans(), st.booleans(), st.randoms(use_true_random=False), st.integers(1, 3))
def test_any_order_of_answers_ends_with_the_app_in_the_same_state(
    is_refused: bool, is_there: bool, is_erased: bool, random: Any, batch: int
) -> None:
    # A device that refused the app does not list it.
    how = (is_refused, is_there and not is_refused, is_erased)
    happen(story(*under_way(), *how), 9)
    in_order = outcome()

    shuffled = story(*under_way(), *how)
    shuffled += random.sample(shuffled, 2)
    random.shuffle(shuffled)
    happen(shuffled, batch)
    assert outcome() == in_order
