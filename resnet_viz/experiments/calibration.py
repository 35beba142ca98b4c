"""Whether a network is as confident as it is accurate."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from .plan import Plan

__all__ = ["DRAWS", "PLAN", "Reliability", "reliability"]

BINS, DRAWS = 10, 30
PLAN = Plan(
    "Does a damaged network know that it is damaged?",
    "growth of the expected calibration error, over ten bins, and confidence minus accuracy with a tenth of the blocks deleted "
    "at random: medians of the draws",
    "fashion-resnet56; control fashion-plain56",
    "the 1,000 bundled test images, 100 a class",
    f"{DRAWS} draws of the blocks, seed 0; the first alone had been measured before",
    "no: with the lesion, the calibration error grows, and confidence stays above accuracy",
)


@dataclass(frozen=True)
class Reliability:
    """Images by the confidence of their prediction, in bins of equal width over 0 ... 1. ``images``: int64 (bins,);
    ``confidence`` and ``accuracy``: float64 (bins,), means over the images of a bin, 0 ... 1, NaN where it is empty."""

    images: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def mean_confidence(self) -> float:
        return float(np.nansum(self.images * self.confidence) / self.images.sum())

    @property
    def mean_accuracy(self) -> float:
        return float(np.nansum(self.images * self.accuracy) / self.images.sum())

    @property
    def surplus(self) -> float:
        """Confidence minus accuracy, -1 ... 1: above 0 the network is surer than it is right."""
        return self.mean_confidence - self.mean_accuracy

    @property
    def expected_calibration_error(self) -> float:
        """Guo et al. 2017 (arXiv:1706.04599, equation 3): |accuracy - confidence|, averaged over the images, 0 ... 1."""
        return float(np.nansum(self.images * np.abs(self.accuracy - self.confidence)) / self.images.sum())


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> Reliability:
    """Sort images by the probability of their likeliest class. ``probabilities``: (images, classes); ``labels``: (images,)."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    of_bins = stats.binned_statistic(confidence, [confidence, right], "mean", bins, (0, 1))
    count = stats.binned_statistic(confidence, None, "count", bins, (0, 1)).statistic.astype(np.int64)
    return Reliability(count, *of_bins.statistic)
