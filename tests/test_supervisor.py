"""The supervisor shows what programs say, starts them again a bounded number of times and stops them in order."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator

import pytest

from tests.processes import eventually, is_alive
from vppportal.supervisor import RESTARTS, Service, StartFailed, Supervisor, ToldToStop

SLEEPS = "import time; time.sleep(60)"


class Screen:
    """Collects what the supervisor says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, name: str, text: str) -> None:
        self.lines.append(f"{name}: {text}")


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def supervisor(screen: Screen) -> Iterator[Supervisor]:
    supervisor = Supervisor(screen.say)
    yield supervisor
    supervisor.stop()


def program(name: str, code: str, **options: object) -> Service:
    return Service(name, [sys.executable, "-c", code], dict(os.environ), **options)  # type: ignore[arg-type]  # a test's


def test_every_line_carries_the_name_of_who_said_it(supervisor: Supervisor, screen: Screen):
    supervisor.start(program("clerk", f"import sys; print('out'); print('err', file=sys.stderr); {SLEEPS}"))
    eventually(lambda: set(screen.lines) >= {"clerk: err"})


def test_a_program_reads_its_input(supervisor: Supervisor, screen: Screen):
    supervisor.start(program("clerk", f"print(input(), flush=True); {SLEEPS}", stdin="a password"))
    eventually(lambda: "clerk: a password" in screen.lines)


def test_a_report_is_returned_and_not_shown(supervisor: Supervisor, screen: Screen):
    code = f"print('hello'); print('{{}}'); print('{{more}}', flush=True); {SLEEPS}"
    running = supervisor.start(program("clerk", code, reports=True))
    assert supervisor.report(running, 10) == "{}\n"
    eventually(lambda: screen.lines == ["clerk: hello", "clerk: {more}"])


def test_a_program_that_ends_without_its_report_is_a_failed_start(supervisor: Supervisor):
    running = supervisor.start(program("clerk", "print('no')", reports=True))
    with pytest.raises(StartFailed, match="The clerk did not start"):
        supervisor.report(running, 10)


def test_a_step_is_waited_for(supervisor: Supervisor):
    assert supervisor.run(program("step", "print('{\"done\": 1}')", reports=True)) == '{"done": 1}\n'


def test_a_step_that_fails_stops_the_start(supervisor: Supervisor):
    with pytest.raises(StartFailed, match="stopped at “step”"):
        supervisor.run(program("step", "raise SystemExit(3)", reports=True))


def test_a_program_that_falls_over_is_started_again(supervisor: Supervisor, screen: Screen):
    first = supervisor.start(program("clerk", SLEEPS))
    first.process.kill()
    first.process.wait()
    supervisor.tend()
    assert screen.lines == ["clerk: ended unexpectedly (SIGKILL); starting it again"]
    assert supervisor.programs[0].process.poll() is None


def test_a_program_that_keeps_falling_over_stops_everything(supervisor: Supervisor, screen: Screen):
    supervisor.start(program("clerk", "raise SystemExit(3)"))
    with pytest.raises(StartFailed, match=r"The clerk ended unexpectedly \(exit code 3\) 6 times within a minute"):
        while True:
            supervisor.tend()
            time.sleep(0.01)
    assert len(screen.lines) == RESTARTS


def test_what_the_others_need_to_stop_stops_last(supervisor: Supervisor, screen: Screen):
    says_bye = "import signal; signal.signal(15, lambda *a: exit(print('bye', flush=True))); print('up', flush=True); "
    supervisor.start(program("broker", f"{says_bye}{SLEEPS}", stops_last=True))
    supervisor.start(program("web", f"{says_bye}{SLEEPS}"))
    eventually(lambda: {"broker: up", "web: up"} == set(screen.lines))
    supervisor.stop()
    assert screen.lines[2:] == ["web: bye", "broker: bye"]


def test_a_program_that_does_not_stop_is_killed_with_what_it_started(
    supervisor: Supervisor, screen: Screen, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("vppportal.supervisor.GRACE", 0.5)
    child = f"import os, time; print(os.getpid(), flush=True); {SLEEPS}"
    code = f"import signal, subprocess, sys; signal.signal(15, 1); subprocess.run([sys.executable, '-c', {child!r}])"
    supervisor.start(program("clerk", code.replace("15, 1", "15, signal.SIG_IGN")))
    eventually(lambda: screen.lines)
    pid = int(screen.lines[0].removeprefix("clerk: "))
    supervisor.stop()
    assert screen.lines[1:] == ["clerk: did not stop in time and was killed"]
    eventually(lambda: not is_alive(pid))


def test_a_signal_ends_every_wait(supervisor: Supervisor):
    supervisor.stop_soon(signal.SIGTERM, None)
    with pytest.raises(ToldToStop):
        supervisor.pause(0)


def test_being_abandoned_ends_every_wait(screen: Screen):
    with pytest.raises(ToldToStop):
        Supervisor(screen.say, is_abandoned=lambda: True).pause(0)
