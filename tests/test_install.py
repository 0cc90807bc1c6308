"""Installing says in one sentence what a machine lacks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vppportal.install import InstallFailed, attempt, best_line


def test_a_program_that_succeeds_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    attempt([sys.executable, "-c", "print('chatter')"], "It failed.", tmp_path / "log")
    assert capfd.readouterr() == ("", "")
    assert not (tmp_path / "log").exists()


def test_a_program_that_fails_is_quoted_and_its_words_are_kept(tmp_path: Path):
    code = "print('working'); print('ERROR: no network'); raise SystemExit(1)"
    with pytest.raises(InstallFailed, match=r"^It failed\. It said: ERROR: no network \(all of it is in .*log\)$"):
        attempt([sys.executable, "-c", code], "It failed.", tmp_path / "log")
    assert (tmp_path / "log").read_text() == "working\nERROR: no network\n"


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("npm warn old\nnpm error code ECONNREFUSED\nnpm error more\n", "npm error code ECONNREFUSED"),
        ("\n  No space left on device\n", "No space left on device"),
        ("", "nothing"),
    ],
)
def test_the_telling_line_is_found(output: str, line: str):
    assert best_line(output) == line
