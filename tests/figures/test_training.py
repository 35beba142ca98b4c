"""Training histories as drawn: means and bands over the seeds, ticks that can be read, what a difference leaves open; and norms by
step."""

import numpy as np
import pytest

from resnet_viz.figures.degradation import errors_by_epoch
from resnet_viz.figures.palette import LIGHT
from resnet_viz.figures.training import difference_sentence, error_by_epoch, norms_by_step, norms_sentence

from .test_degradation import FAMILIES, history
from .test_paths import titles, traces

STEPS, NORMS = np.array([0, 1000]), np.array([[1.0, 100.0, 10.0], [0.0, np.nan, 0.1]])
BLOCKS, PLACES = ["layer1.0", "layer1.1", "layer2.0"], ["layer1.0", "<b>", "b.0.mlp"]


def test_error_by_epoch_draws_the_mean_of_the_seeds_and_their_range():
    drawn = traces(error_by_epoch({"usual": FAMILIES["plain"][20], "other": FAMILIES["plain"][56]}, LIGHT).figure())
    assert list(drawn["usual (3 seeds)"].y) == [29, 13]
    assert list(drawn["usual, range"].y) == [32, 14, 12, 27]
    assert list(drawn["other (1 seed)"].y) == [52, 21]
    assert "other, range" not in drawn


def test_a_long_training_has_a_tick_every_fifth_epoch():
    for epochs, step in ((10, 1), (30, 5)):
        errors = [float(20 - epoch / 2) for epoch in range(epochs)]
        runs = [history(errors, errors, errors[-1])]
        assert error_by_epoch({"all": runs}, LIGHT).figure().layout.xaxis.dtick == step
        figure = errors_by_epoch({"plain": {20: runs}, "resnet": {56: runs}}, LIGHT).figure()
        assert [axis.dtick for axis in figure.select_xaxes()] == [step, step]


def test_a_difference_that_is_not_shown_says_what_is_compatible():
    unclear, clear = (difference_sentence("this way", each) for each in ((0.38, -0.46, 1.22), (64.2, 47.4, 81.1)))
    assert unclear == (
        "**this way**: +0.38 points (95 % interval -0.46 to +1.22): no difference could be shown; "
        "up to 1.2 points more error are compatible with these runs."
    )
    assert clear.endswith(": a difference beyond that between seeds.")


def test_norms_are_drawn_block_by_step_on_a_log_scale_and_what_is_not_a_number_is_not():
    figure = norms_by_step(STEPS, NORMS, BLOCKS, PLACES, LIGHT).figure()
    (drawn,) = figure.data
    assert list(drawn.x) == [0, 1000]
    np.testing.assert_allclose(drawn.z, [[0, -1], [2, np.nan], [1, -1]])  # 0 as the least
    assert (drawn.zmin, drawn.zmax) == (-1, 2) and list(drawn.colorbar.ticktext) == ["10⁻¹", "10⁰", "10¹", "10²"]
    assert [row[0] for row in drawn.text] == ["layer1.0: 1", "layer1.1 (&lt;b&gt;): 100", "layer2.0 (b.0.mlp): 10"]
    assert drawn.text[0][1] == "layer1.0: 0", "it is said as it is"
    assert titles(figure) == ["step", "block, the first at the bottom"]
    assert list(figure.layout.yaxis.ticktext) == ["layer1.0", "layer2.0"]


def test_many_stages_are_not_all_named_and_a_narrow_scale_says_its_ends():
    blocks = [f"layer{number}.0" for number in range(1, 41)]
    norms = np.linspace(2, 5, 40)[None]
    figure = norms_by_step(np.array([7]), norms, blocks, blocks, LIGHT).figure()
    assert list(figure.layout.yaxis.ticktext) == blocks[::3]
    assert list(figure.data[0].colorbar.ticktext) == ["2", "3.16", "5"]
    same = norms_by_step(np.array([7]), np.full((1, 40), 3.0), blocks, blocks, LIGHT).figure()
    assert list(same.data[0].colorbar.ticktext) == ["3"]


@pytest.mark.parametrize(
    ("last", "says"),
    [
        ([0.5, 1.0, 12345.0], "**1 and 10** at step 0; **0.5 and 12,345** at step 1,000."),
        ([np.nan, 1.0, 1.0], "**1 and 10** at step 0."),
    ],
)
def test_what_norms_are_at_first_and_at_last_is_said_where_there_is_a_number(last, says):
    said = norms_sentence(STEPS, np.array([NORMS[0], last]), "Stream")
    assert said == f"Stream, at the first block and at the last: {says}"
    assert norms_sentence(STEPS[:1], np.full((1, 3), np.nan), "Stream") == ""
