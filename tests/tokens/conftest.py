"""What the tests of the tokens app share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.tokens.scripted import Reply, Scripted, scripted_server
from tokens.apple import AppleClient, Timeout
from tokens.secret import Secret

# As long and as odd as a real one, and easy to find where it must not be.
SECRET = "eyJvcmdOYW1lIjoiQWxkZXIiLCJ0b2tlbiI6ImNhbmFyeS03ZjNhOWMyZSJ9+/=="


@pytest.fixture
def apple() -> Iterator[Scripted]:
    """A server that answers as the test tells it to."""
    with scripted_server() as scripted:
        scripted.script = [Reply({})]
        yield scripted


@pytest.fixture
def connect(apple: Scripted) -> Iterator[Callable[..., AppleClient]]:
    """Make clients of the scripted server; they are closed after the test."""
    with ExitStack() as stack:

        def make(**how: Any) -> AppleClient:
            how = {"timeout": Timeout(2, 2, 5), "retries": 0, "location_key": "here", **how}
            return stack.enter_context(AppleClient(apple.url + "/mdm/v2", Secret(SECRET), **how))

        yield make


@pytest.fixture
def client(connect: Callable[..., AppleClient]) -> AppleClient:
    """A client that minds no claim and tries nothing twice."""
    return connect()
