"""Real processes for journeys, each on a leash of this process and with a log file of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import psutil
import redis
import requests

from vppportal.embedded import LOOPBACK, free_port, valkey_command, valkey_configuration
from vppportal.leash import leashed

ROOT = Path(__file__).resolve().parent.parent
START_WITHIN = PATIENCE = 60.0
"""Seconds after which a busy machine too should have done it: no measure of how quick the portal is."""
Answer = TypeVar("Answer")


def eventually(question: Callable[[], Answer | None], within: float = PATIENCE, every: float = 0.05) -> Answer:
    """Ask until the answer is true and return it; fail with the last answer."""
    deadline = time.monotonic() + within
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Not so within {within:.0f} s; the last answer was {answer!r}.")
        time.sleep(every)
    return answer


def is_alive(pid: int) -> bool:
    """Say whether a process still runs; one whose exit code nobody has asked for has ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Process:
    """A program that runs until it is stopped or killed."""

    def __init__(
        self, name: str, command: list[str], environment: dict[str, str], folder: Path, stdin: str = ""
    ) -> None:
        self.name = name
        self.log_file = folder / f"{name}.log"
        with self.log_file.open("ab") as log:
            self.popen = subprocess.Popen(
                leashed(command),
                env=environment,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if self.popen.stdin:
            self.popen.stdin.write(stdin.encode())
            self.popen.stdin.close()

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def log(self) -> str:
        """Everything the program has printed so far."""
        return self.log_file.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        return self.popen.poll() is None

    def kill(self) -> None:
        """Kill the process and what it started, as an unplugged machine would."""
        self._signal_group(signal.SIGKILL)
        self.popen.wait()

    def stop(self, within: float = 15.0) -> None:
        """Ask the process to stop; kill it when it takes too long."""
        if self.is_running:
            self.popen.terminate()
        try:
            self.popen.wait(within)
        finally:
            self.kill()

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return


class Valkey:
    """A Valkey server of a test's own."""

    def __init__(self, folder: Path, port: int | None = None, password: str = "tests") -> None:
        self.port = port or free_port()
        self.url = f"redis://:{password}@{LOOPBACK}:{self.port}/0"
        self.folder = folder
        self.configuration = valkey_configuration(self.port, password, folder / "valkey")
        self.client = redis.Redis.from_url(self.url, retry=None)
        self.start()

    def start(self) -> None:
        """Start the server (again, with the data it had) and wait until it answers."""
        self.process = Process("valkey", valkey_command(), dict(os.environ), self.folder, self.configuration)
        eventually(self.answers, START_WITHIN, every=0.01)

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.exceptions.ConnectionError:
            return False

    def flush(self) -> None:
        """Forget every queue, lock and cached value."""
        self.client.flushall()

    def stop(self) -> None:
        self.client.close()
        self.process.stop()


class Simulator:
    """The simulator as a process, and a small client of its control address."""

    def __init__(self, folder: Path, *options: str, seed: int = 1) -> None:
        self.samples = folder / "samples"
        arguments = [
            "--host",
            LOOPBACK,
            "--port",
            str(free_port()),
            "--samples",
            str(self.samples),
            "--seed",
            str(seed),
            *options,
        ]
        command = [sys.executable, "-m", "vppportal.simulator", *arguments]
        self.process = Process("simulator", command, dict(os.environ), folder)
        report = json.loads(eventually(self._report, START_WITHIN))
        self.url, self.apple, self.control = report["url"], report["apple"], report["control"]
        self.mdm = report["mdm"]
        self.session = requests.Session()

    def _report(self) -> str:
        if not self.process.is_running:
            raise AssertionError(f"The simulator did not start:\n{self.process.log}")
        return next((line for line in self.process.log.splitlines(keepends=True) if line.startswith("{")), "").strip()

    def ask(self, path: str) -> Any:
        """GET something from the control address."""
        answer = self.session.get(f"{self.control}/{path}", timeout=30)
        answer.raise_for_status()
        return answer.json()

    def tell(self, path: str, /, **body: Any) -> Any:
        """POST something to the control address."""
        answer = self.session.post(f"{self.control}/{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def sample(self, name: str) -> Path:
        """Return the token file whose name has this in it, for example ``business``."""
        return next(iter(sorted(self.samples.glob(f"*{name}*.vpptoken"))))

    def stop(self) -> None:
        self.session.close()
        self.process.stop()
