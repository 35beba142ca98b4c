"""Confidence against accuracy: known values."""

import numpy as np
import pytest

from resnet_viz.experiments.calibration import reliability


def two_classes(confidences: list[float]) -> np.ndarray:
    """Class 0 is predicted with these confidences, of 0.5 or more."""
    return np.array([[confidence, 1 - confidence] for confidence in confidences])


def test_known_bins_and_error():
    found = reliability(two_classes([0.55, 0.95, 0.95, 0.95, 1.0]), np.array([1, 0, 0, 1, 0]))
    assert found.images.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 4]
    assert found.confidence[[5, 9]] == pytest.approx([0.55, 0.9625]) and found.accuracy[[5, 9]] == pytest.approx(
        [0, 0.75]
    )
    assert np.isnan(found.confidence[0])
    assert found.expected_calibration_error == pytest.approx((0.55 + 4 * 0.2125) / 5)
    assert found.mean_confidence == pytest.approx(0.88)
    assert found.surplus == pytest.approx(0.88 - 3 / 5)


def test_a_network_that_is_always_sure_and_right_is_calibrated():
    assert reliability(two_classes([1.0] * 4), np.zeros(4, int)).expected_calibration_error == 0
