"""Run the whole portal on this machine: ``python -m vppportal [--live]``.

Web server, worker, beat, an embedded Valkey unless REDIS_URL names a server, and, unless told ``--live``, the simulator
that stands in for Apple, and for NanoMDM with devices. This module writes the environment that settings.py reads.
Nothing started here outlives this process, however it ends.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from vppportal.embedded import (
    LOOPBACK,
    is_free,
    keep,
    kept,
    kept_port,
    make_encryption_key,
    make_password,
    make_secret_key,
    open_data_folder,
    valkey_command,
    valkey_configuration,
)
from vppportal.supervisor import Running, Service, StartFailed, Supervisor, ToldToStop, say_on_terminal

ROOT = Path(__file__).resolve().parent.parent
FIRST_PAGE_WITHIN = 60.0
SEED = "1"
ENROLLMENT_PROFILE = "simulated.enrollment"
"""What the simulated devices' enrollment profile is called; any name will do for them."""
MDM_KEYS = ("NANOMDM_API_KEY", "NANOMDM_WEBHOOK_KEY")
# Simulated devices are quick, but slow enough to be watched.
DEVICE_PACE = ("--answer-seconds", "0.5", "--install-seconds", "8", "--poll-seconds", "900")


@dataclass
class Portal:
    """One run: where its data lies, its port, the environment of its programs, and who starts them."""

    data: Path
    port: int
    environment: dict[str, str]
    supervisor: Supervisor

    def service(
        self, name: str, *arguments: str, reports: bool = False, stop_signal: signal.Signals = signal.SIGTERM
    ) -> Service:
        """Describe a program of ours: a Python module with its arguments."""
        return Service(
            name, [sys.executable, "-m", *arguments], self.environment, stop_signal=stop_signal, reports=reports
        )

    def start_broker(self) -> None:
        """Start the embedded Valkey and wait until it answers, unless a server is named."""
        if "REDIS_URL" in self.environment or "REDIS_URL_FILE" in self.environment:
            return
        port, password = kept_port(self.data / "valkey-port"), secrets.token_urlsafe(32)
        url = f"redis://:{password}@{LOOPBACK}:{port}/0"
        # Also kept in a file, so that `manage.py` in another terminal talks to the running portal's broker.
        keep(self.data / "redis-url", url)
        self.environment["REDIS_URL"] = url
        configuration = valkey_configuration(port, password, self.data / "valkey")
        self.supervisor.start(
            Service("valkey", valkey_command(), self.environment, stdin=configuration, stops_last=True)
        )
        self.wait_for_broker(redis.Redis.from_url(url, retry=None))

    def wait_for_broker(self, client: redis.Redis) -> None:
        """Return when Valkey has read its file and answers."""
        deadline = time.monotonic() + FIRST_PAGE_WITHIN
        while time.monotonic() < deadline:
            try:
                client.ping()
            except redis.exceptions.ConnectionError:  # its subclass says that the file is still being read
                self.wait()
            else:
                return
        raise StartFailed(f"The embedded Valkey does not answer; {self.data / 'valkey' / 'valkey.log'} says why.")

    def start_simulator(self) -> Running:
        """Start the stand-ins; they keep their addresses from one run to the next, as icons are stored with theirs."""
        samples, port = self.data / "samples", kept_port(self.data / "simulator-port")
        arguments = ["--host", LOOPBACK, "--port", str(port), "--samples", str(samples), "--seed", SEED, *self.mdm()]
        return self.supervisor.start(self.service("simulator", "vppportal.simulator", *arguments, reports=True))

    def mdm(self) -> list[str]:
        """Make the keys that the portal and its MDM server share, and return what the stand-in is told."""
        for name in MDM_KEYS:
            self.environment.pop(f"{name}_FILE", None)
            self.environment[name] = kept(self.key_file(name), make_secret_key)
        where = ["--mdm-port", str(kept_port(self.data / "nanomdm-port"))]
        webhook = ["--mdm-webhook-url", f"http://{LOOPBACK}:{self.port}/mdm/events/"]
        files = ["--mdm-api-key-file", str(self.key_file(MDM_KEYS[0]))]
        files += ["--mdm-webhook-key-file", str(self.key_file(MDM_KEYS[1]))]
        return [*where, *webhook, *files, "--devices", *DEVICE_PACE]

    def key_file(self, name: str) -> Path:
        """Return where a kept key lies."""
        return self.data / name.lower().replace("_", "-")

    def prepare(self, is_live: bool) -> dict[str, Any]:
        """Bring database and static files up to date; with the simulator, its company comes with the first start."""
        arguments = [] if is_live else ["--sample-company", SEED]
        prepare = self.service("prepare", "vppportal.prepare", *arguments, reports=True)
        prepared: dict[str, Any] = json.loads(self.supervisor.run(prepare))
        return prepared

    def point_at(self, simulator: Running) -> None:
        """Let the portal's programs talk to the simulator once it is up."""
        told = json.loads(self.supervisor.report(simulator, FIRST_PAGE_WITHIN))
        self.environment |= {
            "APPLE_VPP_URL": told["apple"],
            "ARTWORK_SOURCES": told["url"],
            "NANOMDM_URL": told["mdm"],
            "MDM_PROFILE_IDENTIFIER": ENROLLMENT_PROFILE,
            "SIMULATED": "1",
        }

    def start_web(self) -> None:
        """Start the web server and return when the first page is there."""
        where = ["--bind", f"{LOOPBACK}:{self.port}", "--workers", "2", "--threads", "4", "--preload"]
        calm = ["--graceful-timeout", "5", "--log-level", "warning", "--no-control-socket"]
        self.supervisor.start(self.service("web", "gunicorn", "vppportal.wsgi:application", *where, *calm))
        self.wait_for_first_page()

    def start_background(self) -> None:
        """Start the worker and beat.

        One worker with two pool processes, not two workers: one parent less in memory, and the parent replaces a pool
        process that dies or overruns its time limit.
        """
        celery = ["celery", "--quiet", "-A", "vppportal.celery"]
        worker = [*celery, "worker", "--concurrency", "2", "--without-gossip", "--without-mingle"]
        # SIGQUIT is Celery's soft shutdown; SIGTERM would wait for long tasks.
        self.supervisor.start(self.service("worker", *worker, stop_signal=signal.SIGQUIT))
        self.supervisor.start(self.service("beat", *celery, "beat"))

    def wait_for_first_page(self) -> None:
        """Return when the web server answers."""
        deadline = time.monotonic() + FIRST_PAGE_WITHIN
        while time.monotonic() < deadline:
            connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=30)
            try:
                connection.request("GET", "/health/live")
                status = connection.getresponse().status
            except (OSError, http.client.HTTPException):
                self.wait()
            else:
                if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
                    break
                return
            finally:
                connection.close()
        raise StartFailed("The web server does not answer as it should; the lines above say why.")

    def wait(self) -> None:
        """Wait a moment for something to come up, but not for something that keeps falling over."""
        self.supervisor.pause(0.05)
        self.supervisor.tend()

    def announce(self, first_password_holds: bool, administrator: str, is_live: bool) -> None:
        """Tell the person at the terminal where to go and how to get in."""
        file = self.data / "admin-password"
        password = (
            f"{file.read_text().strip()}  (kept in {file})" if first_password_holds else "the one it was changed to"
        )
        lines = [
            "",
            f"  VPP portal    http://{LOOPBACK}:{self.port}/",
            f"  Sign in as    {administrator}",
            f"  Password      {password}",
            f"  Apple         {self.environment.get('APPLE_VPP_URL', 'Apple itself')}"
            if is_live
            else f"  VPP tokens    {self.data / 'samples'}/*.vpptoken",
            ""
            if is_live
            else "  A simulator stands in for Apple and devices; `make run LIVE=1` talks to Apple itself.",
            "  Ctrl-C stops everything.",
            "",
        ]
        print("\n".join(lines), flush=True)


def read_port(text: str) -> int:
    """Return the web server's port, or fail with a sentence when it cannot be had."""
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise StartFailed(f"PORT must be a number from 1 to 65535, not “{text}”.")
    port = int(text)
    if not is_free(port):
        raise StartFailed(
            f"Port {port} is in use by another program: stop it or choose another port, for example "
            f"`make run PORT={port + 1}`."
        )
    return port


def first_environment(data: Path, port: int, given: dict[str, str]) -> dict[str, str]:
    """Return the environment of the portal's programs: what was given, and our keys where nothing was."""
    make = {"SECRET_KEY": make_secret_key, "TOKEN_ENCRYPTION_KEYS": make_encryption_key}
    for name, maker in make.items():
        if name not in given and f"{name}_FILE" not in given:
            kept(data / name.lower().replace("_", "-"), maker)
    kept(data / "admin-password", lambda: given.get("ADMIN_PASSWORD") or make_password())
    ours = {
        "DATA_DIR": str(data),
        "PORT": str(port),
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "vppportal.settings",
    }
    # Celery warns root at length, but its reason, a serializer that runs code, does not apply.
    calm = {"LOG_LEVEL": "WARNING", "LOG_FORMAT": "logfmt", "PYTHONWARNINGS": "ignore:You're running the worker with"}
    return calm | {name: value for name, value in given.items() if name != "ADMIN_PASSWORD"} | ours


def start(portal: Portal, is_live: bool) -> None:
    """Start everything in order and say where it is."""
    portal.start_broker()
    simulator = None if is_live else portal.start_simulator()
    prepared = portal.prepare(is_live)
    if simulator:
        portal.point_at(simulator)
    portal.start_web()
    portal.start_background()
    portal.announce(prepared["first_password_holds"], prepared["administrator"], is_live)


def run(supervisor: Supervisor, given: dict[str, str], is_live: bool) -> None:
    """Run the portal until told to stop; what cannot be had is said before anything was started."""
    # Two folders, so that no real token ever meets the simulator, and no sample token Apple.
    data = Path(given.get("DATA_DIR") or ROOT / ("var/live" if is_live else "var")).expanduser().resolve()
    with open_data_folder(data):
        port = read_port(given.get("PORT") or "8000")
        try:
            start(Portal(data, port, first_environment(data, port, given), supervisor), is_live)
            while True:
                supervisor.pause(0.2)
                supervisor.tend()
        except ToldToStop:
            supervisor.say("runner", "stopping")
        finally:
            supervisor.stop()


def watch_for_loss(follow_parent: bool) -> Callable[[], bool]:
    """Return a function that says whether the terminal was closed or, when it matters, the parent is gone.

    A closed terminal is told by SIGHUP to its first process only: where that is make, it keeps the news to itself.
    """
    parent, has_terminal = os.getppid(), os.isatty(0)
    return lambda: (follow_parent and os.getppid() != parent) or (has_terminal and not os.isatty(0))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m vppportal", description="Run the whole portal on this machine.")
    parser.add_argument(
        "--live", action="store_true", help="talk to Apple instead of the simulator (so does a set APPLE_VPP_URL)"
    )
    parser.add_argument(
        "--follow-parent", action="store_true", help="stop when the process that started this one is gone"
    )
    options = parser.parse_args()
    supervisor = Supervisor(say_on_terminal, watch_for_loss(options.follow_parent))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup has its reason
            signal.signal(number, supervisor.stop_soon)
    os.umask(0o077)  # keys and the database are for this user alone
    os.chdir(ROOT)  # the programs are found as modules of this folder
    given = dict(os.environ)
    try:
        run(supervisor, given, is_live=options.live or bool(given.get("APPLE_VPP_URL")))
    except StartFailed as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
