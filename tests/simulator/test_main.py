"""`python -m vppportal.simulator` starts, says where, serves, and ends when told to."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys

import pytest
import requests


def start(*arguments):
    command = [sys.executable, "-m", "vppportal.simulator", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_ends_cleanly(tmp_path, number):
    with start("--samples", str(tmp_path), "--seed", "5", "--page-size", "7") as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready == {
            "url": ready["url"],
            "apple": f"{ready['url']}/mdm/v2",
            "control": f"{ready['url']}/control",
            "mdm": ready["mdm"],
        }
        bearer = (tmp_path / "sToken_for_business.vpptoken").read_text()
        answer = requests.get(f"{ready['apple']}/assets", headers={"Authorization": f"Bearer {bearer}"}, timeout=5)
        assert answer.json()["size"] == 7
        process.send_signal(number)
        assert process.wait(timeout=5) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_port_in_use_is_one_clear_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start("--port", str(taken.getsockname()[1]))
        output, complaint = process.communicate(timeout=10)
    assert (process.returncode, output) == (1, "")
    assert complaint.startswith("The simulator cannot listen on 127.0.0.1:")
    assert complaint.count("\n") == 1


def test_it_loads_neither_django_nor_anything_else_of_the_portal():
    code = (
        "import sys, vppportal.simulator.server;"
        "print([n for n in sys.modules if n.partition('.')[0] in ('django', 'celery', 'tokens', 'catalog')"
        " or n.startswith('vppportal.') and not n.startswith('vppportal.simulator')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
