"""A small real HTTP server that answers as a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Asked:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    at: float


@dataclass
class Reply:
    """One answer: JSON unless `raw` is given; `delay` before it, `drip` seconds between its bytes, or a broken line."""

    json: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    delay: float = 0
    drip: float = 0
    claimed_length: int | None = None
    breaks_line: bool = False

    @property
    def body(self) -> bytes:
        return self.raw if self.raw is not None else json.dumps(self.json if self.json is not None else {}).encode()


Script = Callable[[Asked], Reply]


@dataclass
class Scripted:
    """The server: set `script` to a list of replies (the last one repeats) or to a function."""

    url: str
    script: list[Reply] | Script = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reply(self, asked: Asked) -> Reply:
        with self.lock:
            self.asked.append(asked)
            if callable(self.script):
                return self.script(asked)
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]


def _read(raw: bytes) -> Any:
    """Return the JSON in a body, or the bytes of one that is something else."""
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw


def _handler(scripted: Scripted) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # otherwise headers and body are two packets, and the second waits 40 ms

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length", 0))
            raw = self.rfile.read(length)
            query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
            asked = Asked(
                self.command,
                parts.path,
                query,
                {key.lower(): value for key, value in self.headers.items()},
                _read(raw),
                time.monotonic(),
            )
            with scripted.lock:
                scripted.at_once += 1
                scripted.most_at_once = max(scripted.most_at_once, scripted.at_once)
            try:
                self.answer(scripted.reply(asked))
            finally:
                with scripted.lock:
                    scripted.at_once -= 1

        do_POST = do_PUT = do_GET

        def answer(self, reply: Reply) -> None:
            time.sleep(reply.delay)
            if reply.breaks_line:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            length = len(reply.body) if reply.claimed_length is None else reply.claimed_length
            self.send_header("Content-Length", str(length))
            self.end_headers()
            for piece in [reply.body[at : at + 1] for at in range(len(reply.body))] if reply.drip else [reply.body]:
                self.wfile.write(piece)
                self.wfile.flush()
                time.sleep(reply.drip)
            if length != len(reply.body):
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is none of the server's business."""


@contextmanager
def scripted_server() -> Iterator[Scripted]:
    """Run a server on a free port of this machine."""
    scripted = Scripted(url="")
    server = _Server(("127.0.0.1", 0), _handler(scripted))
    scripted.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield scripted
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
