"""`manage.py import_csv` brings in a file and says what it did."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from vppportal.groups.models import ManagedUser

pytestmark = pytest.mark.django_db


def test_a_file_is_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "people.csv"
    file.write_text("name,email\nAda Moss,ada@meridale.example\nNobody,not an address\n")
    call_command("import_csv", "people", file)
    assert ManagedUser.objects.get().name == "Ada Moss"
    assert capsys.readouterr().out == "1 new, 0 changed, 0 as they were, 1 not taken.\n"


@pytest.mark.parametrize("content", [None, "nothing,we,know\n1,2,3\n"])
def test_what_cannot_be_read_is_said(tmp_path: Path, content: str | None):
    file = tmp_path / "people.csv"
    if content:
        file.write_text(content)
    with pytest.raises(CommandError):
        call_command("import_csv", "people", file)
