"""Figures of path lengths: the numbers that they draw, and what they say of themselves."""

from math import comb

import numpy as np
import plotly.graph_objects as go
import pytest

from resnet_viz.experiments.paths import GradientByLength
from resnet_viz.figures.palette import DARK, LIGHT
from resnet_viz.figures.paths import (
    count_times_norm,
    length_sentences,
    lengths_by_stage,
    number_text,
    product_sentence,
    share_by_length,
    stage_sentence,
)

LENGTHS = np.arange(5)
EXACT = GradientByLength((1, 4, 6, 4, 1), np.array([[1.0, 4.0, 3.0, 1.5, 0.5], [1.0, 2.0, 3.0, 2.5, 1.5]]), 1e-7)
PLAIN = GradientByLength((0, 0, 0, 0, 1), np.array([[0.0, 0.0, 0.0, 0.0, 3.0]]), 1e-7)
SAMPLED = np.outer(0.5**LENGTHS, [0.9, 1.0, 1.1])


def traces(figure: go.Figure) -> dict[str, go.Figure]:
    """By name: each has one, that no other has."""
    named = {trace.name: trace for trace in figure.data}
    assert len(named) == len(figure.data)
    assert None not in named
    return named


def titles(figure: go.Figure) -> list[str]:
    """Of the axes that have one."""
    axes = [*figure.select_xaxes(), *figure.select_yaxes()]
    return [axis.title.text for axis in axes if axis.title.text]


def test_count_times_norm_draws_number_norm_and_product():
    figure = count_times_norm(EXACT, SAMPLED, LIGHT).figure()
    number, one, product, exact = traces(figure).values()
    assert list(number.x) == list(product.x) == list(exact.x) == [0, 1, 2, 3, 4]
    assert list(number.y) == [1, 4, 6, 4, 1]
    assert sorted(zip(one.x, one.y, strict=True)) == sorted((k, norm) for k in LENGTHS for norm in SAMPLED[k])
    expected = np.array([comb(4, k) * 0.5**k for k in range(5)])
    np.testing.assert_allclose(product.y, 100 * expected / 1.5**4)
    np.testing.assert_allclose(exact.y, [10, 30, 30, 20, 10])
    assert [axis.type for axis in figure.select_yaxes()] == ["log", "log", None]
    assert [trace.yaxis for trace in figure.data] == [None, "y2", "y3", "y3"]
    assert [axis.showticklabels for axis in figure.select_xaxes()] == [False, False, None]  # one axis for all three
    assert titles(figure) == [
        "path length: number of branches taken",
        "number of paths",
        "norm of one path",
        "share, %",
    ]


def test_count_times_norm_of_more_paths_than_int64_holds():
    counts = tuple(comb(333, k) for k in range(334))
    norms = 0.1 ** np.arange(334.0)
    figure = count_times_norm(GradientByLength(counts, norms[None], 0.0), norms[:, None], LIGHT).figure()
    assert traces(figure)["number of paths"].y[166] == pytest.approx(float(counts[166]))
    assert np.sum(traces(figure)["number × norm, share, %"].y) == pytest.approx(100)
    assert traces(figure)["number of paths"].customdata[2] == "55,278"


def test_count_times_norm_of_a_plain_network_draws_its_single_path():
    sampled = np.full((5, 3), np.nan)
    sampled[4] = 3.0
    named = traces(count_times_norm(PLAIN, sampled, DARK).figure())
    assert all(set(trace.x) == {4} for trace in named.values())
    assert list(named["number × norm, share, %"].y) == [100]


def test_lengths_by_stage_draws_a_line_in_each_stages_colour():
    short = GradientByLength((1, 2, 1), np.array([[1.0, 2.0, 1.0]]), 0.0)
    figure = lengths_by_stage({"layer1": EXACT, "layer2": short}, LIGHT).figure()
    named = traces(figure)
    np.testing.assert_allclose(named["layer1"].y, [10, 30, 30, 20, 10])
    np.testing.assert_allclose(named["layer2"].y, [25, 50, 25])
    assert list(named["layer2"].x) == [0, 1, 2]
    assert [named[stage].line.color for stage in ("layer1", "layer2")] == list(LIGHT.stages[:2])
    texts = [annotation.text for annotation in sorted(figure.layout.annotations, key=lambda each: -each.yshift)]
    assert texts == [
        "─ layer1: 1.9 of 4 branches on average",
        "─ layer2: 1.0 of 2 branches on average",
    ]
    assert titles(figure) == ["branches taken within the stage", "share of the gradient, %"]
    assert figure.layout.xaxis.range == (-0.5, 4.5)


def test_stages_that_hold_as_many_branches_are_named_alike():
    short, same = (
        GradientByLength((1, 1), np.array([[3.0, 1.0]]), 0.0),
        GradientByLength((1, 1), np.array([[3.01, 1.0]]), 0.0),
    )
    told = [
        stage_sentence(stages)
        for stages in (
            {"layer1": short, "layer2": EXACT},
            {"layer1": EXACT, "layer2": EXACT, "layer3": short},
            {"layer1": short, "layer2": same},
            {"layer1": short},
        )
    ]
    most = "Within the stages, the gradient takes most branches in"
    assert told == [
        f"{most} layer2: 1.9 on average",
        f"{most} layer1 and layer2: 1.9 on average",
        "Within each stage, the gradient takes 0.2 branches on average",
        "Within its only stage, the gradient takes 0.2 branches on average",
    ]


def test_one_branch_is_no_branches():
    assert "is largest at 1 branch in" in product_sentence(EXACT, np.outer([0.1, 1, 0.1, 0.1, 0.1], [1.0, 1.0]))
    assert "is largest at 2 branches in" in product_sentence(EXACT, np.outer([0.1, 0.1, 1, 0.1, 0.1], [1.0, 1.0]))


@pytest.mark.parametrize("beside", [None, ("another network", EXACT)])
def test_what_the_bars_are_stands_in_lines_above_them(beside):
    figure = share_by_length(EXACT, LIGHT, beside).figure()
    above = {each.text: each.yshift for each in figure.layout.annotations if each.yref == "paper"}
    assert list(above) == ["○ gradient, another network"] * bool(beside) + ["■ gradient", "■ paths"]
    assert np.diff(list(above.values())).min() >= figure.layout.font.size
    assert figure.layout.margin.t > max(above.values()) + figure.layout.font.size


def test_the_sentence_names_the_share_of_the_paths_in_the_range():
    narrow = GradientByLength(EXACT.paths, np.array([[0.0, 1.0, 1.0, 0.0, 0.0]]), 0.0)
    title, says = length_sentences(narrow)
    assert "1.5 branches against 2" in title
    assert "Lengths of 1 to 2 branches hold 95 % of the summed norms and 62 % of the 2⁴ paths" in says


def test_numbers_of_paths_that_no_float_holds_are_drawn_and_said():
    lengths = np.arange(1101)
    norms = np.exp(-0.5 * ((lengths - 90) / 20) ** 2)
    exact = GradientByLength(tuple(comb(1100, k) for k in lengths), norms[None], 1e-7)
    drawn = traces(count_times_norm(exact, np.outer(0.5**lengths, [1.0, 2.0]), LIGHT).figure())
    numbers = drawn["number of paths"]
    assert list(numbers.y[:2]) == [1, 1100] and np.isnan(numbers.y[550]) and numbers.y[300] == float(exact.paths[300])
    assert numbers.customdata[550] == number_text(exact.paths[550]) == "3.3 × 10³²⁹"
    assert max(map(len, share_by_length(exact, LIGHT).data[0]["customdata"])) < 20


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1"), (10**15 - 1, "999,999,999,999,999"), (2 * 10**15, "2.0 × 10¹⁵")]
)
def test_numbers_of_paths_in_words(number, text):
    assert number_text(number) == text


def test_the_lines_of_nine_stages_have_room_for_their_names():
    few, many = (lengths_by_stage({f"layer{n}": EXACT for n in range(1, count)}, LIGHT).layout for count in (4, 10))
    assert many["height"] - many["margin"]["t"] == few["height"] - few["margin"]["t"]
