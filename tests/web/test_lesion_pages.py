"""The pages of lesion studies, importance and early stops: what they say is what the library measures."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from resnet_viz import findings
from resnet_viz.errors import InputError
from resnet_viz.experiments import degradation
from resnet_viz.experiments.attribution import shapley, shapley_exact, shapley_permutation
from resnet_viz.experiments.deletion import loss_of_each
from resnet_viz.experiments.lesion_studies import random_deletions, random_swaps, ten_counts
from resnet_viz.experiments.paths import gradient_by_length
from resnet_viz.experiments.strongest_paths import path_gradient, recall
from resnet_viz.experiments.training import short_path_runs
from resnet_viz.figures.bars import relative_bars
from resnet_viz.figures.importance import calibration_sentence
from resnet_viz.figures.lesion_studies import study_sentences
from resnet_viz.networks.device import device
from resnet_viz.networks.zoo import NETWORKS, images_of
from resnet_viz.recipes import block_importance, lesion_studies, measures
from resnet_viz.recipes.layer_deletion import set_error, sweep
from resnet_viz.recipes.shown import Shown
from resnet_viz.recipes.subject import Subject
from resnet_viz.web.kit import ask

from ..conftest import forget
from .conftest import FEW, traces_of
from .test_pages import button, opened, texts

SMALL = {"network": "fashion-resnet20", "beside": "nothing"}


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize(("study", "compute"), [("delete-at-random", random_deletions), ("swap-places", random_swaps)])
def test_a_study_says_what_the_library_measures(study, compute, monkeypatch) -> None:
    monkeypatch.setattr(ask, "LONG", 0.0)  # so that it shows how far it is
    page = texts(opened("lesion_studies", {**SMALL, "study": study, "draws": "2", "draw_seed": "3"}))
    loaded = measures.network(NETWORKS["fashion-resnet20"])
    images = images_of(loaded.entry, limit=FEW)
    expected = compute(loaded.network, loaded.entry.preprocessing, images, ten_counts(9), draws=2, seed=3)
    for sentence in study_sentences(expected):
        assert sentence in page
    assert "2 draws each · seed 3" in page
    assert "Published:" in page and "Expected:" in page


@pytest.mark.usefixtures("few_images")
def test_a_network_without_blocks_to_swap_says_so() -> None:
    app = opened("lesion_studies", {"network": "fashion-vgg11", "study": "swap-places"})
    assert "none can change places" in texts(app) and not app.get("plotly_chart")


@pytest.mark.usefixtures("few_images")
def test_a_study_shows_the_numbers_that_are_done_while_it_goes_on(monkeypatch) -> None:
    monkeypatch.setattr(measures, "PART", 1.0)
    monkeypatch.setattr(measures, "LEAST", 10 * 28 * 28)  # ten images, so in three parts
    subject, steps = Subject.of("fashion-resnet20"), []
    walk = lesion_studies.study.steps(subject, subject.beside("fashion-plain20"), draws=2, seed=5)
    answer = yield_all(walk, steps)
    shares, numbers = [step for step in steps if not isinstance(step, Shown)], len(ten_counts(9))
    parts = np.linspace(0, 1, numbers * 2 * 3 + 1)[1:]
    assert shares == sorted(shares) and np.isclose(parts[:, None], shares).any(1).all()
    assert len(np.unique(np.round(shares, 9))) == 6 * len(parts), "intact, and under each of five draws"
    first, *_, last = [step for step in steps if isinstance(step, Shown)]
    told = [f"{number} of {numbers} numbers so far" for number in (1, numbers - 1)]
    assert told[0] in first.facts and told[1] in last.facts
    assert [len(trace["x"]) for trace in traces_of(first)] == [
        2,
        1,
        2,
        1,
    ]  # of each network, two draws and their median
    assert traces_of(answer)[0]["y"][:2] == pytest.approx(traces_of(first)[0]["y"])


def test_a_study_says_what_it_can_be_asked() -> None:
    subject = Subject.of("fashion-resnet20")
    with pytest.raises(InputError, match=r"^kind must be one of random, reorder; got single"):
        lesion_studies.study(subject, kind="single")
    with pytest.raises(InputError, match=r"^draws must be 1 to 20; got 0"):
        lesion_studies.study(subject, draws=0)


def yield_all(steps, into: list) -> Shown:
    """Take all steps; returns what they return."""
    while True:
        try:
            into.append(next(steps))
        except StopIteration as end:
            return end.value


@pytest.mark.usefixtures("few_images")
def test_shapley_values_come_at_a_press_and_add_up(monkeypatch) -> None:
    monkeypatch.setattr(ask, "LONG", 0.0)  # so that they show how far they are
    app = opened("block_importance", SMALL)
    assert [trace["name"] for trace in traces_of(next(iter(app.session_state["state"].cards.values())))] == [
        "deletion, nats",
        "first order, nats",
        "|F(x)| / |x|",
    ]
    button(app, "Add Shapley values").click().run()
    assert not app.exception
    traces = traces_of(next(iter(app.session_state["state"].cards.values())))
    assert [trace["name"] for trace in traces] == [
        "deletion, nats",
        "first order, nats",
        "|F(x)| / |x|",
        "Shapley value, nats",
    ]
    loaded = measures.network(NETWORKS["fashion-resnet20"])
    sample = images_of(loaded.entry, limit=FEW)
    both = loss_of_each(loaded.network, loaded.entry.preprocessing, sample, [(1.0,) * 9, (0.0,) * 9])
    intact, deleted = both.mean(1)
    assert np.sum(traces[3]["y"]) == pytest.approx(deleted - intact, rel=1e-4)
    assert "Shapley values exact, all 512 subsets of the blocks" in texts(app)
    assert not [each for each in app.number_input if each.label == "Seed of the permutations"], "nothing is drawn"
    settings = loaded.network, loaded.inputs(sample), sample.labels
    assert list(traces[3]["y"]) == pytest.approx(shapley_exact(*settings).mean)
    assert app.query_params["shapley"] in ("yes", ["yes"])
    again = opened("block_importance", {**SMALL, "shapley": "yes"})  # a reload, or the link
    assert list(traces_of(next(iter(again.session_state["state"].cards.values())))[3]["y"]) == list(traces[3]["y"])


@pytest.mark.usefixtures("few_images")
def test_permutations_in_parts_are_those_of_all_images_at_once(monkeypatch) -> None:
    monkeypatch.setattr(block_importance, "PERMUTATIONS", 2)
    monkeypatch.setattr(block_importance, "AT_ONCE", 13 * 28 * 28)  # so in three parts, the last a smaller one
    subject, steps = Subject.of("fashion-resnet32"), []
    answer = yield_all(block_importance.shapley_values.steps(subject, seed=3), steps)
    settings = subject.loaded.network, subject.loaded.inputs(subject.images), subject.images.labels
    expected = [shapley_permutation(*settings, number, seed=3) for number in range(2)]
    shares = [step for step in steps if not isinstance(step, Shown)]
    assert shares == sorted(shares) and np.isclose(np.linspace(0, 1, 7)[:, None], shares).any(1).all()
    assert len(shares) > 6 * len(subject.blocks), "each block that is added is a step"
    first, both = [traces_of(step)[0] for step in steps if isinstance(step, Shown)]
    assert first["y"] == pytest.approx(expected[0].mean(0), abs=1e-5)
    assert both["y"] == pytest.approx(shapley(expected).mean, abs=1e-5)
    assert both["error_y"]["array"] == pytest.approx(shapley(expected).standard_error, abs=1e-5)
    assert traces_of(answer)[0]["y"] == pytest.approx(both["y"])
    assert "Shapley values 2 permutations, seed 3" in answer.facts


@pytest.mark.usefixtures("few_images")
def test_a_network_of_many_blocks_offers_permutations_and_their_seed() -> None:
    app = opened("block_importance", {"network": "fashion-resnet56", "beside": "nothing"})
    assert [each.label for each in app.number_input] == ["Seed of the permutations"]


def test_the_images_of_the_chosen_block_are_those_whose_loss_rises_most() -> None:
    app = opened("block_importance", {**SMALL, "block": "1"})
    assert "The images that layer1.1 matters most for" in [each.value for each in app.header]
    loaded = measures.network(NETWORKS["fashion-resnet20"])
    images = images_of(loaded.entry)
    both = [loaded.network.gates_without(["layer1.1"]), loaded.intact]
    rise = np.subtract(*loss_of_each(loaded.network, loaded.entry.preprocessing, images, both))
    worst = int(rise.argmax())
    (first, *_) = app.session_state["state"].cards["most_harmed"].pictures
    assert first.caption == f"{images.names[worst].split(',')[0]}: +{rise[worst]:.1f} nats"
    assert f"over all of them by {rise.mean():.2f} nats on average" in texts(app)


def test_the_page_says_what_the_network_would_say_after_the_chosen_block() -> None:
    app = opened("early_stop", {**SMALL, "block": "4"})
    loaded = measures.network(NETWORKS["fashion-resnet20"])
    said = measures.probabilities(loaded, app.session_state["state"].visit.subject.image, (1.0,) * 5 + (0.0,) * 4)
    expected = f"Stopped after layer2.1, it would say {loaded.entry.classes[said.argmax()]} ({said.max():#.3g})"
    assert any(expected in each.value for each in app.header)


@pytest.mark.usefixtures("few_images")
def test_a_path_is_picked_by_hand_and_stands_in_the_link() -> None:
    app = opened("strongest_paths", SMALL)
    subject = app.session_state["state"].visit.subject
    asked = subject.loaded.network, subject.loaded.inputs(subject.image), subject.image.labels.to(device())
    assert "rank 1 of those found" in texts(app)
    right, looked_at = recall(*asked)
    assert f"{right} of the {looked_at} found are among the {looked_at} strongest" in texts(app)
    app.multiselect(key="/branches").set_value(["layer1.1", "layer3.2"]).run()
    assert not app.exception and app.query_params["branches"] == "1.8"
    path = path_gradient(*asked, [index in (1, 8) for index in range(9)])
    assert f"The chosen path, of 2 branches: {100 * path.share:+.3g} % of the gradient" in [
        each.value for each in app.header
    ]
    app.multiselect(key="/branches").set_value([]).run()
    assert app.query_params["branches"] == "none" and "no branch: shortcuts only" in texts(app)
    again = opened("strongest_paths", {**SMALL, "branches": "1.8"})
    assert again.multiselect(key="/branches").value == ["layer1.1", "layer3.2"]
    broken = opened("strongest_paths", {**SMALL, "branches": "3-99"})
    assert any("branches = '3-99' was not used" in warning.value for warning in broken.warning)


def test_the_histories_of_short_paths_are_compared_as_scipy_compares_them() -> None:
    page = opened("short_paths")
    ways = [[each["test_error_pct"] for each in runs] for runs in short_path_runs("fashion-resnet20").values()]
    assert [len(errors) for errors in ways] == [3, 3, 3]
    test = stats.ttest_ind(ways[2], ways[0], equal_var=False)
    low, high = test.confidence_interval()
    assert f"{np.mean(ways[2]) - np.mean(ways[0]):+.2f} points (95 % interval {low:+.2f} to {high:+.2f})" in texts(page)
    open_ = f"no difference could be shown; up to {high:.1f} points more error are compatible"
    assert (test.pvalue > 0.05) == (open_ in texts(page))
    entry = NETWORKS["fashion-resnet20"]
    loaded, images = measures.network(entry), images_of(entry, limit=32)
    norms = gradient_by_length(loaded.network, loaded.inputs(images), images.labels.to(device())).mean_norms
    assert f"carry {100 * norms[:5].sum() / norms.sum():.0f} % of the gradient of the trained resnet20" in texts(page)
    assert any(each.value.startswith("Harsher than Veit et al. ") for each in page.header)
    assert "precomputed" in texts(page)


@pytest.mark.usefixtures("all_trained")
def test_the_matched_experiment_comes_first_with_its_norms_taken_anew() -> None:
    page = opened("short_paths")
    assert list(page.session_state["state"].cards) == ["matched_blocks", "short_paths"]
    ordinary = [run["test_error_pct"] for run in short_path_runs("fashion-resnet56")["all 27 blocks"]]
    for way, errors in (
        ("13 of 27 blocks a batch", [30, 32, 34]),
        ("13 of 27 blocks a batch, batch norms' statistics taken anew with all blocks, 9.00 %", [9.5, 9, 8.5]),
    ):
        low, high = stats.ttest_ind(errors, ordinary, equal_var=False).confidence_interval()
        assert (
            f"**{way}**: {np.mean(errors) - np.mean(ordinary):+.2f} points (95 % interval {low:+.2f} to {high:+.2f})"
            in texts(page)
        )


@pytest.mark.usefixtures("all_trained")
def test_the_errors_of_three_times_the_epochs_stand_beside_those_of_ten() -> None:
    page = opened("degradation")
    plain = degradation.family("plain")[56][0]["train_error_pct"]
    assert f"plain56 {plain:.1f} / 8.0 %" in texts(page)


def test_the_histories_of_short_paths_are_of_one_network_whatever_is_chosen() -> None:
    page = opened("short_paths", {"network": "cifar10-resnet20"})
    assert not any("predictions mean nothing" in warning.value for warning in page.warning)
    *_, card = page.session_state["state"].cards.values()
    assert card.sources[0].startswith("fashion-resnet20, ")


def test_the_first_page_tells_every_finding_also_those_that_were_not_expected() -> None:
    app = opened("start")
    page, labels = texts(app), [each.label for each in app.expander]
    for finding in findings.bundled():
        badge = ":green-badge[as expected]" if finding.as_expected else ":orange-badge[not as expected]"
        assert f"{finding.plan.question} {badge}" in labels
        assert f"Expected: {finding.plan.expectation}." in page
        for measured in finding.measurements:
            assert findings.measured_text(measured) in page
    assert any(":orange-badge[not as expected]" in label for label in labels)


@pytest.mark.usefixtures("few_images")
def test_calibration_is_told_with_the_lesion_for_both_networks() -> None:
    page = opened("layer_deletion", {"network": "fashion-resnet20", "deleted": "1"})
    for name in ("fashion-resnet20", "fashion-plain20"):
        loaded = measures.network(NETWORKS[name])
        gates = tuple(loaded.network.gates_without(["layer1.1"]))
        both = [
            measures.reliability(loaded, images_of(loaded.entry, limit=FEW), each) for each in (loaded.intact, gates)
        ]
        assert calibration_sentence(name, *both) in [each.value for each in page.header]


def test_bars_are_shares_of_the_worst_deletion_but_small_rises_stay_small() -> None:
    def bars(*rises: float) -> list[float]:
        values = {str(number): rise for number, rise in enumerate(rises)}
        return [share for share, _ in relative_bars(values, "points", least=5).values()]

    assert bars(40, 10) == [1.0, 0.25]
    assert bars(2, 1) == [0.4, 0.2], "of 5 points at least"


@pytest.mark.usefixtures("few_images")
def test_the_strip_has_no_bars_where_the_images_have_no_labels() -> None:
    subject = Subject.of("fashion-resnet20")
    unlabelled = replace(subject, images=replace(subject.images, labels=None))
    assert sweep(subject).bars and sweep(unlabelled).bars is None


def test_a_worker_tells_as_much_of_the_images_as_this_process() -> None:
    subject = Subject.of("fashion-resnet20", image=13)
    told = set_error(subject).caption
    forget()
    assert told and set_error(pickle.loads(pickle.dumps(subject))).caption == told
