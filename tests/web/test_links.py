"""A view and its link: what is chosen comes back from its query; nonsense is told and changes nothing else."""

import random
from urllib.parse import parse_qs

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from resnet_viz.networks.zoo import NETWORKS, block_names
from resnet_viz.web.codes import blocks_code, blocks_of_code
from resnet_viz.web.networks import comparisons
from resnet_viz.web.session import ITSELF, NOTHING, TWIN, Choices, Lesion, state
from resnet_viz.web.shell import frame
from resnet_viz.web.shell.links import OPENING, apply, query_of, receive
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


@pytest.mark.usefixtures("few_images")
def test_a_view_comes_back_from_its_query() -> None:
    app = opened("gradient_flow", {"network": "fashion-resnet20", "image": "13"})
    app.selectbox(key="network_box").select("fashion-plain20").run()
    app.segmented_control(key="weights_box").set_value("untrained").run()
    app.number_input(key="seed_box").set_value(7).run()
    app.segmented_control(key="/gradient").set_value("branch").run()
    link = query(app)
    assert link == {"network": "fashion-plain20", "seed": "7", "image": "13", "gradient": "branch"}
    again = opened("gradient_flow", link)
    assert texts(again) == texts(app)
    assert query(again) == link


@pytest.mark.usefixtures("few_images")
def test_a_lesion_comes_back_from_its_query() -> None:
    app = opened("layer_deletion", {"network": "fashion-resnet20", "deleted": "1.3-5", "gate": "0.25", "image": "21"})
    assert "gate 0.25: layer1.1, layer2.0, layer2.1, layer2.2" in texts(app)
    assert "Sneaker" in texts(app)
    button(app, "Undo").click().run()
    assert query(app) == {"network": "fashion-resnet20", "gate": "0.25", "image": "21"}


SOME_NETWORKS = ("fashion-resnet56", "fashion-resnet34", "fashion-plain56", "fashion-preact110", "cifar10-resnet20")


def some_view(draw: random.Random) -> Choices:
    """Each choice is that of the opening view, that of a query that says nothing, or another."""
    chosen = Choices(
        network=draw.choice(SOME_NETWORKS),
        position=draw.choice([447, 200, draw.randrange(1000)]),
        untrained=draw.choice([None, None, draw.randrange(10_000)]),
        beside=draw.choice([TWIN, TWIN, NOTHING, ITSELF, "fashion-preact56"]),
        presenter=draw.choice([False, False, True]),
    )
    blocks = block_names(NETWORKS[chosen.network])
    deleted = draw.choice([[], [len(blocks) // 2], sorted(draw.sample(range(len(blocks)), 3))])
    chosen.lesions[chosen.network] = Lesion([blocks[index] for index in deleted], draw.choice([0.0, 0.0, 0.25]))
    chosen.block[chosen.network] = draw.choice([blocks[0], draw.choice(blocks)])
    chosen.settings["gradient_flow"] = draw.choice([{}, {}, {"scale": "relative-to-the-last-block"}])
    return chosen


def seen(chosen: Choices) -> tuple[object, ...]:
    """What makes a view."""
    entry = NETWORKS[chosen.network]
    lesion, first = chosen.lesion(chosen.network), block_names(entry)[0]
    most = 1000 if chosen.network.startswith("fashion") else 4  # images of the data set
    return (
        chosen.network,
        min(chosen.position, most - 1),
        chosen.untrained,
        chosen.beside if chosen.beside in comparisons(entry, chosen.untrained is None) else TWIN,
        lesion.blocks,
        lesion.gate,
        chosen.block.get(chosen.network, first),
        chosen.settings.get("gradient_flow", {}),
        chosen.presenter,
    )


@pytest.mark.parametrize("seed", range(60))
def test_any_view_comes_back_from_its_query_whatever_was_chosen_before(seed: int) -> None:
    draw = random.Random(seed)
    opening = state().choices = Choices()
    apply({}, "gradient_flow", opening)
    view = opening if seed == 0 else some_view(draw)
    before = state().choices = some_view(draw)
    said = query_of("gradient_flow", view)
    assert apply(said, "gradient_flow", before) == []
    assert seen(before) == seen(view)
    assert query_of("gradient_flow", before) == said
    assert (said == {}) == (seen(view) == seen(opening))


def test_a_bare_address_shows_the_opening_view() -> None:
    app = opened("start")
    assert query(app) == {}
    shown = texts(app)
    assert "1 of 27 blocks deleted. It sees: still Coat (probability 0.93 → 0.92)" in shown
    assert "Beside it fashion-plain56, with the same lesion: Coat → T-shirt/top (probability 0.42)" in shown
    button(app, "Restore all").click().run()
    assert "Nothing deleted: the network is intact. It sees: Coat (probability 0.93)" in texts(app)
    assert query(app) == {name: OPENING[name] for name in ("network", "image")}
    button(app, "Undo").click().run()
    assert query(app) == {}
    assert texts(app) == shown == texts(opened("start", OPENING))


@pytest.mark.parametrize("old", [{"deleted": "3-6"}, {"network": "fashion-resnet34"}, {"image": "200"}, {"block": "2"}])
def test_a_link_that_does_not_name_network_or_image_means_what_it_always_meant(old: dict[str, str]) -> None:
    app = opened("stage_diagram", old)
    assert "fashion-resnet34: 34 layers" in texts(app) and not app.warning
    assert query(app) == {"network": "fashion-resnet34"} | {name: old[name] for name in old if name != "image"}
    assert app.session_state["state"].choices.position == 200


def test_an_own_image_stays_where_a_link_to_another_page_says_what_is_chosen() -> None:
    chosen = state().choices = some_view(random.Random(1))
    chosen.source, state().query_written_on = "draw", "stage_diagram"
    st.query_params.from_dict(query_of("gradient_flow", chosen))
    assert receive("gradient_flow") == [] and chosen.source == "draw"
    st.query_params.from_dict({"network": "fashion-resnet20"})
    assert receive("gradient_flow") == [] and chosen.source == "bundled"


@pytest.mark.usefixtures("few_images")
def test_an_act_that_brings_the_old_query_is_kept() -> None:
    first, second = ({"network": "fashion-resnet34", "deleted": code} for code in ("3-6", "3-6.13-15"))
    app = opened("layer_deletion", {"network": "fashion-resnet34"})
    app.button(key="delete_layer2").click().run()
    assert query(app) == first
    app.query_params.clear()  # the browser sent the second click before it had the new address
    app.button(key="delete_layer4").click().run()
    assert query(app) == second
    app.query_params.clear()
    app.run()
    assert query(app) == second


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({"network": "resnet9000"}, "network = 'resnet9000' was not used; expected the name of a network"),
        ({"network": "../../etc/passwd"}, "network = '../../etc/passwd' was not used"),
        ({"image": "1000"}, "image = '1000' was not used; expected 0 to 999"),
        ({"image": "-1"}, "image = '-1'"),
        ({"seed": "1e5"}, "seed = '1e5' was not used; expected 0 to 9999"),
        ({"deleted": "16"}, "deleted = '16' was not used; expected numbers of blocks, counted from 0 to 15"),
        ({"gate": "nan"}, "gate = 'nan' was not used; expected 0 to 1"),
        ({"view": "cinema", "image": "200"}, "view = 'cinema' was not used; expected presenter"),
        ({"block": "layer1.0"}, "block = 'layer1.0' was not used; expected 0 to 15"),
        ({"highlight": "<script>"}, "highlight = '<script>' was not used; set below is blocks"),
        ({"colour": "red"}, "this page has no setting 'colour'"),
    ],
)
def test_nonsense_is_told_and_the_default_is_shown(bad: dict[str, str], told: str, monkeypatch) -> None:
    app = opened("stage_diagram", bad)
    assert told in "\n".join(warning.value for warning in app.warning)
    name = OPENING["network"] if "network" in bad else "fashion-resnet34"  # the latter where a link names none
    assert f"{name}: {name[-2:]} layers" in texts(app)
    assert query(app) == {"network": name}
    app.run()
    assert told in app.warning[0].value  # a page may run again at once
    monkeypatch.setattr(frame, "TOLD_FOR", 0.0)
    app.run()
    assert not app.warning


def test_of_a_link_that_is_too_long_nothing_is_used() -> None:
    app = opened("stage_diagram", {"network": "fashion-resnet20", "deleted": "x" + "f" * 3000})
    assert "it is too long to be one of this app's" in app.warning[0].value
    assert "fashion-resnet56: 56 layers" in texts(app)
    assert query(app) == {name: OPENING[name] for name in ("network", "image")}


def test_what_a_link_says_of_the_blocks_of_an_unknown_network_is_not_done_to_another() -> None:
    app = opened("stage_diagram", {"network": "fashion-plain8:left-60-01234567", "deleted": "0", "block": "2"})
    told = "\n".join(warning.value for warning in app.warning)
    assert "one of a race whose weights the server still keeps" in told
    assert "what it says of that network's blocks was left out too" in told
    assert query(app) == {"network": OPENING["network"]}


def test_what_is_right_in_a_link_is_used_beside_what_is_wrong() -> None:
    app = opened("stage_diagram", {"network": "fashion-resnet20", "block": "99"})
    assert "fashion-resnet20: 20 layers" in texts(app)
    assert len(app.warning) == 1


@pytest.mark.parametrize(
    ("network", "beside", "told"),
    [
        ("fashion-resnet20", "fashion-resnet56", "it cannot stand beside fashion-resnet20"),
        ("fashion-resnet20", "fashion-plain20", ""),  # its twin, by its name
        ("fashion-resnet20", "itself-untrained", ""),
        ("fashion-preact110", "fashion-resnet110", ""),
        ("fashion-preact110", "fashion-plain56", "it cannot stand beside fashion-preact110"),
    ],
)
def test_what_cannot_stand_beside_a_network_is_told(network: str, beside: str, told: str) -> None:
    state().choices = chosen = Choices()
    faults = apply({"network": network, "beside": beside}, "stage_diagram", chosen)
    assert faults == ([f"beside = {beside!r} was not used: {told}"] if told else [])
    assert ("beside" in query_of("stage_diagram", chosen)) == (not told and beside != "fashion-plain20")


def test_the_presenter_view_is_carried_by_every_link_until_it_is_ended() -> None:
    app = opened("stage_diagram", {"view": "presenter"})
    assert query(app) == {"view": "presenter"} and "fashion-resnet56: 56 layers" in texts(app)  # of the opening view
    to_pages = [parse_qs(link.proto.query_string) for link in app.main.get("page_link")]
    assert len(to_pages) >= len(app.session_state["state"].pages)
    assert all(link["view"] == ["presenter"] for link in to_pages)
    app.selectbox(key="network_box").select("fashion-resnet20").run()
    assert query(app)["view"] == "presenter"
    button(app, "Usual view").click().run()
    assert "view" not in query(app) and not [each for each in app.button if each.label == "Usual view"]
    button(app, "Presenter view").click().run()
    assert query(app) == {"network": "fashion-resnet20", "view": "presenter", "image": "447"}
