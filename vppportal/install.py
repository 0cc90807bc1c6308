"""Make the virtual environment and install a lock file into it: ``python3 vppportal/install.py requirements.lock``.

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


def make_environment() -> None:
    """Make .venv, or mend one whose Python has moved or which never got its pip."""
    if (
        PYTHON.exists()
        and subprocess.run([PYTHON, "-c", "import pip"], capture_output=True, check=False).returncode == 0
    ):
        return
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        sys.exit(
            f"{sys.executable} cannot make virtual environments: install its venv module "
            "(Debian, Ubuntu: apt-get install python3-venv) or name another Python with PYTHON=..."
        )
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], capture_output=True, text=True, check=False)
    if made.returncode:
        why = (made.stderr or made.stdout).strip().splitlines() or [f"exit code {made.returncode}"]
        sys.exit(f"The virtual environment {VENV} could not be made: {why[-1]}")


def install(lock: Path) -> None:
    """Install exactly the packages of the lock file, checking their hashes."""
    print(f"Installing {lock.name} (only the first time and when it changes) ...", flush=True)
    options = [
        "--require-hashes",
        "--only-binary=:all:",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-compile",
    ]
    pip = [str(PYTHON), "-m", "pip", "install", *options, "--requirement", str(lock)]
    if subprocess.run(pip, check=False, stdin=subprocess.DEVNULL).returncode:
        sys.exit(
            "The Python packages could not be installed: is the package index reachable? pip's own words are above."
        )


def main() -> None:
    try:
        make_environment()
    except OSError as error:
        sys.exit(f"The virtual environment {VENV} could not be made: {error.strerror}.")
    install(ROOT / sys.argv[1])


if __name__ == "__main__":
    main()
