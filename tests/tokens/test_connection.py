"""The client of a token: Apple's service config once for all, our claim, and the same without Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.factories import ContentTokenFactory
from tests.locations import Location
from tests.processes import Valkey
from tokens import connection
from tokens.apple import AppleUnavailable, ClaimedElsewhere
from tokens.fields import CannotOpen
from tokens.models import ContentToken, PortalIdentity
from vppportal.simulator import Simulator

pytestmark = pytest.mark.django_db


@pytest.fixture
def no_valkey(valkey: Valkey) -> Iterator[None]:
    valkey.process.kill()
    yield
    valkey.start()


def test_the_service_config_is_fetched_once_for_the_whole_installation(sim: Simulator) -> None:
    assert connection.service().lookup_url == connection.service().lookup_url == f"{sim.url}/metadata/lookup"
    assert len(sim.requests(path="/service/config")) == 1


def test_the_kept_service_config_is_the_one_apple_gave(sim: Simulator) -> None:
    sim.control("limits", maxAssets=7)
    asked, kept = connection.service(), connection.service()
    assert kept == asked
    assert kept.limits.max_assets == 7
    assert len(sim.requests(path="/service/config")) == 1


def test_without_redis_the_service_config_is_still_there(sim: Simulator, no_valkey: None) -> None:
    assert connection.service().lookup_url
    assert len(sim.requests(path="/service/config")) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_a_service_config_that_fails_is_no_verdict_on_any_token(sim: Simulator, status: int) -> None:
    sim.control("faults", path="/service/config", status=status, body="nothing", times=-1)
    with pytest.raises(AppleUnavailable):
        connection.service()


def test_a_failed_service_config_is_asked_for_again(sim: Simulator) -> None:
    sim.control("faults", path="/service/config", status=404, body="nothing")
    with pytest.raises(AppleUnavailable):
        connection.service()
    assert connection.service().lookup_url


def test_the_portal_claims_locations_under_one_name_for_ever() -> None:
    assert connection.our_claim() == connection.our_claim()
    assert connection.our_claim().id == str(PortalIdentity.objects.get().mdm_id)


def test_a_client_of_a_claimed_location_minds_another_claim(location: Location) -> None:
    token = location.mirrored()
    location.tell("claim", name="Other MDM")
    with connection.connect(token) as client, pytest.raises(ClaimedElsewhere):
        client.client_config()
    with connection.connect(token, is_claimed=False) as client:
        assert client.client_config().location_id == token.location_id


def test_a_secret_that_cannot_be_opened_is_never_sent(location: Location) -> None:
    token = location.mirrored()
    ContentToken.objects.filter(pk=token.pk).update(secret=ContentTokenFactory().secret)
    asked = len(location.asked())
    with pytest.raises(CannotOpen), connection.connect(ContentToken.objects.get(pk=token.pk)):
        pass
    assert len(location.asked()) == asked
