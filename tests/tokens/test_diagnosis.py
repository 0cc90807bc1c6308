"""Each way in which Apple refuses a token has its own state, its own causes and its own way out."""

from __future__ import annotations

import pytest

from tests.factories import ContentTokenFactory
from tokens.apple import AppleError, ClaimedElsewhere, MdmInfo, TokenRejected
from tokens.diagnosis import diagnose, status_of
from tokens.models import ContentToken, TokenStatus

REFUSED = [status for status in TokenStatus if status != TokenStatus.ACTIVE]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TokenRejected(number=9625), TokenStatus.REVOKED),
        (TokenRejected(number=9621), TokenStatus.EXPIRED),
        (TokenRejected(number=9622), TokenStatus.INVALID),
        (TokenRejected(number=9601), TokenStatus.INVALID),
        (TokenRejected(number=9722), TokenStatus.INVALID),
        (TokenRejected(http_status=401), TokenStatus.INVALID),
        (ClaimedElsewhere(owner=MdmInfo("1", "Other", "")), TokenStatus.CLAIMED_ELSEWHERE),
        (ClaimedElsewhere(owner=MdmInfo("1", "Other", ""), number=9625), TokenStatus.CLAIMED_ELSEWHERE),
    ],
    ids=str,
)
def test_each_refusal_is_a_state_of_its_own(error: AppleError, status: TokenStatus) -> None:
    assert status_of(error) == status


def token(status: TokenStatus, **fields) -> ContentToken:
    return ContentTokenFactory.build(name="Head office", status=status, **fields)


def test_nothing_is_wrong_with_an_active_token() -> None:
    assert diagnose(token(TokenStatus.ACTIVE)) is None


@pytest.mark.parametrize("status", REFUSED)
def test_a_diagnosis_names_the_token_the_causes_the_next_step_and_apples_number(status: TokenStatus) -> None:
    found = diagnose(token(status, status_number=9999))
    assert found is not None
    assert "Head office" in found.headline
    assert found.causes
    assert "Renew" in found.next_step
    assert found.number == 9999


def test_no_state_is_described_as_another() -> None:
    assert len({diagnose(token(status)) for status in REFUSED}) == len(REFUSED)


def test_a_revoked_token_names_the_two_usual_causes() -> None:
    found = diagnose(token(TokenStatus.REVOKED))
    assert found is not None
    assert any("password" in cause for cause in found.causes)
    assert any("flagged" in cause for cause in found.causes)


def test_a_claimed_location_says_whose_it_is() -> None:
    found = diagnose(token(TokenStatus.CLAIMED_ELSEWHERE, claimed_by="Other MDM (mdm.example)"))
    assert found is not None
    assert "Other MDM (mdm.example)" in found.headline
