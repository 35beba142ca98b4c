"""Block influence: what the page says is what was measured, and where nothing can be measured it says so."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from resnet_viz.engine.kept import ANSWERS
from resnet_viz.experiments import deletion
from resnet_viz.experiments.influence import influence
from resnet_viz.networks.zoo import NETWORKS, load
from resnet_viz.recipes import block_influence, layer_deletion, measures
from resnet_viz.recipes.subject import Subject

from .conftest import traces_of
from .test_pages import opened, texts

SMALL = {"network": "fashion-resnet20", "deleted": "2"}


@pytest.mark.usefixtures("few_images")
def test_the_figures_are_those_of_one_pass_over_the_set_and_of_the_sweep() -> None:
    app = opened("block_influence", SMALL)
    cards = app.session_state["state"].cards
    loaded = load(NETWORKS["fashion-resnet20"])
    images = app.session_state["state"].visit.subject.images
    found = influence(loaded.network, loaded.inputs(images), images.labels)
    means = [found.cosine, found.branch_to_stream, found.growth]
    for trace, by_image in zip(traces_of(cards["change"])[::2], means, strict=True):
        np.testing.assert_allclose(trace["y"], by_image.mean(0), rtol=1e-3)
        low, high = stats.ttest_1samp(by_image, 0).confidence_interval()
        np.testing.assert_allclose(trace["error_y"]["array"], (high - low) / 2, rtol=1e-2)
    assert f"influence {found.importance.mean.max():.3f}" in cards["change"].title
    bars = cards["change"].bars
    assert bars["layer1.0"] == (pytest.approx(1, abs=0.5), f"{found.importance.mean[0]:.3f} influence")
    swept = deletion.sweep(loaded.network, loaded.entry.preprocessing, images)
    points = traces_of(cards["harm"])[0]
    np.testing.assert_allclose(points["y"], swept.rises)
    expected = stats.spearmanr(found.importance.mean, swept.rises).statistic
    assert f"**fashion-resnet20** {expected:.2f} (95 % over 9 blocks: " in cards["harm"].says
    by_block, ranked = traces_of(cards["responses"])[:2]
    np.testing.assert_allclose(by_block["y"], found.response_deviation(), rtol=1e-3)
    np.testing.assert_array_equal(ranked["y"], np.sort(by_block["y"])[::-1])
    late = found.descent[:, 7:].mean()  # layer3.0 changes the shape
    assert f"**fashion-resnet20** {late:+.3f} ± " in cards["descent"].says


@pytest.mark.usefixtures("few_images")
def test_a_sweep_that_was_measured_is_found(monkeypatch) -> None:
    pair = [Subject.of("fashion-resnet20"), Subject.of("fashion-plain20")]
    layer_deletion.sweep(*pair)
    ANSWERS.forget()  # what was measured is still kept
    monkeypatch.setattr(measures, "set_in_steps", only_what_is_kept)
    assert "rank correlation" in block_influence.harm(*pair).title


def only_what_is_kept(*given):
    """``set_in_steps`` of what is kept; nothing is measured."""
    steps = measures.steps_kept(measures.key_of(measures._over_set, *given), no_steps)
    return (yield from steps)


def no_steps():
    raise AssertionError("it is measured anew")
    yield


@pytest.mark.usefixtures("few_images")
def test_a_plain_network_takes_no_step() -> None:
    app = opened("block_influence", {"network": "fashion-plain20", "beside": "nothing"})
    assert "A plain block takes no step" in texts(app)
    beside = opened("block_influence", {"network": "fashion-plain20"})
    assert "**fashion-resnet20** " in beside.session_state["state"].cards["descent"].says


def test_images_without_labels_have_no_error_but_an_influence() -> None:
    subject = Subject.of("fashion-resnet20")
    unlabelled = replace(subject, images=replace(subject.images.limit(20), labels=None))
    assert "they have no labels, so there is no error" in block_influence.harm(unlabelled).says
    assert block_influence.change(unlabelled).title.startswith("The stream turns most at layer1.0")


def test_a_single_image_has_no_interval() -> None:
    one = Subject.of("fashion-resnet20", images=Subject.of("fashion-resnet20").images.subset([7]))
    assert "±" not in block_influence.change(one).says
    assert "±" not in block_influence.descent(one).says
