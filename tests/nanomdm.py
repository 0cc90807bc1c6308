"""Be a device that talks to an MDM server over HTTP, with an identity of its own; and be who its webhook tells.

To let the tests of tests/contract ask a real NanoMDM on PostgreSQL (it needs no push certificate), set

NANOMDM_CONTRACT_URL           its address, for example http://127.0.0.1:9000
NANOMDM_CONTRACT_API_KEY       its -api
NANOMDM_CONTRACT_CA            a PEM file with certificate and private key of its -ca, which devices get identities from
NANOMDM_CONTRACT_WEBHOOK_PORT  the port of its -webhook-url http://127.0.0.1:PORT/webhook, on which the tests listen
NANOMDM_CONTRACT_WEBHOOK_KEY   its -webhook-hmac-key

Without the last two, what it tells is left out.
"""

from __future__ import annotations

import base64
import http.server
import json
import os
import plistlib
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs7
from cryptography.x509.oid import NameOID

from vppportal.simulator import Simulator
from vppportal.simulator.mdm.service import Options

VARIABLES = ("URL", "API_KEY", "CA", "WEBHOOK_PORT", "WEBHOOK_KEY")
CHECK_IN = "application/x-apple-aspen-mdm-checkin"
FLAGS = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]


class Authority:
    """Issues the identities of devices; a server that is told so (`-ca`) trusts them."""

    def __init__(self, pem: bytes | None = None) -> None:
        self.key: Any = load_pem_private_key(pem, None) if pem else new_key()
        self.certificate = x509.load_pem_x509_certificate(pem) if pem else certify("Test CA", self.key, None, self.key)
        # All devices share one key: it takes long to make, and nobody looks at more than certificates.
        self.device_key = new_key()

    @classmethod
    def of_file(cls, path: Path) -> Authority:
        """Read certificate and private key from one PEM file."""
        return cls(path.read_bytes())

    def identity(self) -> tuple[x509.Certificate, Any]:
        """Return a new certificate with its key."""
        name = f"Device {uuid.uuid4()}"
        return certify(name, self.device_key, self.certificate, self.key), self.device_key


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def certify(
    name: str, key: Any, issuer: x509.Certificate | None, issuer_key: Any, *, user_id: str = ""
) -> x509.Certificate:
    """Return a certificate of a key, signed by its issuer or by itself."""
    names = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    names += [x509.NameAttribute(NameOID.USER_ID, user_id)] if user_id else []
    subject, now = x509.Name(names), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.subject if issuer else subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
    builder = builder.add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    return builder.sign(issuer_key, SHA256())


class SignedDevice:
    """One device; `id` is its UDID, or its EnrollmentID in user enrollment."""

    def __init__(
        self, url: str, identity: tuple[x509.Certificate, Any], *, user_enrolled: bool = False, query: str = ""
    ) -> None:
        self.url, self.identity, self.query = url, identity, query
        self.id = str(uuid.uuid4()).upper()
        self.names = {"EnrollmentID" if user_enrolled else "UDID": self.id}
        # No push certificate is stored for a topic nobody else has.
        self.topic = f"com.apple.mgmt.External.{uuid.uuid4()}"
        self.session = requests.Session()

    def sign(self, body: bytes) -> str:
        """Return the signature of a body as it stands in Mdm-Signature."""
        signed = pkcs7.PKCS7SignatureBuilder().set_data(body).add_signer(*self.identity, SHA256())
        return base64.b64encode(signed.sign(Encoding.DER, FLAGS)).decode()

    def send(self, body: bytes, *, check_in: bool, signature: str | None = None) -> requests.Response:
        """Send a body, signed unless something else is to stand there; an empty signature is none."""
        header = self.sign(body) if signature is None else signature
        headers = {"Mdm-Signature": header} if header else {}
        headers |= {"Content-Type": CHECK_IN} if check_in else {}
        return self.session.put(f"{self.url}/mdm{self.query}", data=body, headers=headers, timeout=30)

    def check_in(self, message: str, **members: Any) -> requests.Response:
        body = plistlib.dumps({"MessageType": message, "Topic": self.topic, **self.names, **members})
        return self.send(body, check_in=True)

    def authenticate(self) -> requests.Response:
        return self.check_in("Authenticate", DeviceName="x", Model="iPad13,1", SerialNumber=f"C{self.id[:8]}")

    def token_update(self) -> requests.Response:
        return self.check_in("TokenUpdate", PushMagic=str(uuid.uuid4()), Token=b"\1" * 32)

    def enroll(self) -> SignedDevice:
        """Enroll, as it must be before anything can be queued."""
        for answer in (self.authenticate(), self.token_update()):
            answer.raise_for_status()
        return self

    def report(self, status: str, command: str = "", **members: Any) -> requests.Response:
        """Say what became of a command, or that there is nothing to say."""
        named = {"CommandUUID": command} if command else {}
        return self.send(plistlib.dumps({"Status": status, **named, **self.names, **members}), check_in=False)

    def poll(self, answer: Callable[[str], str] = lambda command: "Acknowledged") -> list[tuple[str, str]]:
        """Ask for commands until there is none; return each with the status it was answered with."""
        talked: list[tuple[str, str]] = []
        reply = self.report("Idle")
        while reply.content:
            command = plistlib.loads(reply.content)["CommandUUID"]
            talked.append((command, answer(command)))
            reply = self.report(talked[-1][1], command)
            reply.raise_for_status()
            assert len(talked) < 50, talked
        return talked


class Listener:
    """An HTTP server that takes webhook events; `refusals` are its next answers by device, otherwise it answers 200."""

    def __init__(self, port: int = 0) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.refusals: dict[str, int] = {}
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                listener.received.append((dict(self.headers), body))
                self.send_response(listener.refusals.pop(member(json.loads(body))["ids"]["id"], 200))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/webhook"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def events(self, device: str) -> list[dict[str, Any]]:
        """Return the events about one device in the order in which they happened."""
        events = [json.loads(body) for _, body in self.received]
        about = [event for event in events if member(event)["ids"]["id"] == device]
        return sorted(about, key=lambda event: str(event["created_at"]))

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def member(event: dict[str, Any]) -> dict[str, Any]:
    """Return what an event is about."""
    found = event.get("acknowledge_event") or event["checkin_event"]
    assert isinstance(found, dict)
    return found


@dataclass
class Server:
    """The MDM server under test."""

    url: str
    api_key: str
    authority: Authority
    listener: Listener | None
    webhook_key: str

    def ask(self, method: str, path: str, body: bytes = b"", *, key: str | None = None) -> requests.Response:
        auth = ("nanomdm", self.api_key if key is None else key)
        return requests.request(method, f"{self.url}{path}", data=body, auth=auth, timeout=30)

    def enqueue(self, ids: str, name: str, *, query: str = "?nopush=1", method: str = "PUT") -> requests.Response:
        return self.ask(method, f"/v1/enqueue/{ids}{query}", command(name))

    def device(self, **options: Any) -> SignedDevice:
        return SignedDevice(self.url, self.authority.identity(), **options)


def command(name: str) -> bytes:
    return plistlib.dumps({"Command": {"RequestType": "DeviceInformation"}, "CommandUUID": name})


def new() -> str:
    return str(uuid.uuid4())


def outcome(answer: requests.Response) -> tuple[int, str]:
    """Return the status and what is said to be wrong with the command."""
    return answer.status_code, answer.json().get("command_error", "")


@contextmanager
def under_test() -> Iterator[Server]:
    """Give the server that the environment names, or a fresh stand-in."""
    given = {name: os.environ.get(f"NANOMDM_CONTRACT_{name}", "") for name in VARIABLES}
    listener = Listener(int(given["WEBHOOK_PORT"] or 0)) if given["WEBHOOK_PORT"] or not given["URL"] else None
    if given["URL"]:
        authority = Authority.of_file(Path(given["CA"]))
        yield Server(given["URL"].rstrip("/"), given["API_KEY"], authority, listener, given["WEBHOOK_KEY"])
    elif listener:
        with Simulator(mdm=Options(webhook_url=listener.url)) as sim:
            yield Server(sim.mdm_url, sim.mdm_api_key, Authority(), listener, sim.mdm_webhook_key)
    if listener:
        listener.stop()
