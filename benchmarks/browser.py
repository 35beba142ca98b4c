"""A real browser that has never been here: what it loads, and how long until it shows the first figure."""

import shutil
import time
from dataclasses import dataclass

from playwright.sync_api import CDPSession, sync_playwright

LATENCY = 20  # milliseconds
PATIENCE = 300_000  # milliseconds


def browser_options() -> dict:
    """The system's Chromium, if there is one."""
    system = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return {"executable_path": system, "args": ["--no-sandbox"]}


@dataclass
class Look:
    """``seconds`` to the first figure; until then ``files`` came over http, compressed as they were sent, and ``messages`` over
    the websocket, both in bytes."""

    seconds: float
    files: int
    messages: int


def first_look(port: int, megabits: float | None = None) -> Look:
    """Open the app in a fresh profile. ``megabits``: a second; all files together come no faster, the websocket as it can."""
    look = Look(0.0, 0, 0)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**browser_options())
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        watch(page.context.new_cdp_session(page), look, megabits)
        started = time.monotonic()
        page.goto(f"http://localhost:{port}", wait_until="commit", timeout=PATIENCE)
        page.locator(".js-plotly-plot .main-svg").first.wait_for(timeout=PATIENCE)
        look.seconds = time.monotonic() - started
        browser.close()
    return look


def watch(devtools: CDPSession, look: Look, megabits: float | None) -> None:
    """Count what a page loads, and slow its line down."""

    def file(event: dict) -> None:
        look.files += int(event["encodedDataLength"])

    def message(event: dict) -> None:
        data = event["response"]["payloadData"]
        look.messages += (
            len(data) * 3 // 4 if event["response"]["opcode"] == 2 else len(data)
        )  # binary ones come as base64

    devtools.on("Network.loadingFinished", file)
    devtools.on("Network.webSocketFrameReceived", message)
    devtools.send("Network.enable")
    if megabits:
        line = {"offline": False, "latency": LATENCY, "downloadThroughput": megabits * 1e6 / 8, "uploadThroughput": -1}
        devtools.send("Network.emulateNetworkConditions", line)
