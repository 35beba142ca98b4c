"""What the verdicts of the report share: the bundled networks and images they are about, and intervals."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats
from torch import Tensor

from ..experiments.deletion import known, label_array
from ..experiments.paths import GradientByLength, gradient_by_length
from ..experiments.race import Race, Record
from ..networks.images import ImageSet
from ..networks.network import ResidualNetwork
from ..networks.zoo import NETWORKS, LoadedNetwork
from . import measures

RESIDUAL, CONTROL = ("fashion-resnet56", "fashion-resnet110"), "fashion-plain56"
CHANCE = 90.0  # per cent, of ten classes
BACKWARD_IMAGES = 32
RESAMPLES = 1000
IMAGES = "95 %, images"
WELCH = "95 %, Welch over 3 seeds"


def network(name: str) -> LoadedNetwork:
    """A bundled network."""
    return measures.network(NETWORKS[name])


def lesion_set() -> ImageSet:
    """The bundled test images."""
    return measures.images(NETWORKS[CONTROL])


def batch(name: str, count: int) -> tuple[ResidualNetwork, Tensor, Tensor]:
    """A network, some of the lesion set as its input, and their labels."""
    images = lesion_set().limit(count)
    inputs = network(name).inputs(images)
    return network(name).network, inputs, known(images.labels).to(inputs.device)


def lengths(name: str, untrained: int | None = None) -> GradientByLength:
    """The exact gradient of a bundled network by path length, over a few of the lesion set."""
    images = lesion_set().limit(BACKWARD_IMAGES)
    return measures.over_batch(
        gradient_by_length, measures.network(NETWORKS[name], untrained), images, known(label_array(images)).tolist()
    )


def bootstrapped(statistic: Callable[[np.ndarray], float], units: int) -> tuple[float, float]:
    """The 95 % percentile interval of a statistic of chosen units, drawn with replacement, seed 0."""
    found = stats.bootstrap(
        (np.arange(units),), statistic, vectorized=False, n_resamples=RESAMPLES, method="percentile", rng=0
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def median_interval(errors: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of a median of draws, from their order alone."""
    interval = stats.quantile_test(errors, p=0.5).confidence_interval()
    return float(interval.low), float(interval.high)


def mean_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """The mean of independent values, and its 95 % interval (Student's t)."""
    interval = stats.ttest_1samp(values, 0).confidence_interval()
    return float(np.mean(values)), float(interval.low), float(interval.high)


def last_errors(races: Sequence[tuple[Race, Sequence[Record]]]) -> tuple[list[float], list[float]]:
    """The training errors of the left and the right network at the end, one for each seed."""
    left, right = zip(
        *((records[-1].left.train_error_pct, records[-1].right.train_error_pct) for _, records in races), strict=True
    )
    return list(left), list(right)


def listed(errors: Sequence[float]) -> str:
    """'50.6, 39.4, 72.2 %'."""
    return ", ".join(f"{error:.1f}" for error in errors) + " %"
