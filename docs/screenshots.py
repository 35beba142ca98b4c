"""Screenshots of every page, from the running app: ``make screenshots`` writes them to docs/."""

from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from benchmarks.browser import browser_options
from tests.browser.conftest import SOON, Server, finished

HERE = Path(__file__).parent
VIEWS = {  # file -> address, height
    "start": ("", 1120),
    "degradation": ("degradation", 1330),
    "live_training": ("live_training", 1560),
    "learning_identity": ("learning_identity", 1330),
    "stage_diagram": ("stage_diagram?block=3", 1560),
    "anatomy": ("anatomy", 1330),
    "gradient_flow": ("gradient_flow", 1330),
    "shattered_gradients": ("shattered_gradients", 1330),
    "which_shortcut": ("which_shortcut", 1330),
    "path_unrolling": ("path_unrolling?network=fashion-resnet110", 1450),
    "layer_deletion": ("layer_deletion?network=fashion-resnet56&deleted=3-4.13", 1330),
    "strongest_paths": ("strongest_paths?network=fashion-resnet20", 1330),
    "short_paths": ("short_paths?network=fashion-resnet20", 1000),
    "lesion_studies": ("lesion_studies?network=fashion-resnet56", 1330),
    "painters": ("painters", 1330),
    "block_importance": ("block_importance?network=fashion-resnet20", 1330),
    "block_influence": ("block_influence", 1330),
    "early_stop": ("early_stop", 1330),
    "lineage": ("lineage", 1560),
    "lessons": ("lessons", 760),
    "about": ("about", 1000),
}

COMES_LATE = {"layer_deletion": "the three worst", "shattered_gradients": "The same gradients as pictures"}


def main() -> None:
    server = Server()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(**browser_options())
            for name, (address, height) in VIEWS.items():
                page = browser.new_page(viewport={"width": 1440, "height": height})
                page.goto(f"{server.address}/{address}")
                expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=SOON)
                if name in COMES_LATE:
                    expect(page.get_by_text(COMES_LATE[name]).first).to_be_visible(timeout=SOON)
                finished(page)
                page.wait_for_timeout(1000)
                page.screenshot(path=HERE / f"{name}.png")
                print(HERE / f"{name}.png")
                page.close()
            browser.close()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
