"""The pages of lesion studies, importance and early stops: what they say is what the library measures."""

import numpy as np
import pytest

from resnet_viz.experiments.lesion_studies import random_deletions, random_swaps, ten_counts
from resnet_viz.figures.lesion_studies import study_sentences
from resnet_viz.networks.zoo import NETWORKS, images_of
from resnet_viz.web import cached

from .test_pages import button, opened, texts

SMALL = {"network": "fashion-resnet20", "beside": "nothing"}


@pytest.mark.parametrize(("study", "compute"), [("delete-at-random", random_deletions), ("swap-places", random_swaps)])
def test_a_study_says_what_the_library_measures(study, compute) -> None:
    page = texts(opened("lesion_studies", {**SMALL, "study": study, "draws": "2", "draw_seed": "3"}))
    loaded = cached.network(NETWORKS["fashion-resnet20"])
    images = images_of(loaded.entry)
    expected = compute(loaded.network, loaded.entry.preprocessing, images, ten_counts(9), draws=2, seed=3)
    for sentence in study_sentences(expected):
        assert sentence in page
    assert "2 draws each · seed 3" in page
    assert "Published:" in page and "Expected:" in page


def test_a_network_without_blocks_to_swap_says_so() -> None:
    app = opened("lesion_studies", {"network": "fashion-vgg11", "study": "swap-places"})
    assert "none can change places" in texts(app) and not app.session_state["cards"]


def test_shapley_values_come_at_a_press_and_add_up() -> None:
    app = opened("block_importance", SMALL)
    before = texts(app)
    assert "Shapley value " not in before and "first order" in before
    button(app, "Add Shapley values").click().run()
    assert not app.exception
    figure = app.session_state["cards"][0].figure
    assert [trace.name for trace in figure.data] == [
        "deletion, nats",
        "first order, nats",
        "|F(x)| / |x|",
        "Shapley value, nats",
    ]
    loaded = cached.network(NETWORKS["fashion-resnet20"])
    sample = images_of(loaded.entry, limit=100)
    intact, deleted = (cached.losses(loaded, sample, (gate,) * 9).mean() for gate in (1.0, 0.0))
    assert np.sum(figure.data[3].y) == pytest.approx(deleted - intact, rel=1e-4)
    assert "25 permutations, seed 0" in texts(app)


def test_the_images_of_the_chosen_block_are_those_whose_loss_rises_most() -> None:
    app = opened("block_importance", {**SMALL, "block": "1"})
    assert "The images that layer1.1 matters most for" in [each.value for each in app.header]
    loaded = cached.network(NETWORKS["fashion-resnet20"])
    images = images_of(loaded.entry)
    gates = tuple(loaded.network.gates_without(["layer1.1"]))
    rise = cached.losses(loaded, images, gates) - cached.losses(loaded, images, loaded.intact)
    assert f"by {rise.mean():.2f} nats on average" in texts(app)


def test_the_page_says_what_the_network_would_say_after_the_chosen_block() -> None:
    app = opened("early_stop", {**SMALL, "block": "4"})
    loaded = cached.network(NETWORKS["fashion-resnet20"])
    said = cached.probabilities(loaded, app.session_state["visit"].image, (1.0,) * 5 + (0.0,) * 4)
    expected = f"Stopped after layer2.1, it would say {loaded.entry.classes[said.argmax()]} ({said.max():.2f})"
    assert any(expected in each.value for each in app.header)
