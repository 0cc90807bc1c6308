"""The HTTP server: reads a request, lets orders of trouble act, passes it to the stand-in its path belongs to."""

from __future__ import annotations

import http.server
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from vppportal.simulator import apple, control
from vppportal.simulator.faults import MDM, Fault
from vppportal.simulator.mdm import wire
from vppportal.simulator.mdm.service import Options
from vppportal.simulator.mdm.webhooks import Event
from vppportal.simulator.messages import Reply, Request
from vppportal.simulator.requestlog import RequestLog
from vppportal.simulator.world import PAGE_SIZE, World

LARGEST_BODY = 10_000_000
NOTHING_HERE = Reply(404, b'{"message": "There is nothing here."}')

Answer = Callable[[World, Request], Reply]
MOUNTS: dict[str, Answer] = {**apple.MOUNTS, "/control": control.answer}


@dataclass(frozen=True)
class Site:
    """One service on a port of its own: its addresses, where its requests are noted, and who is behind a request."""

    mounts: Mapping[str, Answer]
    log: RequestLog
    missing: Reply
    identify: Callable[[World, Request], None]
    is_mdm: bool = False

    def mount(self, path: str) -> str:
        """The beginning of a path that decides who answers it; empty where nobody does."""
        return next((prefix for prefix in self.mounts if f"{path}/".startswith(f"{prefix}/")), "")


def _identify_mdm(world: World, request: Request) -> None:
    request.location = MDM


class Dropped(Exception):
    """The connection ends here, without an answer."""


class Simulator:
    """The whole simulator in this process; `with Simulator(seed=1) as sim:` serves until the block ends.

    Runs of one seed have the same locations; of different names for the `run` they give events different ids.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        samples: Path | None = None,
        page_size: int = PAGE_SIZE,
        event_seconds: float = 0.3,
        mdm: Options | None = None,
        run: str = "",
    ) -> None:
        options = mdm or Options()
        self.world = World(seed, page_size=page_size, event_seconds=event_seconds, folder=samples, mdm=options, run=run)
        site = Site(MOUNTS, self.world.log, NOTHING_HERE, apple.identify)
        mdm_site = Site(wire.MOUNTS, self.world.mdm.log, wire.MISSING, _identify_mdm, is_mdm=True)
        try:
            self.listener = Listener(host, port, self.world, site)
            self.mdm_listener = Listener(host, options.port, self.world, mdm_site)
        except OSError:
            self.world.close()
            raise
        self.url = self.world.url = self.listener.url
        self.mdm_url = self.mdm_listener.url
        self.world.store.artwork_url = f"{self.url}/icons"
        self.world.gate.close_port = self.mdm_listener.close
        self.world.gate.open_port = self.mdm_listener.open

    def __enter__(self) -> Self:
        self.listener.serve()
        self.mdm_listener.serve()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving and end every thread."""
        self.world.gate.open()
        self.listener.close()
        self.mdm_listener.close()
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

    @property
    def mdm_api_key(self) -> str:
        """The key that the stand-in for NanoMDM asks for."""
        return self.world.mdm.options.api_key

    @property
    def mdm_webhook_key(self) -> str:
        """The key with which its webhooks are signed."""
        return self.world.mdm.webhooks.key

    def mdm_requests(self, **filters: Any) -> list[dict[str, Any]]:
        """Entries of the MDM server's request log: by the end of the path, after an entry's id."""
        return self.world.mdm.log.find(**filters)

    def mdm_events(self, **filters: Any) -> list[Event]:
        """Webhook events as they happened, each with the bytes and the signature that were sent or would have been."""
        return self.world.mdm.webhooks.find(**filters)


class Listener:
    """A port that can be closed and opened again."""

    def __init__(self, host: str, port: int, world: World, site: Site) -> None:
        self.host, self.world, self.site = host, world, site
        self.http = _Server((host, port), world, site)
        self.thread: threading.Thread | None = None
        self.port = self.http.server_address[1]
        # Bound to every address, it is still reached at one.
        self.url = f"http://{host if host.strip('0.:') else '127.0.0.1'}:{self.port}"

    def serve(self) -> None:
        """Answer from now on, in a thread."""
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), name="simulator", daemon=True)
        self.thread.start()

    def open(self) -> None:
        """Listen again after having been closed."""
        self.http = _Server((self.host, self.port), self.world, self.site)
        self.serve()

    def close(self) -> None:
        """Refuse connections from now on."""
        if self.thread:
            self.http.shutdown()
            self.thread = None
        self.http.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], world: World, site: Site) -> None:
        self.world, self.site = world, site
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
        world, site = self.server.world, self.server.site
        if request.path.startswith("/control") and not site.is_mdm:
            self._write(MOUNTS["/control"](world, request))
            return
        site.identify(world, request)
        due = world.faults.due(request)
        try:
            with world.pace.count(f"{site.is_mdm}{request.location}{request.path.startswith('/mdm')}") as parallel:
                request.parallel = parallel
                reply = respond(world, site, request, due)
        except Dropped:
            site.log.note(request, 0, 0, started, ",".join(map(str, due)))
            self._drop()
            return
        # Noted before it is sent: whoever has an answer finds it in the log.
        site.log.note(request, reply.status, reply.error_number, started, ",".join(map(str, due)))
        try:
            self._write(reply, next((fault.truncate for fault in due if fault.truncate >= 0), None))
        except Dropped:
            self._drop()

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

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
        request.route = path.removeprefix(self.server.site.mount(path))
        return request

    def _write(self, reply: Reply, truncate: int | None = None) -> None:
        self.send_response(reply.status)
        if reply.content_type:
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


def respond(world: World, site: Site, request: Request, due: list[Fault]) -> Reply:
    """The answer to a request after every order that is due has acted on it."""
    if site.is_mdm and world.gate.is_shut:
        return shut(world)
    for fault in due:
        time.sleep(fault.delay)
    if any(fault.drop == "before" for fault in due):
        raise Dropped
    replacing = next((fault for fault in due if fault.replaces), None)
    if replacing and not replacing.apply:
        return replacing.answer()
    mount = site.mounts.get(site.mount(request.path))
    reply = mount(world, request) if mount else replace(site.missing)
    time.sleep(sum(fault.hold for fault in due))
    if any(fault.drop == "after" for fault in due):
        raise Dropped
    if replacing:
        return replacing.answer()
    for fault in due:
        reply = fault.alter(reply)
    return reply


def shut(world: World) -> Reply:
    """What comes from an MDM server that is away."""
    if world.gate.mode == "refused":
        # Connections that were open before hear nothing either.
        raise Dropped
    return Reply(503, b"Service Unavailable\n", wire.TEXT)
