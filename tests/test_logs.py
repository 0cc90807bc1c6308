"""The log: what it may not keep."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core import mail
from django.core.servers.basehttp import WSGIRequestHandler
from django.test import Client

from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def written() -> Iterator[StringIO]:
    """What the portal's log handler writes, at the level it has in production."""
    root = logging.getLogger()
    handler = next(one for one in root.handlers if one.name == "stderr")
    assert isinstance(handler, logging.StreamHandler)
    stream, level = StringIO(), root.level
    root.setLevel(logging.INFO)
    before = handler.setStream(stream)
    yield stream
    handler.setStream(before)
    root.setLevel(level)


def link() -> str:
    """Return the address in a mail to somebody who forgot the password."""
    UserFactory(email="ada@example.org")
    Client().post("/password/reset/", {"email": "ada@example.org"})
    [address] = re.findall(r"/password/reset/key/\S+", str(mail.outbox[0].body))
    return address


@pytest.mark.parametrize("method", ["get", "post", "put"])
@pytest.mark.parametrize("is_whole", [True, False])
def test_no_link_to_a_new_password_is_logged(written: StringIO, method: str, is_whole: bool) -> None:
    address = link()
    key = address.rstrip("/").rpartition("/")[2]
    getattr(Client(enforce_csrf_checks=True), method)(address if is_whole else address.rstrip("/"))
    assert "/password/reset/key/..." in written.getvalue()
    assert key not in written.getvalue()


def test_the_development_server_logs_no_such_link_either(written: StringIO) -> None:
    handler = WSGIRequestHandler.__new__(WSGIRequestHandler)
    handler.__dict__["request"] = None
    handler.log_message('"%s" %s %s', "GET /password/reset/key/1-abc-def/ HTTP/1.1", "302", "0")
    assert "GET /password/reset/key/... HTTP/1.1" in written.getvalue()
    assert [one.name for one in logging.getLogger("django.server").handlers if one.name] == ["stderr"]


def test_other_lines_are_logged_as_they_are(written: StringIO) -> None:
    logging.getLogger("portal").info("%s of %s", 1, "/password/reset/")
    Client().get("/login/?next=/tokens/")
    assert "1 of /password/reset/" in written.getvalue()
    assert "GET /login/?next=/tokens/" in written.getvalue()
