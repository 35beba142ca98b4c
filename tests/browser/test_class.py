"""What a class does: share a view, give an own image, follow and record a lesson, save figures and pages."""

import csv
import io
import json
import re
from contextlib import suppress
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, Route, expect

from resnet_viz.web.shell.address import own_address
from tests.browser.conftest import SOON, Server, block, finished, heading
from tests.browser.test_app import FIRST, PAGES

EVERY_PAGE = {
    "": FIRST,
    **PAGES,
    "degradation": "Do more layers make a plain network worse, even on the images it is trained on?",
    "live_training": "Which of two networks learns faster?",
    "learning_identity": "Why is it hard to learn to do nothing?",
    "short_paths": "Are the long paths needed for training?",
    "lesion_studies?draws=1": "How much damage can it take?",
    "block_importance": "Which blocks matter?",
    "block_influence": "How much does each block change the stream?",
    "early_stop": "What if it stopped here?",
    "lessons": "Which lesson today?",
    "about": "What do the words mean, and where does it come from?",
}
pytestmark = pytest.mark.browser


def opened(page: Page, address: str) -> Page:
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=SOON)
    finished(page)
    return page


def what_it_shows(page: Page) -> list[str]:
    """The page's headings and sentences, without times."""
    finished(page)
    texts = page.locator("[data-testid='stMain'] :is(h1, h2, [data-testid='stMarkdownContainer'])").all_inner_texts()
    return [re.sub(r"\d+\.\d\d s", "", text) for text in texts]


def test_a_link_opened_on_a_fresh_server_shows_the_same(server: Server, page: Page, second: Page) -> None:
    opened(page, f"{server.address}/layer_deletion?network=fashion-resnet20")
    for name in ("layer1.2", "layer2.0"):
        block(page, name).click()
    expect(page.get_by_text("deleted: layer1.2, layer2.0")).to_be_visible(timeout=SOON)
    expect(page.get_by_text("Every block deleted in turn")).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Share").click()
    link = page.get_by_label("Link to this view")
    expect(link).to_have_value(re.compile(r"\?network=fashion-resnet20&deleted=2-3$"), timeout=SOON)
    shared = link.input_value()
    assert page.url == shared
    assert len(shared) < 300
    expect(page.locator(".code svg")).to_be_visible()
    page.keyboard.press("Escape")
    shown = what_it_shows(page)
    other = Server()
    try:
        opened(second, shared.replace(server.address, other.address))
        expect(second.get_by_text("Every block deleted in turn")).to_be_visible(timeout=SOON)
        expect(second.get_by_text("the three worst").first).to_be_visible(timeout=SOON)
        assert what_it_shows(second) == shown
    finally:
        other.stop()


def press(page: Page, name: str) -> None:
    """What leads on in a lesson: a link to another page, or a button."""
    page.get_by_role("link", name=name, exact=True).or_(page.get_by_role("button", name=name, exact=True)).click()


def test_back_and_forward(server: Server, page: Page) -> None:
    opened(page, f"{server.address}/stage_diagram?network=fashion-resnet20")
    block(page, "layer2.1").click()
    expect(page.get_by_role("heading", name="Inside layer2.1")).to_be_visible(timeout=SOON)
    finished(page)
    page.get_by_role("link", name="Gradient flow").click()
    heading(page, PAGES["gradient_flow"])
    finished(page)
    assert page.url.endswith("/gradient_flow?network=fashion-resnet20&block=4")
    page.go_back()
    expect(page.get_by_role("heading", name="Inside layer2.1")).to_be_visible(timeout=SOON)
    finished(page)
    page.go_back()
    expect(page.get_by_role("heading", name="Inside layer1.0")).to_be_visible(timeout=SOON)
    page.go_forward()
    expect(page.get_by_role("heading", name="Inside layer2.1")).to_be_visible(timeout=SOON)


def choose_network(page: Page, name: str) -> None:
    page.get_by_role("combobox", name="Network").click()
    page.get_by_role("option", name=name, exact=True).click()


def test_back_and_forward_across_a_page_change(server: Server, page: Page) -> None:
    def shows(address: str, title: str, text: str) -> None:
        expect(page.get_by_text(text, exact=True).first).to_be_visible(timeout=SOON)
        finished(page)
        expect(page).to_have_url(f"{server.address}/{address}")
        heading(page, PAGES[title])
        expect(page.get_by_text(text, exact=True).first).to_be_visible()

    deletion, gradient = (
        "layer_deletion?network=fashion-resnet20&deleted=2",
        "gradient_flow?network=fashion-resnet20&deleted=2-3",
    )
    resnet = "The shortcut hands back what the ReLU after the sum lets through; the branch adds its own.   · after He et al., 2015 and 2016"
    plain = "Without a shortcut the layers alone pass the gradient on.   · the control of He et al., 2015"
    opened(page, f"{server.address}/{deletion}")
    block(page, "layer2.0").click()
    shows(f"{deletion}-3", "layer_deletion", "deleted: layer1.2, layer2.0")
    page.get_by_role("link", name="Gradient flow").click()
    shows(gradient, "gradient_flow", resnet)
    choose_network(page, "fashion-plain20")
    shows("gradient_flow?network=fashion-plain20", "gradient_flow", plain)
    visits = page.evaluate("history.length")
    page.go_back()
    shows(gradient, "gradient_flow", resnet)
    page.go_back()
    shows(f"{deletion}-3", "layer_deletion", "deleted: layer1.2, layer2.0")
    page.go_back()
    shows(deletion, "layer_deletion", "deleted: layer1.2")
    page.evaluate("history.go(2)")
    shows(gradient, "gradient_flow", resnet)
    page.go_forward()
    shows("gradient_flow?network=fashion-plain20", "gradient_flow", plain)
    assert page.evaluate("history.length") == visits


def test_back_to_a_page_at_its_defaults(server: Server, page: Page) -> None:
    opened(page, f"{server.address}/stage_diagram")
    page.get_by_role("link", name="Gradient flow").click()
    heading(page, PAGES["gradient_flow"])
    choose_network(page, "fashion-resnet20")
    expect(page).to_have_url(re.compile(r"gradient_flow\?network=fashion-resnet20&image=447$"), timeout=SOON)
    finished(page)
    page.evaluate("history.go(-2)")
    expect(page.get_by_role("heading", name="fashion-resnet56: 56 layers")).to_be_visible(timeout=SOON)
    finished(page)
    assert page.url == f"{server.address}/stage_diagram"


def test_back_at_once(server: Server, page: Page) -> None:
    opened(page, f"{server.address}/stage_diagram?network=fashion-resnet20")
    block(page, "layer2.1").click()
    expect(page.get_by_role("heading", name="Inside layer2.1")).to_be_visible(timeout=SOON)
    expect(page).to_have_url(re.compile("block=4$"), timeout=SOON)
    page.go_back()
    expect(page.get_by_role("heading", name="Inside layer1.0")).to_be_visible(timeout=SOON)
    finished(page)
    assert page.url == f"{server.address}/stage_diagram?network=fashion-resnet20"


def test_a_reload_keeps_what_is_shown(server: Server, page: Page) -> None:
    opened(page, f"{server.address}/layer_deletion?network=fashion-resnet20")
    block(page, "layer3.1").click()
    expect(page.get_by_text("deleted: layer3.1")).to_be_visible(timeout=SOON)
    finished(page)
    page.reload()
    expect(page.get_by_text("deleted: layer3.1")).to_be_visible(timeout=SOON)


def test_a_classroom_name_over_http_has_neither_clipboard_nor_camera(server: Server, page: Page) -> None:
    opened(page, f"{server.address.replace('localhost', 'classroom.test')}/stage_diagram")
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_label("Link to this view")).to_have_value(re.compile("^http://classroom.test:"), timeout=SOON)
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    page.keyboard.press("Escape")
    page.get_by_role("radio", name="camera").click()
    expect(page.get_by_text("only over https or on this machine itself")).to_be_visible(timeout=SOON)


def test_a_classroom_server_gives_links_that_others_can_open(page: Page) -> None:
    classroom = Server("HOST=0.0.0.0")
    try:
        address = f"http://{own_address()}:{classroom.address.rsplit(':', 1)[1]}"
        assert f"Open in the classroom: {address}" in classroom.said
        assert "█" in classroom.said or "▄" in classroom.said  # the QR code
        opened(page, f"{classroom.address}/stage_diagram")  # the teacher's own browser says localhost
        page.get_by_role("button", name="Share").click()
        expect(page.get_by_label("Link to this view")).to_have_value(f"{address}/stage_diagram", timeout=SOON)
    finally:
        classroom.stop()


def photo(orientation: int) -> bytes:
    """A picture, bright below, as a camera that was turned saves it."""
    picture = Image.new("RGB", (80, 60), "black")
    ImageDraw.Draw(picture).rectangle((60, 0, 80, 60), fill="white")
    data, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    picture.save(data, "JPEG", exif=exif)
    return data.getvalue()


def test_a_rotated_photo_is_turned_upright_and_a_broken_one_is_told(server: Server, page: Page) -> None:
    opened(page, f"{server.address}/stage_diagram?network=fashion-resnet20")
    page.get_by_role("radio", name="upload").click()
    files = [
        {"name": "turned.jpg", "mimeType": "image/jpeg", "buffer": photo(6)},
        {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": photo(1)[:200]},
    ]
    page.locator("input[type=file]").set_input_files(files)
    expect(page.get_by_text("turned.jpg, as the network sees it")).to_be_visible(timeout=SOON)
    expect(page.get_by_text("broken.jpg cannot be read as a picture")).to_be_visible()
    seen = page.get_by_role("img", name="turned.jpg").first.evaluate("""async (image) => {
        await image.decode();
        const canvas = Object.assign(document.createElement("canvas"), { width: 28, height: 28 });
        const context = canvas.getContext("2d");
        context.drawImage(image, 0, 0, 28, 28);
        return [context.getImageData(14, 3, 1, 1).data[0], context.getImageData(14, 25, 1, 1).data[0]];
    }""")
    assert seen[0] < 40 and seen[1] > 200  # turned by 90 degrees, what was on the right is below
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_text("Your own image is not in it")).to_be_visible()


def test_several_photos_become_a_batch_that_a_reload_forgets(server: Server, page: Page) -> None:
    drawn = io.BytesIO()
    Image.radial_gradient("L").save(drawn, "PNG")
    files = [
        {"name": "one.jpg", "mimeType": "image/jpeg", "buffer": photo(1)},
        {"name": "two.png", "mimeType": "image/png", "buffer": drawn.getvalue()},
    ]
    opened(page, f"{server.address}/gradient_flow?network=fashion-resnet20")
    expect(page.get_by_text(re.compile("measured · 32 images")).first).to_be_visible(timeout=SOON)
    page.get_by_role("radio", name="upload").click()
    page.get_by_test_id("stSidebar").locator("input[type=file]").set_input_files(files)
    expect(page.get_by_text("one.jpg, as the network sees it")).to_be_visible(timeout=SOON)
    expect(page.get_by_text(re.compile("measured · 2 images")).first).to_be_visible(timeout=SOON)
    choice = page.get_by_role("radiogroup", name="Image").get_by_role("radio", name=re.compile("one.jpg|two.png"))
    expect(choice).to_have_count(2)
    choice.nth(1).click()
    expect(page.get_by_text("two.png, as the network sees it")).to_be_visible(timeout=SOON)
    finished(page)  # a new run closes the list
    page.get_by_role("combobox", name="Its class").press("ArrowDown")  # a click scrolls there, which closes the list
    page.get_by_role("option", name="Sneaker", exact=True).click()
    expect(page.get_by_text("This image has no label")).to_have_count(0, timeout=SOON)
    choice.nth(0).click()  # the label belongs to the other one
    expect(page.get_by_text("This image has no label")).to_be_visible(timeout=SOON)
    choice.nth(1).click()
    expect(page.get_by_role("combobox", name="Its class")).to_have_value("Sneaker", timeout=SOON)
    page.get_by_role("radio", name="this image").click()
    expect(page.get_by_text(re.compile("measured · 1 image ")).first).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_text("Your own image is not in it")).to_be_visible(timeout=SOON)
    page.keyboard.press("Escape")
    page.reload()
    expect(page.get_by_role("heading", name="Trained", exact=True)).to_be_visible(timeout=SOON)
    finished(page)
    expect(page.get_by_role("radio", name="bundled")).to_be_checked()
    expect(page.get_by_text("as the network sees it")).to_have_count(0)


def test_the_camera(server: Server, page: Page) -> None:
    opened(page, f"{server.address}/stage_diagram?network=fashion-resnet20")
    page.get_by_role("radio", name="camera").click()
    expect(page.locator("video")).to_be_visible(timeout=SOON)
    finished(page)
    page.locator("video").scroll_into_view_if_needed()  # a browser plays no silent video that nobody sees
    page.wait_for_function("document.querySelector('video')?.currentTime > 0.5", timeout=SOON)  # it plays, and goes on
    seen = page.get_by_text("as the network sees it")
    for _ in range(5):  # Streamlit's camera has no picture yet at times, and does nothing then: one presses again
        page.get_by_role("button", name="Take Photo").click()
        with suppress(AssertionError):
            expect(seen).to_be_visible(timeout=10_000)
            break
    expect(seen).to_be_visible(timeout=1000)


def test_drawing_changes_what_the_network_sees(server: Server, page: Page) -> None:
    opened(page, f"{server.address}/?network=fashion-resnet20")
    page.get_by_role("radio", name="draw").click()
    canvas = page.locator("canvas[aria-label^='Drawing']")
    expect(canvas).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Clear").click()
    box = canvas.bounding_box()
    for start, stop in (((0.3, 0.1), (0.3, 0.9)), ((0.7, 0.1), (0.7, 0.9)), ((0.3, 0.12), (0.7, 0.12))):
        page.mouse.move(box["x"] + start[0] * box["width"], box["y"] + start[1] * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + stop[0] * box["width"], box["y"] + stop[1] * box["height"], steps=10)
        page.mouse.up()
    expect(page.get_by_role("img", name="your drawing").first).to_be_visible(timeout=SOON)
    expect(page.get_by_text("It sees: Pullover (probability 1.00)")).to_have_count(0, timeout=SOON)


def saved(page: Page, figure: str, kind: str) -> tuple[str, bytes]:
    files = page.locator(f".st-key-{figure}_files")  # of that figure: those of a later one may be there first
    with page.expect_download() as download:
        files.get_by_role("button", name=f"Save this figure as {kind}").click(timeout=SOON)
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_a_figure_is_saved_as_svg_png_and_csv(server: Server, page: Page) -> None:
    opened(page, f"{server.address}/path_unrolling?network=fashion-resnet20")
    name, svg = saved(page, "share_by_length", "SVG")
    assert name == "fashion-resnet20-share_by_length.svg"
    text = svg.decode()
    for part in (
        "<svg",
        "fashion-resnet20",
        "c268688d5f62",
        "Pullover",
        "resnet_viz 0.1.0",
        f"{server.address}/path_unrolling?network=fashion-resnet20",
    ):
        assert part in text, part
    name, png = saved(page, "share_by_length", "PNG")
    picture = Image.open(io.BytesIO(png))
    assert name.endswith(".png") and picture.width > 1200 and len(picture.convert("RGB").getcolors(1 << 20)) > 50
    name, table = saved(page, "share_by_length", "CSV")
    lines = table.decode().splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert any("resnet_viz 0.1.0" in line for line in lines if line.startswith("#"))
    gradient = [float(row["share, %"]) for row in rows if row["series"] == "share of the gradient, %"]
    assert len(gradient) == 10 and sum(gradient) == pytest.approx(100)
    assert [row["label"] for row in rows if row["series"] == "share of the paths, %"][4] == "126"


def test_the_table_of_a_figure_with_panels_names_the_axes_of_each(server: Server, page: Page) -> None:
    opened(page, f"{server.address}/path_unrolling?network=fashion-resnet20")
    button = page.get_by_role("button", name="Save this figure as CSV: The number of paths").first
    with page.expect_download() as download:
        button.click(timeout=SOON)
    lines = Path(download.value.path()).read_text().splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert list(rows[0])[:5] == [
        "series",
        "path length: number of branches taken",
        "number of paths",
        "norm of one path",
        "share, %",
    ]
    filled = {row["series"]: [name for name in list(row)[2:5] if row[name]] for row in rows}
    assert filled == {
        "number of paths": ["number of paths"],
        "one path": ["norm of one path"],
        "number × norm, share, %": ["share, %"],
        "share of the gradient, exact, %": ["share, %"],
    }


def test_a_figure_can_be_saved_before_it_is_drawn(server: Server, page: Page) -> None:
    held: list[Route] = []
    page.route("**/PlotlyChart*.js", lambda route: held.append(route))
    page.goto(f"{server.address}/path_unrolling?network=fashion-resnet20")
    button = page.get_by_role("button", name="Save this figure as CSV").first
    expect(button).to_be_visible(timeout=SOON)
    with page.expect_download() as download:
        button.click()
        assert held and page.locator(".js-plotly-plot").count() == 0
        for route in held:
            route.continue_()
    assert "share of the gradient" in Path(download.value.path()).read_text()


def test_a_page_is_saved_as_one_file_that_needs_no_internet(
    server: Server, page: Page, browser: Browser, tmp_path: Path
) -> None:
    opened(page, f"{server.address}/layer_deletion?network=fashion-resnet20&deleted=1")
    expect(page.get_by_text("the three worst").first).to_be_visible(timeout=SOON)
    finished(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save this page").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.name == "layer_deletion-fashion-resnet20.html"
    context = browser.new_context(offline=True)
    asked: list[str] = []
    alone = context.new_page()
    alone.on("request", lambda request: asked.append(request.url))
    alone.goto(file.as_uri())
    expect(alone.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    expect(alone.locator(".js-plotly-plot")).to_have_count(8)
    expect(alone.get_by_text("How to cite: resnet_viz 0.1.0")).to_be_visible()
    expect(alone.get_by_text("c268688d5f624fd1333c4e03f7205d0f5f21235b419fb98e21970939fd744ab6").first).to_be_visible()
    assert [url for url in asked if not url.startswith("file:")] == []
    context.close()


def test_a_bundled_lesson_asks_before_it_shows(server: Server, page: Page) -> None:
    opened(page, f"{server.address}/lessons")
    page.get_by_role("link", name="Start", exact=True).nth(3).click()
    heading(page, "Three blocks, eight paths")
    press(page, "Next")
    heading(page, "How many paths?")
    finished(page)
    expect(page.locator(".js-plotly-plot")).to_have_count(0)
    page.get_by_role("textbox", name="Your answer").fill("2^54 <b>paths</b>")
    page.get_by_role("button", name="Show what happens").click()
    expect(page.get_by_text("You said: 2^54 <b>paths</b>.")).to_be_visible(timeout=SOON)
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=SOON)
    finished(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Answer sheet").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))
    assert rows[0]["prediction"] == "2^54 <b>paths</b>" and rows[0]["answer"].startswith("2⁵⁴")
    press(page, "End the lesson")
    expect(page.get_by_role("heading", name="How many paths?")).to_have_count(0, timeout=SOON)


def test_reload_back_and_another_browser_find_the_step_of_a_lesson(server: Server, page: Page, second: Page) -> None:
    opened(page, f"{server.address}/lessons?lesson=ensemble")
    expect(page.get_by_role("link", name="Start", exact=True)).to_have_count(1)
    page.get_by_role("link", name="Start", exact=True).click()
    heading(page, "Three blocks, eight paths")
    finished(page)
    expect(page).to_have_url(f"{server.address}/path_unrolling?network=fashion-resnet56&run=3&lesson=ensemble&step=1")
    press(page, "Next")
    heading(page, "How many paths?")
    finished(page)
    page.get_by_role("textbox", name="Your answer").fill("2^54")
    page.get_by_role("button", name="Show what happens").click()
    expect(page.get_by_text("You said: 2^54")).to_be_visible(timeout=SOON)
    press(page, "Next")
    heading(page, "Half of the paths gone")
    finished(page)
    address = f"{server.address}/layer_deletion?network=fashion-resnet110&deleted=20&lesson=ensemble&step=3"
    expect(page).to_have_url(address)
    press(page, "Next")  # the question waits
    press(page, "Skip this question?")
    heading(page, "A network that is not an ensemble")
    finished(page)
    page.go_back()
    heading(page, "Half of the paths gone")
    finished(page)
    page.go_back()
    expect(page.get_by_text("You said: 2^54")).to_be_visible(
        timeout=SOON
    )  # as long as the tab has not been loaded anew
    finished(page)
    page.go_forward()
    heading(page, "Half of the paths gone")
    finished(page)
    page.reload()
    heading(page, "Half of the paths gone")
    finished(page)
    expect(page).to_have_url(address)
    second.goto(address)
    heading(second, "Half of the paths gone")
    page.get_by_role("link", name="Gradient flow").click()
    expect(page).to_have_url(re.compile("/gradient_flow.*lesson=ensemble&step=3$"), timeout=SOON)
    heading(page, "Half of the paths gone")
    press(page, "End the lesson")
    expect(page).to_have_url(re.compile("/gradient_flow[^&]*&deleted=20$"), timeout=SOON)


def test_a_teacher_sees_what_the_class_predicts_and_nobody_else_does(
    server: Server, page: Page, second: Page, third: Page
) -> None:
    questions = [
        {"question": "How many?", "kind": "number", "unit": "%", "right": "11.3", "answer": "So many."},
        {
            "question": "Which?",
            "kind": "choice",
            "options": ["weaker", "stronger"],
            "right": "stronger",
            "answer": "So.",
        },
    ]
    links = ("degradation?network=fashion-resnet20&figure=errors_by_depth", "about?network=fashion-resnet20")
    steps = [
        {"heading": name, "note": "", "link": link} | each
        for name, link, each in zip("AB", links, questions, strict=True)
    ]
    lesson = json.dumps({"title": "t", "steps": steps}).encode()
    opened(page, f"{server.address}/lessons")
    page.locator("input[type=file]").set_input_files(
        {"name": "l.json", "mimeType": "application/json", "buffer": lesson}
    )
    expect(page.get_by_text("A (question)")).to_be_visible(timeout=SOON)
    page.get_by_role("link", name="Start", exact=True).nth(5).click(timeout=SOON)
    heading(page, "A")
    page.get_by_role("button", name="Collect the class's predictions").click()
    page.get_by_role("button", name="Code and link").click()
    shared = page.get_by_role("dialog").get_by_label("Link to this view")
    expect(shared).to_have_value(re.compile(r"/lessons\?class=[2-9A-HJ-NP-Z]{5}$"), timeout=SOON)
    address = shared.input_value()
    code = address[-5:]
    page.keyboard.press("Escape")
    opened(second, address)
    opened(third, f"{server.address}/lessons")
    third.get_by_role("textbox", name="Code of your class").fill(code.lower())
    third.keyboard.press("Enter")
    for student in (second, third):
        student.get_by_role("link", name="Begin").click(timeout=SOON)
        heading(student, "A")
    for student, said in ((second, "5"), (third, "8"), (third, "9.5")):
        student.get_by_role("spinbutton", name="Your prediction").fill(said)
        student.get_by_role("button", name="Send").click()
        expect(student.get_by_text(f"Sent: {said} %. You may change it")).to_be_visible(timeout=SOON)
        expect(student.get_by_text("So many.")).to_have_count(0)
        expect(student.get_by_text(re.compile("answers? to this step"))).to_have_count(0)
        expect(student.get_by_role("button", name="Collect the class's predictions")).to_have_count(0)
    expect(page.get_by_text("2 joined, 2 answers to this step")).to_be_visible(timeout=SOON)  # by itself
    expect(page.get_by_text("right: 11.3 %", exact=True)).to_have_count(0)
    expect(page).to_have_url(re.compile("lesson=own&step=1&teach=[^&]{32}$"))
    page.reload()
    expect(page.get_by_text("2 joined, 2 answers to this step")).to_be_visible(timeout=SOON)
    finished(page)
    page.get_by_text("Show its predictions").click()
    expect(page.get_by_text("the predictions reach from 5 % to 9.5 %")).to_be_visible(timeout=SOON)
    expect(page.locator(".st-key-lesson .js-plotly-plot .points path")).to_have_count(2, timeout=SOON)
    page.get_by_role("button", name="Show what happens").click()
    expect(page.get_by_text("right: 11.3 %", exact=True)).to_be_visible(timeout=SOON)
    expect(page.get_by_text("You said")).to_have_count(0)
    for student, said in ((second, "5"), (third, "9.5")):  # by themselves
        expect(student.get_by_text(f"You said: {said} %. Right: 11.3 %. So many.")).to_be_visible(timeout=SOON)
        figure = student.get_by_role("heading", name="It is not overfitting")
        expect(figure).to_be_in_viewport(timeout=SOON)  # far below
    with page.expect_download() as download:
        page.get_by_role("button", name="Answer sheet").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))
    assert [row["prediction"] for row in rows] == ["5 %", "9.5 %", ""]  # of the class, and of nobody yet
    page.get_by_role("button", name="Share").click()
    link = page.locator("[data-testid='stPopoverBody']").get_by_label("Link to this view")
    expect(link).to_have_value(re.compile("lesson=own&step=1$"), timeout=SOON)  # without the teacher's secret
    page.keyboard.press("Escape")
    finished(second)
    press(second, "Next")
    heading(second, "B")
    expect(second).to_have_url(re.compile(f"lesson=own&step=2&class={code}$"), timeout=SOON)
    second.reload()
    heading(second, "B")
    second.get_by_text("stronger", exact=True).click()
    second.get_by_role("button", name="Send").click()
    expect(second.get_by_text("Sent: stronger.")).to_be_visible(timeout=SOON)
    finished(third)
    press(third, "Next")
    heading(third, "B")
    finished(third)
    press(page, "Next")
    expect(page.get_by_text("1 answer to this step")).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="End the class").click()
    expect(page.get_by_role("button", name="Collect the class's predictions")).to_be_visible(timeout=SOON)
    expect(second.get_by_text("You said: stronger. Right: stronger. So.")).to_be_visible(timeout=SOON)  # by itself
    expect(third.get_by_text("your class has ended")).to_be_visible(timeout=SOON)
    third.get_by_text("weaker", exact=True).click()
    third.get_by_role("button", name="Show what happens").click()
    expect(third.get_by_text("You said: weaker. Right: stronger. So.")).to_be_visible(timeout=SOON)
    opened(second, address)
    expect(second.get_by_text(f"No class or contest is open under the code {code}")).to_be_visible(timeout=SOON)


def test_a_step_without_a_query_shows_the_defaults(server: Server, page: Page) -> None:
    steps = [
        {"heading": "A", "note": "", "link": "stage_diagram?network=fashion-resnet20"},
        {"heading": "B", "note": "", "link": "gradient_flow"},
    ]
    lesson = json.dumps({"title": "t", "steps": steps}).encode()
    opened(page, f"{server.address}/lessons")
    page.locator("input[type=file]").set_input_files(
        {"name": "l.json", "mimeType": "application/json", "buffer": lesson}
    )
    page.get_by_role("link", name="Start", exact=True).nth(5).click(timeout=SOON)
    expect(page.get_by_role("heading", name="fashion-resnet20: 20 layers")).to_be_visible(timeout=SOON)
    finished(page)
    expect(page.get_by_role("heading", name="A", exact=True)).to_be_focused()  # the button that led here is gone
    press(page, "Next")
    heading(page, PAGES["gradient_flow"])
    expect(page.get_by_text("fashion-resnet56: grows").first).to_be_visible(timeout=SOON)


def test_a_lesson_is_recorded_saved_reopened_and_stepped_through(
    server: Server, page: Page, second: Page, tmp_path: Path
) -> None:
    opened(page, f"{server.address}/layer_deletion?network=fashion-resnet20&deleted=1")
    for number, (name, question) in enumerate([("One block", ""), ("Another block", "What happens now?")], start=1):
        page.get_by_role("button", name=re.compile("Record a lesson|Lesson: ")).click()
        page.get_by_role("textbox", name="Heading", exact=True).fill(name)
        page.get_by_role("textbox", name="Question (if any)").fill(question)
        page.get_by_role("button", name="Add this view").click()
        expect(page.get_by_role("button", name=f"Lesson: {number} recorded")).to_be_visible(timeout=SOON)
        page.keyboard.press("Escape")
        finished(page)
        block(page, f"layer2.{number}").click()
        expect(page.get_by_text(f"deleted: layer1.1, layer2.{1 if number == 1 else '1, layer2.2'}")).to_be_visible(
            timeout=SOON
        )
        finished(page)
    page.get_by_role("link", name="Lessons").click()
    heading(page, "Which lesson today?")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a file").click()
    file = tmp_path / "lesson.json"
    download.value.save_as(file)
    steps = json.loads(file.read_text())["steps"]
    assert [step["link"] for step in steps] == [
        f"layer_deletion?network=fashion-resnet20&deleted={code}" for code in ("1", "1.4")
    ]
    opened(second, f"{server.address}/lessons")
    second.locator("input[type=file]").set_input_files(
        {"name": "no.json", "mimeType": "application/json", "buffer": b"{}"}
    )
    expect(second.get_by_text("no.json was not opened. This is not a lesson")).to_be_visible(timeout=SOON)
    second.locator("input[type=file]").set_input_files(file)
    second.get_by_role("link", name="Start", exact=True).nth(5).click(timeout=SOON)
    heading(second, "One block")
    expect(second.get_by_text("deleted: layer1.1", exact=True)).to_be_visible(timeout=SOON)
    press(second, "Next")
    expect(second.get_by_text("What happens now?")).to_be_visible(timeout=SOON)
    second.get_by_role("button", name="Show what happens").click()
    expect(second.get_by_text("deleted: layer1.1, layer2.1", exact=True)).to_be_visible(timeout=SOON)


def faults_seen(page: Page) -> list[tuple[str, str]]:
    """The serious and critical faults that axe finds."""
    found = Axe().run(page).response["violations"]
    return [(each["id"], each["nodes"][0]["html"][:200]) for each in found if each["impact"] in ("serious", "critical")]


DRAWN = """() => !document.querySelector("[data-testid='stSkeleton']")
    && [...document.querySelectorAll(".stPlotlyChart")].every(chart => chart.querySelector(".main-svg"))
    && document.getAnimations().every(each => each.playState !== "running" || each.effect.getTiming().iterations === Infinity)"""


@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1920, "light")])
def test_every_page_fits_its_screen_and_is_accessible(width: int, theme: str, server: Server, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=theme)
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    for name, title in EVERY_PAGE.items():
        page.goto(f"{server.address}/{name}{'&' if '?' in name else '?'}network=fashion-resnet20")
        heading(page, title)
        finished(page)
        page.wait_for_function(DRAWN, timeout=SOON)  # what a new run replaces fades until then
        assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width, name
        if serious := faults_seen(page):  # what is being drawn anew is paler for a moment
            finished(page)
            page.wait_for_timeout(1500)
            serious = faults_seen(page)
        assert not serious, (name, serious)
    # Streamlit itself asks for these two below a page's own address first.
    assert [text for text in faults if "404" not in text] == []
