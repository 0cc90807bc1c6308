"""The credential and its kin show up nowhere but on the wire, and there only where they belong."""

from __future__ import annotations

import base64
import copy
import json
import logging
import pickle
import traceback
from typing import Any

import pytest
import structlog

from tests.tokens.conftest import SECRET
from tests.tokens.scripted import Reply
from tokens.apple import AppleClient, AppleError, MdmInfo, Timeout
from tokens.secret import Secret

HOOK = "canary-webhook-4be1"
INVITE = "canary-invite-90aa"
COOKIE = "canary-cookie-1c2d"
CANARIES = [
    SECRET[:12],
    SECRET[12:24],
    HOOK,
    INVITE,
    COOKIE,
    "canary-7f3a9c2e",
    base64.b64encode(SECRET.encode()).decode()[:16],
]


def everything(error: BaseException) -> str:
    """Print an error as the most talkative tools do: with its causes and the variables of every frame."""
    chain = traceback.TracebackException.from_exception(error, capture_locals=True)
    return repr(error) + str(error) + "".join(chain.format()) + repr(vars(error)) + repr(error.__context__)


LOCATION = {
    "uId": "1",
    "notificationAuthToken": HOOK,
    "users": [{"clientUserId": "a", "inviteCode": INVITE}],
    "mdmInfo": {"id": "them", "name": "Other", "metadata": "x"},
}
ANSWERS = {
    "echo": Reply({"errorNumber": 9999, "errorMessage": f"bad token {SECRET} for {HOOK}", **LOCATION}, 400),
    "revoked": Reply({"errorNumber": 9625, "errorMessage": SECRET, **LOCATION}, 401),
    "foreign": Reply(LOCATION),
    "unreadable": Reply(raw=json.dumps(LOCATION).encode()[:-1]),
    "no location": Reply({**LOCATION, "uId": None, "mdmInfo": None}),
    "web page": Reply(raw=f"<html>{SECRET}{HOOK}".encode(), status=502),
    "redirect": Reply({}, 307, {"Location": f"https://example.org/{SECRET}"}),
    "line breaks": Reply(breaks_line=True),
    "too short": Reply(raw=json.dumps(LOCATION).encode(), claimed_length=9999),
    "slow": Reply(LOCATION, delay=3),
}


@pytest.mark.parametrize("how", ANSWERS)
def test_no_error_shows_a_secret_even_with_all_variables(connect, apple, how, caplog):
    caplog.set_level(logging.DEBUG)
    reply = ANSWERS[how]
    reply.headers.setdefault("Set-Cookie", f"session={COOKIE}")
    apple.script = [reply]
    asks: list[Any] = [
        lambda client: client.client_config(),
        lambda client: client.subscribe("https://a.example/x/", Secret(HOOK), ["ASSET_COUNT"]),
        lambda client: client.claim(MdmInfo("us", "P", "x")),
        lambda client: list(client.users()),
    ]
    shown = ""
    with structlog.testing.capture_logs() as events, connect(mdm_id="us", timeout=Timeout(1, 0.3, 1)) as client:
        for ask in asks:
            shown += _error_of(ask, client)
        shown += caplog.text + repr(events)
    assert "tokens/apple/transport.py" in shown
    assert [canary for canary in CANARIES if canary in shown] == []


def _error_of(ask: Any, client: AppleClient) -> str:
    try:
        ask(client)
    except AppleError as error:
        return _own_frames(error)
    return ""


def _own_frames(error: AppleError) -> str:
    """Leave out the frames of this test, whose variables hold the canaries on purpose."""
    trace = error.__traceback__
    while trace is not None and "/tests/" in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    return everything(error.with_traceback(trace))


def test_the_leak_test_itself_notices_a_leak():
    def careless(token: str) -> None:
        raise ValueError("x")

    with pytest.raises(ValueError, match="x") as raised:
        careless(SECRET)
    assert SECRET[:12] in everything(raised.value)


def test_no_cookie_of_apples_is_kept_or_sent_back(client, apple):
    apple.script = [Reply({"uId": "1"}, headers={"Set-Cookie": f"session={COOKIE}; Path=/"})]
    client.client_config()
    client.client_config()
    assert "cookie" not in apple.asked[1].headers


def test_a_netrc_file_does_not_replace_the_credential(client, apple, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    apple.script = [Reply({"uId": "1"})]
    client.client_config()
    assert apple.asked[0].headers["authorization"] == "Bearer " + SECRET


@pytest.mark.parametrize("text", ["two\nlines", "übel", " leading", "\u2028", ""])
def test_a_secret_that_fits_no_header_is_refused_without_being_shown(apple, text):
    with AppleClient(apple.url, Secret(text), retries=0) as client, pytest.raises(AppleError) as raised:
        client.client_config()
    assert not text or text not in _own_frames(raised.value)
    assert not apple.asked


def test_each_call_is_logged_once_with_nothing_but_its_outcome(client, apple):
    apple.script = [Reply({"uId": "1"}), Reply({"errorNumber": 9625}, 401)]
    with structlog.testing.capture_logs() as events:
        client.client_config()
        with pytest.raises(AppleError):
            next(client.assets(adamId="7"))
    assert [{key: event[key] for key in sorted(event) if key != "ms"} for event in events] == [
        {"endpoint": "GET client/config", "event": "apple_call", "log_level": "info", "number": None, "status": 200},
        {"endpoint": "GET assets", "event": "apple_call", "log_level": "info", "number": 9625, "status": 401},
    ]
    assert all(isinstance(event["ms"], int) for event in events)


def test_a_client_shows_no_secret(client):
    assert SECRET[:12] not in repr(client) + str(client) + repr(vars(client))


def test_a_secret_shows_itself_nowhere_and_compares_by_value():
    secret = Secret(SECRET)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>5}", f"{secret!r}", repr([secret])]
    shown += [json.dumps(secret, default=str), repr(pickle.dumps(secret)), repr(secret.__reduce_ex__(2))]
    assert all("***" in text and SECRET[:6] not in text for text in shown)
    assert secret.reveal() == SECRET
    assert secret == Secret(SECRET) != Secret("x")
    assert secret != SECRET
    assert copy.deepcopy(secret) == copy.copy(secret) == secret
    assert not Secret("")
    with pytest.raises(TypeError):
        hash(secret)
    with pytest.raises(TypeError):
        vars(secret)
