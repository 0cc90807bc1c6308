"""The main job over real sockets: upload a token, see it Active, watch its apps arrive in the catalog."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.journeys.stories import progress, settled, upload
from tests.portal import Portal
from tests.processes import Simulator, eventually

pytestmark = pytest.mark.journey

ACTIVE_WITHIN, BUSINESS_WITHIN, LARGE_WITHIN, FIRST_APPS_WITHIN = 3.0, 15.0, 60.0, 5.0


@pytest.mark.alone
def test_a_business_token_becomes_a_catalog(portal: Portal, simulator: Simulator) -> None:
    session = portal.sign_in()
    started = time.monotonic()
    page = upload(portal, session, simulator.sample("business"), "Business")
    took = time.monotonic() - started
    assert re.search(r"/tokens/\d+/$", page.url)
    assert "Active" in page.text
    assert took < ACTIVE_WITHIN
    end = settled(portal, BUSINESS_WITHIN)
    print(f"\nbusiness: Active after {took:.2f} s, settled after {time.monotonic() - started:.2f} s")

    assert end["outcomes"] == {"added": 42, "mac_only": 4, "book": 2, "not_found": 1}
    assert end["apps"] == 42
    assert end["assignments"] == 243
    details = session.get(f"{page.url}?per_page=50", timeout=30).text
    for words in ("App Added Successfully", "Unlimited"):
        assert words in details
    assert "App Not Found" in session.get(f"{page.url}?outcome=not_found", timeout=30).text
    catalog = session.get(f"{portal.url}/catalog/", timeout=30).text
    assert "B2B" in catalog
    assert "iTunes" in catalog
    assert "GET assignments" in calls_to_apple(portal, request_ids(portal, "POST /tokens/add/"))


def log_lines(portal: Portal) -> list[dict[str, Any]]:
    return [json.loads(line) for line in portal.log.splitlines() if line.startswith("{")]


def request_ids(portal: Portal, request: str) -> set[str]:
    return {line["request_id"] for line in log_lines(portal) if line.get("request") == request}


def calls_to_apple(portal: Portal, ids: set[str]) -> set[str]:
    """Return what was asked of Apple, in any process, on behalf of these requests."""
    calls = [line for line in log_lines(portal) if line["event"] == "apple_call" and line.get("request_id") in ids]
    return {call["endpoint"] for call in calls}


@pytest.mark.alone
def test_the_large_location_arrives_while_one_watches(portal: Portal, simulator: Simulator) -> None:
    session = portal.sign_in()
    started = time.monotonic()
    upload(portal, session, simulator.sample("large"), "Large")
    eventually(lambda: progress(portal)["apps"], FIRST_APPS_WITHIN)
    first = time.monotonic() - started
    end = settled(portal, LARGE_WITHIN)
    print(f"\nlarge: first apps after {first:.2f} s, settled after {time.monotonic() - started:.2f} s")

    assert end["outcomes"] == {"added": 1950, "mac_only": 50}
    assert end["assignments"] == 50_000


def test_another_server_that_answers_as_apple_does_serves_as_well(
    make_portal: Callable[..., Portal], simulator: Simulator
) -> None:
    portal = make_portal(APPLE_VPP_URL=simulator.apple).start_all()
    session = portal.sign_in()
    page = upload(portal, session, simulator.sample("school"), "School")
    assert "simulator" not in page.text.lower()
    assert settled(portal, BUSINESS_WITHIN)["apps"]


def test_a_token_revoked_at_apple_is_shown_as_revoked_and_renewed(portal: Portal, simulator: Simulator) -> None:
    session = portal.sign_in()
    details = upload(portal, session, simulator.sample("business"), "Business").url
    before = settled(portal, BUSINESS_WITHIN)

    simulator.tell("revoke", location="business")
    portal.post(session, f"{details.removeprefix(portal.url)}sync/", {})
    eventually(lambda: progress(portal)["status"] == ["revoked"], BUSINESS_WITHIN)
    page = session.get(f"{portal.url}/tokens/", timeout=30).text
    assert "Revoked" in page
    assert "password" in page
    assert "flagged" in page
    assert progress(portal)["assignments"] == before["assignments"]

    newer = simulator.tell("tokens", location="business")["token"].encode()
    files = {"token_file": ("sToken_for_business.vpptoken", newer)}
    answer = portal.post(session, f"{details.removeprefix(portal.url)}renew/", {}, files=files)
    assert answer.url == details
    end = settled(portal, BUSINESS_WITHIN)
    assert end["status"] == ["active"]
    assert end["tokens"] == 1
