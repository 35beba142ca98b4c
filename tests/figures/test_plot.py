"""Figures as plain data: plotly understands every word of them, and would have written the same."""

import json
from dataclasses import replace
from functools import partial
from importlib import import_module
from inspect import getmembers, isfunction, signature
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io
import pytest
from plotly.subplots import make_subplots

from resnet_viz import figures
from resnet_viz.experiments.attribution import Importance
from resnet_viz.experiments.calibration import Reliability
from resnet_viz.experiments.deletion import Lesion, Sweep
from resnet_viz.experiments.early_stop import Probed
from resnet_viz.experiments.influence import Harm
from resnet_viz.experiments.lesion_studies import REORDER, Study
from resnet_viz.experiments.painters import Reset
from resnet_viz.experiments.path_lengths import PathLengths
from resnet_viz.experiments.shattered import POINTS, Shattering
from resnet_viz.experiments.shortcuts import KINDS, AlongShortcuts
from resnet_viz.figures import (
    anatomy,
    degradation,
    deletion,
    diagram,
    gradients,
    identity,
    image_attribution,
    importance,
    influence,
    lesion_studies,
    lineage,
    painters,
    paths,
    predictions,
    race,
    shattered,
    shortcuts,
    strongest_paths,
    training,
)
from resnet_viz.figures.document import html_figure
from resnet_viz.figures.palette import DARK, LIGHT, height_of, styled
from resnet_viz.figures.plot import Plot, grid
from resnet_viz.networks.description import BlockPart, Description, Part

from . import (
    test_degradation,
    test_gradients,
    test_identity,
    test_image_attribution,
    test_importance,
    test_paths,
    test_race,
    test_strongest_paths,
    test_training,
)

CLASSES = [f"class {number}" for number in range(10)]
PROBABILITIES = np.linspace(0, 0.5, 30, dtype=np.float32).reshape(3, 10)
LABELS, WRONG = np.arange(10), np.array([0, 1, 2, 3, 4, 5, 6, 7, 0, 0])
LESION = Lesion(LABELS, WRONG, LABELS)
BLOCKS = ("layer1.0", "layer1.1", "layer2.0")
SWEEP = Sweep(BLOCKS, LABELS, np.stack([WRONG, LABELS, WRONG]), LABELS)
TWO_SWEEPS = [("residual", SWEEP, False), ("plain", SWEEP, True)]
STUDY = Study(
    REORDER, np.array([0.5, 1.0]), np.array([1, 2]), Sweep(("a", "b"), LABELS, np.stack([WRONG, LABELS]), LABELS)
)
STAGES = Sweep(("layer1", "layer2", "every stage"), LABELS, SWEEP.predictions, LABELS)
LINE = painters.Line("residual", (2, 4, 8), SWEEP)
PLAIN_LINE = painters.Line("plain", (2, 4, 8), SWEEP, plain=True, hollow=True, beside=True)
RESET = Reset(SWEEP, (SWEEP, Sweep(BLOCKS, LABELS, np.stack([LABELS] * 3), LABELS)), SWEEP)
RELIABILITY = Reliability(np.array([0, 3, 7]), np.array([np.nan, 0.5, 0.9]), np.array([np.nan, 0.3, 1.0]))
SHAPE = (16, 14, 14)
STEM, HEAD = (Part(name, "3x3 convolution, stride 2", (1, 28, 28), SHAPE, 144, 28224) for name in ("stem", "head"))
PARTS = [
    BlockPart(name, "basic", SHAPE, (32, 7, 7), 4608, 903168, name.split(".")[0], shortcut, "", 0, "ReLU")
    for name, shortcut in zip(BLOCKS, ("identity", "identity", "projection"), strict=True)
]
LAYERS = [Part("conv", "3x3 convolution", SHAPE, SHAPE, 2304, 451584), Part("norm", "batch norm", SHAPE, SHAPE, 32, 0)]
LINES = [test_gradients.line("residual", 1.0), test_gradients.line("plain", np.nan, plain=True)]
MAPS = {"layer1.0": [test_image_attribution.of_cells(test_image_attribution.CELLS)] * 2}
SIGNED = [test_image_attribution.integrated([[1, -3], [0, 0]], -2.0)] * 2
SHATTERED = Shattering(np.random.default_rng(0).standard_normal((POINTS, 1, 4, 4), np.float32))
SHATTERED_LINES = [shattered.Line("residual", SHATTERED), shattered.Line("plain", SHATTERED, plain=True)]
ALONG = AlongShortcuts(np.array([0.0, 1e-15, 0.1, 1.0]), np.array([20.0, 8.0, 2.0, 1.0]), np.full(3, 0.5))
NONE_ALONG = AlongShortcuts(np.array([0.0, 0.0, 0.0, 1.0]), np.array([90.0, 8.0, 2.0, 1.0]), np.zeros(3))
LENGTHS = [
    PathLengths(kind, depth, seed, 2, 1.2, 1.1, 1.4, 3.0, 1.0, 1e-7, (0.5, 1.0, 0.2, 0.1)[: blocks + 1])
    for kind, seed in (("resnet", None), ("resnet", 0), ("preact", 0))
    for depth, blocks in ((6, 2), (8, 3))
]
FAMILIES = [
    lineage.Line("vit", np.arange(3.0), np.array([0.1, np.nan, 2.0]), 3),
    lineage.Line("rnn, untrained", np.arange(3.0), np.array([0.1, 0.2, 0.3]), 2, "dash", plain=True),
]
HARM = Harm(BLOCKS, *[Importance(np.array([[0.1, 0.3, 0.2]]), np.zeros(3))] * 2)

DRAW = [
    partial(
        anatomy.grouped_bars,
        [
            anatomy.Group(
                "one", [anatomy.Bar("1x1, 4 → 4", 16, "16", "1x1"), anatomy.Bar("all", 9.5, "9.5", "head", pale=True)]
            )
        ],
        "weights",
    ),
    partial(anatomy.split_bars, [anatomy.Split("VGG", (14.7, 123.6), (15.3, 0.1))]),
    partial(degradation.errors_by_epoch, test_degradation.FAMILIES),
    partial(degradation.errors_by_depth, test_degradation.FAMILIES),
    partial(degradation.gradients_by_epoch, {"plain20": test_degradation.history([9], [9], 9, [[0.0, 1.0, 10.0]])}),
    partial(deletion.prediction_change, CLASSES, *PROBABILITIES[:2]),
    partial(deletion.error_bars, [("residual", LESION, False), ("plain", LESION, True)]),
    partial(deletion.sweep_errors, TWO_SWEEPS, 90.0),
    partial(deletion.sweep_errors, [("unlabelled", Sweep(BLOCKS, LABELS, SWEEP.predictions, None), False)], 90.0),
    partial(deletion.class_errors, CLASSES, LESION),
    partial(
        diagram.stage_diagram, Description(STEM, tuple(PARTS), HEAD, 8, 1000), [STEM], [HEAD], "shortcuts", "layer1.1"
    ),
    partial(diagram.block_wiring, PARTS[2], LAYERS),
    partial(diagram.feature_maps, "gradient", np.linspace(-1, 1, 45, dtype=np.float32).reshape(5, 3, 3)),
    partial(gradients.along_blocks, LINES, "norm"),
    partial(gradients.stream_statistics, [("one", LINES), ("other", LINES)]),
    partial(gradients.growth_by_depth, {"residual": {20: 9.26, 110: 72.2}, "plain": {20: 20.9, 110: 1.0e7}}),
    partial(identity.error_by_step, test_identity.ATTEMPTS, 1),
    partial(identity.error_by_blocks, test_identity.ATTEMPTS),
    partial(image_attribution.grad_cam_by_block, test_image_attribution.PIXELS, MAPS, "layer1.0"),
    partial(image_attribution.integrated_pictures, test_image_attribution.PIXELS, SIGNED),
    partial(importance.importance_by_block, test_importance.BLOCKS, test_importance.MEASURES),
    partial(importance.correlation_matrix, list("abc"), list(test_importance.MEASURES.values())),
    partial(importance.reliability_diagram, [("intact", RELIABILITY, True), ("with the lesion", RELIABILITY, False)]),
    partial(influence.harm_by_influence, [("residual", HARM, False), ("plain", HARM, True)]),
    partial(influence.responses, LINES),
    partial(
        influence.responses_by_depth, {"residual": {20: np.arange(3.0), 56: np.ones(9)}, "plain": {20: np.ones(3)}}
    ),
    partial(influence.descent_by_block, [test_gradients.line("residual", -1.0)]),
    partial(lesion_studies.errors_by_amount, [("residual", STUDY, False), ("plain", STUDY, True)], 90.0),
    partial(lesion_studies.error_by_stop, TWO_SWEEPS, 90.0),
    partial(lesion_studies.class_probabilities_by_stop, CLASSES, PROBABILITIES),
    partial(
        lesion_studies.probe_errors, [("one", Probed(SWEEP, SWEEP), False), ("other", Probed(SWEEP, SWEEP), True)], 90.0
    ),
    partial(lineage.lines, FAMILIES, "place", "gradient"),
    partial(lineage.lines, FAMILIES, "place", "gradient", log=True),
    partial(lineage.gates_by_image, np.array([[0.1, 0.2, 0.3], [0.2, 0.1, 0.4]]), BLOCKS, ["Bag", "Coat"]),
    partial(painters.errors_by_stage, [("residual", STAGES, False), ("plain", STAGES, True)], 90.0),
    partial(painters.errors_by_count, {"layer1": [LINE, PLAIN_LINE], "layer2.1": [LINE]}, "times", 90.0),
    partial(painters.reset_errors, [("one", RESET, False), ("other", RESET, True)], 90.0),
    partial(paths.unravelled, BLOCKS, 2),
    partial(paths.share_by_length, test_paths.EXACT, beside=("other", test_paths.EXACT)),
    partial(paths.count_times_norm, test_paths.EXACT, test_paths.SAMPLED),
    partial(paths.lengths_by_stage, {"layer1": test_paths.EXACT}),
    partial(race.error_by_step, test_race.RECORDS, test_race.NAMES, step=10),
    partial(race.gradients_at, test_race.RECORDS[1], test_race.NAMES, test_race.BLOCKS),
    partial(race.rises_at, test_race.RECORDS[1], test_race.NAMES, test_race.BLOCKS),
    partial(shattered.cosines_along, SHATTERED_LINES),
    partial(shattered.gradient_pictures, SHATTERED_LINES),
    partial(
        shattered.cosine_by_depth,
        [
            shattered.ByDepth("residual", {20: [0.9, 0.8]}),
            shattered.ByDepth("plain", {20: [0.1]}, plain=True, trained=True),
        ],
    ),
    partial(paths.length_by_depth, LENGTHS),
    partial(shortcuts.along_blocks, {"halved": ALONG, "none": NONE_ALONG}),
    partial(shortcuts.by_depth, {"halved": {20: ALONG, 56: ALONG}, "none": {20: NONE_ALONG, 56: NONE_ALONG}}),
    partial(
        shortcuts.errors,
        [
            shortcuts.Errors(KINDS[name], errors)
            for name, errors in {"identity": [9.0, 11.0], "none": [30.0], "rezero": []}.items()
        ],
    ),
    partial(strongest_paths.paths_on_blocks, test_strongest_paths.FOUND, test_strongest_paths.BLOCKS, 1),
    partial(predictions.number_dots, [5.0, 7.5, 11.3], "%", 11.3),
    partial(predictions.choice_bars, [("weaker", 3), ("stronger", 1)], "stronger"),
    partial(training.error_by_epoch, {"usual": test_degradation.SHALLOW, "other": test_degradation.DEEP}),
    partial(
        training.norms_by_step, test_training.STEPS, test_training.NORMS, test_training.BLOCKS, test_training.PLACES
    ),
]


PROJECTOR = replace(LIGHT, projector=True)
each_figure = pytest.mark.parametrize(
    "draw", DRAW, ids=lambda draw: f"{draw.func.__module__.split('.')[-1]}.{draw.func.__name__}"
)


@pytest.mark.parametrize("palette", [LIGHT, DARK, PROJECTOR], ids=["light", "dark", "projector"])
@each_figure
def test_plotly_would_have_written_the_same(draw, palette) -> None:
    plot = draw(palette=palette)
    assert json.loads(plot.json()) == json.loads(plot.figure().to_json(validate=False))


def letters(part: Any) -> list[float]:
    """The sizes of all fonts in a figure."""
    if isinstance(part, list):
        return [size for each in part for size in letters(each)]
    if not isinstance(part, dict):
        return []
    own = [part[name]["size"] for name in part if name.endswith("font") and "size" in part[name]]
    return own + [size for each in part.values() for size in letters(each)]


@each_figure
def test_a_projector_shows_no_small_letters(draw) -> None:
    assert min(letters(json.loads(draw(palette=PROJECTOR).json()))) >= 16
    assert min(letters(json.loads(draw(palette=LIGHT).json()))) >= 12


def test_a_screen_is_full_earlier_by_a_projector_but_holds_every_line_of_text() -> None:
    assert height_of(LIGHT, 400) == height_of(LIGHT, 400, lines=3) == 400
    low, tall = height_of(PROJECTOR, 400, lines=3), height_of(PROJECTOR, 400, lines=40)
    assert low == height_of(PROJECTOR, 400) < 300 and height_of(PROJECTOR, 120) == 120
    assert tall > 40 * PROJECTOR.text


def test_no_figure_is_missing_above() -> None:
    def draws(module: ModuleType, function: object) -> bool:
        if not isfunction(function) or function.__module__ != module.__name__:
            return False
        form = signature(function)
        return form.return_annotation is Plot and "palette" in form.parameters and "plot" not in form.parameters

    modules = [import_module(f"{figures.__name__}.{each.name}") for each in iter_modules(figures.__path__)]
    expected = {function for module in modules for _, function in getmembers(module, partial(draws, module))}
    assert expected == {draw.func for draw in DRAW}


def test_a_misspelt_word_is_found() -> None:
    for misspell in (
        lambda plot: plot.add("scatter", colour="red"),
        lambda plot: plot.shape("line", line={"colour": "red"}),
        lambda plot: plot.note("text", 0, 0, anchor="left"),
        lambda plot: plot.x_axis(titel="epoch"),
        lambda plot: plot.update(hight=300),
    ):
        misspell(plot := Plot())
        with pytest.raises(ValueError, match=r"Invalid (property|element)"):
            plot.figure()


def test_it_can_be_shown_and_no_text_ends_the_script_that_draws_it(monkeypatch) -> None:
    shown: list[go.Figure] = []
    monkeypatch.setattr(plotly.io, "show", shown.append)
    scripts = []
    for name in ("a name", "</script>"):
        plot = Plot()
        plot.add("scatter", y=[1], name=name)
        plot.show()
        scripts.append(html_figure(plot.json()).count("</script>"))
    assert scripts[0] == scripts[1]
    assert [figure.data[0].name for figure in shown] == ["a name", "</script>"]


def test_numbers_of_numpy_are_written_as_plotly_writes_them() -> None:
    plot = Plot()
    for values in (
        np.arange(3),
        np.array([-129, 127]),
        np.array([-128, 127]),
        np.array([128]),
        np.array([1, 2**40]),
        np.array([]),
        np.array([True]),
        np.array([np.nan, 1]),
        np.ones((2, 2), np.float32),
        [np.float32(0.1), np.int64(1)],
        [np.nan, np.inf],
    ):
        plot.add("scatter", y=values)
    styled(plot, LIGHT, 100)
    assert json.loads(plot.json()) == json.loads(plot.figure().to_json(validate=False))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (grid(3, vertical_gap=0.1, shared=True), make_subplots(rows=3, shared_xaxes=True, vertical_spacing=0.1)),
        (
            grid(columns=2, horizontal_gap=0.1, titles=["a", "b"], shared=True),
            make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.1, subplot_titles=["a", "b"]),
        ),
        (
            grid(2, 3, horizontal_gap=0.1, vertical_gap=0.2, titles=list("abc"), row_titles=list("de")),
            make_subplots(
                2, 3, horizontal_spacing=0.1, vertical_spacing=0.2, column_titles=list("abc"), row_titles=list("de")
            ),
        ),
    ],
    ids=["above one another", "beside one another", "both"],
)
def test_panels_stand_where_plotly_puts_them(ours: Plot, theirs: go.Figure) -> None:
    expected = theirs.layout.to_plotly_json()
    del expected["template"]
    titles, expected_titles = ours.layout.pop("annotations", []), expected.pop("annotations", [])
    assert len(titles) == len(expected_titles)
    for title, other in zip(titles, expected_titles, strict=True):
        del other["font"]  # ours have that of the figure
        assert title == pytest.approx(other)
    assert ours.layout.keys() == expected.keys()
    for name, axis in ours.layout.items():
        assert axis.pop("domain") == pytest.approx(expected[name].pop("domain"))
        assert axis == expected[name]


@pytest.mark.parametrize("rows", range(1, 9))
def test_panels_end_where_the_figure_ends(rows: int) -> None:
    layout = (
        grid(rows, rows, horizontal_gap=0.09, vertical_gap=0.09).figure().layout
    )  # plotly knows no 1.0000000000000002
    assert layout.yaxis.domain[1] == layout[f"xaxis{rows if rows > 1 else ''}"].domain[1] == pytest.approx(1)
