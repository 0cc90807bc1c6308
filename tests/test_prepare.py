"""Preparing a start: administrator and sample company are made once, static files collected when they changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from pytest_django import Settings

from vppportal.groups.models import Device, ManagedUser, UserGroup
from vppportal.prepare import collect_static, first_password_holds, load_sample_company


@pytest.mark.django_db
def test_the_first_start_makes_the_administrator():
    assert first_password_holds("first-password")
    administrator = get_user_model().objects.get()
    assert administrator.username == "admin"
    assert administrator.is_superuser
    assert administrator.check_password("first-password")


@pytest.mark.django_db
def test_a_later_start_leaves_the_administrator_alone():
    first_password_holds("first-password")
    administrator = get_user_model().objects.get()
    administrator.set_password("changed-by-hand")
    administrator.save()
    assert not first_password_holds("first-password")
    assert get_user_model().objects.get().check_password("changed-by-hand")


@pytest.fixture
def data(settings: Settings, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path


@pytest.mark.django_db
def test_the_sample_company_comes_with_groups_people_devices_and_owners(data: Path):
    load_sample_company(1)
    assert UserGroup.objects.count() == 3
    assert ManagedUser.objects.count() == 30
    assert ManagedUser.objects.filter(is_active=False).count() == 1
    assert ManagedUser.objects.filter(groups=None).count() == 0
    assert Device.objects.count() == 45
    assert Device.objects.exclude(owner=None).count() == 36


@pytest.mark.django_db
def test_the_sample_company_does_not_come_where_there_are_people(data: Path):
    ManagedUser.objects.create(name="Somebody", email="somebody@example.com")
    load_sample_company(1)
    assert (ManagedUser.objects.count(), Device.objects.count()) == (1, 0)


@pytest.fixture
def stylesheet(settings: Settings, tmp_path: Path) -> Path:
    """The only stylesheet of a small site, with its collected copy still to be made."""
    (tmp_path / "css").mkdir()
    settings.STATICFILES_DIRS = [("css", tmp_path / "css")]
    settings.STATIC_ROOT = tmp_path / "static"
    file = tmp_path / "css" / "portal.css"
    file.write_text("a {}")
    return file


def test_static_files_are_collected_again_when_one_changed(stylesheet: Path, settings: Settings):
    collected = Path(settings.STATIC_ROOT) / "css" / "portal.css"
    collect_static()
    assert collected.read_text() == "a {}"
    stylesheet.write_text("body {}")
    collect_static()
    assert collected.read_text() == "body {}"


def test_static_files_that_are_the_same_are_not_collected_again(stylesheet: Path, settings: Settings):
    collect_static()
    collected = Path(settings.STATIC_ROOT) / "css" / "portal.css"
    collected.unlink()
    collect_static()
    assert not collected.exists()
