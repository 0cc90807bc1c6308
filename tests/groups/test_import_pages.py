"""The pages of imports: from the file chosen to the lines that could not be taken."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.factories import ImportFactory, UserFactory
from tests.signed_in import sign_in
from vppportal.groups.csvfile import LARGEST
from vppportal.groups.importing import load
from vppportal.groups.models import Import, ImportKind, ManagedUser, UserGroup
from vppportal.groups.tasks import carry_out_import
from vppportal.uploads import LONGEST_BODY
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db
PART = {"HX-Request": "true", "HX-Target": "import"}


def upload(browser: Client, kind: str, content: bytes, **more: str) -> Any:
    return browser.post(f"/{kind}/import/", {"file": SimpleUploadedFile("file.csv", content), **more})


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def test_a_file_is_compared_shown_and_imported() -> None:
    browser = sign_in("Operator")
    content = b"Full name;Mail;Groups;Phone\nAda;ada@x.example;Sales;1\nBob;nobody;;\n"
    address = upload(browser, "people", content)["Location"]
    job = Import.objects.get()
    assert address == f"/imports/{job.pk}/"
    page = text(browser.get(address))
    assert "Waiting for a worker" in page
    assert 'hx-trigger="every 1s, look"' in page

    carry_out_import(job.pk)
    page = text(browser.get(address, headers=PART))
    assert "What importing this file would change" in page
    assert "1 person will be added." in page
    assert "1 user group will be made: Sales." in page
    assert "1 line of the file cannot be taken, for the reasons below." in page
    assert "read as UTF-8 with semicolons between the cells. Not read: Phone." in page
    assert "This is no e-mail address." in page
    assert "every 1s" not in page
    assert not ManagedUser.objects.exists()

    assert browser.post(f"{address}start/")["Location"] == address
    carry_out_import(job.pk)
    page = text(browser.get(address))
    assert "1 person added." in page
    assert f"{address}start/" not in page
    assert ManagedUser.objects.get().name == "Ada"


def test_a_file_that_would_change_nothing_says_so_and_offers_no_import() -> None:
    load(ImportKind.GROUPS, b"name\nSales\n")
    browser = sign_in("Operator")
    address = upload(browser, "groups", b"name\nsales\n")["Location"]
    carry_out_import(Import.objects.latest("pk").pk)
    page = text(browser.get(address))
    assert "Importing this file would change nothing" in page
    assert "Everything in it is so already." in page
    assert f"{address}start/" not in page


def test_an_unreadable_file_gets_its_sentence_and_keeps_what_was_ticked() -> None:
    answer = upload(sign_in("Operator"), "people", b"PK\x03\x04", replaces_groups="on")
    assert answer.status_code == 422
    assert "This is a workbook, no CSV file." in text(answer)
    assert re.search(r'name="replaces_groups"[^>]*checked', text(answer))
    assert not Import.objects.exists()


def test_no_file_and_an_empty_file_are_told() -> None:
    assert "This field is required." in text(sign_in("Operator").post("/devices/import/"))
    assert "The file is empty." in text(upload(sign_in("Operator"), "devices", b""))


def test_a_file_of_more_than_other_pages_take_goes_in() -> None:
    content = b"name,description\n" + (b"Sales," + b" " * 1000 + b"\n") * (LONGEST_BODY // 1000)
    assert upload(sign_in("Operator"), "groups", content).status_code == 302


def test_a_file_that_is_too_large_gets_its_sentence() -> None:
    answer = upload(sign_in("Operator"), "groups", b"name\n" + b" " * LARGEST)
    assert answer.status_code == 422
    assert "The file is larger than 32 MiB." in text(answer)


def test_who_may_not_import_cannot_fill_the_memory() -> None:
    content = b"name\n" + b" " * LONGEST_BODY
    assert upload(sign_in("Viewer"), "groups", content).status_code == 400
    assert upload(Client(), "groups", content).status_code == 400


def test_only_for_people_the_files_groups_can_replace_others() -> None:
    browser = sign_in("Operator")
    assert "replaces_groups" in text(browser.get("/people/import/"))
    assert "replaces_groups" not in text(browser.get("/devices/import/"))
    upload(browser, "people", b"email\na@x.example\n", replaces_groups="on")
    assert Import.objects.get().replaces_groups


def test_a_discarded_file_leads_back_to_the_list() -> None:
    job = ImportFactory(kind=ImportKind.DEVICES)
    browser = sign_in("Operator")
    assert browser.post(f"/imports/{job.pk}/discard/")["Location"] == "/devices/"
    assert "was not imported and is forgotten" in text(browser.get("/devices/"))
    assert not Import.objects.exists()


def test_what_was_decided_already_cannot_be_decided_again() -> None:
    job = load(ImportKind.GROUPS, b"name\nSales\n")
    browser = sign_in("Operator")
    for verb in ("start", "discard"):
        assert browser.post(f"/imports/{job.pk}/{verb}/")["Location"] == f"/imports/{job.pk}/"
        assert "This was decided already." in text(browser.get(f"/imports/{job.pk}/"))
    assert UserGroup.objects.count() == 1


def test_lines_not_taken_are_downloaded_with_the_reasons_and_can_be_mended() -> None:
    content = b'name;email;note\n=Ada;nobody;"+1;2"\nBob;bob@x.example;\n-;c@x.example;;;x\n'
    job = load(ImportKind.PEOPLE, content)
    answer = sign_in("Operator").get(f"/imports/{job.pk}/?export=not-taken")
    file = b"".join(answer).decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(file))) == [
        ["name", "email", "note", "error"],
        ["'=Ada", "nobody", "'+1;2", "Line 2. E-mail: This is no e-mail address."],
        [
            *("-", "c@x.example", ""),
            "Line 4. The line has 5 cells, the first line only 3. A cell in which the separator occurs must stand in "
            "quotation marks. Name: This cannot be emptied.",
            *("", "x"),
        ],
    ]
    again = load(ImportKind.PEOPLE, file.replace("nobody", "ada@x.example").encode())
    assert (again.new, again.bad) == (1, 1)
    assert ManagedUser.objects.filter(name="=Ada").exists()


def test_lines_are_found_by_what_became_of_them() -> None:
    job = load(ImportKind.GROUPS, b"name\nSales\n-\nBoard\n")
    browser = sign_in("Operator")
    page = text(browser.get(f"/imports/{job.pk}/", {"outcome": "bad"}, headers={"HX-Target": "list"}))
    assert "This cannot be emptied." in page
    assert "Sales" not in page


def test_a_failed_import_says_why() -> None:
    job = ImportFactory(state=WorkState.FAILED, last_error="It was too much.")
    assert "It was too much." in text(sign_in("Operator").get(f"/imports/{job.pk}/"))


def test_imports_are_listed_with_counts_for_those_who_may_import_such() -> None:
    load(ImportKind.GROUPS, b"name\nSales\n")
    ImportFactory(kind=ImportKind.DEVICES, file_name="devices.csv", requested_by=UserFactory(username="grace"))
    page = text(sign_in("Operator").get("/imports/"))
    assert "groups.csv" in page
    assert "Waits for your decision" in page
    assert "grace" in page
    assert sign_in("Viewer").get("/imports/").status_code == 403


def test_the_lists_lead_to_the_import() -> None:
    for kind in ImportKind.values:
        assert f"/{kind}/import/" in text(sign_in("Operator").get(f"/{kind}/"))
        assert f"/{kind}/import/" not in text(sign_in("Viewer").get(f"/{kind}/"))
