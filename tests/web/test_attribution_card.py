"""Layer deletion's attributions of the image: what the page says is what the library measures, and the link keeps the block."""

import numpy as np
import pytest

from resnet_viz.experiments.image_attribution import correlation, grad_cam, integrated_gradients
from resnet_viz.figures.image_attribution import completeness_sentence
from resnet_viz.networks.zoo import NETWORKS
from resnet_viz.recipes import measures

from .conftest import traces_of
from .test_pages import button, opened, texts

SMALL = {"network": "fashion-resnet20", "beside": "nothing", "image": "13"}
pytestmark = pytest.mark.usefixtures("few_images")


def cards(app) -> dict:
    return app.session_state["state"].cards


def test_the_page_shows_the_attributions_of_the_lesion_beside_those_of_the_intact_network() -> None:
    app = opened("layer_deletion", {**SMALL, "deleted": "4"})
    shown, image = cards(app), app.session_state["state"].visit.subject.image
    loaded = measures.network(NETWORKS["fashion-resnet20"])
    gates = tuple(loaded.network.gates_without(["layer2.1"]))
    settings = loaded.network, loaded.entry.preprocessing, image, int(image.labels[0])
    assert list(shown)[-2:] == ["grad_cam", "integrated_gradients"]
    maps = [grad_cam(*settings, each, "layer3.2") for each in (loaded.intact, gates)]
    assert f"correlation {correlation(maps[0].cells, maps[1].cells):.2f}" in shown["grad_cam"].title
    columns = {trace["name"]: trace["z"] for trace in traces_of(shown["grad_cam"]) if trace["type"] == "heatmap"}
    assert len(columns) == 6  # three stages, before and after
    assert np.array_equal(columns["layer3.2, with the lesion"], maps[1].picture)
    pair = [integrated_gradients(*settings, each) for each in (loaded.intact, gates)]
    assert completeness_sentence(pair) in texts(app)
    class_name = loaded.entry.classes[image.labels[0]]
    assert f"{class_name}, its label" in shown["integrated_gradients"].facts
    assert "4 × 4" in shown["grad_cam"].caption and "Pearson" in shown["grad_cam"].caption


def test_without_a_lesion_only_the_intact_network_is_shown() -> None:
    shown = cards(opened("layer_deletion", SMALL))
    assert [trace["name"] for trace in traces_of(shown["integrated_gradients"])[1:]] == ["intact"]
    assert "half of it lies in" in shown["grad_cam"].title and "Pearson" not in shown["grad_cam"].caption


def test_the_block_is_chosen_on_a_slider_and_stands_in_the_link() -> None:
    app = opened("layer_deletion", SMALL)
    slider = app.select_slider(key="/seen_at")
    assert slider.value == "layer3.2" and "seen_at" not in app.query_params
    slider.set_value("layer2.0").run()
    assert not app.exception and app.query_params["seen_at"] in ("3", ["3"])
    assert "At layer2.0 the evidence" in cards(app)["grad_cam"].title
    assert [trace["name"] for trace in traces_of(cards(app)["grad_cam"])[1:]] == [
        f"layer{each}, intact" for each in ("1.2", "2.0", "2.2", "3.2")
    ]
    again = opened("layer_deletion", {**SMALL, "seen_at": "3"})
    assert cards(again)["grad_cam"].title == cards(app)["grad_cam"].title
    assert not again.warning
    broken = opened("layer_deletion", {**SMALL, "seen_at": "9"})
    assert any("seen_at = '9' was not used; set below is layer3.2" in warning.value for warning in broken.warning)


def test_large_networks_wait_for_a_press_before_they_integrate() -> None:
    app = opened("layer_deletion", {"network": "cifar10-resnet20", "beside": "nothing"})
    assert app.session_state["state"].visit.subject.images.labels is None
    assert "grad_cam" in cards(app) and "integrated_gradients" not in cards(app)
    button(app, "Integrated gradients").click().run()
    assert not app.exception
    card = cards(app)["integrated_gradients"]
    below, above = traces_of(card)[:2]
    assert above["z"].shape == (32, 32) and np.array(below["z"]).shape == (32, 32, 3)
    assert any(fact.endswith(", predicted") for fact in card.facts)
