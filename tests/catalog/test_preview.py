"""What a preview says: every fate in a sentence with its numbers, its reasons and its tokens."""

from __future__ import annotations

from typing import Any

import pytest

from catalog import preview
from catalog.facts import Verdict
from catalog.models import App, InstallState, Reason
from catalog.preview import Fate, Targets, fate_of
from tests.factories import AppFactory, ContentTokenFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def app() -> App:
    made: App = AppFactory(listing__name="Keynote")
    return made


def verdicts(app: App, number: int, state: InstallState, **facts: Any) -> list[Verdict]:
    return [Verdict(app.pk, device + 1, None, state, **facts) for device in range(number)]


def said(app: App, *parts: list[Verdict]) -> list[str]:
    return Targets([verdict for part in parts for verdict in part], [app]).sentences()


def test_licenses_are_told_token_by_token_the_largest_first(app: App) -> None:
    small, large = ContentTokenFactory(name="Small"), ContentTokenFactory(name="Large")
    sentences = said(
        app,
        verdicts(app, 1, InstallState.LICENSING, asset_id=1, token_id=small.pk, license_kind="device", asks=True),
        verdicts(app, 2, InstallState.LICENSING, asset_id=2, token_id=large.pk, license_kind="user", asks=True),
        verdicts(app, 1, InstallState.READY, asset_id=2, token_id=large.pk, license_kind="device"),
    )
    assert sentences == [
        "4 devices get it with a license, 3 from “Large”, 1 from “Small”."
        " 2 of these licenses are held by people. 1 of them hold theirs already."
    ]


@pytest.mark.parametrize(
    ("state", "reason", "sentence"),
    [
        (InstallState.OFFERED, Reason.NONE, "1 device is offered it"),
        (InstallState.IN_LINE, Reason.QUOTA, "1 device waits in line for a license: the quota of the"),
        (InstallState.UNREGISTERED, Reason.INVITED, "1 device waits for the person: the person has not accepted"),
        (InstallState.LICENSING, Reason.BUSY, "1 device waits in line for a license: an earlier change"),
        (InstallState.INSTALLED, Reason.NONE, "1 device has it already, or on the way."),
        (InstallState.FAILED, Reason.NONE, "1 device failed before"),
        (
            InstallState.SKIPPED,
            Reason.NOT_DEVICE_ASSIGNABLE,
            "1 device is skipped: Apple gives this app to people",
        ),
        (InstallState.REMOVING, Reason.NOT_WANTED, "1 device loses it."),
        (InstallState.LEFT, Reason.STAYS, "1 device keeps it, but the portal no longer manages it there."),
    ],
)
def test_every_fate_has_its_sentence(app: App, state: InstallState, reason: Reason, sentence: str) -> None:
    (told,) = said(app, verdicts(app, 1, state, reason=reason))
    assert told.startswith(sentence)


def test_many_reasons_are_counted_and_the_rarest_left_out(app: App) -> None:
    reasons = [Reason.PLATFORM, Reason.OS_TOO_OLD, Reason.NO_SERIAL, Reason.RETIRED, Reason.WIPED]
    reasons += [Reason.NOT_ENROLLED, Reason.SHARED_DEVICE, Reason.USER_ENROLLMENT, Reason.NOT_OWNED, Reason.PAUSED]
    parts = [verdicts(app, 20 - place, InstallState.SKIPPED, reason=reason) for place, reason in enumerate(reasons)]
    (told,) = said(app, *parts)
    assert "the app does not run on this platform (20)" in told
    assert told.endswith("23 others.")


def test_a_person_without_a_device_is_no_device(app: App) -> None:
    person = [Verdict(app.pk, None, 7, InstallState.SKIPPED, Reason.NO_DEVICE)]
    assert said(app, person) == ["1 person is skipped: the person has no device."]


def test_an_app_without_license_is_told_from_one_with(app: App) -> None:
    (outside,) = verdicts(app, 1, InstallState.READY, reason=Reason.OUTSIDE, license_kind="none")
    assert fate_of(outside) == Fate.UNLICENSED


def test_what_is_kept_comes_back_as_it_was(app: App) -> None:
    made = verdicts(app, 3, InstallState.IN_LINE, reason=Reason.NO_LICENSE_LEFT, holder="DX1", details="…")
    preview.remember("a", made)
    kept = preview.remembered("a")
    assert kept
    assert kept[1] == made
    assert preview.remembered("b") is None
