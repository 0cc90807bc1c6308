"""Make the virtual environment and install a lock file into it: ``python3 -m vppportal.install requirements.lock``.

The Makefile calls it with the machine's Python, so it uses the standard library only. Each thing that a machine may
lack is said in one sentence.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"


class InstallFailed(Exception):
    """Something could not be had; the message is for the person at the terminal."""


def attempt(command: list[str | Path], otherwise: str, log: Path, cwd: Path = ROOT) -> None:
    """Run a program quietly; when it fails, say so with its own best line and leave the rest in a file."""
    done = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        log.write_text(done.stdout)
        raise InstallFailed(f"{otherwise} It said: {best_line(done.stdout)} (all of it is in {log})")


def best_line(output: str) -> str:
    """Return the line of a program's output that most likely says why it failed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower()]
    return (telling or lines or ["nothing"])[0]


def make_environment() -> None:
    """Make .venv, or mend one whose Python has moved or which never got its pip."""
    if (
        PYTHON.exists()
        and not subprocess.run([PYTHON, "-c", "import pip"], capture_output=True, check=False).returncode
    ):
        return
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise InstallFailed(
            f"{sys.executable} cannot make virtual environments: install its venv module "
            "(Debian, Ubuntu: apt-get install python3-venv) or name another Python with PYTHON=..."
        )
    VENV.mkdir(exist_ok=True)
    failed = f"The virtual environment {VENV} could not be made."
    attempt([sys.executable, "-m", "venv", "--clear", VENV], failed, ROOT / ".venv" / "venv.log")


def install(lock: Path) -> None:
    """Install exactly the packages of the lock file, checking their hashes."""
    print(f"Installing {lock.name} (only the first time and when it changes) ...", flush=True)
    options = ["--require-hashes", "--only-binary=:all:", "--quiet", "--disable-pip-version-check", "--no-input"]
    failed = "The Python packages could not be installed: is the package index reachable?"
    # Compiling is left to the first start, which needs only a part of it.
    attempt([PYTHON, "-m", "pip", "install", *options, "--no-compile", "--requirement", lock], failed, VENV / "pip.log")


def main() -> None:
    try:
        make_environment()
        install(ROOT / sys.argv[1])
    except InstallFailed as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"The folder {ROOT} cannot be written ({error.strerror}): clone the portal where you may write.")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
