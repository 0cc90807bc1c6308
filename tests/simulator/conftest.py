"""One simulator for all of its tests, put back to its beginning before each, and an MDM that receives notifications."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from vppportal.simulator import Simulator

METADATA = {
    "version": "2",
    "p": "mdm-lockup",
    "caller": "MDM",
    "platform": "enterprisestore",
    "cc": "us",
    "l": "en",
}


class Mdm:
    """What an MDM sends with one token: paths below /mdm/v2, the status and the JSON of each answer."""

    def __init__(self, sim: Simulator, location: str, bearer: str | None = None) -> None:
        self.sim, self.location = sim, location
        self.bearer = sim.token_file(location) if bearer is None else bearer
        self.session = requests.Session()

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.bearer}"} | options.pop("headers", {})
        return self.session.request(method, f"{self.sim.apple_url}{path}", headers=headers, timeout=10, **options)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        answer = self.ask("GET", path, params=query).json()
        assert isinstance(answer, dict)
        return answer

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.ask("POST", path, json=body).json()
        assert isinstance(answer, dict)
        return answer

    def error(self, path: str, **body: Any) -> tuple[int, int]:
        """Status and number of a refused POST."""
        answer = self.ask("POST", path, json=body)
        return answer.status_code, answer.json().get("errorNumber", 0)

    def event(self, path: str, **body: Any) -> dict[str, Any]:
        """The status of the event that a POST started, once it is over."""
        queued = self.post(path, **body)
        assert "eventId" in queued, queued
        self.sim.control("settle")
        return self.get("/status", eventId=queued["eventId"])

    def lookup(self, *adam_ids: str, cookie: bool = True, **query: Any) -> dict[str, Any]:
        """The answer of the metadata lookup."""
        cookies = {"itvt": self.bearer} if cookie else {}
        asked = {**METADATA, "id": ",".join(adam_ids), **query}
        answer = requests.get(f"{self.sim.url}/metadata/lookup", params=asked, cookies=cookies, timeout=10).json()
        assert isinstance(answer, dict)
        return answer

    def walk(self, path: str, key: str, **query: Any) -> list[dict[str, Any]]:
        """All records of a listing, page after page."""
        rows: list[dict[str, Any]] = []
        page: dict[str, Any] = {"nextPageIndex": 0}
        while "nextPageIndex" in page:
            page = self.get(path, pageIndex=page["nextPageIndex"], **query)
            rows += page[key]
        return rows

    def an_app(self, **wanted: Any) -> dict[str, Any]:
        """The first asset with these members."""
        return next(asset for asset in self.walk("/assets", "assets") if wanted.items() <= asset.items())

    def ordinary(self) -> dict[str, Any]:
        """An app with a good many licenses and nothing special about it."""
        listed = self.walk("/assets", "assets", productType="App", deviceAssignable="true", minAvailableCount=20)
        return next(asset for asset in listed if asset["totalCount"] < 1000)


class Receiver:
    """An HTTP server that takes notifications; `statuses` are its next answers, afterwards it answers 200."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.bearers: list[str] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.bearers.append(self.headers["Authorization"])
                receiver.received.append(json.loads(body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/apple/notifications/1/"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.received if one["notificationType"] == kind]

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="session")
def running() -> Iterator[Simulator]:
    with Simulator(seed=1, event_seconds=0.01) as simulator:
        yield simulator


@pytest.fixture
def sim(running: Simulator) -> Simulator:
    running.control("reset")
    running.control("limits", maxRequestPerSecond=100_000)
    return running


@pytest.fixture
def mdm(sim: Simulator) -> Iterator[Mdm]:
    """The MDM of the business location."""
    caller = Mdm(sim, "business")
    yield caller
    caller.session.close()


@pytest.fixture
def other(sim: Simulator) -> Iterator[Callable[..., Mdm]]:
    """MDMs of other locations, or with another bearer."""
    made: list[Mdm] = []

    def make(location: str, bearer: str | None = None) -> Mdm:
        made.append(Mdm(sim, location, bearer))
        return made[-1]

    yield make
    for caller in made:
        caller.session.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.stop()


@pytest.fixture
def subscribed(mdm: Mdm, receiver: Receiver) -> Receiver:
    """A receiver that the business location tells everything; its TEST_NOTIFICATION is forgotten."""
    types = ["ASSET_COUNT", "ASSET_MANAGEMENT", "USER_MANAGEMENT", "USER_ASSOCIATED"]
    mdm.post("/client/config", notificationUrl=receiver.url, notificationAuthToken="hush", notificationTypes=types)
    receiver.received.clear()
    return receiver
