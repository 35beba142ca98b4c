"""Every page with networks of each family: it opens without an error, and what it shows follows its widgets."""

import html
import io
import re
from pathlib import Path
from shutil import copyfile

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from streamlit.testing.v1 import AppTest

from resnet_viz.errors import InputError
from resnet_viz.networks.zoo import NETWORKS, loading
from resnet_viz.places import CHECKPOINTS
from resnet_viz.recipes import gradient_flow, measures
from resnet_viz.recipes.subject import Subject
from resnet_viz.web.lesson import Lesson, Step, bundled_lessons
from resnet_viz.web.networks import local_networks
from resnet_viz.web.shell.export import page_html

PAGES = Path(__file__).parents[2] / "pages"
NAMES = [page.stem for page in sorted(PAGES.glob("*.py"))]
QUICK = {"draws": "1"}  # what makes a slow page quick; others say that they have no such setting
EXPERIMENTS = [name for name in NAMES if name not in ("about", "lessons")]
OF_OTHER_NETWORKS = (
    "degradation",
    "learning_identity",
    "lineage",
    "live_training",
    "short_paths",
    "which_shortcut",
)  # whatever is chosen


def opened(page: str, query: dict[str, str] | None = None) -> AppTest:
    """The app on one page, as a link to that page opens it. (AppTest.switch_page would run the page without app.py.)"""
    script = f"""
import streamlit as st
from resnet_viz.web.shell.frame import frame
paths = {[str(PAGES / f"{name}.py") for name in sorted(NAMES, key=lambda name: name != page)]}
pages = [st.Page(path, default=path == paths[0]) for path in paths]
frame(st.navigation(pages, position="hidden"), pages)
"""
    app = AppTest.from_string(script, default_timeout=120)
    for name, value in (query or {}).items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def choose(app: AppTest, network: str) -> AppTest:
    app.selectbox(key="network_box").select(network).run()
    assert not app.exception
    return app


def texts(app: AppTest) -> str:
    """Everything that is written on the page."""
    return "\n".join(
        str(element.value)
        for element in [*app.title, *app.header, *app.markdown, *app.caption, *app.warning, *app.info]
    )


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize("network", ["fashion-plain20", "cifar10-resnet20", "imagenet-resnet18"])
@pytest.mark.parametrize("page", EXPERIMENTS)
def test_page_opens(page: str, network: str, monkeypatch, tmp_path, request) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # no cached downloads: what a first visitor without internet sees
    if page != "anatomy":  # whose answers are kept by the name of the family
        request.getfixturevalue("small_imagenet")
    app = opened(page, QUICK | {"network": network})
    assert app.title[0].value.endswith("?")
    assert app.header
    if not network.startswith("fashion"):
        assert "untrained" in texts(app)
        assert any(str(tmp_path) in warning.value for warning in app.warning)  # where to put the file by hand


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize("page", [name for name in EXPERIMENTS if name not in OF_OTHER_NETWORKS])
def test_untrained_weights_are_labelled(page: str) -> None:
    app = opened(page, QUICK | {"network": "fashion-resnet20"})
    app.segmented_control(key="weights_box").set_value("untrained").run()
    assert not app.exception
    assert any("fashion-resnet20: untrained, seed 0" in warning.value for warning in app.warning)


def test_deletion_shows_the_set_error_of_the_chosen_network() -> None:
    app = opened("layer_deletion", {"network": "fashion-resnet20"})
    for name in ("fashion-resnet20", "fashion-plain20"):
        choose(app, name)
        loaded = measures.network(NETWORKS[name])
        images = app.session_state["state"].visit.subject.images
        gates = (1.0,) * len(loaded.network.blocks)
        wrong = (measures.predictions(loaded, images, gates) != images.labels.numpy()).sum()
        assert f"{len(images):,} images: {wrong / 10:.1f} % error" in texts(app)


@pytest.mark.usefixtures("few_images")
def test_deleting_a_stage_undo_and_redo() -> None:
    app = opened("layer_deletion", {"network": "fashion-resnet20"})
    app.button(key="delete_layer2").click().run()
    assert "deleted: layer2.0, layer2.1, layer2.2" in texts(app)
    assert "keeps its shortcut (option A)" in texts(app)
    (table,) = (each.value for each in app.markdown if each.value.startswith("block | shortcut | state"))
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    assert [row[2] for row in rows] == ["intact"] * 3 + ["deleted"] * 3 + ["intact"] * 3
    assert rows[3][:2] == ["layer2.0", "option A"]
    assert "paired by image" in texts(app)
    button(app, "Undo").click().run()
    assert "Nothing deleted" in texts(app)
    button(app, "Redo").click().run()
    assert "deleted: layer2.0, layer2.1, layer2.2" in texts(app)
    app.slider(key="gate_fashion-resnet20").set_value(1.0).run()
    assert "paired by image" not in texts(app) and "gate 1: layer2.0" in texts(app)  # a gate of 1 changes nothing
    button(app, "Restore all").click().run()
    assert "Nothing deleted" in texts(app)
    assert app.slider(key="gate_fashion-resnet20").value == 0  # what is clicked next is deleted again, not scaled


def button(app: AppTest, label: str):
    return next(each for each in app.button if each.label == label)


@pytest.mark.usefixtures("few_images")
def test_a_lesion_stays_with_its_network() -> None:
    app = opened("layer_deletion", {"network": "fashion-resnet20"})
    app.button(key="delete_layer3").click().run()
    choose(app, "fashion-resnet32")
    assert "Nothing deleted" in texts(app)
    choose(app, "fashion-resnet20")
    assert "deleted: layer3.0, layer3.1, layer3.2" in texts(app)


@pytest.mark.usefixtures("few_images")
def test_two_visitors_do_not_see_each_others_lesions() -> None:
    first, second = (opened("layer_deletion", {"network": "fashion-resnet20"}) for _ in range(2))
    first.button(key="delete_layer2").click().run()
    second.run()
    assert "deleted: layer2.0" in texts(first)
    assert "Nothing deleted" in texts(second)


@pytest.mark.usefixtures("few_images")
def test_gradient_scale_changes_the_figure() -> None:
    app = opened("gradient_flow", {"network": "fashion-resnet20"})
    assert "From the last block back to the first, **fashion-resnet20**: " in texts(app)
    before = [chart.proto.spec for chart in app.get("plotly_chart")]
    app.segmented_control(key="/scale").set_value("relative to the last block").run()
    after = [chart.proto.spec for chart in app.get("plotly_chart")]
    assert after[0] == before[0], "of shattered gradients, which have no norm"
    assert after[1] != before[1] and "relative to the last block" in after[1]


@pytest.mark.usefixtures("few_images")
def test_untrained_networks_are_told_apart() -> None:
    app = opened("gradient_flow", {"network": "fashion-resnet20"})
    shown = []
    for network in ("fashion-resnet20", "fashion-preact56"):
        choose(app, network)
        shown.append(app.session_state["state"].cards["untrained"].says)
    assert shown[0] != shown[1]


@pytest.mark.parametrize("settings", [{"gradient": "weights"}, {"block": "layer9.0"}])
def test_gradients_that_do_not_exist_are_refused(settings: dict[str, str]) -> None:
    asked = gradient_flow.trained if "gradient" in settings else gradient_flow.at_block
    with pytest.raises(InputError, match=r"must be .*one of .*; got '(weights|layer9\.0)'"):
        asked(Subject.of("fashion-resnet20"), images=1, **settings)


def test_a_figure_names_the_networks_and_images_it_was_made_from() -> None:
    app = opened("gradient_flow", {"network": "fashion-resnet20"})
    told = {key: "\n".join(shown.sources) for key, shown in app.session_state["state"].cards.items()}
    assert (
        "fashion-resnet20, untrained, seed 0" in told["untrained"]
        and "weights" not in told["untrained"].splitlines()[0]
    )
    assert "32 of 1,000 Fashion-MNIST test images" in told["untrained"]
    assert "weights c268688d5f62" in told["trained"] and "fashion-plain20" in told["trained"]


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize("network", ["fashion-resnet20", "fashion-plain20"])
@pytest.mark.parametrize(
    ("page", "formulas"),
    [
        ("stage_diagram", {"stages": "F(x)"}),
        ("gradient_flow", {"trained": r"\partial L", "untrained": r"\partial L", "statistics": r"\lVert F(x) \rVert"}),
        ("path_unrolling", {"share_by_length": "d_{k-1}", "count_times_norm": r"J_F^\top d", "unravelled": "2^n"}),
        ("layer_deletion", {"prediction": "e^{z_c}", "set_error": r"g\,F(x)", "sweep": "g = 0"}),
    ],
)
def test_formulas_stand_at_their_figures_and_in_the_saved_page(
    page: str, formulas: dict[str, str], network: str
) -> None:
    app = opened(page, {"network": network})
    cards = app.session_state["state"].cards
    saved = html.unescape(page_html(page, cards.values(), app.session_state["state"].visit))
    if page == "path_unrolling" and network == "fashion-plain20":
        assert not [shown for shown in cards.values() if shown.draw]
        return
    written = [markdown.value for markdown in app.markdown]
    for key, part in formulas.items():
        assert part in cards[key].formula
        assert f"${cards[key].formula}$" in written
        assert f"<code>{cards[key].formula}</code>" in saved


def test_a_chip_tells_one_time() -> None:
    shown = opened("start", {}).session_state["state"].cards["first_look"]
    assert len([fact for fact in shown.facts if fact.endswith("s on CPU")]) == 1


def test_the_first_page_needs_neither_typesetter_nor_italics() -> None:
    app = opened("start", {})
    written = [*app.markdown, *app.caption, *app.header]
    assert not [
        each.value for each in written if "$" in each.value or re.search(r"(?<!\*)\*\w[^*]*\*(?!\*)", each.value)
    ]


def test_the_saved_page_has_its_figures_and_pictures_in_their_order() -> None:
    app = opened("layer_deletion", {"network": "fashion-resnet20", "deleted": "0"})
    app.run()  # once more, now that every block has been deleted in turn
    saved = page_html("", app.session_state["state"].cards.values(), app.session_state["state"].visit)
    order = [
        "This image: ",
        "1,000 images: ",
        "Every block deleted in turn",
        "Which classes suffer?",
        " predictions change",
    ]
    shown = saved[saved.index("</script></head>") :]
    at = [shown.index(part) for part in order]
    assert at == sorted(at)
    assert shown.count("<img src='data:image/png;base64,") == 12
    assert "→ " in shown[at[-1] :]


@pytest.mark.usefixtures("few_images")
def test_a_saved_page_names_what_it_is_of() -> None:
    for page, of in (
        ("learning_identity", "stacks of 1 to 50 blocks"),
        ("short_paths", "fashion-resnet20, trained in three ways"),
    ):
        app = opened(page, {"network": "fashion-resnet34"})
        head = page_html(page, app.session_state["state"].cards.values(), app.session_state["state"].visit).split(
            "<section>"
        )[0]
        assert of in head and "fashion-resnet34, trained" not in head


def test_a_saved_page_has_its_tables() -> None:
    app = opened("degradation")
    saved = page_html("", app.session_state["state"].cards.values(), app.session_state["state"].visit)
    assert "<td>ResNet-34, option A</td>\n<td>ImageNet, top 1, 10-crop</td>\n<td>25.03</td>" in saved


@pytest.mark.usefixtures("few_images")
def test_the_button_after_cancel_says_what_it_does() -> None:
    app = opened("gradient_flow", {"network": "fashion-resnet20"})
    app.session_state["state"].cancelled = {"gradient_flow.trained": True}  # as Cancel leaves it
    app.segmented_control(key="/gradient").set_value("branch").run()
    assert "Trained" not in [header.value for header in app.header]
    button(app, "Trace the trained networks").click().run()
    assert "Trained" in [header.value for header in app.header]


@pytest.mark.usefixtures("few_images")
def test_the_formula_follows_what_the_figure_shows() -> None:
    assert "$y = x + F(x)$" in texts(opened("stage_diagram", {"network": "fashion-resnet20"}))
    assert "$y = F(x)$" in texts(opened("stage_diagram", {"network": "fashion-plain20"}))
    app = opened("gradient_flow", {"network": "fashion-resnet20"})
    app.segmented_control(key="/gradient").set_value("parameters").run()
    assert r"\frac{\partial L}{\partial \theta}" in texts(app)
    assert r"(1 - g)\,x,\ g = 1$" in texts(opened("layer_deletion", {"network": "fashion-resnet20"}))
    assert r"(1 - g)\,x,\ g = 0.25$" in texts(
        opened("layer_deletion", {"network": "fashion-resnet20", "deleted": "2", "gate": "0.25"})
    )


def picture(grey: int) -> bytes:
    """A PNG."""
    data = io.BytesIO()
    Image.new("L", (28, 28), grey).save(data, "PNG")
    return data.getvalue()


WIDGETS = {
    "button",
    "button_group",
    "camera_input",
    "checkbox",
    "download_button",
    "file_uploader",
    "multiselect",
    "number_input",
    "popover",
    "radio",
    "selectbox",
    "slider",
    "text_area",
    "text_input",
    "toggle",
}


def without_help(node) -> list[str]:
    """The widgets in a tree of elements that say nothing of themselves."""
    found = [name for child in getattr(node, "children", {}).values() for name in without_help(child)]
    if node.type not in WIDGETS:
        return found
    widget = node.proto.popover if node.type == "popover" else node.proto
    return found if widget.help else [f"{node.type} {widget.label}", *found]


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize("page", NAMES)
def test_every_control_says_what_it_does(page: str, monkeypatch) -> None:
    monkeypatch.setenv("RESNET_VIZ_UPLOADS", "1")
    app = opened(page, QUICK | {"seed": "0", "network": "fashion-resnet20"})
    assert without_help(app.main) + without_help(app.sidebar) == []
    app.segmented_control(key="source_box").set_value("upload").run()
    app.file_uploader(key="own_photos").set_value(
        [(f"{each}.png", picture(each), "image/png") for each in (1, 2)]
    ).run()
    assert app.selectbox(key="own_label_Fashion-MNIST").options[0] == "as predicted"
    assert without_help(app.main) + without_help(app.sidebar) == []


@pytest.mark.usefixtures("few_images")
def test_every_control_of_a_lesson_says_what_it_does() -> None:
    app = opened("lessons")
    button(app, "Add this view").click().run()
    leading = [*app.button, *(each.proto for each in app.main.get("page_link"))]  # to the same page, and to another
    assert [each.label for each in leading].count("Start") == len(bundled_lessons()) + 1
    assert without_help(app.main) == []
    app.session_state["state"].recorded_lesson = Lesson("L", "", [Step("h", "n", "", "question?", "a")])
    app.query_params["lesson"], app.query_params["step"] = "own", "1"
    app.run()
    assert "question?" in texts(app)
    assert without_help(app.main) == []
    button(app, "Show what happens").click().run()
    assert without_help(app.main) == []


@pytest.mark.usefixtures("few_images")
def test_settings_that_do_not_go_together_are_told_in_a_sentence() -> None:
    app = opened("shattered_gradients", {"network": "fashion-resnet20", "first": "3", "other": "3"})
    assert [each.value for each in app.error] == ["A line needs two images that differ, 0 to 29; got 3 and 3."]
    app.number_input(key="/other").set_value(4).run()
    assert not app.error and "cosines" in app.session_state["state"].cards


@pytest.mark.usefixtures("few_images")
def test_paths_of_a_plain_network_are_one() -> None:
    assert "its only path goes through all 9 blocks" in texts(opened("path_unrolling", {"network": "fashion-plain20"}))


@pytest.mark.usefixtures("few_images")
def test_run_length_sets_the_number_of_paths() -> None:
    app = opened("path_unrolling", {"network": "fashion-resnet20"})
    app.slider(key="/run").set_value(5).run()
    assert "2⁵ = 32 paths, each branch on 16 of them" in texts(app)


@pytest.mark.usefixtures("few_images")
def test_family_table_is_recomputed_from_the_models() -> None:
    tables = [table.value for table in opened("anatomy", {"network": "fashion-resnet20"}).dataframe]
    table = next(table for table in tables if "network" in table).set_index("network")
    assert table.loc["imagenet-resnet152", "parameters"] == 60_192_808
    assert table.loc["imagenet-resnet18", "multiply-adds, M"] == pytest.approx(1814, abs=1)


@pytest.mark.usefixtures("few_images")
def test_the_maps_are_told_of_the_network_that_they_show() -> None:
    link = {"network": "fashion-resnet20", "maps_of": "the-one-beside-it"}
    app = opened("stage_diagram", link)
    cards = app.session_state["state"].cards
    assert "fashion-plain20" in cards["maps_branch"].facts and "maps_shortcut" not in cards
    assert "what the branch drops is lost" in texts(app) and "is the stream out" not in texts(app)
    assert "y = x + F(x)" in cards["stages"].formula


@pytest.mark.usefixtures("few_images")
def test_two_files_of_one_architecture_stand_beside_each_other_on_every_page(monkeypatch, tmp_path) -> None:
    for name in ("first", "second"):
        copyfile(CHECKPOINTS / "fashion-resnet20.safetensors", tmp_path / f"{name}.safetensors")
    monkeypatch.setenv("RESNET_VIZ_CHECKPOINTS", str(tmp_path))
    local_networks.cache_clear()
    link = {"network": "fashion-resnet20:first", "beside": "fashion-resnet20:second", "deleted": "3"}
    for page in EXPERIMENTS:
        app = opened(page, link | (QUICK if page == "lesion_studies" else {}))
        assert not app.warning
        assert "your file first.safetensors" in texts(app)
        shown = texts(app) + str([chart.proto.spec for chart in app.get("plotly_chart")])
        assert "fashion-resnet20:second" in shown or page in ("stage_diagram", "anatomy", *OF_OTHER_NETWORKS)
        if page not in OF_OTHER_NETWORKS:
            card = next(card for card in app.session_state["state"].cards.values() if card.python)
            exec(compile(card.python, page, "exec"), {})  # it names the files
    app = opened("stage_diagram", link)
    app.segmented_control(key="/maps_of").set_value("the one beside it").run()
    assert "fashion-resnet20:second" in texts(app)
    local_networks.cache_clear()


@pytest.mark.usefixtures("few_images")
def test_a_file_with_classes_of_its_own_is_seen_with_them(monkeypatch, tmp_path) -> None:
    state = load_file(CHECKPOINTS / "fashion-resnet20.safetensors")
    torch.save({name: each[:3] if "fc" in name else each for name, each in state.items()}, tmp_path / "three.ckpt")
    (tmp_path / "three.classes.txt").write_text("shirt\ntrousers\npullover\n")
    monkeypatch.setenv("RESNET_VIZ_CHECKPOINTS", str(tmp_path))
    local_networks.cache_clear()
    app = opened("layer_deletion", {"network": "fashion-resnet20"})
    app.segmented_control(key="source_box").set_value("upload").run()
    app.file_uploader(key="own_photos").set_value([("1.png", picture(1), "image/png")]).run()
    app.selectbox(key="own_label_Fashion-MNIST").select("Ankle boot").run()  # which the other network does not know
    choose(app, "fashion-resnet20:three")
    chosen = app.selectbox(key="own_label_3 classes of your own")
    assert chosen.options == ["as predicted", "shirt", "trousers", "pullover"] and chosen.value == "as predicted"
    assert "your file three.ckpt; 3 classes" in texts(app)
    choose(app, "fashion-resnet20")
    assert app.selectbox(key="own_label_Fashion-MNIST").value == "Ankle boot"
    local_networks.cache_clear()


@pytest.mark.usefixtures("few_images")
def test_a_file_that_fits_nothing_is_told_and_the_app_goes_on(monkeypatch, tmp_path) -> None:
    (tmp_path / "broken.pt").write_bytes(b"no weights")
    monkeypatch.setenv("RESNET_VIZ_CHECKPOINTS", str(tmp_path))
    local_networks.cache_clear()
    app = opened("stage_diagram")
    assert "broken.pt" in app.error[0].value
    assert "fashion-resnet56: 56 layers" in texts(app)
    local_networks.cache_clear()


@pytest.mark.usefixtures("few_images")
def test_two_networks_that_cannot_be_fetched_may_stand_beside_each_other(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    link = {"network": "imagenet-resnet50", "beside": "imagenet-resnet50-v2"}
    monkeypatch.setattr(loading, "download", refuse)
    app = opened("stage_diagram", link)
    app.run()  # now it is known that both cannot be had
    assert not app.exception
    assert [each.label for each in app.button].count("Try to fetch the weights again") == 2


def refuse(*_: object) -> None:
    raise OSError("no way out")


@pytest.mark.usefixtures("few_images")
def test_uploaded_weights_become_a_network_of_this_visitor(monkeypatch) -> None:
    assert not opened("start").get("file_uploader")  # off unless the server was started to allow it
    monkeypatch.setenv("RESNET_VIZ_UPLOADS", "1")
    app = opened("stage_diagram")
    weights = (CHECKPOINTS / "fashion-resnet20.safetensors").read_bytes()
    uploader = app.get("file_uploader")[0]
    uploader.set_value(("../../mine.safetensors", weights, "application/octet-stream")).run()
    assert not app.exception
    assert "fashion-resnet20:mine: 20 layers" in texts(app)
    assert "fashion-resnet20:mine" not in opened("stage_diagram").selectbox(key="network_box").options


@pytest.mark.usefixtures("few_images")
def test_itself_untrained_is_a_comparison() -> None:
    app = opened("path_unrolling", {"network": "fashion-resnet20", "beside": "itself-untrained"})
    assert "○ fashion-resnet20 (untrained): " in texts(app)
