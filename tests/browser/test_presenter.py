"""The presenter view at a projector: the strip and the first figure on one screen, and nothing in small letters."""

import pytest
from playwright.sync_api import Page, expect

from resnet_viz.contents import CONTENTS
from tests.browser.conftest import SOON, Server, finished

PROJECTOR = {"width": 1280, "height": 720}
PAGES = ("stage_diagram", "layer_deletion", "block_influence", "block_importance")
LAST_FIGURE = {"layer_deletion": 1}  # beside the first
# The sizes of all letters that are seen, in the document and in what components draw: HTML and SVG.
LETTERS = """() => {
  const roots = [document.body, ...[...document.querySelectorAll("*")].flatMap(({ shadowRoot }) => shadowRoot ?? [])];
  return roots.flatMap((root) => {
    const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT), sizes = [];
    for (let text; (text = texts.nextNode());) {
      const element = text.parentElement, range = document.createRange();
      range.selectNode(text);
      const { width, height } = range.getBoundingClientRect();
      const seen = element?.checkVisibility() && width > 1 && height > 1 && !element.closest("style, .katex-mathml");
      if (text.data.trim() && seen) sizes.push([parseFloat(getComputedStyle(element).fontSize), text.data.trim()]);
    }
    return sizes;
  });
}"""
pytestmark = pytest.mark.browser


def test_a_projector_shows_strip_and_figure_at_once_in_large_letters(server: Server, page: Page) -> None:
    page.set_viewport_size(PROJECTOR)
    page.goto(f"{server.address}/{PAGES[0]}")
    page.get_by_role("button", name="Presenter view").click()
    for name in PAGES:
        if name != PAGES[0]:
            page.locator(".st-key-presenter_bar").get_by_test_id("stPopoverButton").first.click()
            page.get_by_test_id("stPopoverBody").get_by_role("link", name=CONTENTS[name][0]).click()
        expect(page).to_have_url(f"{server.address}/{name}?view=presenter", timeout=SOON)
        figure = page.locator(".js-plotly-plot:has(.main-svg)").nth(LAST_FIGURE.get(name, 0))
        expect(figure).to_be_visible(timeout=SOON)
        finished(page)
        expect(page.get_by_test_id("stSidebar")).not_to_be_visible()
        expect(page.get_by_test_id("stExpandSidebarButton")).not_to_be_visible()
        for part in (page.locator(".strip"), page.locator(".js-plotly-plot").first, figure):
            box = part.bounding_box()
            assert box and box["y"] > 0 and box["y"] + box["height"] <= PROJECTOR["height"], (name, box)
        size, text = min(page.evaluate(LETTERS))
        assert size >= 15.99, (name, text)
    page.get_by_role("button", name="Usual view").click()
    expect(page.get_by_test_id("stSidebar")).to_be_visible(timeout=SOON)
    expect(page).to_have_url(f"{server.address}/{PAGES[-1]}")
