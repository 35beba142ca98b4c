"""The network strip by itself in a browser: made-up networks of 8 to 1,000 blocks, drawn by a script of a few lines."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import combinations
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import Profile

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.browser
SCRIPT = """
import json, time
import streamlit as st
from resnet_viz.figures.palette import DARK, LIGHT
from resnet_viz.networks.description import BlockPart, Description, Part
from resnet_viz.web.kit.strip import network_strip

case = json.loads(st.query_params["case"])
shape = tuple(case.get("shape", (16, 7, 7)))
blocks = [BlockPart(f"layer{stage}.{n}", "basic", shape, shape, 1, 1, f"layer{stage}",
                    case.get("shortcut") or ("identity" if n else "projection"), "", 0, "ReLU", case.get("origin", ""))
          for stage, size in enumerate(case["sizes"], 1) for n in range(size)]
end = Part("", "", (1,), (1,), 1, 1)
state = st.session_state.setdefault("state", {"chosen": case.get("chosen", []), "sequence": 0})


def take():
    choice = st.session_state["strip"]["choice"]
    chosen = [block.name for block, bit in zip(blocks, choice["mask"], strict=True) if bit == "1"]
    state.update(chosen=chosen, sequence=choice["sequence"])


palette = DARK if st.context.theme.type == "dark" else LIGHT
if not st.toggle("Another page"):
    network_strip(Description(end, tuple(blocks), end, 1, 1), state["chosen"], state["sequence"], palette, key="strip",
                  mode=case.get("mode", "delete"), bars=case.get("bars"), bars_title="bars: points more error",
                  on_change=take, deleted=case.get("deleted", ()))
if st.button("Restore all"):
    state.update(chosen=[], sequence=state["sequence"] + 1)
    st.rerun()
time.sleep(case.get("slow", 0))
st.write("chosen: " + ", ".join(state["chosen"]) + ".")
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The script, served."""
    script = tmp_path_factory.mktemp("strip") / "script.py"
    script.write_text(SCRIPT)
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        stdout=subprocess.DEVNULL,
    )
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=5)
            break
        except OSError:
            time.sleep(0.2)
    yield f"http://localhost:{port}"
    server.terminate()
    server.wait(20)


@pytest.fixture(scope="module")
def profiles(browser: Browser, address: str) -> Iterator[dict[bool, Profile]]:
    """A visitor with a mouse (False) and one with a touch screen."""
    profiles = {touch: Profile(browser, address, has_touch=touch, is_mobile=touch) for touch in (False, True)}
    yield profiles
    for profile in profiles.values():
        profile.context.close()


@pytest.fixture
def strip(profiles: dict[bool, Profile], address: str) -> Iterator[Callable[..., Page]]:
    """Open a page with one strip on it."""
    with ExitStack() as tabs:

        def opened(width: int = 1440, theme: str = "light", touch: bool = False, **case: object) -> Page:
            page = tabs.enter_context(contextmanager(profiles[touch].tab)())
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=theme)
            page.goto(f"{address}?{urlencode({'case': json.dumps(case)})}")
            expect(page.get_by_text("chosen: ")).to_be_visible(timeout=60_000)
            expect(page.locator(".stage").first).to_be_visible()
            return page

        yield opened


def block(page: Page, name: str) -> Locator:
    return page.locator(f"[data-block='{name}']")


def stage(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=f"{name},")


def chosen(page: Page, *names: str) -> None:
    """Wait until the server knows these and no others."""
    expect(page.get_by_text(f"chosen: {', '.join(names)}.", exact=True)).to_be_visible()


def bars(sizes: list[int]) -> dict[str, tuple[float, str]]:
    names = [f"layer{stage}.{n}" for stage, size in enumerate(sizes, 1) for n in range(size)]
    return {name: (1 / (1 + i), f"{70 / (1 + i):.1f} points") for i, name in enumerate(names)}


def test_names_and_roles(strip) -> None:
    page = strip(sizes=[2, 2], bars={"layer1.0": (0.5, "3.1 points"), "layer2.0": (-0.2, "-1.2 points")})
    expect(page.get_by_role("group", name="The network's blocks: press one to delete or restore it")).to_be_visible()
    expect(block(page, "layer2.0")).to_have_attribute("aria-label", "layer2.0, shortcut: projection, -1.2 points")
    expect(page.get_by_role("button", name="layer1.1, shortcut: identity", pressed=False, exact=True)).to_be_visible()
    block(page, "layer1.0").click()
    expect(
        page.get_by_role("button", name="layer1.0, shortcut: projection, deleted, 3.1 points", pressed=True)
    ).to_be_visible()
    expect(
        page.get_by_role(
            "button", name="layer1, 16 × 7², 2 blocks, 1 deleted, mean bar 0.50 of the longest", expanded=True
        )
    ).to_be_visible()
    assert page.locator(".block > .bar").count() == 2  # a block without a value has no bar
    assert page.locator(".block > .bar.negative").count() == 1


def test_a_stage_folds_by_key_and_click_and_stays_folded(strip) -> None:
    page = strip(sizes=[3, 4], chosen=["layer2.1"], bars=bars([3, 4]))
    stage(page, "layer2").focus()
    page.keyboard.press("Enter")
    expect(stage(page, "layer2")).to_have_attribute("aria-expanded", "false")
    expect(stage(page, "layer2")).to_be_focused()
    expect(block(page, "layer2.1")).to_be_hidden()
    expect(stage(page, "layer2").get_by_text("4 blocks")).to_be_visible()
    expect(stage(page, "layer2").get_by_text("1 deleted")).to_be_visible()
    page.keyboard.press("ArrowLeft")  # past the folded blocks
    expect(block(page, "layer1.2")).to_be_focused()
    page.keyboard.press("Space")
    chosen(page, "layer1.2", "layer2.1")
    expect(stage(page, "layer2")).to_have_attribute("aria-expanded", "false")
    page.get_by_role("button", name="Restore all").click()
    chosen(page, "")
    expect(stage(page, "layer2")).to_have_attribute("aria-expanded", "false")
    expect(stage(page, "layer2").get_by_text("1 deleted")).to_be_hidden()
    for shown in (False, True):
        page.get_by_text("Another page").click()
        expect(page.locator(".strip")).to_be_visible(visible=shown)
    expect(stage(page, "layer2")).to_have_attribute("aria-expanded", "false")
    stage(page, "layer2").click()
    expect(block(page, "layer2.1")).to_be_visible()


def test_a_large_network_starts_folded_except_where_a_block_is_chosen(strip) -> None:
    page = strip(sizes=[111, 111, 111], chosen=["layer2.4"])
    for name, expanded in {"layer1": "false", "layer2": "true", "layer3": "false"}.items():
        expect(stage(page, name)).to_have_attribute("aria-expanded", expanded)
    expect(strip(sizes=[40, 40, 40]).locator("[aria-expanded=false]")).to_have_count(0)


def test_a_thousand_blocks_in_one_stage_fold_into_a_box_and_each_is_reached(strip) -> None:
    page = strip(390, sizes=[1000], origin="blocks.7.attn")
    assert page.locator(".strip").bounding_box()["height"] < 200
    stage(page, "layer1").focus()
    expect(stage(page, "layer1").get_by_text("1,000 blocks")).to_be_visible()
    page.keyboard.press("Enter")
    for key, number in {"PageDown": 9, "ArrowRight": 10, "End": 999, "PageUp": 989}.items():
        page.keyboard.press(key)
        expect(block(page, f"layer1.{number}")).to_be_focused()
    page.keyboard.press("Enter")
    chosen(page, "layer1.989")
    expect(page.locator(".told")).to_have_text("layer1.989 · blocks.7.attn · shortcut: identity · deleted")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_labels_of_nine_short_stages_stand_beside_each_other(width: int, strip) -> None:
    page = strip(width, sizes=[1, 1, 2] * 3, shape=[64, 8, 16, 16])
    boxes = page.locator(".strip svg :is(.name, .shape)").evaluate_all(
        "texts => texts.map(text => text.getBoundingClientRect()).map(box => [box.left, box.right, box.top, box.bottom])"
    )
    assert len(boxes) == 18
    for (left, right, top, bottom), (left2, right2, top2, bottom2) in combinations(boxes, 2):
        # letters are lower than the boxes of their lines, which may overlap by a little
        assert right <= left2 or right2 <= left or bottom - 4 <= top2 or bottom2 - 4 <= top
        assert left >= 0 and max(right, right2) <= width


def test_runs_by_mouse(strip) -> None:
    page = strip(sizes=[4, 4])
    block(page, "layer1.2").click()
    block(page, "layer2.2").click(modifiers=["Shift"])
    chosen(page, "layer1.2", "layer1.3", "layer2.0", "layer2.1", "layer2.2")
    block(page, "layer1.1").click(modifiers=["Shift"])  # the run's end moves: what it took before it gives back
    chosen(page, "layer1.1", "layer1.2")
    block(page, "layer1.1").click()
    chosen(page, "layer1.2")
    block(page, "layer1.2").click(modifiers=["Shift"])  # a run restores as well
    chosen(page, "")


def test_runs_by_keyboard(strip) -> None:
    page = strip(sizes=[4, 4])
    block(page, "layer1.2").focus()
    for _ in range(3):  # across the label of the second stage
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowLeft")
    expect(block(page, "layer2.0")).to_be_focused()
    chosen(page, "layer1.2", "layer1.3", "layer2.0")
    page.keyboard.press("End")
    page.keyboard.press("Shift+Enter")
    chosen(page, "layer1.2", "layer1.3", "layer2.0", "layer2.1", "layer2.2", "layer2.3")


def test_keys_walk_through_labels_and_blocks_and_tab_stops_once(strip) -> None:
    page = strip(sizes=[2, 2])
    block(page, "layer1.1").focus()
    for key, name in {
        "ArrowRight": "layer2,",
        "End": "layer2.1,",
        "ArrowUp": "layer2,",
        "ArrowLeft": "layer1.1,",
        "Home": "layer1,",
        "ArrowDown": "layer2,",
    }.items():
        page.keyboard.press(key)
        expect(page.get_by_role("button", name=name)).to_be_focused()
        assert page.locator("svg [tabindex='0']").count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.shadowRoot") is None  # out of the strip
    page.keyboard.press("Shift+Tab")
    expect(stage(page, "layer2")).to_be_focused()
    assert page.locator(":focus-visible > .hit").evaluate("hit => getComputedStyle(hit).strokeWidth") == "2.5px"


def test_one_block_is_selected_and_the_deleted_are_shown(strip) -> None:
    page = strip(sizes=[3, 3], mode="select", chosen=["layer1.0"], deleted=["layer1.1", "layer2.2"])
    expect(page.locator(".block.deleted")).to_have_count(2)
    block(page, "layer1.1").click(modifiers=["Shift"])
    chosen(page, "layer1.1")
    expect(page.locator(".block.chosen")).to_have_count(1)
    expect(block(page, "layer1.1").locator(".ring")).to_be_visible()
    expect(block(page, "layer1.1").locator(".strike")).to_be_visible()
    expect(block(page, "layer1.1")).to_have_attribute("aria-label", "layer1.1, shortcut: identity, chosen, deleted")
    expect(page.locator("[aria-pressed=true]")).to_have_count(1)


def test_a_plain_network_has_wires_only_where_deleted(strip) -> None:
    page = strip(sizes=[3, 3], shortcut="none", chosen=["layer1.1"])
    expect(page.locator(".block .arc:visible")).to_have_count(1)
    expect(block(page, "layer1.1").locator(".arc")).to_be_visible()


def test_the_line_under_the_strip_tells_what_is_pointed_at(strip) -> None:
    page = strip(390, touch=True, sizes=[3, 3], bars=bars([3, 3]))
    told = page.locator(".told")
    expect(told).to_contain_text("Press a block")
    block(page, "layer1.1").tap()
    expect(told).to_have_text("layer1.1 · shortcut: identity · deleted · 35.0 points")
    chosen(page, "layer1.1")
    expect(told).to_have_text("layer1.1 · shortcut: identity · deleted · 35.0 points")
    page = strip(sizes=[3, 3], bars=bars([3, 3]))
    block(page, "layer1.2").hover()
    expect(page.locator(".told")).to_have_text("layer1.2 · shortcut: identity · 23.3 points")
    page.mouse.move(0, 0)
    block(page, "layer2.0").focus()
    expect(page.locator(".told")).to_have_text("layer2.0 · shortcut: projection · 17.5 points")


@pytest.mark.parametrize("width", [390, 1024])
@pytest.mark.parametrize("sizes", [[2, 2, 2, 2], [3, 8, 36, 3], [18, 18, 18]], ids=sum)
def test_fingers_can_touch_it(sizes: list[int], width: int, strip) -> None:
    page = strip(width, touch=True, sizes=sizes, bars=bars(sizes))
    boxes = page.locator(".hit").evaluate_all(
        "hits => hits.map(hit => hit.getBoundingClientRect()).map(box => [box.width, box.height, box.left, box.right])"
    )
    for wide, high, left, right in boxes:
        assert wide >= 24 and high >= 24
        assert left >= 0 and right <= width
    assert page.locator(".strip").bounding_box()["height"] <= 900
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width


def test_older_echoes_do_not_undo_newer_clicks(strip) -> None:
    page = strip(sizes=[8], slow=0.3)
    svg = page.locator(".strip svg")
    svg.evaluate(
        """svg => { window.restored = []; new MutationObserver(changes => changes.forEach(({ target }) => {
            if (target.getAttribute("aria-pressed") === "false") window.restored.push(target.dataset.block) }))
            .observe(svg, { subtree: true, attributes: true, attributeFilter: ["aria-pressed"] }) }"""
    )
    for n in range(8):
        block(page, f"layer1.{n}").click()
        page.wait_for_timeout(120)
    chosen(page, *[f"layer1.{n}" for n in range(8)])
    assert page.evaluate("window.restored") == []


def test_333_blocks_are_repainted_within_a_frame(strip) -> None:
    sizes = [111, 111, 111]
    page = strip(sizes=sizes, chosen=["layer1.0", "layer2.0", "layer3.0"], bars=bars(sizes))
    spent = page.locator(".strip svg").evaluate(
        """svg => ["layer1.1", "layer3.110", "layer2.7", "layer2.8", "layer2.9"].map((name, nth) => {
            const node = svg.querySelector(`[data-block='${name}']`), start = performance.now();
            node.dispatchEvent(new MouseEvent("click", { shiftKey: nth === 1 }));
            node.getBoundingClientRect();  // styles and layout are part of it
            return performance.now() - start; })"""
    )
    assert sorted(spent)[2] < 16, spent


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(theme: str, strip) -> None:
    page = strip(sizes=[3, 3, 3, 3], theme=theme, chosen=["layer1.0"], bars=bars([3, 3, 3, 3]))
    stage(page, "layer1").press("Enter")
    texts = page.locator(".strip :is(text, p):visible").evaluate_all(
        """nodes => nodes.map(node => { const box = node.closest(".stem, .head")?.querySelector("rect"), style = getComputedStyle(node);
            return [node.textContent, node.localName === "p" ? style.color : style.fill,
                box ? getComputedStyle(box).fill : getComputedStyle(document.querySelector(".stApp")).backgroundColor]; })"""
    )
    assert len(texts) == 2 + 4 * 2 + 2 + 2  # the ends, the labels, what a folded stage says, the lines below
    for text, ink, behind in texts:
        assert contrast(ink, behind) >= 4.5, (text, ink, behind)


def contrast(*colours: str) -> float:
    """The contrast ratio of WCAG 2 between two colours as CSS writes them: 'rgb(31, 36, 48)'."""
    luminances = []
    for colour in colours:
        parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(", ")]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        luminances.append(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    return (max(luminances) + 0.05) / (min(luminances) + 0.05)
