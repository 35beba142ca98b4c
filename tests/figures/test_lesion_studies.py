"""What the curves of lesion studies say."""

import numpy as np

from resnet_viz.experiments.deletion import Sweep
from resnet_viz.experiments.lesion_studies import RANDOM, REORDER, Study
from resnet_viz.figures.lesion_studies import study_sentences

LABELS = np.zeros(100, np.int64)


def study(kind: str, amounts: list[float], errors: list[int]) -> Study:
    """Two draws of each of the steps 1, 2 and 3, with errors in per cent."""
    predictions = np.array([np.where(np.arange(100) < error, 1, 0) for error in errors])
    return Study(kind, np.array(amounts), np.repeat([1, 2, 3], 2), Sweep(tuple("abcdef"), LABELS, predictions, LABELS))


def test_swaps_are_told_by_the_first_and_by_the_order() -> None:
    title, says = study_sentences(study(REORDER, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [10, 20, 60, 70, 80, 90]))
    assert title == "One random swap takes the error to 15 % (median of 2); the further from its own order, the higher"
    assert says.startswith("Over all 6 draws: ")
    assert (
        "From one number of swaps to the next, the median goes up by at most 59 % and down by at most 0 % of its whole rise."
        in says
    )
    title, _ = study_sentences(study(REORDER, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [60, 20, 10, 70, 30, 50]))
    assert title == "One random swap takes the error to 40 % (median of 2)"


def test_deletions_are_told_by_where_they_pass_one_half() -> None:
    title, _ = study_sentences(study(RANDOM, [1, 1, 2, 2, 3, 3], [10, 20, 60, 70, 80, 90]))
    assert title == "The error passes 50 % at 2 random deletions; 1 leaves it at 15 % (medians of 2)"
    title, _ = study_sentences(study(RANDOM, [1, 1, 2, 2, 3, 3], [1, 2, 3, 4, 5, 6]))
    assert title == "Up to 3 random deletions, the error stays below 50 %"
