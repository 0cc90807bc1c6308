"""The page about the device channel shows how it is, never a key, and tests it on request."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from catalog import channel as the_channel
from catalog.models import CommandStatus
from tests.channel import Channel, authenticate, told
from tests.factories import CommandFactory
from tests.signed_in import sign_in
from tests.tokens.scripted import Reply, scripted_server

pytestmark = pytest.mark.django_db
PAGE = "/devices/channel/"


def page(role: str = "Viewer") -> str:
    answer = sign_in(role).get(PAGE)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def tried() -> str:
    """Test the channel and return the page that follows."""
    answer = sign_in().post("/devices/channel/test/", follow=True)
    return " ".join(answer.content.decode().split())


def test_without_a_server_the_page_says_what_to_do() -> None:
    shown = page()
    assert "No MDM server is set up." in shown
    assert "/mdm/events/" in shown
    assert "-webhook-hmac-key" in shown
    assert "never" in shown
    assert "Test the channel" not in shown
    assert "No MDM server is set up: NANOMDM_URL is empty." in tried()


def test_keys_are_never_shown(settings: Any) -> None:
    settings.NANOMDM_URL = "http://user:password-canary@127.0.0.1:9"
    settings.NANOMDM_API_KEY, settings.NANOMDM_WEBHOOK_KEY = "api-key-canary", "webhook-key-canary"
    shown = page("Token manager") + tried()
    assert "canary" not in shown
    assert "http://127.0.0.1:9" in shown
    assert "set: events are refused" not in shown


def test_the_page_counts_what_waits(settings: Any) -> None:
    settings.NANOMDM_URL = "http://127.0.0.1:9"
    CommandFactory.create_batch(2)
    CommandFactory(status=CommandStatus.SENT)
    later = timezone.now() + timedelta(minutes=1)
    CommandFactory(last_error="The MDM server cannot be reached.", next_attempt_at=later)
    told(authenticate("E-1", "C1", at=timezone.now(), Topic="com.apple.mgmt.External.x"))
    state = the_channel.state()
    assert (state["commands_waiting"], state["commands_out"], state["commands_stuck"]) == (2, 1, 1)
    assert (state["events_waiting"], state["events_unreadable"]) == (0, 0)
    shown = page()
    assert "1 command waits to be sent again." in shown
    assert "The MDM server cannot be reached." in shown
    assert "com.apple.mgmt.External.x" in shown


def test_a_channel_that_works_is_said_to_work_and_nothing_is_queued(channel: Channel) -> None:
    assert "NanoMDM v0.9.0 answers and accepts the API key." in tried()
    assert channel.order("mdm-settle") is not None
    assert channel.sim.world.mdm.queues.commands == {}


def test_a_wrong_key_is_told_from_a_server_that_is_away(channel: Channel, settings: Any) -> None:
    settings.NANOMDM_API_KEY = "wrong"
    assert "The MDM server does not accept the API key." in tried()
    channel.order("mdm-down")
    assert "The MDM server cannot be reached." in tried()
    settings.NANOMDM_API_KEY = ""
    assert "NANOMDM_API_KEY is empty" in tried()


def test_a_server_that_is_something_else_is_said_to_be(settings: Any) -> None:
    with scripted_server() as other:
        other.script = [Reply({"hello": "world"})]
        settings.NANOMDM_URL, settings.NANOMDM_API_KEY = other.url, "key"
        assert "does not answer as NanoMDM does" in tried()


def test_the_push_certificate_expires_when_the_server_tells(settings: Any) -> None:
    told(authenticate("E-1", "C1", at=timezone.now(), Topic="com.apple.mgmt.x"))
    assert "when it expires is not known" in page()
    with scripted_server() as newer:
        settings.NANOMDM_URL, settings.NANOMDM_API_KEY = newer.url, "key"
        answers = {
            "/version": Reply({"version": "v0.10.0"}),
            "/v1/enqueue/": Reply({"command_error": "getting enrollment ids: empty path"}, status=500),
            "/v1/pushcert": Reply({"topic": "com.apple.mgmt.x", "not_after": "2031-05-01T10:00:00Z"}),
        }
        newer.script = lambda asked: answers[asked.path]
        assert "NanoMDM v0.10.0 answers" in tried()
    assert "May 1, 2031" in page()


def test_the_devices_page_leads_here() -> None:
    assert PAGE in sign_in("Viewer").get("/devices/").content.decode()
