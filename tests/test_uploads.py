"""Uploads stay in memory, and long ones are refused before they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import InMemoryUploadedFile, SimpleUploadedFile
from django.test import Client, RequestFactory

from tests.signed_in import sign_in
from vppportal.uploads import LONGEST_BODY

pytestmark = pytest.mark.django_db


class Untouched:
    """A request body that nobody may read."""

    def read(self, *args: Any) -> bytes:
        raise AssertionError("the body was read")

    readline = read


def test_a_file_of_some_megabytes_is_taken_without_the_disk(rf: RequestFactory, tmp_path: Path, settings: Any) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path / "nowhere")
    request = rf.post("/", {"token_file": SimpleUploadedFile("a.vpptoken", b"A" * 3_000_000)})
    uploaded = request.FILES["token_file"]
    assert isinstance(uploaded, InMemoryUploadedFile)
    assert uploaded.size == 3_000_000


def test_a_token_file_of_some_megabytes_gets_its_sentence() -> None:
    file = SimpleUploadedFile("a.vpptoken", b"A" * 3_000_000)
    answer = sign_in().post("/tokens/add/", {"name": "a", "region": "US", "token_file": file})
    assert answer.status_code == 422
    assert "larger than 64 KiB" in answer.content.decode()


def test_a_stranger_can_fill_neither_disk_nor_memory() -> None:
    stranger = Client(enforce_csrf_checks=True)
    stranger.get("/login/")
    long: Any = {
        "CONTENT_TYPE": "multipart/form-data; boundary=X",
        "CONTENT_LENGTH": str(LONGEST_BODY + 1),
        "wsgi.input": Untouched(),
    }
    assert stranger.generic("POST", "/login/", **long).status_code == 400
