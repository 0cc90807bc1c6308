"""Apps arrive by themselves and wait for those who decide on them, step by step, over real processes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from django.contrib.auth.models import Group, Permission, User
from django.db.models import F
from pytest_django import DjangoDbBlocker

from catalog.models import Addition, App, ApprovalStep, ApproverLetter, Decision, Distribution, Outcome
from tests.journeys.company import WITHIN, Company, opened
from tests.journeys.releases import words, words_of
from tests.portal import ADMINISTRATOR, Template
from tests.processes import eventually

pytestmark = pytest.mark.journey

BADGE = re.compile(r"(\d+) waiting for you")
MINUTES = timedelta(minutes=2)


@pytest.fixture(scope="module")
def company(
    tmp_path_factory: pytest.TempPathFactory, template: Template, django_db_blocker: DjangoDbBlocker
) -> Iterator[Company]:
    with opened(tmp_path_factory.mktemp("company"), template, django_db_blocker) as made:
        yield made


def buys(company: Company, location: str, name: str) -> str:
    """Let somebody buy one more app, and synchronize; return its number in the store."""
    bought = company.simulator.tell("add-app", location=location, name=name, count=5, custom=True)
    company.sync(location)
    return str(bought["adamId"])


def outcome(company: Company, adam_id: str) -> str:
    """Return what became of a bought app on its way into the catalog."""
    with company.portal.database():
        found = Addition.objects.filter(adam_id=adam_id).exclude(outcome=Outcome.WAITING)
        return found.values_list("outcome", flat=True).first() or ""


def approver(company: Company, name: str) -> requests.Session:
    """Make somebody who may approve apps, as a member of a group of the same name; return the session.

    The password is the administrator's: the portal hashes passwords in another way than the tests do.
    """
    with company.portal.database():
        group, _ = Group.objects.get_or_create(name=name)
        names = ["approve_app", "view_app"]
        group.permissions.add(*Permission.objects.filter(content_type__app_label="catalog", codename__in=names))
        password = User.objects.get(username=ADMINISTRATOR).password
        user = User.objects.create(username=name.lower(), email=f"{name.lower()}@company.example", password=password)
        user.groups.add(group)
    return company.portal.sign_in(user.username)


def test_a_bought_app_is_in_the_catalog_after_the_next_sync_where_the_token_says_so(company: Company) -> None:
    by_itself, by_hand = company.location(), company.location(add_apps_automatically="")
    added, left = buys(company, by_itself, "Newly bought"), buys(company, by_hand, "Left alone")
    eventually(lambda: outcome(company, added) == Outcome.ADDED, WITHIN)
    eventually(lambda: outcome(company, left) == Outcome.SWITCHED_OFF, WITHIN)
    with company.portal.database():
        assert App.objects.filter(adam_id=added).exists()
        assert not App.objects.filter(adam_id=left).exists()
    assert "Newly bought" in words(company, "/catalog/")


def test_an_app_passes_two_steps_before_anybody_gets_it(company: Company) -> None:
    security, finance = approver(company, "Security"), approver(company, "Finance")
    with company.portal.database():
        for position, name in enumerate(("Security", "Finance"), 1):
            ApprovalStep.objects.create(position=position, name=name).groups.set(Group.objects.filter(name=name))
    location = company.location(require_approval="on")
    adam_id = buys(company, location, "To be approved")
    eventually(lambda: outcome(company, adam_id) == Outcome.PENDING, WITHIN)
    with company.portal.database():
        app = App.objects.get(adam_id=adam_id).pk
    assert "To be approved" in told(company, app, "security@company.example")
    assert letters(company, "finance@company.example") == ""
    assert (badge(company, security), badge(company, finance)) == ("1", "")

    devices = company.devices(1)
    refused = words_of(company.ask_to_distribute(app, devices=devices))
    assert "cannot be distributed before somebody has approved it" in refused
    with company.portal.database():
        assert not Distribution.objects.filter(app=app, state="active").exists()

    assert decides(company, finance, app) == "pending"
    assert decides(company, security, app) == "pending"
    assert "To be approved" in told(company, app, "finance@company.example")
    assert (badge(company, security), badge(company, finance)) == ("", "1")
    assert decides(company, security, app) == "pending"
    assert decides(company, finance, app) == "available"
    with company.portal.database():
        kept = Decision.objects.filter(app=app, kind="approved").order_by("pk")
        assert list(kept.values_list("step_name", "by_name")) == [("Security", "security"), ("Finance", "finance")]
    company.distribute(app, devices=devices)
    company.reaches(app, installed=1)


def decides(company: Company, session: requests.Session, app: int) -> str:
    """Let somebody approve the app, as far as that person may; return the app's state after it."""
    company.portal.post(session, f"/catalog/{app}/approve/", {})
    with company.portal.database():
        return App.objects.get(pk=app).status


def badge(company: Company, session: requests.Session) -> str:
    """Return the number beside the approvals in somebody's navigation."""
    found = BADGE.search(words_of(session.get(f"{company.portal.url}/catalog/", timeout=60)))
    return found[1] if found else ""


def told(company: Company, app: int, address: str) -> str:
    """Let some minutes pass for an app that waits; return what is mailed to an address then."""
    with company.portal.database():
        App.objects.filter(pk=app).update(waiting_since=F("waiting_since") - MINUTES)
        ApproverLetter.objects.exclude(told_until=None).update(told_until=F("told_until") - MINUTES)
    return eventually(lambda: letters(company, address), WITHIN)


def letters(company: Company, address: str) -> str:
    """Return all that was mailed to an address so far."""
    folder: Path = company.folder / "mail"
    texts = [file.read_text(errors="replace") for file in folder.glob("*")] if folder.is_dir() else []
    return "\n".join(text for text in texts if f"To: {address}" in text)
