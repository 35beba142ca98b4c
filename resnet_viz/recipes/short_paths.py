"""Are the long paths needed for training? Networks trained on all paths and on short ones, three seeds each."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from ..experiments.degradation import History
from ..experiments.short_paths import LONGEST_PATH, MATCHED_PLAN, PLAN, share_of_short_paths
from ..experiments.training import difference, every_seed, short_path_runs
from ..figures.palette import LIGHT
from ..figures.training import difference_sentence, error_by_epoch
from ..findings import Answer, Measurement, Question
from .shown import PRECOMPUTED, Shown, recipe
from .verdict import BACKWARD_IMAGES, WELCH, lengths

__all__ = ["matched_blocks", "short_paths"]

FACTS = (PRECOMPUTED, "10,000 test images", "3 seeds each", "Welch 95 %")
RANDOM = r"g_i = 0\text{ for 14 of 27 blocks, drawn for each batch}"
RANDOM_OR_SHORT = (
    r"\text{short: }\nabla_\theta L = \sum_{|p| \le 4} g_p;\quad "
    r"\text{random: }g_i = 0\text{ for 5 of 9 blocks, drawn for each batch}"
)
BANDS = "The lines are means over the seeds, the bands reach from the best to the worst. "
MATCHED = BANDS + (
    "The paths of 13 blocks have 6.5 branches on average, as many as the paths that carry the gradient of resnet56; Veit "
    "et al. took 23 of 54 for the same reason. Tested with all blocks, more is added to the stream than the batch norms "
    "were trained on; the sentence on statistics taken anew is about the same networks without that."
)
HARSHER = BANDS + (
    "The paths of 4 random blocks have 2 branches on average, less than half as many as those that carry the gradient of "
    "resnet20: this says little about the paper."
)
CARRIED = (
    "Paths of at most {longest} branches carry {share:.0f} % of the gradient of the trained resnet20 (of the summed norms by "
    "length, measured now on {images} of the test images)."
)


@recipe()
def matched_blocks() -> Shown:
    """The test error of resnet56 by epoch, trained on all of its 27 blocks, or on 13 of them a batch, drawn at random."""
    ways = short_path_runs("fashion-resnet56")
    (_, way), (ordinary, random) = ways, ways.values()
    title = title_of(ways)
    return Shown(
        title=title,
        draw=partial(error_by_epoch, ways),
        says="  \n".join([compared(way, random, ordinary), compared_anew(way, random, ordinary)]),
        formula=RANDOM,
        caption=MATCHED,
        alt=title,
        facts=FACTS,
        sources=("fashion-resnet56, trained in two ways",),
    )


@recipe()
def short_paths() -> Shown:
    """The test error of resnet20 by epoch, trained on all paths, on 4 of its 9 blocks a batch, or on paths of 4 branches at
    most."""
    ways = short_path_runs("fashion-resnet20")
    (_, random_way, short_way), (ordinary, random, short) = ways, ways.values()
    share = share_of_short_paths(lengths("fashion-resnet20").mean_norms)
    says = [
        compared(random_way, random, ordinary),
        compared_anew(random_way, random, ordinary),
        compared(short_way, short, ordinary),
        CARRIED.format(longest=LONGEST_PATH, share=100 * share, images=BACKWARD_IMAGES),
    ]
    title = f"Harsher than Veit et al. {title_of(ways)}"
    return Shown(
        title=title,
        draw=partial(error_by_epoch, ways),
        says="  \n".join(says),
        formula=RANDOM_OR_SHORT,
        caption=HARSHER,
        alt=title,
        facts=FACTS,
        sources=("fashion-resnet20, trained in three ways",),
    )


def errors(runs: Sequence[History], which: str = "test_error_pct") -> list[float]:
    """The error of each run, %."""
    return [run[which] for run in runs]


def title_of(ways: Mapping[str, Sequence[History]]) -> str:
    """The mean test error of each way to train."""
    means = ", ".join(f"{way} {np.mean(errors(runs)):.2f} %" for way, runs in ways.items())
    return f"Test error, with all blocks: {means}"


def compared(way: str, runs: Sequence[History], ordinary: Sequence[History], which: str = "test_error_pct") -> str:
    """What a way to train changes."""
    return difference_sentence(way, difference(errors(runs, which), errors(ordinary)))


def compared_anew(way: str, runs: Sequence[History], ordinary: Sequence[History]) -> str:
    """What is left of that when the batch norms have seen all blocks."""
    which = "test_error_reestimated_pct"
    mean = np.mean(errors(runs, which))
    way = f"{way}, batch norms' statistics taken anew with all blocks, {mean:.2f} %"
    return compared(way, runs, ordinary, which)


def trained_on_matching_blocks() -> Answer:
    """Training on as many random blocks as match the paths that carry the gradient, from the bundled histories."""
    ways = short_path_runs("fashion-resnet56")
    ordinary, random = ways.values()
    (_, way) = ways
    before, after, anew = errors(ordinary), errors(random), errors(random, "test_error_reestimated_pct")
    as_trained, with_own = difference(after, before), difference(anew, before)
    measured = [
        Measurement("fashion-resnet56", f"{way}: difference, points", *as_trained, WELCH, as_trained[0] > 5),
        Measurement(
            "fashion-resnet56", f"{way}, batch norms taken anew: difference, points", *with_own, WELCH, with_own[0] <= 3
        ),
    ]
    notes = f"means: ordinary {np.mean(before):.2f} %; {way} {np.mean(after):.2f} %, with batch norms taken anew {np.mean(anew):.2f} %"
    return measured, notes, error_by_epoch(ways, LIGHT)


def trained_on_short_paths() -> Answer:
    """Training on paths shorter than those that carry the gradient, from the bundled histories."""
    ways = short_path_runs("fashion-resnet20")
    by_way = {name: errors(found) for name, found in ways.items()}
    ordinary, *others = by_way.items()
    measured = []
    for name, found in others:
        rise, low, high = difference(found, ordinary[1])
        measured.append(
            Measurement("fashion-resnet20", f"{name}: difference, points", rise, low, high, WELCH, low < 0 < high)
        )
    anew = errors(list(ways.values())[1], "test_error_reestimated_pct")
    means = "; ".join(f"{name} {np.mean(found):.2f} %" for name, found in by_way.items())
    share = share_of_short_paths(lengths("fashion-resnet20").mean_norms)
    notes = (
        f"{means}; with batch-norm statistics taken anew with all blocks, training on random blocks gives {np.mean(anew):.2f} %; paths of at most "
        f"{LONGEST_PATH} branches carry {100 * share:.0f} % of the gradient of the trained network (summed norms by length, {BACKWARD_IMAGES} of the bundled test images)"
    )
    return measured, notes, error_by_epoch(ways, LIGHT)


QUESTIONS: tuple[Question, ...] = (
    *(
        ((MATCHED_PLAN, "short_paths", trained_on_matching_blocks),)
        if every_seed(short_path_runs("fashion-resnet56"))
        else ()
    ),
    (PLAN, "short_paths?network=fashion-resnet20", trained_on_short_paths),
)
