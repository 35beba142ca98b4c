"""Training histories as drawn: means and bands over the seeds, ticks that can be read, and what a difference leaves open."""

from resnet_viz.figures.degradation import errors_by_epoch
from resnet_viz.figures.palette import LIGHT
from resnet_viz.figures.training import difference_sentence, error_by_epoch

from .test_degradation import FAMILIES, history
from .test_paths import traces


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
