"""The strongest paths as drawn: a box for each branch taken, a row for each path."""

import numpy as np
import pytest

from resnet_viz.experiments.strongest_paths import StrongestPaths
from resnet_viz.figures.palette import DARK, LIGHT
from resnet_viz.figures.strongest_paths import MOST_NUMBERS, MOST_ROWS, branches_by_stage, paths_on_blocks

BLOCKS = ["layer1.0", "layer1.1", "layer2.0"]
FOUND = StrongestPaths(
    np.array([[True, False, True], [False, False, False], [True, True, True]]),
    np.array([2.0, 1e-5, 3.0]),
    np.array([0.5, 0.001, -0.07]),
)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_a_box_stands_where_a_path_takes_the_branch(palette):
    boxes, _ = paths_on_blocks(FOUND, BLOCKS, 2, palette).figure().data
    middles = [round(base + width / 2) for base, width in zip(boxes.base, boxes.x, strict=True)]
    assert list(zip(boxes.y, middles, strict=True)) == [(1, 0), (1, 2), (3, 0), (3, 1), (3, 2)]
    first, second = palette.stages[:2]
    assert list(boxes.marker.color) == [first, second, first, first, second]
    assert list(boxes.marker.line.width) == [0, 0, 2, 2, 2]


def test_each_path_has_a_wire_and_the_chosen_ones_is_strong():
    lines = paths_on_blocks(FOUND, BLOCKS, 1, LIGHT).figure().layout.shapes
    assert [(line.y0, line.line.color) for line in lines] == [(1, LIGHT.line), (2, LIGHT.ink), (3, LIGHT.line)]
    assert all(line.layer == "below" for line in lines)  # a box is not struck out


def test_a_click_anywhere_on_a_row_tells_its_number():
    figure = paths_on_blocks(FOUND, BLOCKS, 0, LIGHT).figure()
    rows = figure.data[-1]
    assert [data[0] for data in rows.customdata] == [0, 1, 2]
    assert list(rows.y) == [1, 2, 3]
    assert (rows.base, list(rows.x)) == (-0.5, [3, 3, 3])
    assert rows.hoverinfo != "skip"
    assert figure.data[0].hoverinfo == "skip"
    assert figure.layout.clickmode == "event+select"
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # the strongest on top


def test_every_path_names_its_branches_length_norm_and_share():
    figure = paths_on_blocks(FOUND, BLOCKS, 0, LIGHT).figure()
    assert [data[1] for data in figure.data[-1].customdata] == [
        "layer1.0 · layer2.0<br>length 2, norm 2, +50 % of the gradient",
        "no branch: shortcuts only<br>length 0, norm 1.0 × 10⁻⁵, +0.1 % of the gradient",
        "layer1.0, 1 · layer2.0<br>length 3, norm 3, −7 % of the gradient",
    ]
    beside = [note.text for note in figure.layout.annotations]
    assert beside == ["2, +50.00 %", "0, +0.10 %", "3, −7.00 %", "length, share"]


def test_at_most_so_many_rows_are_drawn():
    generator = np.random.default_rng(0)
    many = StrongestPaths(generator.random((64, 54)) < 0.2, np.arange(64.0, 0, -1), np.zeros(64))
    blocks = [f"layer{stage}.{index}" for stage in (1, 2, 3) for index in range(18)]
    boxes, rows = paths_on_blocks(many, blocks, 0, LIGHT).figure().data
    assert len(rows.y) == MOST_ROWS
    assert len(boxes.y) == many.takes_branch[:MOST_ROWS].sum()


def test_the_branches_of_a_path_are_listed_by_stage():
    assert branches_by_stage([True, True, True], BLOCKS) == "layer1.0, 1 · layer2.0"
    assert branches_by_stage([False, False, True], BLOCKS) == "layer2.0"
    assert branches_by_stage([False] * 3, BLOCKS) == "no branch: shortcuts only"


def test_many_branches_of_a_stage_are_counted():
    blocks = [f"layer1.{number}" for number in range(MOST_NUMBERS + 1)] + ["layer2.0"]
    taken = np.ones(len(blocks), bool)
    assert branches_by_stage(taken, blocks) == f"{MOST_NUMBERS + 1} blocks of layer1 · layer2.0"
    taken[0] = False
    assert branches_by_stage(taken, blocks).startswith("layer1.1, 2, 3, 4,")
