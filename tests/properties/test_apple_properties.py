"""Whatever Apple, or somebody in its place, sends: values stay in bounds, and nothing but our own errors comes out."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tokens.apple import AppleUnavailable, Limits, Page, Walk
from tokens.apple.answers import LONGEST_PAUSE, SHORTEST_PAUSE, Unreadable, decode, retry_after
from tokens.apple.errors import sentence
from tokens.apple.metadata import store_item
from tokens.apple.parsing import client_config, event_status, mdm_info, service_config, targets
from tokens.apple.rows import assets, assignments, page, users
from tokens.apple.walk import walk_pages
from tokens.dates import parse_date
from tokens.vpptoken import BadTokenFile, VppToken, read

NOW = datetime(2026, 11, 1, tzinfo=UTC)
NAMES = re.findall(
    r"\w+",
    """
    adamId pricingParam productType totalCount availableCount assignedCount retiredCount deviceAssignable revocable
    supportedPlatforms serialNumber clientUserId email status inviteCode idHash uId locationName countryISO2ACode
    id name metadata tokenExpirationDate urls limits errorCodes errorNumber errorMessage notificationTypes maxAssets
    maxRequestPerSecond eventStatus numRequested numCompleted failures errorInfo assets clientUserIds serialNumbers
    totalPages versionId nextPageIndex currentPageIndex artwork url width offers version display externalId price
    mdmInfo size releaseDate results latestVersionReleaseDate contentRatingsBySystem appsApple hasInAppPurchases
    """,
)
anything: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["1", "App", "x" * 300]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=12,
)
bodies = st.dictionaries(st.sampled_from(NAMES), anything, max_size=10)


@given(st.text() | st.integers().map(str) | st.floats().map(str) | st.dates().map(str))
@example("9" * 10_000)
@example("Fri, 31 Dec 9999 23:59:59 -2359")
def test_retry_after_is_in_bounds_or_nothing(header):
    seconds = retry_after(header)
    assert seconds is None or SHORTEST_PAUSE <= seconds <= LONGEST_PAUSE


@given(st.integers(min_value=0, max_value=10**30))
def test_a_number_of_seconds_is_taken_at_its_word(seconds):
    assert retry_after(str(seconds)) == min(max(float(seconds), 1.0), 21600.0)


@given(
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
    st.booleans(),
)
def test_a_date_means_the_same_moment_with_and_without_the_colon(moment, minutes, has_colon):
    moment = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    text = moment.isoformat()
    assert parse_date(text if has_colon else text[:-3] + text[-2:]) == moment


@given(anything)
def test_no_value_breaks_the_reader_of_dates(value):
    found = parse_date(value)
    assert found is None or found.tzinfo is UTC


@given(bodies)
def test_limits_are_positive_whatever_is_sent(body):
    limits = service_config({"limits": body}).limits
    assert all(isinstance(getattr(limits, name), int) and getattr(limits, name) > 0 for name in Limits.__slots__)


@given(bodies)
def test_no_body_breaks_a_reader(body):
    for reader in (service_config, client_config, mdm_info, targets, lambda body: event_status(body, "e")):
        with contextlib.suppress(Unreadable):
            reader(body)
    store_item("1", body, set())


@given(st.lists(bodies | anything, max_size=5))
def test_no_row_breaks_a_list_and_every_row_is_used_or_counted(rows):
    readers: dict[str, Any] = {"assets": assets, "assignments": assignments, "users": users}
    for name, reader in readers.items():
        found: Page[Any] = page({name: rows}, 0, {name: reader})
        assert len(found.items) + found.skipped == len(rows)
    assert all(bool(row.serial_number) != bool(row.client_user_id) for row in assignments(rows))
    assert all(asset.total >= 0 and asset.available >= 0 and asset.assigned >= 0 for asset in assets(rows))


@given(anything)
def test_whatever_was_decoded_can_be_stored(value):
    with contextlib.suppress(Unreadable):
        text = json.dumps(decode(json.dumps({"value": value}).encode()), ensure_ascii=False)
        assert "\x00" not in text
        text.encode()


@given(st.binary(max_size=200))
def test_no_bytes_break_the_decoder(raw):
    with contextlib.suppress(Unreadable):
        decode(raw)


@given(st.text(), st.text(alphabet="ABCDEFGHabcdefgh0123456789+/=", min_size=24, max_size=80), st.text())
def test_no_text_of_apples_carries_a_credential(before, secret, after):
    assert secret not in sentence(9999, f"{before} {secret} {after}")


@given(
    st.lists(
        st.tuples(st.none() | st.integers(-2, 12), st.integers(0, 14), st.sampled_from(["v1", "v1", "v1", "v2", None])),
        min_size=1,
        max_size=12,
    )
)
def test_every_walk_ends_in_order_and_only_a_perfect_one_is_clean(book):
    asked: list[int] = []

    def fetch(index: int) -> Page[int]:
        asked.append(index)
        following, total, version = book[index] if index < len(book) else (None, len(book), "v1")
        return Page([index], index, following, total, version)

    def begin(index: int) -> Future[Page[int]]:
        future: Future[Page[int]] = Future()
        future.set_result(fetch(index))
        return future

    walk = Walk(walk_pages(fetch, begin))
    seen: list[int] = []
    with contextlib.suppress(AppleUnavailable):
        seen.extend(found.index for found in walk)
    assert seen == sorted(set(seen))
    assert len(asked) <= len(seen) * 5 + 6
    if walk.is_clean:
        assert seen == list(range(len(seen)))
        assert len({book[index][2] for index in seen if index < len(book)}) == 1


packed = anything.map(lambda value: base64.b64encode(json.dumps(value).encode()))


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode) | packed)
def test_an_upload_is_a_token_or_is_refused_with_a_sentence(data):
    found = outcome(data)
    assert isinstance(found, VppToken) or found.sentence.endswith(".")


def outcome(data: bytes) -> VppToken | BadTokenFile:
    try:
        return read(data, now=NOW)
    except BadTokenFile as refused:
        return refused


@given(
    token=st.text(min_size=1).filter(str.strip),
    name=st.text(min_size=1, alphabet=st.characters(categories=["L", "N", "P", "S"])),
    expires_at=st.datetimes(min_value=datetime(2001, 1, 1), max_value=datetime(2100, 1, 1)),
    width=st.integers(1, 80),
    end=st.sampled_from([b"\n", b"\r\n", b" "]),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
def test_a_token_comes_back_from_its_file_however_it_is_wrapped(token, name, expires_at, width, end, mark):
    expires_at = expires_at.replace(microsecond=0, tzinfo=UTC)
    members = {"token": token, "expDate": expires_at.strftime("%Y-%m-%dT%H:%M:%S+0000"), "orgName": name}
    plain = base64.b64encode(json.dumps(members).encode())
    wrapped = mark + end.join(plain[at : at + width] for at in range(0, len(plain), width)) + end
    found = outcome(wrapped)
    if isinstance(found, BadTokenFile):
        assert (found.code, "\x00" in token) == ("bad_text", True)
        return
    assert found.secret.reveal() == plain.decode()
    assert found.expires_at == expires_at
    assert found.organization
