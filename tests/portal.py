"""A whole portal of real processes for journeys: web, any number of workers and beats, on a fresh database."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import environ
import psycopg
import requests
from django.conf import settings
from django.db import connections
from pytest_django import DjangoDbBlocker

from tests.processes import ROOT, START_WITHIN, Process, Valkey, eventually
from vppportal.embedded import LOOPBACK, free_port

ADMINISTRATOR, PASSWORD = "admin", "journey-password"
POSTGRES = "django.db.backends.postgresql"


class Template:
    """A migrated database with an administrator, made once, of which every portal gets a copy."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.folder = folder
        self.server = os.environ["DATABASE_URL"] if settings.DATABASES["default"]["ENGINE"] == POSTGRES else None
        self.copies = 0
        self.name = f"template_{os.getpid()}"
        if self.server:
            self._execute(f'CREATE DATABASE "{self.name}"')
        (folder / "admin-password").write_text(PASSWORD)
        self.url = self._url(self.name)
        environment = portal_environment(folder, self.url, redis_url, STATIC_ROOT=str(folder / "static"))
        prepare = Process("prepare", [sys.executable, "-m", "vppportal.prepare"], environment, folder)
        if prepare.popen.wait(120):
            raise AssertionError(f"The database of the journeys could not be made:\n{prepare.log}")

    def copy(self) -> str:
        """Return the address of a fresh database."""
        self.copies += 1
        name = f"{self.name}_{self.copies}"
        if self.server:
            self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{self.name}"')
        else:
            shutil.copyfile(self.folder / f"{self.name}.sqlite3", self.folder / f"{name}.sqlite3")
        return self._url(name)

    def drop(self, url: str) -> None:
        """Remove a copy, whoever still has it open."""
        name = urlsplit(url).path.rpartition("/")[2]
        if self.server:
            self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        else:
            for path in self.folder.glob(f"{name}*"):
                path.unlink()

    def _url(self, name: str) -> str:
        if self.server:
            return urlunsplit(urlsplit(self.server)._replace(path=f"/{name}"))
        return f"sqlite:///{self.folder / name}.sqlite3"

    def _execute(self, statement: str) -> None:
        assert self.server
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(statement.encode())


class Portal:
    """A running portal; every part of it can be killed and started again while the test looks on."""

    def __init__(self, folder: Path, template: Template, blocker: DjangoDbBlocker, **variables: str) -> None:
        self.folder, self.blocker = folder, blocker
        self.database_url = template.copy()
        self.valkey = Valkey(folder)
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        extra = {"PORT": str(self.port), "STATIC_ROOT": str(template.folder / "static")} | variables
        self.environment = portal_environment(folder, self.database_url, self.valkey.url, **extra)
        self.processes: list[Process] = []

    def start(self, name: str, *module: str) -> Process:
        """Start a Python module as a process of this portal."""
        name = f"{name}-{len(self.processes)}"
        process = Process(name, [sys.executable, "-m", *module], self.environment, self.folder)
        self.processes.append(process)
        return process

    def start_web(self, workers: int = 1) -> Process:
        """Start the web server and return when it answers."""
        options = ["--bind", f"{LOOPBACK}:{self.port}", "--workers", str(workers), "--threads", "4"]
        process = self.start("web", "gunicorn", "vppportal.wsgi:application", *options, "--no-control-socket")
        eventually(lambda: self.answers(process), START_WITHIN)
        return process

    def answers(self, web: Process) -> bool:
        if not web.is_running:
            raise AssertionError(f"The web server did not start:\n{web.log}")
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/health/live", timeout=30).ok
        return False

    def start_worker(self, concurrency: int = 1) -> Process:
        """Start a worker; what is due waits for it, so there is no need to wait here."""
        options = ["--concurrency", str(concurrency), "--without-gossip", "--without-mingle", "--without-heartbeat"]
        return self.start("worker", "celery", "--quiet", "-A", "vppportal.celery", "worker", *options)

    def start_beat(self) -> Process:
        return self.start("beat", "celery", "--quiet", "-A", "vppportal.celery", "beat")

    def start_all(self, workers: int = 1, beats: int = 1) -> Portal:
        """Start a web server, workers and beats."""
        for _ in range(workers):
            self.start_worker()
        for _ in range(beats):
            self.start_beat()
        self.start_web()
        return self

    @property
    def log(self) -> str:
        """Everything that any process of this portal has printed."""
        return "\n".join(process.log for process in self.processes)

    def sign_in(self, name: str = ADMINISTRATOR, password: str = PASSWORD) -> requests.Session:
        """Return a session of somebody who has signed in."""
        session = requests.Session()
        page = f"{self.url}/login/"
        session.get(page, timeout=30).raise_for_status()
        form = {"login": name, "password": password, "csrfmiddlewaretoken": session.cookies["csrftoken"]}
        answer = session.post(page, data=form, timeout=30, allow_redirects=False)
        assert answer.status_code == requests.codes.found, answer.text
        return session

    def post(self, session: requests.Session, path: str, data: dict[str, str], **options: object) -> requests.Response:
        """Send a form with its CSRF token."""
        form = data | {"csrfmiddlewaretoken": session.cookies["csrftoken"]}
        return session.post(f"{self.url}{path}", data=form, timeout=60, **options)  # type: ignore[arg-type]  # files=...

    @contextlib.contextmanager
    def database(self) -> Iterator[None]:
        """Let the models of this process use the portal's own database, as another process would."""
        before = connections["default"]
        wanted = before.settings_dict | dict(environ.Env.db_url_config(self.database_url))
        wanted["OPTIONS"] = before.settings_dict["OPTIONS"]
        connections["default"] = type(before)(wanted, "default")
        try:
            with self.blocker.unblock():
                yield
        finally:
            connections["default"].close()
            connections["default"] = before

    def stop(self) -> None:
        """Stop every process, the broker last."""
        for process in self.processes:
            if process.is_running:
                process.popen.send_signal(signal.SIGQUIT if process.name.startswith("worker") else signal.SIGTERM)
        for process in self.processes:
            process.stop()
        self.valkey.stop()


def portal_environment(folder: Path, database_url: str, redis_url: str, **variables: str) -> dict[str, str]:
    """Return a portal's environment; its keys are this process's, so that both can open what the other has sealed."""
    return dict(os.environ) | {
        "DJANGO_SETTINGS_MODULE": "vppportal.settings",
        "DATA_DIR": str(folder),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "PYTHONPATH": str(ROOT),
        "EMAIL_URL": "dummymail://",
        "LOG_LEVEL": "INFO",
        **variables,
    }
