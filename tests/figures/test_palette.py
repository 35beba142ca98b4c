"""Log axes: a few ticks, each written out in full."""

import numpy as np
import pytest

from resnet_viz.figures.palette import log_axis


@pytest.mark.parametrize(
    ("values", "ticks", "texts"),
    [
        ([1, 9, 126], [1, 10, 100, 1000], ["1", "10", "100", "1,000"]),
        (
            [0.05, 0.3],
            [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
            ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5"],
        ),
        (
            [3e-6, 1e-5],
            [1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5],
            ["10⁻⁶", "2 × 10⁻⁶", "5 × 10⁻⁶", "10⁻⁵", "2 × 10⁻⁵", "5 × 10⁻⁵"],
        ),
        ([1, 2**54], [1, 1e4, 1e8, 1e12, 1e16], ["1", "10,000", "10⁸", "10¹²", "10¹⁶"]),
        (
            [0.6, 0.9],
            [*np.arange(1, 10) / 10, *range(1, 10)],
            [*(f"0.{digit}" for digit in range(1, 10)), *map(str, range(1, 10))],
        ),
        ([0, np.inf, np.nan], range(1, 10), list(map(str, range(1, 10)))),
    ],
)
def test_ticks_of_a_log_axis(values, ticks, texts) -> None:
    axis = log_axis(np.array(values))
    assert axis["tickvals"] == pytest.approx(list(ticks))
    assert axis["ticktext"] == texts
