"""A leashed program does not outlive the process that started it, whichever way the system offers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import eventually, is_alive
from vppportal import leash

# The holder puts its own number in PARENT's place.
LEASH = [sys.executable, leash.__file__, "PARENT"]
WATCHED = "import sys; from vppportal import leash; sys.exit(leash.watch(int(sys.argv[1]), sys.argv[2:]))"
WATCH = [sys.executable, "-c", WATCHED, "PARENT"]
HOLDER = """
import os, signal, subprocess, sys
command = [str(os.getpid()) if argument == "PARENT" else argument for argument in sys.argv[1:]]
program = subprocess.Popen(command, start_new_session=True)
signal.signal(signal.SIGTERM, lambda number, frame: program.send_signal(number))
sys.exit(program.wait())
"""
SLEEPS = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); print('up', flush=True); time.sleep(60)"
STARTS_ANOTHER = """
import os, subprocess, sys
open(sys.argv[1], "w").write(str(os.getpid()))
subprocess.run([sys.executable, "-c", *sys.argv[2:]])
"""
ENDS_WITH_7 = "import signal, sys; signal.signal(15, lambda *a: sys.exit(7)); print('up', flush=True); signal.pause()"


def is_gone(file: Path) -> bool:
    """Say whether the process whose number is in the file has ended."""
    return not is_alive(int(file.read_text()))


def hold(*command: str | Path) -> subprocess.Popen[str]:
    """Let another process start the command, and return that process when the command is up."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, *command], stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    with holder.stdout as output:
        assert output.readline() == "up\n"
    return holder


def test_a_program_ends_when_the_process_that_started_it_is_killed(tmp_path: Path):
    holder = hold(*LEASH, sys.executable, "-c", SLEEPS, tmp_path / "pid")
    holder.kill()
    holder.wait()
    eventually(lambda: is_gone(tmp_path / "pid"))


def test_watching_ends_also_what_the_program_started(tmp_path: Path):
    holder = hold(*WATCH, sys.executable, "-c", STARTS_ANOTHER, tmp_path / "pid", SLEEPS, tmp_path / "child")
    holder.kill()
    holder.wait()
    eventually(lambda: is_gone(tmp_path / "pid"))
    eventually(lambda: is_gone(tmp_path / "child"))


@pytest.mark.parametrize("leashed", [LEASH, WATCH], ids=["kernel", "watching"])
def test_a_signal_reaches_the_program_and_its_exit_code_comes_back(leashed: list[str]):
    holder = hold(*leashed, sys.executable, "-c", ENDS_WITH_7)
    holder.send_signal(signal.SIGTERM)
    assert holder.wait() == 7


def test_a_program_whose_parent_is_gone_already_does_not_start():
    command = [sys.executable, leash.__file__, str(os.getpid() + 1), "echo", "up"]
    assert subprocess.run(command, capture_output=True, check=False).stdout == b""
