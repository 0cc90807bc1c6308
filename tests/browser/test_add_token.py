"""The main job in a real browser: the Enable License Codes window, live progress, and no complaint of the browser."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page, expect
from pytest_playwright import CreateContextCallback

from tests.portal import ADMINISTRATOR, PASSWORD, Portal
from tests.processes import Simulator

pytestmark = [pytest.mark.journey, pytest.mark.browser]

PAGES = [
    "/",
    "/tokens/",
    "/catalog/",
    "/catalog/settings/",
    "/catalog/settings/steps/",
    "/catalog/settings/steps/add/",
    "/catalog/approvals/",
    "/catalog/distribute/",
    "/catalog/distributions/",
    "/groups/",
    "/people/",
    "/devices/",
    "/activity/",
    "/tokens/add/",
]
PAGES_OF_A_TOKEN = ["/tokens/1/", "/tokens/1/licenses/", "/tokens/1/people/", "/tokens/1/edit/"]


@pytest.fixture
def complaints(page: Page) -> Iterator[list[str]]:
    """Whatever the browser's console says: refused styles and scripts would be here."""
    heard: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            heard.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: heard.append(str(error)))
    yield heard
    # 422 and 409 are how a form with mistakes comes back; the browser logs every such answer.
    assert [text for text in heard if "status of 422" not in text and "status of 409" not in text] == []


def sign_in(page: Page, portal: Portal) -> None:
    page.goto(f"{portal.url}/login/")
    page.fill("input[name=login]", ADMINISTRATOR)
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{portal.url}/")


def add_token(portal: Portal, simulator: Simulator, sample: str) -> None:
    form = {"name": sample.title(), "region": "US", "submission": str(uuid.uuid4()), "add_apps_automatically": "on"}
    with simulator.sample(sample).open("rb") as file:
        answer = portal.post(portal.sign_in(), "/tokens/add/", form, files={"token_file": file})
    assert "Its apps arrive below" in answer.text


def open_window(page: Page, portal: Portal) -> None:
    page.goto(f"{portal.url}/catalog/")
    page.get_by_role("button", name="More").click()
    page.get_by_role("link", name="Apple VPP Licenses").last.click()
    page.get_by_role("link", name="Add Token").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("Enable License Codes")


def test_an_administrator_adds_a_token_and_watches_its_apps_arrive(
    page: Page, portal: Portal, simulator: Simulator, complaints: list[str]
) -> None:
    sign_in(page, portal)
    open_window(page, portal)
    window = page.get_by_role("dialog")

    # Nothing chosen yet: the first tab with an error opens, and what was typed elsewhere stays.
    window.get_by_role("tab", name="Policies").click()
    window.get_by_label("Restrict data backup").check()
    window.get_by_role("button", name="Submit").click()
    expect(window.get_by_role("tab", name="Token Detail")).to_have_attribute("aria-selected", "true")
    expect(window.locator("input[name=block_backup]")).to_be_checked()

    window.locator("input[name=token_file]").set_input_files(simulator.sample("business"))
    window.locator("select[name=region]").select_option("DE")
    window.locator("input[name=name]").fill("Headquarters")
    window.get_by_role("button", name="Submit").click()
    # The difference between the country at Apple and the region is said before anything is saved.
    expect(window).to_contain_text("Apple's country for this location is United States")
    expect(window.locator("input[name=name]")).to_have_value("Headquarters")
    window.locator("select[name=region]").select_option("US")
    window.get_by_role("button", name="Submit").click()

    page.wait_for_url(re.compile(r"/tokens/\d+/"))
    expect(page.locator("main")).to_contain_text("Active")
    # No reload: the rows and the end of the work arrive by themselves.
    expect(page.get_by_text("App Added Successfully").first).to_be_visible(timeout=15_000)
    expect(page.get_by_text("Working on it")).to_have_count(0, timeout=15_000)
    expect(page.locator("main")).not_to_contain_text("Claiming the location", timeout=15_000)
    page.goto(f"{portal.url}/catalog/")
    expect(page.locator("table")).to_contain_text("B2B")


def test_every_page_is_accessible_wide_and_narrow(
    page: Page, portal: Portal, simulator: Simulator, complaints: list[str]
) -> None:
    add_token(portal, simulator, "business")
    add_token(portal, simulator, "large")
    sign_in(page, portal)
    page.goto(f"{portal.url}/catalog/")
    expect(page.locator("td.named").first).to_be_visible(timeout=60_000)
    for width, height in ((1280, 900), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        for address in (*PAGES, *PAGES_OF_A_TOKEN):
            page.goto(f"{portal.url}{address}")
            problems = Axe().run(page)
            assert problems.violations_count == 0, f"{address} at {width}: {problems.generate_report()}"
            is_too_wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
            assert not is_too_wide, f"{address} at {width} px scrolls sideways"
            lists = page.locator("#list .table-responsive")
            lacking = lists.evaluate_all("lists => lists.map(list => list.scrollWidth - list.clientWidth)")
            assert not any(lacking), f"the list of {address} at {width} px lacks {lacking} px"


def test_enter_stores_a_form_and_in_a_search_field_searches(
    page: Page, portal: Portal, simulator: Simulator, complaints: list[str], new_context: CreateContextCallback
) -> None:
    sign_in(page, portal)
    for name in ("Sales", "Support"):
        page.goto(f"{portal.url}/groups/add/")
        page.fill("input[name=name]", name)
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"/groups/\d+/"))

    page.goto(f"{portal.url}/people/add/")
    page.fill("input[name=email]", "ada@company.example")
    page.fill("input[name=groups_search]", "supp")
    page.keyboard.press("Enter")
    expect(page.locator("#groups-choices")).not_to_contain_text("Sales")
    expect(page.locator("#groups-choices")).to_contain_text("Support")
    expect(page).to_have_url(f"{portal.url}/people/add/")
    page.fill("input[name=name]", "Ada")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/people/\d+/"))

    open_window(page, portal)
    window = page.get_by_role("dialog")
    window.locator("input[name=name]").press("Enter")
    expect(window).to_contain_text("Choose the token file.")
    window.locator("input[name=token_file]").set_input_files(simulator.sample("business"))
    window.locator("select[name=region]").select_option("US")
    window.locator("input[name=name]").fill("Headquarters")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/tokens/\d+/"))
    page.get_by_role("link", name="Edit").first.click()
    page.fill("input[name=name]", "Head office")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/tokens/\d+/$"))
    expect(page.locator("main")).to_contain_text("“Head office” is saved.")

    plain = new_context(java_script_enabled=False, storage_state=page.context.storage_state()).new_page()
    plain.goto(f"{portal.url}/people/add/")
    plain.fill("input[name=email]", "grace@company.example")
    plain.fill("input[name=groups_search]", "supp")
    plain.keyboard.press("Enter")
    expect(plain.locator("#groups-choices")).not_to_contain_text("Sales")
    expect(plain.locator("input[name=email]")).to_have_value("grace@company.example")
    plain.fill("input[name=name]", "Grace")
    plain.keyboard.press("Enter")
    plain.wait_for_url(re.compile(r"/people/\d+/"))
