"""The embedded portal's data folder: keys made once and for their owner only, ports that stay, a broker."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
import redis
from cryptography.fernet import Fernet

from tests.processes import Valkey
from vppportal import embedded
from vppportal.embedded import (
    PORTS,
    free_port,
    is_free,
    kept,
    kept_port,
    make_encryption_key,
    make_password,
    open_data_folder,
)
from vppportal.supervisor import StartFailed


def test_a_secret_is_made_once_and_readable_by_its_owner_only(tmp_path: Path):
    file = tmp_path / "secret-key"
    assert kept(file, lambda: "first") == "first"
    assert kept(file, lambda: "second") == "first"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_passwords_differ_and_are_long(tmp_path: Path):
    passwords = {make_password() for _ in range(50)}
    assert len(passwords) == 50
    assert {len(password) for password in passwords} == {23}


def test_an_encryption_key_is_a_fernet_key():
    assert Fernet(make_encryption_key())


def test_a_port_stays_the_same_while_it_is_free(tmp_path: Path):
    port = kept_port(tmp_path / "port")
    assert kept_port(tmp_path / "port") == port


def test_a_port_that_is_taken_is_replaced(tmp_path: Path):
    port = kept_port(tmp_path / "port")
    with socket.create_server(("127.0.0.1", port)):
        assert kept_port(tmp_path / "port") != port


def test_a_port_somebody_listens_on_is_not_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not is_free(server.getsockname()[1])
    assert is_free(free_port())


def test_no_outgoing_connection_can_take_a_port_that_was_found_free():
    lent = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(lent.read_text().split()[0]) if lent.exists() else 49_152
    assert all(port < first for port in PORTS)
    assert {free_port() in PORTS for _ in range(50)} == {True}


def test_a_machine_that_lets_nobody_listen_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(embedded, "LOOPBACK", "192.0.2.1")
    with pytest.raises(StartFailed, match=r"No server can listen at 192\.0\.2\.1"):
        free_port()


def test_a_data_folder_has_one_portal_at_a_time(tmp_path: Path):
    with open_data_folder(tmp_path / "var"), pytest.raises(StartFailed, match="already running from"):
        open_data_folder(tmp_path / "var")
    open_data_folder(tmp_path / "var").close()


def test_a_data_folder_is_its_owners_alone(tmp_path: Path):
    open_data_folder(tmp_path / "var").close()
    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700


def test_a_data_folder_that_cannot_be_made_is_said_in_a_sentence(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(StartFailed, match=r"var cannot be written \(Not a directory\): make it writable"):
        open_data_folder(tmp_path / "file" / "var")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_data_folder_is_said_in_a_sentence(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(StartFailed, match=r"cannot be written \(Permission denied\)"):
        open_data_folder(tmp_path / "var")


def test_the_broker_asks_for_its_password(valkey: Valkey):
    with (
        redis.Redis.from_url(f"redis://127.0.0.1:{valkey.port}", retry=None) as stranger,
        pytest.raises(redis.exceptions.AuthenticationError),
    ):
        stranger.ping()


def test_the_broker_is_reached_from_this_machine_only_and_never_drops_messages(valkey: Valkey):
    settings = valkey.client.config_get("*")
    assert settings["bind"] == "127.0.0.1"
    assert settings["maxmemory-policy"] == "noeviction"


def test_the_brokers_password_is_in_no_argument_list(tmp_path: Path):
    server = Valkey(tmp_path, password="not-for-ps")
    try:
        assert b"not-for-ps" not in Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
    finally:
        server.stop()


def test_what_was_queued_survives_a_restart_of_the_broker(tmp_path: Path):
    server = Valkey(tmp_path)
    try:
        server.client.rpush("queue", "message")
        server.process.stop()
        server.start()
        assert server.client.lrange("queue", 0, -1) == [b"message"]
    finally:
        server.stop()
