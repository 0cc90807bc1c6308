"""Fixtures of every test: a Valkey server, and for journeys the simulator, a portal of real processes and a browser."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django import DjangoDbBlocker
from pytest_django.live_server_helper import LiveServer

from tests.channel import Channel
from tests.locations import Location
from tests.mailserver import MailServer
from tests.portal import Portal, Template
from tests.processes import Simulator, Valkey
from tokens import connection
from vppportal.simulator import Simulator as SimulatorHere
from vppportal.simulator.mdm.service import Options

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMIUM_OPTIONS = [
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# A whole run tries the same examples everywhere, so that it fails for a change and not by chance; whoever runs some
# tests while working on them tries others each time. No example is judged by the clock of a busy machine.
hypothesis_settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

SLOW_FILES = ("test_run.py", "test_timetable.py", "test_supervisor.py")
DATABASE_FIXTURES = {"db", "transactional_db", "django_db_setup", "template", "live_server"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let what takes long begin first, so that all processes end together; on PostgreSQL leave out some.

    What never touches a database is left out there: the run on SQLite has told all there is to tell.
    """
    items.sort(key=lambda item: not takes_long(item))
    if settings.DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
        return
    kept = [item for item in items if touches_the_database(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


def takes_long(item: pytest.Item) -> bool:
    """Whether a test is in a file whose tests start processes or wait for time to pass."""
    return item.path.parent.name in ("journeys", "browser", "faults") or item.path.name in SLOW_FILES


def touches_the_database(item: pytest.Item) -> bool:
    """Whether a test says, by a mark or a fixture, that it uses the database."""
    fixtures: set[str] = set(getattr(item, "fixturenames", ()))
    return item.get_closest_marker("django_db") is not None or bool(DATABASE_FIXTURES & fixtures)


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """The server that REDIS_URL of tests/settings.py names."""
    address = urlsplit(settings.REDIS_URL)
    server = Valkey(tmp_path_factory.mktemp("valkey"), port=address.port, password=address.password or "")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def empty_valkey(valkey: Valkey) -> None:
    """No test sees the cache, locks or messages of another."""
    valkey.flush()


@pytest.fixture(scope="session")
def simulator_here() -> Iterator[SimulatorHere]:
    """One simulator in this process for all tests that want one; on its devices apps are there at once.

    A test that lets the portal work step by step would otherwise depend on which of the two is quicker.
    """
    with SimulatorHere(seed=1, event_seconds=0.01, mdm=Options(install_seconds=0)) as running:
        yield running


@pytest.fixture
def sim(simulator_here: SimulatorHere, settings: Any) -> SimulatorHere:
    """The simulator in this process, put back to its beginning; the portal takes it for Apple."""
    simulator_here.control("reset")
    simulator_here.control("limits", maxRequestPerSecond=100_000)
    settings.APPLE_VPP_URL = simulator_here.apple_url
    connection.pace.cache_clear()  # it remembers pauses that Apple asked for in other tests
    return simulator_here


@pytest.fixture
def channel(sim: SimulatorHere, settings: Any) -> Channel:
    """The stand-in for NanoMDM, without a device so far; the portal takes it for its MDM server."""
    settings.NANOMDM_URL = sim.mdm_url
    settings.NANOMDM_API_KEY, settings.NANOMDM_WEBHOOK_KEY = sim.mdm_api_key, sim.mdm_webhook_key
    return Channel(sim)


@pytest.fixture
def make_location(sim: SimulatorHere) -> Callable[..., Location]:
    """Make locations of any size in the simulator."""
    return lambda **size: Location(sim, sim.control("locations", **size)["key"])


@pytest.fixture
def location(make_location: Callable[..., Location]) -> Location:
    """A small location: five apps held by three people and eight devices."""
    return make_location(assets=5, assignments=30, users=3, devices=8)


@pytest.fixture
def mail_server(settings: Any) -> Iterator[MailServer]:
    """The mail server that the portal uses."""
    with MailServer() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = running.server_address[:2]
        settings.EMAIL_TIMEOUT = 5
        yield running
        running.shutdown()


@pytest.fixture(scope="session")
def live_server(django_db_setup: None, live_server: LiveServer) -> LiveServer:
    """A web server in this process, once there is a database for tests.

    Before that, the database looks like one in memory, and the server would take over this thread's connection.
    """
    return live_server


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    """A simulator of this test's own."""
    process = Simulator(tmp_path)
    yield process
    process.stop()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey) -> Iterator[Template]:
    """The migrated database that every portal starts from."""
    made = Template(tmp_path_factory.mktemp("template"), valkey.url)
    yield made
    made.drop(made.url)


@pytest.fixture
def make_portal(
    tmp_path_factory: pytest.TempPathFactory, template: Template, django_db_blocker: DjangoDbBlocker
) -> Iterator[Callable[..., Portal]]:
    """Make portals with given environment variables; nothing of them runs until it is started."""
    made: list[Portal] = []

    def make(**variables: str) -> Portal:
        made.append(Portal(tmp_path_factory.mktemp("portal"), template, django_db_blocker, **variables))
        return made[-1]

    yield make
    for portal in made:
        portal.stop()
        template.drop(portal.database_url)


@pytest.fixture
def portal(make_portal: Callable[..., Portal], simulator: Simulator) -> Portal:
    """A whole portal that talks to the simulator: web, one worker, one beat."""
    given = {"APPLE_VPP_URL": simulator.apple, "ARTWORK_SOURCES": simulator.url, "SIMULATED": "1"}
    return make_portal(**given).start_all()


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """Let Playwright drive the machine's own Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: `apt-get install chromium` lets the browser tests run")
    return {"executable_path": CHROMIUM, "args": CHROMIUM_OPTIONS, "headless": True}
