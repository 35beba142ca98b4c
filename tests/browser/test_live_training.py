"""Two networks are trained while the page shows it: started, paused, left and found again, taken along; others wait and watch."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import SOON, Server, block, finished, heading
from tests.browser.test_class import opened

VIEW = "live_training?left_depth=8&right_depth=8"
pytestmark = pytest.mark.browser


def start(page: Page, address: str, steps: int) -> None:
    opened(page, f"{address}/{VIEW}&steps={steps}")
    page.get_by_role("button", name="Start", exact=True).click()


def main(page: Page) -> Locator:
    """The page without Streamlit's own frame, which has a button Stop too."""
    return page.get_by_test_id("stMain")


def told(page: Page) -> str:
    return page.get_by_text(re.compile("^plain8 beside resnet8 · ")).first.inner_text(timeout=SOON)


def losses_shown(page: Page) -> tuple[float, float]:
    """The training errors in the figure's title."""
    title = page.get_by_role("heading", name=re.compile("^After [0-9]+ steps: plain8 ")).first.inner_text(timeout=SOON)
    left, right = re.findall(r"([0-9.]+) %", title)
    return float(left), float(right)


def test_a_race_is_watched_paused_left_and_taken_along(server: Server, page: Page, second: Page) -> None:
    start(page, server.address, 500)
    expect(page.get_by_role("heading", name=re.compile("^After [0-9]+ steps: plain8 "))).to_be_visible(timeout=SOON)
    assert re.search(r"[?&]training=[0-9a-f]{8}", page.url)
    expect(page.get_by_role("heading", name=re.compile("^After ([3-9]|[1-9][0-9]+)0 steps: plain8 "))).to_be_visible(
        timeout=SOON
    )
    assert max(losses_shown(page)) < 75  # of ten classes: 90 before the first step
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text(re.compile("Paused after step"))).to_be_visible(timeout=SOON)
    expect(page.get_by_role("link", name="Delete their layers")).to_be_visible(timeout=SOON)
    page.wait_for_timeout(2500)  # the page is drawn anew every second
    paused, shown = told(page), losses_shown(page)
    page.get_by_role("link", name="Gradient flow").click()
    heading(page, "How much gradient reaches the first block?")
    finished(page)
    page.reload()  # on another page: the run is still this visitor's
    expect(page.get_by_text("could not be used")).to_have_count(0)
    heading(page, "How much gradient reaches the first block?")
    finished(page)
    page.get_by_role("link", name="Live training").click()
    expect(page.get_by_text(re.compile("Paused after step"))).to_be_visible(timeout=SOON)
    assert (told(page), losses_shown(page)) == (paused, shown)
    page.reload()  # the address also holds what the race was started with
    expect(page.get_by_text(re.compile("Paused after step"))).to_be_visible(timeout=SOON)
    finished(page)
    expect(page.get_by_text("could not be used")).to_have_count(0)
    with page.expect_download() as saved:
        page.get_by_role("button", name="resnet8", exact=True).click()
    assert saved.value.suggested_filename == "resnet8.safetensors"
    page.get_by_role("link", name="Delete their layers").click()
    heading(page, "What happens when a block is deleted?")
    finished(page)
    chosen = re.compile("^fashion-plain8:left-[0-9]+-[0-9a-f]{8}$")
    expect(page.get_by_role("combobox", name=re.compile("Network"))).to_have_value(chosen, timeout=SOON)
    block(page, "layer2.0").click()
    expect(page.get_by_text("deleted: layer2.0", exact=True)).to_be_visible(timeout=SOON)
    expect(page.get_by_text(re.compile("fashion-resnet8:right-[0-9]+-[0-9a-f]{8}")).first).to_be_visible(timeout=SOON)
    for view in (page, second):  # a reload, and the link in another browser
        opened(view, page.url)
        expect(view.get_by_role("combobox", name=re.compile("Network"))).to_have_value(chosen, timeout=SOON)
        expect(view.get_by_text("deleted: layer2.0", exact=True)).to_be_visible(timeout=SOON)
    page.get_by_role("link", name="Live training").click()
    heading(page, "Which of two networks learns faster?")
    finished(page)
    main(page).get_by_role("button", name="Stop").click()
    expect(page.get_by_text(re.compile("Ended after step [0-9]+: stopped"))).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_visible(timeout=SOON)
    assert "training=" not in page.url


def test_a_second_visitor_waits_and_watches(server: Server, page: Page, second: Page) -> None:
    start(page, server.address, 500)
    expect(page.get_by_text(re.compile("· Step [0-9]+ of 500"))).to_be_visible(timeout=SOON)
    start(second, server.address, 50)
    expect(second.get_by_text("Waiting: it is the next, one is being trained")).to_be_visible(timeout=SOON)
    expect(second.get_by_text("Meanwhile you see the one before yours: plain8 beside resnet8.")).to_be_visible(
        timeout=SOON
    )
    expect(second.get_by_role("heading", name=re.compile("^After [0-9]+ steps: plain8"))).to_be_visible(timeout=SOON)
    main(page).get_by_role("button", name="Stop").click()
    expect(second.get_by_text(re.compile("· (Step [0-9]+ of 50|Ended after step 50)"))).to_be_visible(timeout=SOON)
    main(second).get_by_role("button", name="Stop").click()


def test_whoever_has_the_address_holds_and_frees_it(server: Server, page: Page, second: Page) -> None:
    start(page, server.address, 2000)
    expect(page.get_by_text(re.compile("· Step [0-9]+ of 2000, about [0-9]+ (s|min) left"))).to_be_visible(timeout=SOON)
    opened(second, page.url)
    page.get_by_role("button", name="Pause").click()
    for view in (page, second):
        expect(view.get_by_text(re.compile("Paused after step"))).to_be_visible(timeout=SOON)
    second.get_by_role("button", name="Go on").click()
    for view in (page, second):
        expect(view.get_by_text(re.compile("· Step [0-9]+ of 2000"))).to_be_visible(timeout=SOON)
    main(second).get_by_role("button", name="Stop").click()


def test_a_link_to_a_run_that_is_gone_is_told(server: Server, page: Page) -> None:
    opened(page, f"{server.address}/live_training?training=00000000")
    expect(page.get_by_text("The training run of this link is no longer kept here")).to_be_visible()
    assert "training=" not in page.url
