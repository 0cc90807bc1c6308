"""Whatever is posted as an event, it is read or refused: nothing else happens."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from catalog.answers import judge
from catalog.mdm import Unreadable, read
from catalog.models import CommandKind, CommandStatus
from tokens.apple.answers import Unreadable as NotJson
from tokens.apple.answers import decode

NOW = datetime(2030, 1, 1, tzinfo=UTC)
NAMES = st.sampled_from(
    [
        *("topic", "event_id", "created_at", "acknowledge_event", "checkin_event", "ids", "id", "type", "parent_id"),
        *("udid", "status", "command_uuid", "raw_payload", "url_params", "owner", "enrollment_id"),
    ]
)
TEXTS = st.sampled_from(["mdm.Connect", "2026-01-01T00:00:00Z", "Device", "A", ""]) | st.text(max_size=130)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=8), max_leaves=30
)
APPLE = st.sampled_from(["ErrorChain", "ErrorCode", "ErrorDomain", "RejectionReason", "State", "InvitationResult"])
SENT = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(APPLE, inner, max_size=5),
    max_leaves=20,
)


def payload_of(body: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return read(body, NOW).payload()
    except Unreadable:
        return None


@given(st.dictionaries(NAMES, JSON, max_size=6))
def test_any_object_is_an_event_or_is_refused(body: dict[str, Any]) -> None:
    try:
        report = read(body, NOW)
    except Unreadable:
        return
    assert 0 < len(report.event_id) <= 100
    assert 0 < len(report.enrollment_id) <= 127
    assert 0 < len(report.topic) <= 40
    assert report.happened_at <= NOW
    payload_of(body)


@given(st.binary(max_size=300))
def test_any_bytes_are_json_or_are_refused(raw: bytes) -> None:
    try:
        payload_of(decode(raw))
    except NotJson:
        return


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_payload_is_a_property_list_or_is_refused(raw: bytes) -> None:
    told = {"ids": {"id": "A"}, "raw_payload": base64.b64encode(raw).decode()}
    body = {"event_id": "1", "topic": "mdm.Connect", "created_at": "2026-01-01T00:00:00Z", "acknowledge_event": told}
    assert payload_of(body) is None or isinstance(payload_of(body), dict)


@given(
    st.sampled_from(CommandKind), st.sampled_from(["Acknowledged", "Error", "NotNow", "CommandFormatError", "?"]), SENT
)
def test_any_answer_of_a_device_has_a_meaning_with_words_that_can_be_stored(kind: str, status: str, sent: Any) -> None:
    payload = sent if isinstance(sent, dict) else {"ErrorChain": sent}
    meaning = judge(kind, status, payload)
    if meaning is not None:
        assert meaning.status in CommandStatus.values
        assert 0 < len(meaning.words) <= 800
