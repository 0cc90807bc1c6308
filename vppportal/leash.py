"""Start a program that does not outlive the process that asked for it: ``python leash.py PARENT PROGRAM ARGUMENT...``.

The runner may be killed with SIGKILL and then stops nobody any more. On Linux the kernel does it for us: the
parent-death signal is set here, between fork and exec, and survives the exec. Elsewhere (macOS) this process stays
between the two, passes signals on, and ends the program's whole group when it finds itself with another parent. A
program of its own instead of Popen's ``preexec_fn``, which is unsafe in a process with threads; standard library only,
so that it costs 20 ms.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
LOOK_EVERY = 0.3
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


def leashed(command: list[str]) -> list[str]:
    """Return the command that starts ``command`` on a leash held by this process."""
    return [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(os.getpid()), *command]


def become(parent: int, command: list[str]) -> None:
    """Turn into the program, with the kernel as watchman (Linux)."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel knew that we care
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - a list of arguments, no shell


def watch(parent: int, command: list[str]) -> int:
    """Start the program, end it when the parent is gone, return its exit code (any Unix)."""
    program = subprocess.Popen(command)
    for number in PASSED_ON:
        signal.signal(number, lambda received, _frame: program.send_signal(received))
    while program.poll() is None and os.getppid() == parent:
        time.sleep(LOOK_EVERY)
    if program.returncode is None:
        os.killpg(0, signal.SIGKILL)  # the program, what it started, and this process
    return program.returncode if program.returncode >= 0 else 128 - program.returncode


if __name__ == "__main__":
    if sys.platform == "linux":
        become(int(sys.argv[1]), sys.argv[2:])
    else:
        sys.exit(watch(int(sys.argv[1]), sys.argv[2:]))
