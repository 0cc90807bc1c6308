"""What every request passes through."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.factories import ContentTokenFactory
from tests.signed_in import sign_in

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "address", ["/", "/login/", "/password/reset/key/x-y/", "/nothing-here/", "/tokens/?export=csv"]
)
@pytest.mark.parametrize("role", ["Viewer", ""])
def test_no_cache_may_keep_a_page(role: str, address: str) -> None:
    answer = (sign_in(role) if role else Client()).get(address)
    b"".join(answer)
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "CONNECT", "NONSENSE"])
def test_only_what_browsers_send_is_answered(method: str) -> None:
    assert sign_in("Viewer").generic(method, "/tokens/").status_code == 405


@pytest.mark.parametrize("address", ["/", "/login/", "/nothing-here/", "/health/ready", "/static/css/portal.css"])
def test_every_answer_says_what_a_browser_may_load_and_do(address: str) -> None:
    answer = Client().get(address)
    b"".join(answer)
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize(
    ("method", "address", "sent"),
    [
        ("get", "/groups/choices/", {"groups_search": "a\0"}),
        ("get", "/people/suggestions/", {"owner": "a\0"}),
        ("get", "/groups/", {"q\0": "a"}),
        ("post", "/tokens/{token}/retry/", {"adam_id": "1\0"}),
        ("post", "/people/add/", {"search_choices": "1", "groups_search": "a\0"}),
    ],
)
def test_what_no_database_takes_is_refused_at_the_door(method: str, address: str, sent: dict[str, Any]) -> None:
    answer = getattr(sign_in(), method)(address.format(token=ContentTokenFactory().pk), sent)
    assert answer.status_code == 400
    assert "The request was not understood" in answer.content.decode()
