"""What every request passes through."""

from __future__ import annotations

from typing import Any

import pytest

from tests.factories import ContentTokenFactory
from tests.signed_in import sign_in

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("method", "address", "sent"),
    [
        ("get", "/groups/choices/", {"groups_search": "a\0"}),
        ("get", "/people/suggestions/", {"owner": "a\0"}),
        ("get", "/groups/", {"q\0": "a"}),
        ("post", "/tokens/{token}/retry/", {"adam_id": "1\0"}),
        ("post", "/people/add/", {"search_groups": "1", "groups_search": "a\0"}),
    ],
)
def test_what_no_database_takes_is_refused_at_the_door(method: str, address: str, sent: dict[str, Any]) -> None:
    answer = getattr(sign_in(), method)(address.format(token=ContentTokenFactory().pk), sent)
    assert answer.status_code == 400
    assert "The request was not understood" in answer.content.decode()
