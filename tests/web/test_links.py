"""A view and its link: what is chosen comes back from its query; nonsense is told and changes nothing else."""

import random

import pytest
from streamlit.testing.v1 import AppTest

from resnet_viz.networks.zoo import NETWORKS, block_names
from resnet_viz.web import frame
from resnet_viz.web.links import blocks_code, blocks_of_code
from resnet_viz.web.session import Choices
from tests.web.test_pages import button, opened, texts


def query(app: AppTest) -> dict[str, str]:
    return {name: value if isinstance(value, str) else value[0] for name, value in app.query_params.items()}


@pytest.mark.parametrize("count", [1, 16, 54, 333])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 1.0])
def test_any_set_of_blocks_comes_back(count: int, share: float) -> None:
    draw = random.Random(f"{count} {share}")
    positions = [position for position in range(count) if draw.random() < share] or [count - 1]
    code = blocks_code(positions)
    assert blocks_of_code(code, count) == positions
    assert len(code) <= max(24, count // 4 + 4)


@pytest.mark.parametrize(
    "code",
    [
        "",
        "x",
        "x0",
        "xg",
        "-1",
        "3-",
        "a",
        "0..1",
        "54",
        "0-54",
        "x40000000000000",
        "9" * 400,
        "../../etc/passwd",
        "１",
    ],
)
def test_a_damaged_code_is_refused(code: str) -> None:
    with pytest.raises(ValueError):
        blocks_of_code(code, 54)


def test_every_other_block_of_the_longest_network_fits_a_qr_code() -> None:
    assert len(blocks_code(range(0, 333, 2))) < 100


def test_a_view_comes_back_from_its_query() -> None:
    app = opened("gradient_flow")
    app.selectbox(key="network_box").select("fashion-resnet56").run()
    app.segmented_control(key="weights_box").set_value("untrained").run()
    app.number_input(key="seed_box").set_value(7).run()
    app.segmented_control(key="/gradient").set_value("branch").run()
    link = query(app)
    assert link == {"network": "fashion-resnet56", "seed": "7", "gradient": "branch"}
    again = opened("gradient_flow", link)
    assert texts(again) == texts(app)
    assert query(again) == link


def test_a_lesion_comes_back_from_its_query() -> None:
    app = opened("layer_deletion", {"network": "fashion-resnet20", "deleted": "1.3-5", "gate": "0.25", "image": "700"})
    assert "gate 0.25: layer1.1, layer2.0, layer2.1, layer2.2" in texts(app)
    assert "Sneaker" in texts(app)
    button(app, "Undo").click().run()
    assert query(app) == {"network": "fashion-resnet20", "gate": "0.25", "image": "700"}


def test_the_start_has_an_empty_query() -> None:
    assert query(opened("start")) == {}


def test_an_act_that_brings_the_old_query_is_kept() -> None:
    app = opened("layer_deletion")
    app.button(key="delete_layer2").click().run()
    assert query(app) == {"deleted": "3-6"}
    app.query_params.clear()  # the browser sent the second click before it had the new address
    app.button(key="delete_layer4").click().run()
    assert query(app) == {"deleted": "3-6.13-15"}
    app.query_params.clear()
    app.run()
    assert query(app) == {"deleted": "3-6.13-15"}


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({"network": "resnet9000"}, "network = 'resnet9000' was not used; expected the name of a network"),
        ({"network": "../../etc/passwd"}, "network = '../../etc/passwd' was not used"),
        ({"image": "1000"}, "image = '1000' was not used; expected 0 to 999"),
        ({"image": "-1"}, "image = '-1'"),
        ({"seed": "1e5"}, "seed = '1e5' was not used; expected 0 to 9999"),
        ({"deleted": "16"}, "deleted = '16' was not used; expected positions from 0 to 15"),
        ({"gate": "nan"}, "gate = 'nan' was not used; expected 0 to 1"),
        ({"block": "layer1.0"}, "block = 'layer1.0' was not used; expected 0 to 15"),
        ({"highlight": "<script>"}, "highlight = '<script>' was not used; set below is blocks"),
        ({"colour": "red"}, "this page has no setting 'colour'"),
        ({"deleted": "x" + "f" * 3000}, "it is too long to be one of this app's"),
    ],
)
def test_nonsense_is_told_and_the_default_is_shown(bad: dict[str, str], told: str, monkeypatch) -> None:
    app = opened("stage_diagram", bad)
    assert told in "\n".join(warning.value for warning in app.warning)
    assert "fashion-resnet34: 34 layers" in texts(app)
    assert query(app) == {}
    app.run()
    assert told in app.warning[0].value  # a page may run again at once
    monkeypatch.setattr(frame, "TOLD_FOR", 0.0)
    app.run()
    assert not app.warning


def test_what_a_link_says_of_the_blocks_of_an_unknown_network_is_not_done_to_another() -> None:
    app = opened("stage_diagram", {"network": "fashion-plain8:left-60-01234567", "deleted": "0", "block": "2"})
    told = "\n".join(warning.value for warning in app.warning)
    assert "one of a race whose weights the server still keeps" in told
    assert "what it says of that network's blocks was left out too" in told
    assert query(app) == {}


def test_what_is_right_in_a_link_is_used_beside_what_is_wrong() -> None:
    app = opened("stage_diagram", {"network": "fashion-resnet20", "block": "99"})
    assert "fashion-resnet20: 20 layers" in texts(app)
    assert len(app.warning) == 1


def test_choices_start_with_a_network_of_the_table() -> None:
    assert block_names(NETWORKS[Choices().network])
