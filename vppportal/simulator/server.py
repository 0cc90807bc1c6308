"""The HTTP server: reads a request, lets orders of trouble act, passes it to the stand-in its path belongs to."""

from __future__ import annotations

import http.server
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from vppportal.simulator import apple, control
from vppportal.simulator.faults import Fault
from vppportal.simulator.messages import Reply, Request
from vppportal.simulator.world import PAGE_SIZE, World

LARGEST_BODY = 10_000_000

Answer = Callable[[World, Request], Reply]
MOUNTS: dict[str, Answer] = {**apple.MOUNTS, "/control": control.answer}


class Dropped(Exception):
    """The connection ends here, without an answer."""


class Simulator:
    """The whole simulator in this process; `with Simulator(seed=1) as sim:` serves until the block ends."""

    def __init__(
        self,
        seed: int = 1,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        samples: Path | None = None,
        page_size: int = PAGE_SIZE,
        event_seconds: float = 0.3,
    ) -> None:
        self.world = World(seed, page_size=page_size, event_seconds=event_seconds, folder=samples)
        self.http = _Server((host, port), self.world)
        # Bound to every address, it is still reached at one.
        shown = host if host.strip("0.:") else "127.0.0.1"
        self.url = self.world.url = f"http://{shown}:{self.http.server_address[1]}"
        self.world.store.artwork_url = f"{self.url}/icons"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), name="simulator", daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.world.close()

    @property
    def apple_url(self) -> str:
        """The base of the Apps and Books API, as the portal's APPLE_VPP_URL wants it."""
        return f"{self.url}/mdm/v2"

    @property
    def control_url(self) -> str:
        """Where the control address begins."""
        return f"{self.url}/control"

    def token_file(self, location: str) -> str:
        """The text of the newest `.vpptoken` file of a location."""
        return self.world.tokens_of(location)[-1].text

    def control(self, verb: str, **members: Any) -> dict[str, Any]:
        """Give an order as POST /control/<verb> would, without the HTTP."""
        return control.act(self.world, verb, members)

    def requests(self, **filters: Any) -> list[dict[str, Any]]:
        """Entries of the request log: by the end of the path, the location, after an entry's id."""
        return self.world.log.find(**filters)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], world: World) -> None:
        self.world = world
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer asks the resolver for the host's name here, which can take seconds and is of no use.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what went wrong; a client that goes away is everyday life."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Simulator"
    sys_version = ""
    # One write and no waiting for an acknowledgement; otherwise each answer takes 44 ms more.
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = 120
    server: _Server

    def _handle(self) -> None:
        started = time.monotonic()
        request = self._read()
        world = self.server.world
        if request.path.startswith("/control"):
            self._write(MOUNTS["/control"](world, request))
            return
        apple.identify(world, request)
        status, number, due = 0, 0, world.faults.due(request)
        try:
            with world.pace.count(f"{request.location}{request.path.startswith('/mdm')}") as request.parallel:
                reply = respond(world, request, due)
                status, number = reply.status, reply.error_number
                self._write(reply, next((fault.truncate for fault in due if fault.truncate >= 0), None))
        except Dropped:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        finally:
            world.log.note(request, status, number, started, ",".join(map(str, due)))

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _handle

    def _read(self) -> Request:
        address = urlsplit(self.path)
        length = self.headers.get("Content-Length", "0")
        size = int(length) if length.isdigit() else 0
        # What is left of a larger body would be taken for the next request.
        self.close_connection = self.close_connection or size > LARGEST_BODY
        body = self.rfile.read(min(size, LARGEST_BODY))
        path = address.path.rstrip("/") or "/"
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        request = Request(self.command, path, query, self.headers, body)
        prefix = next((prefix for prefix in MOUNTS if f"{path}/".startswith(f"{prefix}/")), "")
        request.route = path.removeprefix(prefix)
        return request

    def _write(self, reply: Reply, truncate: int | None = None) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body[:truncate])
        if truncate is not None:
            self.wfile.flush()
            raise Dropped

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed; the request log has it all."""


def respond(world: World, request: Request, due: list[Fault]) -> Reply:
    """The answer to a request after every order that is due has acted on it."""
    for fault in due:
        time.sleep(fault.delay)
    if any(fault.drop == "before" for fault in due):
        raise Dropped
    replacing = next((fault for fault in due if fault.replaces), None)
    if replacing and not replacing.apply:
        return replacing.answer()
    mount = next((answer for prefix, answer in MOUNTS.items() if f"{request.path}/".startswith(f"{prefix}/")), None)
    reply = mount(world, request) if mount else Reply(404, b'{"message": "There is nothing here."}')
    if any(fault.drop == "after" for fault in due):
        raise Dropped
    if replacing:
        return replacing.answer()
    for fault in due:
        reply = fault.alter(reply)
    return reply
