"""The client of NanoMDM: what its recorded answers mean, and how it bears a server that is away, odd or malicious."""

from __future__ import annotations

import base64
import json
import plistlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.mdm import (
    CommandRefused,
    KeyRefused,
    MdmClient,
    MdmError,
    MdmUnavailable,
    Queued,
    UnknownEnrollment,
)
from tests.tokens.scripted import Reply, Scripted, scripted_server
from tokens.apple import Timeout
from tokens.secret import Secret
from vppportal.embedded import free_port

KEY = "the-api-key-of-these-tests"
DEVICE = "55555555-AAAA-4BBB-8CCC-000000000001"
COMMAND = uuid.UUID("00000000-0000-4000-8000-000000000001")
RECORDED = {
    record["name"]: record["response"]
    for record in json.loads((Path(__file__).parents[1] / "data/nanomdm/http.json").read_text())
}
Answered = Callable[..., MdmClient]


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted_server() as scripted:
        yield scripted


@pytest.fixture
def client(server: Scripted) -> Iterator[MdmClient]:
    with MdmClient(server.url, Secret(KEY), pushes=False, timeout=Timeout(1, 1, 2)) as made:
        yield made


def recorded(name: str) -> Reply:
    """Return a recorded answer, about the command of these tests."""
    response = RECORDED[name]
    body = json.loads(response["body"]) if response["content_type"] == "application/json" else None
    if body is None:
        return Reply(raw=response["body"].encode(), status=response["status"])
    if "command_uuid" in body:
        body["command_uuid"] = str(COMMAND)
    return Reply(body, status=response["status"])


def enqueue(client: MdmClient, device: str = DEVICE) -> Queued:
    return client.enqueue(device, COMMAND, "InstallApplication", {"iTunesStoreID": 361309726})


def test_a_command_is_put_as_an_xml_property_list_with_the_key(server: Scripted, client: MdmClient) -> None:
    server.script = [recorded("enqueue InstallApplication nopush")]
    assert enqueue(client) == Queued()
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.query) == ("PUT", f"/v1/enqueue/{DEVICE}", {"nopush": "1"})
    assert base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")) == f"nanomdm:{KEY}".encode()
    assert asked.body.startswith(b"<?xml")
    assert plistlib.loads(asked.body) == {
        "Command": {"RequestType": "InstallApplication", "iTunesStoreID": 361309726},
        "CommandUUID": str(COMMAND),
    }


def test_base_path_and_user_can_be_others(server: Scripted) -> None:
    server.script = [recorded("enqueue InstallApplication nopush")]
    with MdmClient(server.url, Secret(KEY), user="nanohub", path="/api/v1/nanomdm") as other:
        assert enqueue(other) == Queued()
    (asked,) = server.asked
    assert asked.path == f"/api/v1/nanomdm/enqueue/{DEVICE}"
    assert asked.query == {}
    assert base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")).startswith(b"nanohub:")


def test_a_command_that_is_queued_but_not_pushed_is_queued(server: Scripted, client: MdmClient) -> None:
    server.script = [recorded("enqueue with push while no push certificate is stored")]
    assert "push cert" in enqueue(client).push_error


def test_an_error_under_the_device_counts_as_one_at_the_top(server: Scripted, client: MdmClient) -> None:
    told = {"command_uuid": str(COMMAND), "status": {DEVICE: {"push_error": "no push info"}}}
    server.script = [Reply(told, status=207)]
    assert enqueue(client).push_error == "no push info"
    told = {"command_uuid": str(COMMAND), "status": {DEVICE: {"command_error": "violates foreign key constraint"}}}
    server.script = [Reply(told, status=207)]
    with pytest.raises(UnknownEnrollment):
        enqueue(client)


@pytest.mark.parametrize("error", ["", "command already exists: X"])
def test_a_command_that_is_there_already_is_queued(server: Scripted, client: MdmClient, error: str) -> None:
    there = recorded("enqueue same CommandUUID again")
    server.script = [Reply({**there.json, "command_error": error or there.json["command_error"]}, status=500)]
    assert "in the queue already" in enqueue(client).push_error


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("enqueue without credentials", KeyRefused),
        ("enqueue with wrong key", KeyRefused),
        ("enqueue to id never seen", UnknownEnrollment),
        ("enqueue between Authenticate and TokenUpdate", UnknownEnrollment),
        ("enqueue garbage body", CommandRefused),
        ("enqueue plist without CommandUUID", CommandRefused),
        ("enqueue empty body, nopush", CommandRefused),
        ("enqueue to empty path", CommandRefused),
    ],
)
def test_a_recorded_refusal_is_told_from_the_others(
    server: Scripted, client: MdmClient, name: str, error: type[MdmError]
) -> None:
    server.script = [recorded(name)]
    with pytest.raises(error):
        enqueue(client)


def test_trouble_in_the_servers_database_passes(server: Scripted, client: MdmClient) -> None:
    server.script = [Reply({"command_error": "dial tcp 10.0.0.5:5432: connect: connection refused"}, status=500)]
    with pytest.raises(MdmUnavailable) as raised:
        enqueue(client)
    assert raised.value.concerns_all is False


@pytest.mark.parametrize(
    "reply",
    [
        Reply(raw=b"<html>Bad Gateway</html>", status=502),
        Reply(raw=b"", status=200),
        Reply({}, status=200),
        Reply({"command_uuid": "of somebody else"}, status=200),
        Reply(raw=b"[1, 2]", status=200),
        Reply({"status": [], "command_error": 7}, status=500),
        Reply({}, status=302, headers={"Location": "http://127.0.0.1:9/elsewhere"}),
        Reply({}, status=404),
        Reply({}, breaks_line=True),
        Reply({}, delay=3),
        Reply(raw=b"x" * 40, drip=0.1),
        Reply(raw=b"short", claimed_length=100),
        Reply(raw=b"[" * 100_000),
    ],
    ids=range(13),
)
def test_an_answer_that_is_none_of_nanomdms_leaves_the_command_to_be_sent_again(
    server: Scripted, client: MdmClient, reply: Reply
) -> None:
    server.script = [reply]
    with pytest.raises(MdmUnavailable):
        enqueue(client)
    assert len(server.asked) == 1


def test_a_server_that_is_not_there_is_said_to_be_away() -> None:
    with MdmClient(f"http://127.0.0.1:{free_port()}", Secret(KEY)) as nobody, pytest.raises(MdmUnavailable) as raised:
        enqueue(nobody)
    assert raised.value.concerns_all
    assert str(raised.value) == "The MDM server cannot be reached."


@pytest.mark.parametrize("url", ["http://", "nonsense", "ftp://mdm.example", "http://mdm.example:port"])
def test_an_address_that_is_none_is_said_to_be_away(url: str) -> None:
    with MdmClient(url, Secret(KEY)) as nobody, pytest.raises(MdmUnavailable):
        nobody.version()


@pytest.mark.parametrize("device", ["", "A,B", "../version", "A B", "A\nB", "A" * 128])
def test_a_name_that_no_enrollment_can_have_is_never_sent(server: Scripted, client: MdmClient, device: str) -> None:
    with pytest.raises(UnknownEnrollment):
        enqueue(client, device)
    assert server.asked == []


def test_neither_errors_nor_their_frames_show_the_key(client: MdmClient, server: Scripted) -> None:
    server.script = [Reply({}, breaks_line=True)]
    with pytest.raises(MdmUnavailable) as raised:
        enqueue(client)
    frames = [entry.frame for entry in raised.traceback if "catalog/mdm" in str(entry.path)]
    assert len(frames) == 3
    shown = " ".join(repr(value) for frame in frames for value in frame.f_locals.values())
    pair = base64.b64encode(f"nanomdm:{KEY}".encode()).decode()
    assert pair not in shown
    assert KEY not in shown
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


def test_a_push_says_why_nobody_was_woken(server: Scripted, client: MdmClient) -> None:
    server.script = [recorded("push only, no push certificate"), recorded("push to id never seen"), Reply({})]
    assert "push cert" in client.push(DEVICE).push_error
    assert client.push("99999999-0000-4000-8000-000000000099").push_error == "push data missing for id"
    assert client.push(DEVICE) == Queued()


def test_the_version_is_asked_for_without_the_key(server: Scripted, client: MdmClient) -> None:
    server.script = [recorded("version")]
    assert client.version() == "v0.9.0"
    assert "authorization" not in server.asked[0].headers


def test_the_key_is_tried_without_queuing_anything(server: Scripted, client: MdmClient) -> None:
    server.script = [recorded("enqueue to empty path"), recorded("enqueue with wrong key"), Reply({}, status=200)]
    client.check_key()
    asked = server.asked[0]
    assert (asked.method, asked.path, asked.body) == ("PUT", "/v1/enqueue/", None)
    with pytest.raises(KeyRefused):
        client.check_key()
    with pytest.raises(MdmUnavailable):
        client.check_key()


def test_the_push_certificate_is_known_where_the_server_tells(server: Scripted, client: MdmClient) -> None:
    topic: dict[str, Any] = {"topic": "com.apple.mgmt.x", "not_after": "2027-05-01T10:00:00Z"}
    server.script = [Reply(topic), Reply({"topic": "x", "not_after": "soon"}), Reply({}, status=405)]
    first, second = client.push_certificate("com.apple.mgmt.x"), client.push_certificate("x")
    assert first is not None
    assert second is not None
    assert first.not_after is not None
    assert first.not_after.year == 2027
    assert second.not_after is None
    assert client.push_certificate("x") is None
    assert server.asked[0].query == {"topic": "com.apple.mgmt.x"}
