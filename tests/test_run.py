"""`python -m vppportal` and `make run` as somebody at a terminal has them."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import psutil
import pytest
import requests

from tests.processes import ROOT, eventually, is_alive
from vppportal.embedded import free_port

pytestmark = pytest.mark.once
PASSWORD = "first-password-of-the-tests"
KEPT_SECRETS = ("admin-password", "secret-key", "redis-url", "nanomdm-api-key", "nanomdm-webhook-key")
FROM_ELSEWHERE = {
    "DATABASE_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "TOKEN_ENCRYPTION_KEYS",
    "STATIC_ROOT",
    "EMAIL_URL",
    "MAKEFLAGS",
}


def heed_signals() -> None:
    """Take back what `nohup` or a shell's `&` told the tests to ignore: the runner would rightly ignore it, too."""
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_DFL)


class Run:
    """One run of the runner: what it prints, and every process it has started."""

    def __init__(
        self,
        data: Path,
        *arguments: str,
        before: Sequence[str] = (),
        stdin: int = subprocess.DEVNULL,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.output = data.with_name(f"{data.name}.log")
        environment = {name: value for name, value in os.environ.items() if name not in FROM_ELSEWHERE}
        environment |= {"DATA_DIR": str(data), "PORT": str(port), "ADMIN_PASSWORD": PASSWORD, **variables}
        command = [*before, sys.executable, "-m", "vppportal", *arguments]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=heed_signals,
            )

    @property
    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def is_up(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"The runner has ended:\n{self.text}")
        return "Ctrl-C stops everything" in self.text

    def programs(self) -> dict[int, str]:
        """Return the command lines of all processes that descend from the runner, by their numbers."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        return {process.pid: " ".join(process.cmdline()) for process in family}

    def all_programs(self) -> dict[int, str]:
        """Return them once all are there: Valkey, simulator, web and its two, worker and its two, beat."""
        try:
            return eventually(lambda: found if len(found := self.programs()) >= 9 else None)
        except AssertionError:
            there = "\n".join(self.programs().values())
            raise AssertionError(f"Not all programs are there, only\n{there}\nThe runner says:\n{self.text}") from None

    def end(self, number: signal.Signals) -> int:
        """Send a signal to the runner alone and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data folder for all runs of this module, so that only the first one has to fill it."""
    return tmp_path_factory.mktemp("run") / "var"


@pytest.fixture
def start(data: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(*arguments: str, **variables: str) -> Run:
        runs.append(Run(data, *arguments, variables=variables))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.end(signal.SIGTERM)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda s: s.name)
def test_nothing_outlives_the_runner(start: Callable[..., Run], ending: signal.Signals):
    run = start()
    eventually(run.is_up)
    programs = run.all_programs()
    assert run.end(ending) == (-signal.SIGKILL if ending is signal.SIGKILL else 0)
    eventually(lambda: not [line for pid, line in programs.items() if is_alive(pid)])


def test_closing_the_terminal_ends_everything(data: Path):
    ours, theirs = pty.openpty()
    try:
        run = Run(data, stdin=theirs)
    finally:
        os.close(theirs)
    eventually(run.is_up)
    os.close(ours)
    assert run.process.wait(30) == 0


def test_losing_the_parent_ends_everything_when_it_was_asked_for(data: Path):
    """make is the parent; the test's stand-in for it starts the runner and is killed."""
    code = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    run = Run(data, "--follow-parent", before=[sys.executable, "-c", code])
    eventually(run.is_up)
    programs = run.programs()
    assert run.end(signal.SIGKILL) == -signal.SIGKILL
    eventually(lambda: not [line for pid, line in programs.items() if is_alive(pid)])


def test_the_runner_says_where_the_portal_is_and_how_to_get_in(start: Callable[..., Run], data: Path):
    run = start()
    eventually(run.is_up)
    assert requests.get(f"{run.url}/health/ready", timeout=30).ok
    assert requests.get(f"{run.url}/login/", timeout=30).ok
    assert re.search(rf"http://127.0.0.1:\d+/\n  Sign in as    admin\n  Password      {PASSWORD} ", run.text)
    assert list((data / "samples").glob("*.vpptoken"))
    assert list((data / "samples").glob("devices.csv"))
    modes = {name: stat.S_IMODE((data / name).stat().st_mode) for name in KEPT_SECRETS}
    assert set(modes.values()) == {0o600}


def test_with_live_nothing_of_the_simulator_runs(start: Callable[..., Run]):
    run = start("--live")
    eventually(run.is_up)
    assert "Apple itself" in run.text
    assert not [line for line in run.programs().values() if "simulator" in line]


def test_a_part_that_dies_is_started_again(start: Callable[..., Run]):
    run = start()
    eventually(run.is_up)
    (beat,) = (pid for pid, line in run.programs().items() if line.endswith(" beat"))
    os.kill(beat, signal.SIGKILL)
    eventually(lambda: "beat      | ended unexpectedly (SIGKILL); starting it again" in run.text)


def test_a_port_in_use_is_said_in_one_sentence(start: Callable[..., Run]):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        run = start(PORT=str(port))
        assert run.process.wait(30) == 1
    assert run.text.strip() == (
        f"Port {port} is in use by another program: stop it or choose another port, "
        f"for example `make run PORT={port + 1}`."
    )


def test_a_port_that_is_no_number_is_said_in_one_sentence(start: Callable[..., Run]):
    run = start(PORT="http")
    assert run.process.wait(30) == 1
    assert run.text == "PORT must be a number from 1 to 65535, not “http”.\n"


def test_a_folder_that_cannot_be_written_is_said_in_one_sentence(start: Callable[..., Run], tmp_path: Path):
    (tmp_path / "file").touch()
    run = start(DATA_DIR=str(tmp_path / "file" / "var"))
    assert run.process.wait(30) == 1
    assert run.text.startswith(f"The folder {tmp_path}/file/var cannot be written (Not a directory)")
    assert run.text.count("\n") == 1


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_a_python_that_is_too_old_is_said_in_one_sentence(tmp_path: Path):
    old = tmp_path / "python3.8"
    old.write_text(f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = (3, 8, 18); $2"\n')
    old.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "run", f"PYTHON={old}"]
    made = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert made.returncode
    assert made.stderr.splitlines()[0] == (
        f"VPP Portal needs Python 3.11 or newer, and {old} is 3.8: name a newer one with PYTHON=..."
    )
