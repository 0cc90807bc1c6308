"""Start a handful of programs, show what they say, start again what falls over, and leave none behind."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType

from vppportal.leash import leashed

RESTARTS = 5
RESTARTS_WITHIN = 60.0
GRACE = 12.0  # longer than a Celery worker's soft shutdown


class StartFailed(Exception):
    """Something that must be there is not; the message is for the person at the terminal."""


class ToldToStop(Exception):
    """Somebody wants everything to stop."""


@dataclass(frozen=True)
class Service:
    """A program to keep running.

    With ``reports``, the first JSON object it prints is for the runner; with ``stops_last``, others need it to stop.
    """

    name: str
    command: list[str]
    environment: Mapping[str, str]
    stdin: str = ""
    stop_signal: signal.Signals = signal.SIGTERM
    reports: bool = False
    stops_last: bool = False


@dataclass
class Running:
    """A service's present process and when it had to be started again."""

    service: Service
    process: subprocess.Popen[str]
    report: queue.Queue[str]
    pump: threading.Thread
    restarts: deque[float] = field(default_factory=lambda: deque(maxlen=RESTARTS))


class Supervisor:
    """Keeps services running until they are to stop."""

    def __init__(self, say: Callable[[str, str], None], is_abandoned: Callable[[], bool] = lambda: False) -> None:
        self.say = say
        self.is_abandoned = is_abandoned
        self.programs: list[Running] = []
        # A plain flag: a signal handler that sets a threading.Event can wait for a lock that its own thread holds.
        self.is_stopping = False

    def start(self, service: Service) -> Running:
        """Start a program and keep it running from now on."""
        running = self._launch(service)
        self.programs.append(running)
        return running

    def run(self, service: Service) -> str:
        """Run a program to its end and return what it reported."""
        running = self.start(service)
        while running.process.poll() is None:
            self.pause(0.05)
        self.programs.remove(running)
        running.pump.join()
        if running.process.returncode:
            raise StartFailed(f"The start stopped at “{service.name}”; the lines above say why.")
        return running.report.get_nowait()

    def report(self, running: Running, seconds: float) -> str:
        """Return the line that a reporting service said first."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and (running.process.poll() is None or not running.report.empty()):
            try:
                return running.report.get_nowait()
            except queue.Empty:
                self.pause(0.05)
        raise StartFailed(f"The {running.service.name} did not start; the lines above say why.")

    def tend(self) -> None:
        """Start again what fell over; fail when something keeps falling over."""
        for position, running in enumerate(self.programs):
            if running.process.poll() is not None:
                self.programs[position] = self._again(running)

    def pause(self, seconds: float) -> None:
        """Sleep a moment, and leave by ToldToStop when there is nothing to wait for any more."""
        time.sleep(seconds)
        if self.is_stopping or self.is_abandoned():
            raise ToldToStop

    def stop_soon(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: the first one stops everything in order, a second one kills everything now."""
        if self.is_stopping:
            for running in self.programs:
                running.process.kill()
        self.is_stopping = True

    def stop(self) -> None:
        """Stop everything; whoever takes too long is killed together with what it started."""
        self.is_stopping = True
        for last in (False, True):
            self._stop([running for running in self.programs if running.service.stops_last is last])
        self.programs.clear()

    def _stop(self, programs: list[Running]) -> None:
        for running in programs:
            if running.process.poll() is None:
                running.process.send_signal(running.service.stop_signal)
        deadline = time.monotonic() + GRACE
        for running in programs:
            try:
                running.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.say(running.service.name, "did not stop in time and was killed")
            kill_group(running.process)
            running.pump.join(1)  # for its last words

    def _launch(self, service: Service) -> Running:
        process = subprocess.Popen(
            leashed(service.command),
            env=dict(service.environment),
            stdin=subprocess.PIPE if service.stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C reaches the terminal's whole group: only the runner may hear it, or the broker would stop first.
            start_new_session=True,
        )
        report: queue.Queue[str] = queue.Queue()
        pump = threading.Thread(target=self._pump, args=(service, process, report), daemon=True)
        pump.start()
        if service.stdin and process.stdin:
            process.stdin.write(service.stdin)
            process.stdin.close()
        return Running(service, process, report, pump)

    def _pump(self, service: Service, process: subprocess.Popen[str], report: queue.Queue[str]) -> None:
        awaited = service.reports
        assert process.stdout  # noqa: S101 - it was asked for
        with process.stdout as output:
            for line in output:
                if awaited and line.startswith("{"):
                    report.put(line)
                    awaited = False
                else:
                    self.say(service.name, line.rstrip())

    def _again(self, running: Running) -> Running:
        service, now = running.service, time.monotonic()
        kill_group(running.process)
        ended = f"ended unexpectedly ({how_it_ended(running.process.returncode)})"
        if len(running.restarts) == RESTARTS and now - running.restarts[0] < RESTARTS_WITHIN:
            raise StartFailed(
                f"The {service.name} {ended} {RESTARTS + 1} times within a minute, so everything was stopped."
            )
        self.say(service.name, f"{ended}; starting it again")
        fresh = self._launch(service)
        fresh.restarts.extend([*running.restarts, now])
        return fresh


def kill_group(process: subprocess.Popen[str]) -> None:
    """Kill what is left of a process and of everything that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # the second one is macOS's word for a group of zombies
        pass
    process.wait()


def how_it_ended(code: int | None) -> str:
    """Say an exit code in words."""
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"


def say_on_terminal(name: str, text: str) -> None:
    """Print one line with the name of who said it; a terminal that has gone away is no reason to fall over."""
    try:
        sys.stdout.write(f"{name:<9} | {text}\n")
        sys.stdout.flush()
    except OSError:
        return
