"""Signing in: a limit for each account and address that no header gets around, and no link to a foreign address."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from tests.factories import UserFactory
from tests.production import PRODUCTION
from vppportal.embedded import make_encryption_key, make_secret_key

pytestmark = pytest.mark.django_db


def fail(browser: Client, name: str = "ada", **headers: str) -> str:
    answer = browser.post("/login/", {"login": name, "password": "wrong"}, headers=headers)
    return str(answer.content.decode())


def test_an_account_takes_five_wrong_passwords_whatever_host_the_request_names() -> None:
    browser = Client()
    for port in range(5):
        assert "Too many" not in fail(browser, host=f"testserver:{port + 1}")
    assert "Too many" in fail(browser, name="ADA", host="testserver:99")


def test_without_a_proxy_nobody_believes_the_address_a_request_claims() -> None:
    for number in range(30):
        fail(Client(), name=f"somebody {number}", x_forwarded_for=f"192.0.2.{number}")
    assert "Too many" in fail(Client(), name="one more", x_forwarded_for="192.0.2.99")


def test_behind_a_proxy_one_address_does_not_lock_all_others_out(settings: Any) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    for number in range(30):
        fail(Client(), name=f"somebody {number}", x_forwarded_for=f"203.0.113.{number}, 192.0.2.1")
    assert "Too many" in fail(Client(), name="one more", x_forwarded_for="192.0.2.1")
    assert "Too many" not in fail(Client(), name="one more", x_forwarded_for="192.0.2.2")


@pytest.mark.once
@pytest.mark.parametrize(("given", "proxies"), [({}, "0"), ({"BEHIND_PROXY": "1"}, "1")])
def test_the_proxy_is_trusted_when_it_is_said_to_be_there(given: dict[str, str], proxies: str) -> None:
    keys = {"SECRET_KEY": make_secret_key(), "TOKEN_ENCRYPTION_KEYS": make_encryption_key()}
    question = "from vppportal import settings; print(settings.ALLAUTH_TRUSTED_PROXY_COUNT)"
    told = subprocess.check_output([sys.executable, "-c", question], env={**os.environ, **PRODUCTION, **keys, **given})
    assert told.decode().strip() == proxies


@pytest.mark.once
@pytest.mark.parametrize("given", [{"DEBUG": "1"}, {"ALLOWED_HOSTS": "portal.example.com,*"}])
def test_what_gives_a_public_portal_away_stops_its_start(given: dict[str, str]) -> None:
    keys = {"SECRET_KEY": make_secret_key(), "TOKEN_ENCRYPTION_KEYS": make_encryption_key()}
    command = [sys.executable, "-c", "from vppportal import settings"]
    ended = subprocess.run(command, env={**os.environ, **PRODUCTION, **keys, **given}, capture_output=True, check=False)
    assert ended.returncode == 1
    assert "ImproperlyConfigured" in ended.stderr.decode()


def test_the_log_names_the_address_that_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    Client().get("/nothing-here/", headers={"X-Forwarded-For": "8.8.8.8"})
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    assert [line["ip"] for line in lines if line["event"] == "request_finished"] == ["127.0.0.1"]


def test_the_link_in_a_mail_leads_to_the_portal_and_nowhere_else(settings: Any) -> None:
    settings.PORTAL_URL = "https://portal.example.com"
    UserFactory(email="ada@example.org")
    Client().post("/password/reset/", {"email": "ada@example.org"}, headers={"host": "testserver:666"})
    [message] = mail.outbox
    assert "https://portal.example.com/password/reset/key/" in message.body
    assert "testserver:666/" not in message.body


def test_asking_for_a_new_password_tells_nobody_which_addresses_are_accounts() -> None:
    UserFactory(email="ada@example.org")
    UserFactory(email="gone@example.org", is_active=False)
    addresses = ["ada@example.org", "gone@example.org", "nobody@example.org"]
    answers = [Client().post("/password/reset/", {"email": address}) for address in addresses]
    assert [(answer.status_code, answer["Location"]) for answer in answers] == [(302, "/password/reset/done/")] * 3
    assert [message.to for message in mail.outbox] == [["ada@example.org"]]


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
@pytest.mark.parametrize("page", ["/login/", "/logout/"])
def test_nobody_is_sent_to_another_site(page: str, target: str) -> None:
    user = UserFactory()
    user.set_password("correct-horse-battery")
    user.save()
    browser = Client()
    if page == "/logout/":
        browser.force_login(user)
    sent = {"login": user.username, "password": "correct-horse-battery", "next": target}
    answer = browser.post(page, sent)
    assert answer.status_code == 302
    assert answer["Location"] in ("/", "/login/")


def test_changing_the_password_ends_the_sessions_elsewhere() -> None:
    user = UserFactory()
    user.set_password("correct-horse-battery")
    user.save()
    here, elsewhere = Client(), Client()
    for browser in (here, elsewhere):
        browser.force_login(user)
    changed = {"oldpassword": "correct-horse-battery", "password1": "staple-9-horses", "password2": "staple-9-horses"}
    assert here.post("/password/change/", changed).status_code == 302
    assert elsewhere.get("/").status_code == 302


def test_a_mail_server_that_is_away_does_not_tell_which_addresses_are_known(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    UserFactory(email="ada@example.com")
    answers = [Client().post("/password/reset/", {"email": email}) for email in ("ada@example.com", "x@example.org")]
    assert [(answer.status_code, answer["Location"]) for answer in answers] == [(302, "/password/reset/done/")] * 2
