"""Figures of importance: what is written on them can be read."""

import numpy as np
import pytest
from plotly.colors import convert_colors_to_same_type, hex_to_rgb, unlabel_rgb

from resnet_viz.experiments.attribution import Importance
from resnet_viz.figures.importance import correlation_matrix
from resnet_viz.figures.palette import DARK, LIGHT

READABLE = 4.5  # WCAG's contrast of normal text


def luminance(rgb: np.ndarray) -> float:
    """WCAG's relative luminance, 0 ... 1."""
    shares = rgb / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float([0.2126, 0.7152, 0.0722] @ linear)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_every_correlation_can_be_read_on_its_colour(palette):
    measures = [Importance(np.arange(4.0)[None], np.ones(4)), Importance(-np.arange(4.0)[None], np.ones(4))]
    (cells,) = correlation_matrix(["a", "b"], measures, palette).data
    places, names = zip(*cells.colorscale, strict=True)
    colours = np.array([unlabel_rgb(name) for name in convert_colors_to_same_type(list(names))[0]])
    ink = luminance(np.array(hex_to_rgb(cells.textfont.color)))
    for correlation in np.linspace(-1, 1, 21):
        place = 1 - (correlation - cells.zmin) / (cells.zmax - cells.zmin)  # the scale is reversed
        under = luminance(np.array([np.interp(place, places, channel) for channel in colours.T]))
        assert (max(ink, under) + 0.05) / (min(ink, under) + 0.05) > READABLE, correlation
