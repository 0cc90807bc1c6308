"""Locations of the simulator as tests of the portal use them: upload their tokens, sync them, compare both sides."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.factories import UserFactory
from tokens import registration, sync, vpptoken
from tokens.models import Asset, Assignment, ContentToken, SyncReason, SyncRun
from tokens.registration import Refused
from tokens.vpptoken import VppToken
from vppportal.activity.models import Entry
from vppportal.simulator import Simulator
from vppportal.simulator.location import Location as Simulated

VERBS = ("INSERT INTO", "INSERT OR IGNORE INTO", "UPDATE", "DELETE FROM")
MIRROR = ("tokens_asset", "tokens_assignment", "tokens_clientuser", "tokens_listing")
WRITES = tuple(f"{verb} {table} " for verb in VERBS for table in MIRROR)


class Location:
    """One location of a simulator in this process, and what it knows to be true."""

    def __init__(self, sim: Simulator, key: str) -> None:
        self.sim, self.key = sim, key

    @property
    def world(self) -> Simulated:
        return self.sim.world.location(self.key)

    @property
    def file(self) -> VppToken:
        """What is in the location's newest token file."""
        return vpptoken.read(self.sim.token_file(self.key).encode(), now=timezone.now())

    @property
    def adam_ids(self) -> list[str]:
        return sorted({key.adam_id for key in self.world.assets})

    def tell(self, verb: str, **members: Any) -> dict[str, Any]:
        """Give an order about this location."""
        return self.sim.control(verb, location=self.key, **members)

    def asked(self, path: str = "") -> list[dict[str, Any]]:
        """Return the requests that were made with this location's tokens."""
        return self.sim.requests(path=path, location=self.key)

    def upload(self, by: Any = None, consents: tuple[str, ...] = (), **choices: Any) -> SyncRun:
        """Add the location's token to the portal; its first sync waits."""
        chosen = {"name": f"Token of {self.key}", "region": self.world.identity.country, **choices}
        facts = registration.examine(self.file, consents, region=chosen["region"])
        submission = chosen.pop("submission", None) or uuid.uuid4()
        return registration.register(self.file, facts, chosen, by=by or UserFactory(), submission=submission)

    def mirrored(self, **choices: Any) -> ContentToken:
        """Add the location's token and let its first sync end."""
        run = finish(self.upload(**choices))
        assert run.state == "done", run.last_error
        return ContentToken.objects.get(pk=run.token_id)

    @property
    def assets(self) -> dict[tuple[str, str], tuple[int, int, int]]:
        """Return assigned, total and available licenses of what the location owns, as the portal should have them."""
        return {
            (key.adam_id, key.pricing_param): (
                asset.assigned,
                0 if asset.is_unlimited else asset.total,
                0 if asset.is_unlimited else asset.available,
            )
            for key, asset in self.world.assets.items()
        }

    @property
    def assignments(self) -> set[tuple[str, str, str, str]]:
        return {(*row,) for row in self.world.holdings}

    @property
    def users(self) -> dict[str, str]:
        """Return the state of each user; one in use counts before retired ones of the same id."""
        states = {user.client_user_id: user.status for user in self.world.users.rows}
        return states | {user.client_user_id: user.status for user in self.world.users.active.values()}


class Mirror:
    """The same facts as the portal has them of one token."""

    def __init__(self, token: ContentToken) -> None:
        self.token = token

    @property
    def assets(self) -> dict[tuple[str, str], tuple[int, int, int]]:
        present = Asset.objects.filter(token=self.token, gone_at=None)
        rows = present.values_list("adam_id", "pricing_param", "assigned", "total", "available")
        return {(adam_id, pricing): (assigned, total, free) for adam_id, pricing, assigned, total, free in rows}

    @property
    def assignments(self) -> set[tuple[str, str, str, str]]:
        rows = Assignment.objects.filter(asset__token=self.token)
        return set(rows.values_list("asset__adam_id", "asset__pricing_param", "serial_number", "client_user_id"))

    @property
    def users(self) -> dict[str, str]:
        return dict(self.token.client_users.values_list("client_user_id", "status"))


def assert_level(token: ContentToken, location: Location) -> None:
    """Check that the portal's mirror of a token holds exactly what the location has."""
    mirror = Mirror(token)
    assert mirror.assets == location.assets
    assert mirror.users == location.users
    assert mirror.assignments == location.assignments
    assert Assignment.objects.filter(asset__token=token).count() == len(location.assignments)


def finish(run: SyncRun) -> SyncRun:
    """Claim a waiting sync and carry it out, as a worker does; return it as it is stored."""
    (claimed,) = SyncRun.objects.filter(pk=run.pk).select_related("token").claim(1)
    for _ in sync.carry_out(claimed):
        pass
    return SyncRun.objects.get(pk=run.pk)


def sync_now(token: ContentToken) -> SyncRun:
    """Sync a token once more, as if somebody had asked for it."""
    return finish(registration.ask_for_sync(token, SyncReason.MANUAL, None))


@contextmanager
def written_rows() -> Iterator[Counter[str]]:
    """Count the rows of the mirror that are written meanwhile, by statement."""
    rows: Counter[str] = Counter()

    def count(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        statement = sql.strip().replace('"', "")
        # SQLite does not count what it hands back.
        number = max(context["cursor"].rowcount, "RETURNING" in statement)
        if statement.startswith(WRITES) and number > 0:
            rows[statement[:80]] += number
        return result

    with connection.execute_wrapper(count):
        yield rows


def refusal(do: Callable[..., Any], *arguments: Any, **options: Any) -> Refused:
    """Return why something is refused, having checked that nothing was changed by it."""
    before = _stored()
    with pytest.raises(Refused) as raised:
        do(*arguments, **options)
    assert _stored() == before
    return raised.value


def _stored() -> tuple[list[object], int, int]:
    return [*ContentToken.objects.order_by("pk").values()], SyncRun.objects.count(), Entry.objects.count()
