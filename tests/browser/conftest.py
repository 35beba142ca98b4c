"""One browser and one server, started by the README's command, for all browser tests."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Locator, Page, Playwright, expect, sync_playwright

ROOT = Path(__file__).parents[2]
SOON = 60_000  # milliseconds: a fresh server computes a page for the first time


def browser_options() -> dict:
    """The system's Chromium, if there is one."""
    system = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return {"executable_path": system, "args": ["--no-sandbox"]}


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """The system's Chromium, else Playwright's own download; CI must have one."""
    try:
        browser = playwright.chromium.launch(**browser_options())
    except Error as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no Chromium: install one, or run 'playwright install chromium' ({error.message.splitlines()[0]})")
    yield browser
    browser.close()


class Server:
    """The app as 'make run' starts it, with further variables (HOST=0.0.0.0) if wanted; ``said``: what it has printed."""

    def __init__(self, *variables: str) -> None:
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            port = probe.getsockname()[1]
        self.address = f"http://localhost:{port}"
        self.output = tempfile.NamedTemporaryFile("w+", suffix=".log")  # noqa: SIM115  (open as long as the server is)
        self.process = subprocess.Popen(
            [
                "make",
                "run",
                f"PORT={port}",
                f"VENV={sys.prefix}",
                *variables,
            ],  # not one more environment in a fresh clone
            cwd=ROOT,
            start_new_session=True,
            stdout=self.output,
            env={
                name: value for name, value in os.environ.items() if not name.startswith("MAKE")
            },  # not a child of make test
        )
        for _ in range(600):
            assert self.process.poll() is None, "make run ended by itself"
            try:
                urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=5)
                return
            except OSError:
                time.sleep(0.2)
        raise TimeoutError(f"{self.address} did not answer within two minutes.")

    @property
    def said(self) -> str:
        return Path(self.output.name).read_text()

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(20)


@pytest.fixture(scope="session")
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
    page.wait_for_timeout(200)  # what was clicked last has to reach the server first
    expect(page.locator("[data-test-script-state='notRunning']")).to_have_count(1, timeout=SOON)
    expect(page.locator("[data-testid='stException'], [role='dialog']")).to_have_count(0)


def block(page: Page, name: str) -> Locator:
    return page.locator(f"[data-block='{name}']").filter(visible=True)
