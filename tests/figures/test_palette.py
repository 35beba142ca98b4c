"""Colours of stages, axes of blocks, log axes, and what is written of shapes."""

from itertools import pairwise

import numpy as np
import pytest

from resnet_viz.figures.palette import CLOSEST, DARK, LIGHT, log_axis, named_blocks, round_step, shape_text, slim
from resnet_viz.networks.network import stage_of

# How colours look to those without red or green cones, of linear RGB (Machado, Oliveira and Fernandes 2009).
PROTANOPIA = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
DEUTERANOPIA = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
TO_XYZ = [[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0178, 0.1095, 0.8730]]  # as shares of white


def lab(colour: str, seen: np.ndarray) -> np.ndarray:
    """CIELAB of a colour as somebody sees it."""
    parts = np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(np.maximum(TO_XYZ @ np.clip(seen @ linear, 0, 1), 1e-6))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_stages_beside_each_other_differ_however_many_there_are(palette):
    colours = [palette.stage(f"layer{number}.3") for number in range(1, 13)]
    assert colours[:4] == list(palette.stages[:4])
    assert all(first != second for first, second in pairwise(colours))
    assert colours == [palette.stage(f"layer{number}") for number in range(1, 13)]
    assert not {palette.stem, palette.plain, palette.ink} & set(colours)
    for seen in (np.eye(3), PROTANOPIA, DEUTERANOPIA):
        for pair in pairwise(colours[3:9]):
            first, second = (lab(colour, np.array(seen)) for colour in pair)
            assert np.linalg.norm(first - second) > 25, pair


def test_the_first_four_stages_look_as_they_always_did():
    assert LIGHT.stages[:4] == ("#7E57C2", "#2E9E6B", "#C2384F", "#2F6FB7")
    assert DARK.stages[:4] == ("#A98BE0", "#56C793", "#E8697E", "#6BA3E3")


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((64, 56, 56), "64 × 56²"),
        ((64, 8, 8, 8), "64 × 8³"),
        ((64, 8, 16, 16), "64 × 8 × 16 × 16"),
        ((64, 32, 48), "64 × 32 × 48"),
        ((197, 768), "197 × 768"),
        ((64, 64), "64 × 64"),
        ((512, 1, 1), "512 × 1 × 1"),
        ((10,), "10"),
    ],
)
def test_shapes_in_words(shape, text):
    assert shape_text(shape) == text


def blocks_of(*sizes: int) -> list[str]:
    return [f"layer{stage}.{number}" for stage, size in enumerate(sizes, 1) for number in range(size)]


def test_an_axis_names_where_stages_begin_also_where_their_first_block_was_cut():
    blocks = blocks_of(3, 8, 36, 3)
    assert [blocks[i] for i in named_blocks(blocks)] == ["layer1.0", "layer2.0", "layer3.0", "layer4.0"]
    blocks.remove("layer2.0")
    assert [blocks[i] for i in named_blocks(blocks)] == ["layer1.0", "layer2.1", "layer3.0", "layer4.0"]
    assert len(named_blocks(blocks_of(*[1, 1, 2] * 3))) == 9


def test_an_axis_of_one_stage_names_some_of_its_blocks():
    assert named_blocks(blocks_of(1000)) == [0, 200, 400, 600, 800]
    assert named_blocks(blocks_of(3)) == [0, 1, 2]
    assert [round_step(least) for least in (0.1, 1, 1.1, 3, 6, 125)] == [1, 1, 2, 5, 10, 200]


@pytest.mark.parametrize("sizes", [[1] * 90, [1, 1, 1, 997], [100, 100, 1, 799], [100] * 30])
def test_no_names_of_an_axis_lie_on_each_other(sizes):
    blocks = blocks_of(*sizes)
    named = named_blocks(blocks)
    assert stage_of(blocks[named[-1]]) == f"layer{len(sizes)}" or len(named) > 14
    assert all(np.diff(named) >= CLOSEST * len(blocks))
    assert all(stage_of(blocks[i]) != stage_of(blocks[i - 1]) for i in named if i)


def test_marks_get_smaller_where_they_are_many():
    assert [slim(9, count) for count in (12, 200, 800)] == [9, 9, 4.5]


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
