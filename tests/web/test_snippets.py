"""The Python under a figure makes that figure."""

from itertools import islice

import numpy as np
import pytest
import torch

from resnet_viz.engine.kept import ANSWERS, RESULTS
from resnet_viz.experiments.identity import Stacks, train_stacks
from resnet_viz.experiments.race import Race, Racing, samples
from resnet_viz.recipes.learning_identity import trained_stacks
from resnet_viz.recipes.live_training import race_deletions, race_errors, race_gradients
from resnet_viz.recipes.shown import Shown
from tests.web.conftest import data_of, traces_of
from tests.web.test_pages import QUICK, opened

FIGURES = {
    "start": {"first_look"},
    "stage_diagram": {"stages", "wiring", "maps_stream_in", "maps_branch", "maps_shortcut", "maps_stream_out"},
    "anatomy": {"block_cost", "from_34_to_50", "where_it_goes", "inception_beside", "dense_head"},
    "gradient_flow": {"cosines", "trained", "untrained", "growth", "statistics", "norms_by_step"},
    "shattered_gradients": {"cosines", "pictures"},
    "which_shortcut": {"along_blocks", "by_depth", "errors", "thousand_layers"},
    "path_unrolling": {"share_by_length", "count_times_norm", "length_by_depth", "lengths_by_stage", "unravelled"},
    "layer_deletion": {
        "prediction",
        "set_error",
        "class_errors",
        "sweep",
        "reliability",
        "reliability_beside",
        "grad_cam",
        "integrated_gradients",
    },
    "short_paths": {"matched_blocks", "short_paths"},
    "strongest_paths": {"strongest", "path_picture"},
    "lesion_studies": {"study"},
    "painters": {"reverse", "repeat", "parallel"},
    "block_importance": {"importance", "agreement"},
    "block_influence": {"change", "harm", "responses", "descent"},
    "early_stop": {"by_stop", "error_by_stop", "probes"},
    "lineage": {
        "gradient",
        "path_lengths",
        "deletions",
        "distance",
        "lesions",
        "transform_gates",
        "gradient_in_time",
        "forget_gates",
        "steps_deleted",
        "norms",
        "attention_and_mlp",
        "lens",
    },
    "degradation": {"errors_by_epoch", "errors_by_depth", "gradients_by_epoch", "trained_longer", "four_stages"},
    "live_training": {"race_errors", "race_gradients"},
    "learning_identity": {"identity_blocks", "identity_steps", "deepened"},
}


@pytest.mark.usefixtures("all_trained", "few_images")
@pytest.mark.parametrize("page", FIGURES)
def test_the_python_under_each_figure_makes_its_numbers(page: str) -> None:
    app = opened(page, QUICK | {"network": "fashion-resnet20", "deleted": "2", "image": "13"})
    cards = {key: shown for key, shown in app.session_state["state"].cards.items() if shown.python and shown.draw}
    assert cards.keys() == FIGURES[page]
    RESULTS.forget()  # what is made again is measured again
    ANSWERS.forget()
    for key, shown in cards.items():
        made: dict = {}
        exec(compile(shown.python, key, "exec"), made)  # what a visitor copies
        figure = made["shown"].plot().json() if "shown" in made else made["figure"].json()
        assert same(data_of(figure), traces_of(shown)), key


def test_the_python_under_a_training_trains_as_much_anew() -> None:
    given = samples(full=False)
    stacks = list(islice(filter(None, train_stacks(Stacks(1, 6), given.training, given.test)), 2))
    settings = {"blocks": 1, "steps": 6, "seed": 0, "count": 2}
    shown = trained_stacks.live(stacks, **settings)
    assert not trained_stacks.known(**settings), "what is under way is not kept"
    trains_anew(shown)
    race = Race("plain8", "resnet8", steps=2, seed=3, batch_size=8)
    records = [record for record in Racing(race, given) if record]
    for each in (race_errors, race_gradients):
        trains_anew(each.live(records, race=race, step=2))


def trains_anew(shown: Shown) -> None:
    """On one thread, whatever the number elsewhere."""
    torch.set_num_threads(2)
    made: dict = {}
    exec(compile(shown.python, "python", "exec"), made)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    again = made["shown"]
    assert (again.title, again.says, again.facts[:-1]) == (shown.title, shown.says, shown.facts)
    assert float(again.facts[-1].split()[0]) > 0
    assert again.plot().json() == shown.plot().json()


def test_a_race_is_looked_at_where_it_was_last_recorded() -> None:
    assert race_errors(step=123).title.startswith("After 120 steps: plain56 ")
    assert race_errors().title.startswith("After 500 steps: plain56 ")
    left, right = (race_deletions(step=250, side=side) for side in ("left", "right"))
    assert (left.title, right.title) == ("plain56, after 250 steps", "resnet56, after 250 steps")
    assert left.bars and right.bars and left.bars.keys() == right.bars.keys() and left.bars != right.bars


def same(one, other) -> bool:
    """Equal up to rounding, in all that a figure is made of."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, str) or one is None:
        return one == other
    if isinstance(one, list | tuple | np.ndarray):
        if len(one) != len(other):
            return False
        if isinstance(one, np.ndarray) and one.dtype.kind == "f":
            return np.allclose(one, other, rtol=1e-3, atol=1e-6, equal_nan=True)
        return all(same(a, b) for a, b in zip(one, other, strict=True))
    return one == pytest.approx(other, rel=1e-3, abs=1e-6, nan_ok=True)
