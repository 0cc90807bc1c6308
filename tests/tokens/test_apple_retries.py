"""What is tried again at once, what is left for later, and how a pause that Apple asks for reaches everybody."""

from __future__ import annotations

import time

import pytest

from tests.tokens.scripted import Reply
from tokens.apple import AppleUnavailable, Timeout, TokenRejected
from tokens.pace import LocalPace

LOCATION = Reply({"uId": "1"})


def test_reading_is_tried_again_after_a_hiccup(connect, apple):
    apple.script = [Reply({}, 502), Reply(breaks_line=True), LOCATION]
    assert connect(retries=2).client_config().location_id == "1"
    assert len(apple.asked) == 3


def test_reading_is_tried_again_after_a_short_pause_of_apples_choice(connect, apple):
    apple.script = [Reply({"errorNumber": 9729}, 503, {"Retry-After": "1"}), LOCATION]
    begun = time.monotonic()
    assert connect(retries=2).client_config().location_id == "1"
    assert time.monotonic() - begun >= 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"errorNumber": 9729}, 503, {"Retry-After": "120"}),
        Reply({"errorNumber": 9646}, 429, {"Retry-After": "60"}),
        Reply({"errorNumber": 9646}, 429),
        Reply({"errorNumber": 9644}, 400),
        Reply({}, 302),
    ],
)
def test_what_takes_longer_is_left_for_later(connect, apple, reply):
    apple.script = [reply]
    with pytest.raises(AppleUnavailable):
        connect(retries=2).client_config()
    assert len(apple.asked) == 1


def test_a_slow_service_is_not_asked_again(connect, apple):
    apple.script = [Reply({}, delay=0.6)]
    with pytest.raises(AppleUnavailable) as raised:
        connect(retries=2, timeout=Timeout(1, 0.2, 1)).client_config()
    assert raised.value.has_timed_out
    assert len(apple.asked) == 1


def test_a_refused_token_is_not_tried_again(connect, apple):
    apple.script = [Reply({"errorNumber": 9625}, 401)]
    with pytest.raises(TokenRejected):
        connect(retries=2).client_config()
    assert len(apple.asked) == 1


@pytest.mark.parametrize("reply", [Reply({}, 502), Reply(breaks_line=True), Reply({"errorNumber": 9603}, 500)])
def test_a_change_is_never_sent_twice(connect, apple, reply):
    apple.script = [reply]
    with pytest.raises(AppleUnavailable):
        connect(retries=5).associate([("1", "STDQ")], serial_numbers=["C02A"])
    assert len(apple.asked) == 1


def test_trying_again_ends(connect, apple):
    apple.script = [Reply({}, 500)]
    with pytest.raises(AppleUnavailable):
        connect(retries=2).client_config()
    assert len(apple.asked) == 3


@pytest.mark.parametrize("headers", [{"Retry-After": "120"}, {}])
def test_nobody_asks_a_location_that_wants_a_pause(connect, apple, headers):
    pace = LocalPace()
    apple.script = [Reply({"errorNumber": 9646}, 429, headers)]
    with pytest.raises(AppleUnavailable):
        connect(pace=pace).client_config()
    with pytest.raises(AppleUnavailable) as raised:
        connect(pace=pace).client_config()
    assert len(apple.asked) == 1
    assert raised.value.retry_after == pytest.approx(120 if headers else 5, abs=1)
    assert not raised.value.may_have_been_applied


def test_a_pause_of_one_location_stops_no_other(connect, apple):
    pace = LocalPace()
    apple.script = [Reply({"errorNumber": 9646}, 429, {"Retry-After": "120"}), LOCATION]
    with pytest.raises(AppleUnavailable):
        connect(pace=pace).client_config()
    assert connect(pace=pace, location_key="there").client_config().location_id == "1"


def test_a_pause_of_the_store_does_not_stop_the_licenses(connect, apple):
    client = connect(pace=LocalPace())
    apple.script = [Reply({}, 429, {"Retry-After": "120"}), LOCATION]
    with pytest.raises(AppleUnavailable):
        client.store_items(apple.url + "/lookup", ["1"], country="de", language="de-DE", platform="enterprisestore")
    assert client.client_config().location_id == "1"


def test_parallel_pages_keep_the_pace(connect, apple):
    pages = 25
    apple.script = lambda asked: Reply(
        {
            "assignments": [],
            "size": 0,
            "totalPages": pages,
            "versionId": "v",
            **({"nextPageIndex": index + 1} if (index := int(asked.query.get("pageIndex", 0))) + 1 < pages else {}),
        }
    )
    list(connect(pace=LocalPace()).assignments())
    times = sorted(asked.at for asked in apple.asked)
    assert len(times) == pages
    assert all(later - earlier > 0.9 for earlier, later in zip(times, times[15:], strict=False))
