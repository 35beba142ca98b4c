"""One browser and one server, started by the README's command, for all browser tests."""

import os
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
from playwright.sync_api import Browser, BrowserContext, Error, Locator, Page, Playwright, expect, sync_playwright

from benchmarks.browser import browser_options

ROOT = Path(__file__).parents[2]
SOON = 60_000  # milliseconds: a fresh server computes a page for the first time


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


FOR_TESTS = [
    "--process-per-site",  # see Profile
    "--host-resolver-rules=MAP classroom.test 127.0.0.1",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """The system's Chromium, else Playwright's own download; CI must have one."""
    options = browser_options()
    try:
        browser = playwright.chromium.launch(**options | {"args": [*options["args"], *FOR_TESTS]})
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


class Profile:
    """A visitor's browser, whose tabs share one process: it compiles Streamlit's megabytes of JavaScript once, not for each test.

    The process lives as long as a tab with the site is open, so one stays.
    """

    def __init__(self, browser: Browser, address: str, **options: object) -> None:
        self.context: BrowserContext = browser.new_context(**options)
        self.kept = self.context.new_page()
        self.kept.goto(f"{address}/_stcore/health")

    def tab(self) -> Iterator[Page]:
        """A tab that fails the test when the page's own script does; afterwards the profile is as new."""
        page = self.context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        yield page
        page.close()
        self.context.clear_cookies()
        self.kept.evaluate("localStorage.clear()")
        assert not faults


DESK = {"width": 1440, "height": 1000}


def at_a_desk(browser: Browser, server: Server) -> Iterator[Profile]:
    profile = Profile(browser, server.address, viewport=DESK)
    yield profile
    profile.context.close()


@pytest.fixture(scope="session")
def profile(browser: Browser, server: Server) -> Iterator[Profile]:
    yield from at_a_desk(browser, server)


@pytest.fixture
def page(profile: Profile) -> Iterator[Page]:
    yield from profile.tab()


@pytest.fixture(scope="session")
def second_profile(browser: Browser, server: Server) -> Iterator[Profile]:
    yield from at_a_desk(browser, server)


@pytest.fixture
def second(second_profile: Profile) -> Iterator[Page]:
    """The browser of somebody else."""
    yield from second_profile.tab()


@pytest.fixture
def third(browser: Browser, server: Server) -> Iterator[Page]:
    """And of one more."""
    for profile in at_a_desk(browser, server):
        yield from profile.tab()


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", name=text, exact=True)).to_be_visible(timeout=SOON)


def finished(page: Page) -> None:
    """Wait until the script has run through and nothing is on its way, and check that it showed no error."""
    page.wait_for_timeout(200)  # what was clicked last has to reach the server first
    expect(page.locator("[data-test-script-state='notRunning']")).to_have_count(1, timeout=SOON)
    expect(page.locator(".on-its-way")).to_have_count(0, timeout=SOON)
    expect(page.locator("[data-testid='stException'], [role='dialog']")).to_have_count(0)


def block(page: Page, name: str) -> Locator:
    return page.locator(f"[data-block='{name}']").filter(visible=True)
