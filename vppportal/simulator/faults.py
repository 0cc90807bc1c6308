"""Trouble on order: the n-th call of a path is slow, refused, cut off, altered or never answered."""

from __future__ import annotations

import base64
import itertools
import json
import threading
from dataclasses import dataclass, field, fields
from typing import Any

from vppportal.simulator.errors import AppleError, error_reply
from vppportal.simulator.messages import Reply, Request, json_reply

FOREVER = -1
# What stands for a location in requests to the MDM server; an order for every path and nobody in particular is about
# Apple alone.
MDM = "mdm"


@dataclass
class Fault:
    """One order. Only the members that were given act; the names are those of the control address."""

    path: str = "*"
    method: str = ""
    location: str = ""
    nth: int = 1
    times: int = 1
    delay: float = 0.0
    # Seconds for which the answer is kept back although the call is carried out.
    hold: float = 0.0
    # "before": the connection ends and nothing was done; "after": it was done, and nobody is told.
    drop: str = ""
    # The call is carried out although its answer is replaced.
    apply: bool = False
    status: int = 0
    error_number: int = 0
    body: Any = None
    body_base64: str = ""
    body_size: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    # Changes to the real answer: members to set, members to leave out, and after how many bytes it breaks off.
    merge: dict[str, Any] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)
    truncate: int = -1
    id: int = 0
    seen: int = 0
    acted: int = 0

    def matches(self, request: Request) -> bool:
        """Whether the order is about this request at all."""
        begins_so = self.path.endswith("*") and request.path.startswith(self.path[:-1])
        is_about = request.location != MDM or self.path != "*" or self.location == MDM
        return (
            (begins_so or self.path in (request.path, request.route))
            and self.method in ("", request.method)
            and self.location in ("", request.location)
            and is_about
        )

    @property
    def replaces(self) -> bool:
        """Whether it brings an answer of its own."""
        return bool(self.status or self.error_number or self.body is not None or self.body_base64 or self.body_size)

    def answer(self) -> Reply:
        """The answer it brings."""
        if self.error_number and self.body is None:
            reply = error_reply(AppleError(self.error_number))
            if self.body_size or self.body_base64:
                reply.body = self._raw()
        elif isinstance(self.body, dict | list):
            reply = json_reply(self.body)
        else:
            reply = Reply(200, self._raw(), "text/html" if self.body is not None else "application/json")
        reply.status = self.status or reply.status
        reply.error_number = self.error_number
        return self._with_headers(reply)

    def _raw(self) -> bytes:
        raw = base64.b64decode(self.body_base64) if self.body_base64 else str(self.body or "").encode()
        return raw + b" " * (self.body_size - len(raw))

    def alter(self, reply: Reply) -> Reply:
        """The real answer with the ordered changes."""
        if (self.merge or self.remove) and reply.body[:1] == b"{":
            content = json.loads(reply.body) | self.merge
            reply.body = json.dumps(
                {name: value for name, value in content.items() if name not in self.remove}
            ).encode()
            reply.error_number = content.get("errorNumber", 0)
        return self._with_headers(reply)

    def _with_headers(self, reply: Reply) -> Reply:
        headers = dict(self.headers)
        reply.content_type = headers.pop("Content-Type", reply.content_type)
        reply.headers = reply.headers | headers
        return reply

    def __str__(self) -> str:
        return self.drop or (f"{self.error_number or self.status or 'body'}" if self.replaces else "altered")


class Faults:
    """All orders in force."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.orders: list[Fault] = []
        self.numbers = itertools.count(1)

    def order(self, **members: Any) -> Fault:
        """Place an order; an unknown member or a path that no request has is refused, as the order would never act."""
        known = {member.name for member in fields(Fault)} - {"id", "seen", "acted"}
        if unknown := set(members) - known:
            raise ValueError(f"a fault has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}")
        fault = Fault(**members, id=next(self.numbers))
        if fault.path != "*" and not fault.path.startswith("/"):
            raise ValueError(f"the path {fault.path!r} does not begin with a slash: no request has it")
        with self.lock:
            self.orders.append(fault)
        return fault

    def clear(self) -> None:
        """Take back every order."""
        with self.lock:
            self.orders.clear()

    def due(self, request: Request) -> list[Fault]:
        """The orders that act on this request; each counts the requests it is about."""
        due = []
        with self.lock:
            for fault in self.orders:
                if not fault.matches(request):
                    continue
                fault.seen += 1
                if fault.seen >= fault.nth and (fault.times == FOREVER or fault.acted < fault.times):
                    fault.acted += 1
                    due.append(fault)
        return due
