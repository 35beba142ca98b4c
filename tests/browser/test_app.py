"""The app in a browser, started by the README's command: every page by its own address, a block deleted by a click."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SOON, Server, block, finished, heading

PAGES = {
    "stage_diagram": "What is a residual network made of?",
    "gradient_flow": "How much gradient reaches the first block?",
    "path_unrolling": "Which paths carry the gradient?",
    "strongest_paths": "Which single paths carry most?",
    "layer_deletion": "What happens when a block is deleted?",
}
FIRST = "Why can a residual network lose a layer and still see?"
pytestmark = pytest.mark.browser


def test_the_first_page_opens_by_the_name_of_its_file_on_a_fresh_server(page: Page) -> None:
    """Its own address is another, /. The first request differs from those after it (of another page: see the shared link)."""
    server = Server()
    try:
        for _ in range(2):
            page.goto(f"{server.address}/start")
            heading(page, FIRST)
            expect(page.locator("[data-block]").first).to_be_visible(timeout=SOON)
            expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=SOON)
            finished(page)
    finally:
        server.stop()


def test_first_screen_is_a_computed_example(server: Server, page: Page) -> None:
    page.goto(server.address)
    kept, lost = (
        "1 of 27 blocks deleted. It sees: still Coat (probability",
        "Beside it fashion-plain56, with the same lesion: Coat →",
    )
    expect(page.get_by_text(kept)).to_be_visible(timeout=SOON)
    expect(page.get_by_text(lost)).to_be_visible()
    box = page.locator(".js-plotly-plot").first.bounding_box()
    assert box and box["height"] == pytest.approx(230, abs=2), "as the figure says"
    expect(block(page, "layer2.4")).to_have_attribute("aria-pressed", "true")
    block(page, "layer2.4").click()
    expect(page.get_by_text("Nothing deleted: the network is intact. It sees: Coat (probability")).to_be_visible(
        timeout=SOON
    )
    block(page, "layer1.0").click()
    expect(page.get_by_text("It sees: Coat →")).to_be_visible(timeout=SOON)


def test_deleting_by_click_changes_the_prediction(server: Server, page: Page) -> None:
    page.goto(f"{server.address}/layer_deletion?network=fashion-resnet34")
    expect(page.get_by_text("Nothing deleted")).to_be_visible(timeout=SOON)
    before = page.get_by_role("heading", name=re.compile("^This image: ")).inner_text()
    names = ["layer1.0", "layer2.0", "layer3.0"]
    for number, name in enumerate(names, start=1):
        block(page, name).click()
        expect(block(page, name)).to_have_attribute("aria-pressed", "true", timeout=1000)
        # A busy server may take two quick clicks for one step of Undo.
        expect(page.get_by_text(f"deleted: {', '.join(names[:number])}", exact=True)).to_be_visible(timeout=SOON)
    expect(page.get_by_role("heading", name=re.compile("^This image: .*→"))).to_be_visible(timeout=SOON)
    expect(page.get_by_text("paired by image")).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("deleted: layer1.0, layer2.0", exact=True)).to_be_visible(timeout=SOON)
    expect(block(page, "layer3.0")).to_have_attribute("aria-pressed", "false", timeout=SOON)
    page.get_by_role("button", name="Redo").click()
    expect(page.get_by_text("deleted: layer1.0, layer2.0, layer3.0", exact=True)).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Restore all").click()
    expect(page.get_by_role("heading", name=before, exact=True)).to_be_visible(timeout=SOON)
    expect(block(page, "layer1.0")).to_have_attribute("aria-pressed", "false", timeout=SOON)


def test_quick_clicks_are_all_kept(server: Server, page: Page) -> None:
    page.goto(f"{server.address}/layer_deletion?network=fashion-resnet34")
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
    page.goto(f"{server.address}/layer_deletion?network=fashion-resnet34")
    expect(page.get_by_text("Nothing deleted")).to_be_visible(timeout=SOON)
    finished(page)
    block(page, "layer1.0").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_text("deleted: layer1.1")).to_be_visible(timeout=SOON)
    finished(page)
    expect(block(page, "layer1.1")).to_be_focused()


def test_choices_survive_a_page_change(server: Server, page: Page) -> None:
    page.goto(f"{server.address}/layer_deletion?network=fashion-resnet34")
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
    page.goto(f"{server.address}/layer_deletion?network=fashion-resnet34")
    page.get_by_role("radio", name="upload").click()
    page.locator("input[type=file]").set_input_files(
        {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    )
    expect(page.get_by_text("notes.txt is not a picture that can be read")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("heading", name=re.compile("^This image: "))).to_be_visible(timeout=SOON)


def test_a_path_is_chosen_by_a_click_on_its_row(server: Server, page: Page) -> None:
    page.goto(f"{server.address}/strongest_paths?network=fashion-resnet20")
    expect(page.get_by_text("(rank 1 of those found)")).to_be_visible(timeout=SOON)
    finished(page)
    area = page.locator(".st-key-strongest .nsewdrag").first
    box = area.bounding_box()
    row = box["height"] / 24.2  # 24 rows, ranks 0.4 to 24.6
    area.click(position={"x": box["width"] / 2, "y": 2.6 * row})
    expect(page.get_by_text("(rank 3 of those found)")).to_be_visible(timeout=SOON)
    expect(page).to_have_url(re.compile("branches="), timeout=SOON)
    address = page.url
    page.goto(address)
    expect(page.get_by_text("(rank 3 of those found)")).to_be_visible(timeout=SOON)


def test_a_study_draws_what_it_has_and_can_be_left(server: Server, page: Page) -> None:
    page.goto(f"{server.address}/lesion_studies?network=fashion-resnet110&draws=9&draw_seed=1")
    heading(page, "How much damage can it take?")
    expect(page.get_by_text(re.compile(r"Run the study: \d+ %"))).to_be_visible(timeout=SOON)
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Run the study")).to_be_visible(timeout=SOON)
    expect(page.locator(".js-plotly-plot")).to_have_count(0, timeout=SOON)
    finished(page)


def test_each_claim_shows_a_number_and_opens_on_its_figure(server: Server, page: Page) -> None:
    page.goto(f"{server.address}/?network=fashion-resnet20")
    heading(page, "Why can a residual network lose a layer and still see?")
    finished(page)
    expect(page.get_by_text("+4.0 points", exact=True)).to_be_visible()
    expect(page.locator(".st-key-claim_5").get_by_text("25 of 27")).to_be_visible()
    page.locator(".st-key-claim_5").get_by_role("link", name="Stage diagram").click()
    heading(page, "What is a residual network made of?")
    finished(page)
    expect(page.get_by_role("heading", name="fashion-resnet56: 56 layers in 3 stages")).to_be_in_viewport()
    page.goto(f"{server.address}/gradient_flow?network=fashion-resnet20&figure=statistics")
    expect(page.get_by_role("heading", name="What the stream carries")).to_be_in_viewport(timeout=SOON)
    assert "figure=" not in page.url
    page.mouse.wheel(0, -10_000)
    expect(page.get_by_role("heading", name="How much gradient reaches the first block?")).to_be_in_viewport(
        timeout=SOON
    )
