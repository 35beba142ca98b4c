"""The page Lineage: what its figures show is what the experiments give, and its verdicts follow the plans."""

import re
from collections.abc import Iterator

import numpy as np
import pytest

from resnet_viz.engine.kept import ANSWERS
from resnet_viz.experiments import deletion
from resnet_viz.experiments.lineage import carries
from resnet_viz.experiments.trace import trace
from resnet_viz.networks.zoo import NETWORKS, load
from resnet_viz.recipes import lineage, measures
from resnet_viz.recipes.verdict import lesion_set

from .conftest import traces_of
from .test_pages import opened, texts

FEW = 60


@pytest.fixture
def few(monkeypatch) -> Iterator[None]:
    """Only so many images are looked at."""
    images = lesion_set().limit(FEW)
    monkeypatch.setattr(lineage, "lesion_set", lambda: images)
    ANSWERS.forget()  # those of other tests are of all images
    yield
    ANSWERS.forget()


@pytest.mark.usefixtures("few")
def test_the_four_families_stand_on_one_axis() -> None:
    shown = lineage.gradient()
    drawn = {each["name"]: each for each in traces_of(shown)}
    assert list(drawn) == ["resnet56", "highway50", "lstm", "vit"]
    for name, each in drawn.items():
        x, y = np.array(each["x"]), np.array(each["y"])
        assert (x[0], x[-1], y[-1]) == (0, 1, 1) and len(x) == len(measures.named(NETWORKS[f"fashion-{name}"]).blocks)
    assert len({(each["line"]["color"], each["marker"]["symbol"]) for each in drawn.values()}) == 4


@pytest.mark.usefixtures("few")
def test_the_gradient_is_that_of_the_memory_as_gradient_flow_shows_it() -> None:
    images, loaded = lineage.lesion_set().limit(32), load(NETWORKS["fashion-lstm"])
    expected = trace(loaded.network, loaded.inputs(images), images.labels).gradient_norm("stream", relative=True)
    assert lineage.gradient_norms("fashion-lstm") == pytest.approx(expected, rel=1e-3)


@pytest.mark.usefixtures("few")
def test_shares_of_the_gradient_reach_one_and_the_sum_is_exact() -> None:
    shown = lineage.path_lengths()
    for each in traces_of(shown):
        shares = np.array(each["y"])
        assert shares[-1] == pytest.approx(1) and (np.diff(shares) >= -1e-12).all()
    assert re.search(r"to within \d\.\d × 10⁻[⁶⁷]\.$", shown.says)


@pytest.mark.usefixtures("few")
def test_attention_and_mlp_are_the_two_halves_of_the_sweep() -> None:
    loaded = load(NETWORKS["fashion-vit"])
    rises = deletion.sweep(loaded.network, loaded.entry.preprocessing, lineage.lesion_set()).rises
    kinds = [block.kind for block in loaded.network.blocks.values()]
    drawn = {each["name"]: np.array(each["y"]) for each in traces_of(lineage.attention_and_mlp())}
    for kind in ("attention", "MLP"):
        expected = [rise for rise, each in zip(rises, kinds, strict=True) if each == kind]
        assert drawn[f"vit, {kind}"] == pytest.approx(expected)


def test_transform_gates_are_one_minus_the_carry() -> None:
    (picture,) = traces_of(lineage.transform_gates())
    gates, loaded = np.array(picture["z"]), load(NETWORKS["fashion-highway50"])
    assert gates.shape == (30, 48) and gates.min() >= 0 and gates.max() <= 1
    shirts = lesion_set().subset([int((lesion_set().labels == 0).nonzero()[0])])
    assert gates[0] == pytest.approx(1 - carries(loaded.network, loaded.inputs(shirts))[0], abs=1e-5)


def test_a_plain_twin_that_has_learned_nothing_has_nothing_to_lose(monkeypatch) -> None:
    measured, notes, _ = lineage.can_lose_a_layer()
    assert "it has learned nothing" in notes and measured[-1].value == 0 and measured[-1].as_expected
    monkeypatch.setattr(lineage, "HIGHWAYS", ("fashion-highway50", "fashion-highway50"))
    measured, notes, _ = lineage.can_lose_a_layer()
    assert "learned" not in notes and not measured[-1].as_expected, "a median of a few points is no collapse"


@pytest.mark.usefixtures("few")
def test_the_page_asks_its_three_questions() -> None:
    app = opened("lineage")
    shown = texts(app)
    assert "Where else does the highway run?" in shown and r"\prod_t f_t" in shown
    for question in (
        "Can a highway network lose a layer?",
        "carry the gradient through time?",
        "slow the highway down?",
    ):
        assert any(question in each.label for each in app.expander), question
