"""The app in a browser, started by the README's command: every page by its own address, a block deleted by a click."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
PAGES = {
    "stage_diagram": "What is a residual network made of?",
    "gradient_flow": "How much gradient reaches the first block?",
    "path_unrolling": "Which paths carry the gradient?",
    "layer_deletion": "What happens when a block is deleted?",
}
SOON = 60_000  # milliseconds: a fresh server computes a page for the first time
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, else Playwright's own download; CI must have one."""
    system = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=system, args=["--no-sandbox"])
        except Error as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(
                f"no Chromium: install one, or run 'playwright install chromium' ({error.message.splitlines()[0]})"
            )
        yield browser
        browser.close()


class Server:
    """The app as 'make run' starts it."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            port = probe.getsockname()[1]
        self.address = f"http://localhost:{port}"
        self.process = subprocess.Popen(
            ["make", "run", f"PORT={port}"], cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL
        )
        for _ in range(600):
            assert self.process.poll() is None, "make run ended by itself"
            try:
                urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=5)
                return
            except OSError:
                time.sleep(0.2)
        raise TimeoutError(f"{self.address} did not answer within two minutes.")

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(20)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab that fails the test when the page's own script does."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    context.close()
    assert not faults


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", name=text, exact=True)).to_be_visible(timeout=SOON)


def finished(page: Page) -> None:
    """Wait until the script has run through, and check that it showed no error."""
    expect(page.locator("[data-testid='stStatusWidget']")).to_have_count(0, timeout=SOON)
    expect(page.locator("[data-testid='stException'], [role='dialog']")).to_have_count(0)


def block(page: Page, name: str):
    return page.locator(f"[data-block='{name}']")


@pytest.mark.parametrize("name", PAGES)
def test_page_opens_by_its_own_address_on_a_fresh_server(name: str, page: Page) -> None:
    server = Server()
    try:
        page.goto(f"{server.address}/{name}")
        heading(page, PAGES[name])
        expect(page.locator("[data-block]").first).to_be_visible(timeout=SOON)
        expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=SOON)
        finished(page)
    finally:
        server.stop()


def test_first_screen_is_a_computed_example(server: Server, page: Page) -> None:
    page.goto(server.address)
    expect(page.get_by_text("Nothing deleted: the network is intact. It sees: Pullover")).to_be_visible(timeout=SOON)
    for name in ("layer1.0", "layer2.0", "layer3.0"):
        block(page, name).click()
    expect(page.get_by_text("no longer Pullover")).to_be_visible(timeout=SOON)


def test_deleting_by_click_changes_the_prediction(server: Server, page: Page) -> None:
    page.goto(f"{server.address}/layer_deletion")
    expect(page.get_by_text("Nothing deleted")).to_be_visible(timeout=SOON)
    before = page.get_by_role("heading", name=re.compile("^This image: ")).inner_text()
    for name in ("layer1.0", "layer2.0", "layer3.0"):
        block(page, name).click()
        expect(block(page, name)).to_have_attribute("aria-pressed", "true", timeout=1000)
    expect(page.get_by_text("deleted: layer1.0, layer2.0, layer3.0")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("heading", name=re.compile("^This image: .*→"))).to_be_visible(timeout=SOON)
    expect(page.get_by_text("paired by image")).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Restore all").click()
    expect(page.get_by_role("heading", name=before, exact=True)).to_be_visible(timeout=SOON)
    expect(block(page, "layer1.0")).to_have_attribute("aria-pressed", "false", timeout=SOON)


def test_quick_clicks_are_all_kept(server: Server, page: Page) -> None:
    page.goto(f"{server.address}/layer_deletion")
    expect(page.get_by_text("Nothing deleted")).to_be_visible(timeout=SOON)
    finished(page)
    names = [f"layer3.{index}" for index in range(6)]
    block(page, names[0]).evaluate(
        """(block, names) => names.forEach((name, index) => setTimeout(() => block.ownerSVGElement
            .querySelector(`[data-block='${name}']`).dispatchEvent(new MouseEvent('click')), 30 * index))""",
        names,
    )
    expect(page.get_by_text(f"deleted: {', '.join(names)}")).to_be_visible(timeout=SOON)


def test_keyboard_deletes_and_keeps_the_focus(server: Server, page: Page) -> None:
    page.goto(f"{server.address}/layer_deletion")
    expect(page.get_by_text("Nothing deleted")).to_be_visible(timeout=SOON)
    finished(page)
    block(page, "layer1.0").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_text("deleted: layer1.1")).to_be_visible(timeout=SOON)
    finished(page)
    expect(block(page, "layer1.1")).to_be_focused()


def test_choices_survive_a_page_change(server: Server, page: Page) -> None:
    page.goto(f"{server.address}/layer_deletion")
    expect(page.get_by_text("Nothing deleted")).to_be_visible(timeout=SOON)
    block(page, "layer2.1").click()
    expect(page.get_by_text("deleted: layer2.1")).to_be_visible(timeout=SOON)
    page.get_by_role("radio", name=re.compile("^Bag")).click()
    expect(page.get_by_role("heading", name=re.compile("^This image: .*Bag"))).to_be_visible(timeout=SOON)
    page.get_by_role("link", name="Gradient flow").click()
    heading(page, PAGES["gradient_flow"])
    finished(page)
    page.get_by_role("link", name="Layer deletion").click()
    expect(page.get_by_text("deleted: layer2.1")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("heading", name=re.compile("^This image: .*Bag"))).to_be_visible(timeout=SOON)


def test_a_file_that_is_no_picture_gets_one_sentence(server: Server, page: Page) -> None:
    page.goto(f"{server.address}/layer_deletion")
    page.get_by_text("Your own photo").click()
    page.locator("input[type=file]").set_input_files(
        {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    )
    expect(page.get_by_text("notes.txt is no picture that can be read")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("heading", name=re.compile("^This image: "))).to_be_visible(timeout=SOON)


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_a_phone(name: str, server: Server, browser: Browser) -> None:
    page = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    page.goto(f"{server.address}/{name}")
    heading(page, PAGES[name])
    finished(page)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    page.context.close()
