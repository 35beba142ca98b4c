"""Painters, and the probes of Stopping early: the pages say what the library measures."""

import pickle

import numpy as np
import pytest

from resnet_viz.errors import InputError
from resnet_viz.experiments.deletion import Lesion, Sweep, sweep
from resnet_viz.experiments.early_stop import probe_everywhere, stop_everywhere
from resnet_viz.experiments.painters import in_orders, in_parallel, reinitialised, repeating, reversing
from resnet_viz.figures.painters import rises_sentence
from resnet_viz.networks.datasets import bundled_fashion
from resnet_viz.networks.zoo import NETWORKS, images_of, load
from resnet_viz.recipes import early_stop, measures, painters
from resnet_viz.recipes.shown import Shown
from resnet_viz.recipes.subject import Subject

from ..conftest import forget
from .conftest import FEW, traces_of
from .test_pages import button, opened, texts

SMALL = {"network": "fashion-resnet20", "beside": "nothing"}
pytestmark = pytest.mark.usefixtures("few_images")


def given():
    """What an experiment takes."""
    loaded = load(NETWORKS["fashion-resnet20"])
    return loaded.network, loaded.entry.preprocessing, images_of(loaded.entry, limit=FEW)


def rises(swept: Sweep) -> dict[str, Lesion]:
    return dict(zip(swept.blocks, swept.lesions, strict=True))


def test_the_page_says_what_the_library_measures() -> None:
    page = texts(opened("painters", {**SMALL, "block": "1"}))
    stages = {"layer1": range(3), "layer2": range(4, 6), "layer3": range(7, 9)}
    orders = {stage: reversing(9, run) for stage, run in stages.items()} | {
        "every stage": reversing(9, *stages.values())
    }
    assert rises_sentence(rises(in_orders(*given(), orders))) in page
    twice = {
        f"layer{stage}.{index}": repeating(9, position, 2)
        for stage, index, position in ((1, 1, 1), (2, 2, 5), (3, 2, 8))
    }
    assert rises_sentence(rises(in_orders(*given(), twice))) in page
    for averaged in (False, True):
        two = {stage: in_parallel(*given(), run, [2], averaged).lesions[0] for stage, run in stages.items()}
        assert rises_sentence(two) in page


def test_the_chosen_block_is_repeated_too_unless_it_changes_the_shape() -> None:
    app = opened("painters", {**SMALL, "block": "2"})
    shown = app.session_state["state"].cards["repeat"]
    assert [note["text"] for note in shown.plot().layout["annotations"][:4]] == [
        "layer1.1",
        "layer1.2",
        "layer2.2",
        "layer3.2",
    ]
    page = texts(opened("painters", {**SMALL, "block": "3"}))
    assert "layer2.0 changes the shape of the stream" in page and "layer2.0 +" not in page
    with pytest.raises(InputError, match=r"^Block must be one of .*got 'layer9\.0'"):
        painters.repeat(Subject.of("fashion-resnet20"), block="layer9.0")


def test_every_block_is_reset_at_a_press_and_the_strip_shows_it() -> None:
    app = opened("painters", {**SMALL, "seeds": "2"})
    assert "reinitialise" not in app.session_state["state"].cards
    button(app, "Reset every block to initial weights").click().run()
    assert not app.exception
    shown = app.session_state["state"].cards["reinitialise"]
    own, *others = (reinitialised(*given(), load(NETWORKS["fashion-resnet20"], untrained=seed)) for seed in (0, 1, 2))
    deleted, reset, back = traces_of(shown)
    np.testing.assert_allclose(back["y"], own.errors)
    np.testing.assert_allclose(reset["y"], np.mean([swept.errors for swept in others], axis=0))
    np.testing.assert_allclose(deleted["y"], sweep(*given()).errors)
    rise = np.mean([swept.rises for swept in others], axis=0)
    assert shown.bars["layer3.2"][1] == f"{rise[8]:,.1f} points more error"


def test_resetting_shows_the_seeds_that_are_done() -> None:
    forget()
    steps, seen = painters.reinitialise.steps(Subject.of("fashion-resnet20"), seeds=2), []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration:
            break
    (so_far,) = [step for step in seen if isinstance(step, Shown)]
    assert "1 of 2 other seeds so far" in so_far.facts
    shares = [step for step in seen if not isinstance(step, Shown)]
    assert shares == sorted(shares) and shares[0] > 0 and shares[-1] <= 1
    with pytest.raises(InputError, match=r"^seeds must be 1 to 4; got 5"):
        painters.reinitialise(Subject.of("fashion-resnet20"), seeds=5)


def test_in_parts_or_whole_it_is_the_same(monkeypatch) -> None:
    subject = Subject.of("fashion-resnet20")
    whole = traces_of(painters.parallel(subject))
    forget()
    monkeypatch.setattr(measures, "PART", 1.0)
    monkeypatch.setattr(measures, "LEAST", 7 * 28 * 28)  # seven images
    assert len(measures.parts_for(subject.loaded, subject.images, 1)) == 5
    again = traces_of(painters.parallel(subject))
    assert [each["y"].tolist() for each in whole] == [each["y"].tolist() for each in again]


def test_what_cannot_be_asked_is_told() -> None:
    subject = Subject.of("fashion-vgg11")
    for recipe in (painters.reverse, painters.parallel):
        assert recipe(subject).says == "No stage of fashion-vgg11 has 2 blocks in a row of the same shape."
    unlabelled = Subject.of("imagenet-resnet18", untrained=0)
    for recipe in (painters.reverse, painters.repeat, painters.parallel, painters.reinitialise):
        assert "they have no labels, so there is no error to measure. Choose a fashion-*" in recipe(unlabelled).says


def test_a_probe_stands_beside_the_head() -> None:
    subject = pickle.loads(pickle.dumps(Subject.of("fashion-resnet20")))  # as it reaches a worker
    forget()
    shown = early_stop.probes(subject, subject.beside("fashion-plain20"))
    network, preprocessing, images = given()
    head = stop_everywhere(network, preprocessing, images).errors
    said = probe_everywhere(network, preprocessing, bundled_fashion("training"), images)
    by_name = {trace["name"]: trace["y"] for trace in traces_of(shown)}
    np.testing.assert_allclose(by_name["fashion-resnet20, head"], head)
    np.testing.assert_allclose(by_name["fashion-resnet20, probe"], 100 * (said != images.labels.numpy()).mean(1))
    assert list(by_name)[2:] == ["fashion-plain20, head", "fashion-plain20, probe"]
    assert f"on {head[4]:.0f} %" in shown.title and "4,000 Fashion-MNIST training images" in shown.caption


def test_a_network_without_training_images_has_no_probes() -> None:
    assert "fashion-* networks only" in early_stop.probes(Subject.of("cifar10-resnet20", untrained=0)).says
