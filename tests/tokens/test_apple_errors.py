"""Every way Apple has of saying no becomes the right kind of error."""

from __future__ import annotations

import copy
import gzip
import socket
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.tokens.scripted import Reply
from tokens.apple import (
    AppleClient,
    AppleError,
    AppleUnavailable,
    BadVersion,
    ClaimedElsewhere,
    MayOnlyRead,
    MdmInfo,
    PageOutOfRange,
    RequestRefused,
    Timeout,
    TokenRejected,
    UnknownEvent,
)
from tokens.secret import Secret

LOCATION = {"uId": "2049025000431439", "locationName": "Alder"}


def error_of(client, apple, *replies) -> AppleError:
    apple.script = list(replies)
    with pytest.raises(AppleError) as raised:
        client.client_config()
    return raised.value


def refused(number, status=400, **more):
    return Reply({"errorNumber": number, "errorMessage": "as Apple says", **more}, status)


@pytest.mark.parametrize("number", [9601, 9621, 9622, 9625, 9722])
@pytest.mark.parametrize("status", [200, 401])
def test_a_refused_token_is_told_by_its_number_whatever_the_status(client, apple, number, status):
    error = error_of(client, apple, refused(number, status))
    assert type(error) is TokenRejected
    assert (error.number, error.http_status) == (number, status)


@pytest.mark.parametrize("reply", [Reply({}, 401), Reply(raw=b"", status=401), Reply(raw=b"<html>", status=401)])
def test_401_without_a_number_is_a_refused_token(client, apple, reply):
    error = error_of(client, apple, reply)
    assert type(error) is TokenRejected
    assert error.number is None


@pytest.mark.parametrize(("number", "status"), [(9603, 500), (9644, 400), (9646, 429), (9646, 200), (9729, 503)])
def test_trouble_on_apples_side_means_later(client, apple, number, status):
    error = error_of(client, apple, refused(number, status))
    assert type(error) is AppleUnavailable
    assert error.number == number
    assert not error.may_have_been_applied


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599, 408, 429])
@pytest.mark.parametrize("raw", [b"", b"<html>Bad Gateway</html>", b"{}"])
def test_a_failing_service_without_a_number_means_later(client, apple, status, raw):
    assert type(error_of(client, apple, Reply(raw=raw, status=status))) is AppleUnavailable


@pytest.mark.parametrize(
    ("number", "kind"), [(9637, MayOnlyRead), (9650, PageOutOfRange), (9708, UnknownEvent), (9721, BadVersion)]
)
def test_what_somebody_acts_upon_has_its_own_kind(client, apple, number, kind):
    assert type(error_of(client, apple, refused(number))) is kind


@pytest.mark.parametrize(("number", "status"), [(9602, 400), (9634, 410), (9709, 400), (9726, 405)])
def test_other_numbers_are_refusals(client, apple, number, status):
    error = error_of(client, apple, refused(number, status))
    assert type(error) is RequestRefused
    assert "as Apple says" not in error.message


def test_an_unknown_number_is_a_refusal_in_apples_words(client, apple):
    error = error_of(client, apple, refused(9999, 200))
    assert type(error) is RequestRefused
    assert (error.number, error.message) == (9999, "as Apple says")
    assert str(error) == "as Apple says (Apple error 9999)"


@pytest.mark.parametrize(
    ("status", "kind"), [(401, TokenRejected), (403, RequestRefused), (429, AppleUnavailable), (503, AppleUnavailable)]
)
def test_an_unknown_number_leaves_the_word_to_the_status(client, apple, status, kind):
    assert type(error_of(client, apple, refused(9999, status))) is kind


@pytest.mark.parametrize("number", ["9625", " 9625 ", 9625.0])
def test_a_number_may_be_written_as_text(client, apple, number):
    error = error_of(client, apple, refused(number, 200))
    assert (type(error), error.number) == (TokenRejected, 9625)


def test_an_error_may_come_without_a_text(client, apple):
    assert error_of(client, apple, Reply({"errorNumber": 9999}, 400)).message


@pytest.mark.parametrize("number", [0, "0", None, "rubbish", True, [], {}])
def test_a_number_that_is_none_is_no_error(client, apple, number):
    apple.script = [Reply({**LOCATION, "errorNumber": number})]
    assert client.client_config().location_name == "Alder"


def test_error_info_names_the_targets(client, apple):
    info = {
        "assets": [{"adamId": "1", "pricingParam": "PLUS"}, {"adamId": 2}, {"x": 1}, None],
        "clientUserIds": ["anna", None],
        "serialNumbers": ["C02A"],
    }
    error = error_of(client, apple, refused(9709, errorInfo=info))
    assert isinstance(error, RequestRefused)
    assert error.error_info.assets == (("1", "PLUS"), ("2", "STDQ"))
    assert error.error_info.client_user_ids == ("anna",)
    assert error.error_info.serial_numbers == ("C02A",)


@pytest.mark.parametrize("info", [None, [], "x", {"assets": None}, {"clientUserIds": "anna"}])
def test_rubbish_in_error_info_names_nobody(client, apple, info):
    error = error_of(client, apple, refused(9709, errorInfo=info))
    assert isinstance(error, RequestRefused)
    assert (error.error_info.assets, error.error_info.client_user_ids) == ((), ())


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("0", 1.0),
        ("-5", 1.0),
        ("999999", 21600.0),
        ("9" * 5000, 21600.0),
        ("1.5", 1.0),
        ("soon", None),
        ("", None),
        ("1e3", None),
        ("inf", None),
        ("nan", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 1.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 21600.0),
        ("Fri, 99 Dec 2026 23:59:59 GMT", None),
    ],
)
@pytest.mark.parametrize(
    "reply", [refused(9646, 429), refused(9729, 503), refused(9646, 200), Reply(raw=b"", status=500)]
)
def test_retry_after_is_read_and_clamped(client, apple, header, seconds, reply):
    reply.headers = {"Retry-After": header}
    error = error_of(client, apple, reply)
    assert isinstance(error, AppleUnavailable)
    assert error.retry_after == seconds


def test_retry_after_may_be_a_date(client, apple):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    error = error_of(client, apple, Reply({}, 503, {"Retry-After": date}))
    assert error.retry_after == pytest.approx(90, abs=3)


def test_without_retry_after_apple_has_named_no_time(client, apple):
    assert error_of(client, apple, Reply({}, 429)).retry_after is None


UNREADABLE = {
    "empty": Reply(raw=b""),
    "web page": Reply(raw=b"<html><body>Welcome</body></html>"),
    "cut off": Reply(raw=b'{"uId": "1", "locationNa'),
    "list": Reply(raw=b"[]"),
    "number": Reply(raw=b"17"),
    "text": Reply(raw=b'"x"'),
    "null": Reply(raw=b"null"),
    "NaN": Reply(raw=b'{"uId": "1", "x": NaN}'),
    "5000 digits": Reply(raw=b'{"uId": "1", "x": ' + b"9" * 5000 + b"}"),
    "100000 deep": Reply(raw=b'{"uId": "1", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "latin-1": Reply(raw='{"uId": "1", "locationName": "Bäume"}'.encode("latin-1")),
    "utf-16": Reply(raw='{"uId": "1"}'.encode("utf-16")),
    "no content": Reply(raw=b"", status=204),
    "no location": Reply({"locationName": "Alder"}),
    "too large": Reply(raw=b'{"uId": "1", "x": "' + b"x" * (17 << 20) + b'"}'),
    "gzip bomb": Reply(raw=gzip.compress(b'{"uId": "' + b" " * (64 << 20)), headers={"Content-Encoding": "gzip"}),
    "broken gzip": Reply(raw=b"\x1f\x8bnonsense", headers={"Content-Encoding": "gzip"}),
    "short gzip": Reply(raw=gzip.compress(b'{"uId": "1"}')[:-6], headers={"Content-Encoding": "gzip"}),
    "packed unasked": Reply(raw=zlib.compress(b'{"uId": "1"}'), headers={"Content-Encoding": "deflate"}),
    "shorter than said": Reply(raw=b'{"uId": "1"}', claimed_length=200),
    "line breaks": Reply(breaks_line=True),
}


@pytest.mark.parametrize("how", UNREADABLE)
def test_an_answer_that_cannot_be_read_means_later(client, apple, how):
    error = error_of(client, apple, UNREADABLE[how])
    assert type(error) is AppleUnavailable
    assert not error.may_have_been_applied


@pytest.mark.parametrize("how", UNREADABLE)
def test_a_change_whose_answer_is_lost_may_have_been_applied(client, apple, how):
    apple.script = [UNREADABLE[how]]
    with pytest.raises(AppleUnavailable) as raised:
        client.associate([("1", "STDQ")], serial_numbers=["C02A"])
    assert raised.value.may_have_been_applied
    assert len(apple.asked) == 1


@pytest.mark.parametrize(
    ("reply", "may_be"), [(Reply({}, 502), True), (refused(9603, 500), False), (Reply({}, 429), False)]
)
def test_only_a_failure_without_a_number_leaves_a_change_in_doubt(client, apple, reply, may_be):
    apple.script = [reply]
    with pytest.raises(AppleUnavailable) as raised:
        client.revoke(serial_numbers=["C02A"])
    assert raised.value.may_have_been_applied is may_be


def test_gzip_and_a_wrong_charset_header_are_read(client, apple):
    body = gzip.compress('{"uId": "1", "locationName": "Bäume"}'.encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json; charset=iso-8859-1"}
    apple.script = [Reply(raw=body, headers=headers)]
    assert client.client_config().location_name == "Bäume"


def test_characters_that_no_database_takes_are_replaced(client, apple):
    apple.script = [Reply(raw=b'{"uId": "1", "locationName": "a\\u0000b\\ud800c\\ud83d\\ude00"}')]
    assert client.client_config().location_name == "a\ufffdb\ufffdc😀"


def test_a_slow_answer_is_told_from_an_unreachable_service(connect, apple):
    error = error_of(connect(timeout=Timeout(1, 0.2, 5)), apple, Reply(LOCATION, delay=1))
    assert isinstance(error, AppleUnavailable)
    assert error.has_timed_out


def test_a_dripping_answer_ends_at_the_deadline(connect, apple):
    error = error_of(connect(timeout=Timeout(1, 1, 0.3)), apple, Reply(LOCATION, drip=0.05))
    assert type(error) is AppleUnavailable


def test_a_change_that_never_left_is_not_in_doubt():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/mdm/v2"
        with AppleClient(address, Secret("x"), retries=0) as client, pytest.raises(AppleUnavailable) as raised:
            client.associate([("1", "STDQ")], serial_numbers=["C02A"])
    assert not raised.value.may_have_been_applied
    assert not raised.value.has_timed_out


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(client, apple, status):
    error = error_of(client, apple, Reply({}, status, {"Location": apple.url + "/elsewhere", "Retry-After": "60"}))
    assert type(error) is AppleUnavailable
    assert error.retry_after == 60
    assert [asked.path for asked in apple.asked] == ["/mdm/v2/client/config"]


@pytest.mark.parametrize(
    "error",
    [
        AppleUnavailable("x", number=9646, retry_after=5.0, may_have_been_applied=True),
        TokenRejected("x", number=9625),
        ClaimedElsewhere(owner=MdmInfo("a", "b", "c"), event_id="e"),
        RequestRefused("x", number=9709),
    ],
)
def test_errors_survive_being_rebuilt_as_pickling_does(error):
    twin = copy.copy(error)
    assert type(twin) is type(error)
    assert vars(twin) == vars(error)
