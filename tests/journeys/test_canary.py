"""A token's secret is in no page, log, Redis key, message, export or error page, and not readable in the database."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import pytest
import redis
import requests
from django.apps import apps
from django.contrib.sessions.models import Session

from tests.journeys.stories import progress, settled, upload
from tests.portal import Portal
from tests.processes import PATIENCE, Simulator, eventually

pytestmark = [pytest.mark.journey, pytest.mark.once]

WINDOW = 16
RUNS = re.compile(rf"[A-Za-z0-9+/=_%-]{{{WINDOW},}}")
LINKS = re.compile(r'(?:href|hx-get)="([^"#]+)"')
MOST_PAGES = 250


class Canary:
    """Any sixteen characters in a row of the secret, in any of the forms it might be written down in."""

    def __init__(self, file: Path) -> None:
        outer = file.read_text().strip()
        inner = json.loads(base64.b64decode(outer))["token"]
        forms = [outer, inner, quote(outer, safe=""), outer.encode().hex(), base64.b64encode(outer.encode()).decode()]
        self.windows = set[str]()
        self.learn(*forms)

    def learn(self, *secrets: str) -> None:
        """Look out for these, too."""
        self.windows |= {text[at : at + WINDOW] for text in secrets for at in range(len(text) - WINDOW + 1)}

    def is_in(self, text: str) -> bool:
        runs = RUNS.findall(text)
        return any(run[at : at + WINDOW] in self.windows for run in runs for at in range(len(run) - WINDOW + 1))


class Overheard:
    """Everything that passes through the broker, as its MONITOR command tells it."""

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(url, socket_timeout=None)
        self.lines: list[str] = []
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self) -> None:
        try:
            with self.client.monitor() as monitor:
                for command in monitor.listen():
                    self.lines.append(str(command["command"]))
        except (redis.RedisError, ValueError, OSError):
            return


def pages(portal: Portal, session: requests.Session) -> Iterator[tuple[str, str]]:
    """Yield every page that a link leads to, exports included."""
    waiting, seen = ["/", "/admin/", "/no-such-page/"], set[str]()
    while waiting and len(seen) < MOST_PAGES:
        address = waiting.pop(0)
        if address in seen or "logout" in address or address.startswith("/static/"):
            continue
        seen.add(address)
        answer = session.get(f"{portal.url}{address}", timeout=60)
        yield address, answer.text
        for link in LINKS.findall(answer.text):
            target = urlsplit(urljoin(answer.url, link.replace("&amp;", "&")))
            if target.netloc == urlsplit(portal.url).netloc:
                waiting.append(target.path + (f"?{target.query}" if target.query else ""))


def rows(portal: Portal) -> Iterator[tuple[str, str]]:
    """Yield every row of the portal's database, as the database holds it."""
    with portal.database():
        for model in apps.get_models(include_auto_created=True):
            for values in model._default_manager.values_list()[:3000]:
                yield model._meta.label, " ".join(repr(getattr(value, "ciphertext", value)) for value in values)
        for session in Session.objects.all():
            yield "session, decoded", repr(session.get_decoded())


def bearer_of_notifications(simulator: Simulator, file: Path) -> str:
    """Return the secret with which Apple shows that it is Apple; it echoes that to whoever has the token."""
    headers = {"Authorization": f"Bearer {file.read_text().strip()}"}
    answer = requests.get(f"{simulator.apple}/client/config", headers=headers, timeout=30).json()
    return str(answer["notificationAuthToken"])


def test_the_secret_is_written_down_nowhere(make_portal: Callable[..., Portal], simulator: Simulator) -> None:
    portal = make_portal(APPLE_VPP_URL=simulator.apple, LOG_LEVEL="DEBUG")
    overheard = Overheard(portal.valkey.url)
    portal.start_all()
    session = portal.sign_in()
    file = simulator.sample("business")
    canary = Canary(file)
    details = upload(portal, session, file, "Business").url
    settled(portal, PATIENCE)
    canary.learn(bearer_of_notifications(simulator, file))

    answers = {"the same file again": upload(portal, session, file, "Again").text}
    echo = {"status": 400, "body": json.dumps({"errorNumber": 9602, "errorMessage": f"bad token {file.read_text()}"})}
    for trouble in (echo, {"status": 500, "body": file.read_text()}):
        simulator.tell("faults", path="/client/config", times=3, **trouble)
        answers[str(trouble["status"])] = portal.post(session, f"{urlsplit(details).path}sync/", {}).text
        eventually(lambda: simulator.ask("faults")["faults"][-1]["acted"])
        eventually(lambda: "running" not in progress(portal)["runs"])
        simulator.session.delete(f"{simulator.control}/faults", timeout=30)
    answers |= dict(pages(portal, session))

    leaks = [f"page {name}" for name, text in answers.items() if canary.is_in(text)]
    leaks += [f"row of {name}" for name, text in rows(portal) if canary.is_in(text)]
    leaks += [f"log of {process.name}" for process in portal.processes if canary.is_in(process.log)]
    leaks += ["a message in the broker" for line in overheard.lines if canary.is_in(line)]
    leaks += [f"file {path.name}" for path in portal.folder.rglob("*") if path.is_file() and canary.is_in(_text(path))]
    leaks += [f"arguments of {process.name}" for process in portal.processes if canary.is_in(str(process.popen.args))]
    assert leaks == []

    # The search would have found it: it finds the secret where it belongs, and other words everywhere.
    assert canary.is_in(f'{{"token": "{file.read_text()}"}}')
    assert len(answers) > 40
    assert any("Meridale" in text for text in answers.values())
    assert any("sync_token" in line for line in overheard.lines)
    assert any("Business" in text for _, text in rows(portal))


def _text(path: Path) -> str:
    return path.read_bytes().decode("latin-1")
