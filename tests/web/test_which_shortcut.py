"""Which shortcut? The page, what its cards say, and what it says of runs that are not there yet."""

import json

import numpy as np
import pytest

from resnet_viz.errors import InputError
from resnet_viz.experiments import path_lengths, shortcuts
from resnet_viz.experiments.shortcuts import KINDS, ORDERS, SHORTCUTS
from resnet_viz.findings import Measurement
from resnet_viz.recipes import path_unrolling, which_shortcut
from tests.conftest import forget
from tests.web.conftest import traces_of
from tests.web.test_pages import opened, texts


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A folder to write histories into, and how."""
    (tmp_path / "histories").mkdir()
    monkeypatch.setattr(shortcuts, "CHECKPOINTS", tmp_path)
    forget()

    def write(kind: str, seed: int, error: float, depth: int = shortcuts.DEPTH) -> None:
        path = shortcuts.schedule(seed).path(KINDS[kind].entry(depth), tmp_path).with_suffix(".json")
        path.write_text(json.dumps({"train_error_pct": error, "test_error_pct": error + 1}))
        forget()

    yield write
    forget()


def test_the_page_follows_its_controls() -> None:
    app = opened("which_shortcut")
    assert app.title[0].value == "Which shortcut lets the gradient through?"
    assert [header.value[:9] for header in app.header][:2] == ["56 layers", "110 layer"]
    before = traces_of(app.session_state["state"].cards["along_blocks"])
    assert {trace["name"] for trace in before} == {kind.title for kind in SHORTCUTS.values()}
    other = opened("which_shortcut", {"group": "orders-of-activation", "depth": "20"})
    after = traces_of(other.session_state["state"].cards["along_blocks"])
    assert {trace["name"] for trace in after} == {"identity", *(kind.title for kind in ORDERS.values())}
    assert {len(trace["x"]) for trace in after} == {10} and {len(trace["x"]) for trace in before} == {28}


def test_scaling_by_a_half_leaves_nothing_and_full_preactivation_a_third() -> None:
    rows = {row["kind"]: row for row in which_shortcut.by_depth().rows}
    assert rows["scaled by 0.5"]["along the shortcuts, 110"] == "0"
    assert rows["scaled by 0.5"]["product of the mean factors"] == "5.6 × 10⁻¹⁷"
    assert float(rows["full pre-activation"]["along the shortcuts, 110"]) == pytest.approx(1 / 3, abs=0.02)
    assert rows["dropout 0.5"] == rows["identity"] | {"kind": "dropout 0.5"}, "it acts in training alone"
    assert rows["1x1 convolution"]["product of the mean factors"] == ""


def test_runs_that_are_not_there_are_said_to_be_missing(trained) -> None:
    shown = which_shortcut.errors()
    assert "most runs are still to be made" in shown.title and "Not trained yet: identity, no shortcut" in shown.says
    assert not which_shortcut.can_be_compared() and "0 seeds each" in shown.facts
    trained("identity", 0, 10.0)
    trained("halved", 0, 14.0)
    shown = which_shortcut.errors()
    assert shown.title.endswith("training error identity 10.0 %, scaled by 0.5 14.0 %")
    assert "Not trained yet: no shortcut" in shown.says and "0 to 1 seeds" in shown.facts
    rows = {row["kind"]: row for row in shown.rows}
    assert (rows["identity"]["seeds"], rows["identity"]["test error, %"]) == (1, "11.00")
    assert (rows["ReZero"]["seeds"], rows["ReZero"]["training error, %"]) == (0, "")
    assert (
        rows["no shortcut"]["published, CIFAR-10, test, %"] == "fails"
        and rows["ReZero"]["published, CIFAR-10, test, %"] == ""
    )
    seeds, means, published = traces_of(shown)
    assert seeds["x"] == [10.0, 14.0] and means["x"][:4] == [10.0, None, None, 14.0]
    assert published["x"][:2] == [6.61, pytest.approx(105)]


def test_an_interval_is_told_where_there_are_several_seeds(trained) -> None:
    for seed, error in enumerate((10.0, 10.5, 11.0)):
        trained("identity", seed, error)
        trained("halved", seed, error + 2)
    trained("rezero", 0, 10.6)
    trained("exclusive", 1, 40.0, shortcuts.DEEP)
    assert not which_shortcut.can_be_compared(), "of most kinds nothing is known"
    rows, notes, _ = which_shortcut.training_error()
    scaled, rezero = rows
    assert scaled.value == pytest.approx(2) and scaled.low < 2 < scaled.high and scaled.as_expected
    assert scaled.bracket == "95 %, Welch over 3 seeds"
    assert rezero == Measurement(
        "ReZero against identity", "training error, points, 1 seed", pytest.approx(0.1), None, None, "", True
    )
    for name in KINDS:
        trained(name, 2, 10.0)
    assert which_shortcut.can_be_compared()
    assert "ReZero 10.60 % (1 seed)" in notes and "with 110 layers: exclusive gate 40.0 % (1 seed)" in notes


def test_what_was_not_recorded_is_told_with_its_command(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(shortcuts, "RECORDED", tmp_path / "none.json")
    monkeypatch.setattr(path_lengths, "RECORDED", tmp_path / "none.json")
    forget()
    for recipe, command in (
        (which_shortcut.by_depth, "shortcut-gradients"),
        (which_shortcut.along_blocks, "shortcut-gradients"),
        (which_shortcut.thousand_layers, "path-lengths"),
        (path_unrolling.length_by_depth, "path-lengths"),
    ):
        with pytest.raises(InputError, match=f"json is missing; make it with: python -m resnet_viz {command}"):
            recipe()
    forget()


def test_a_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match="group must be one of shortcuts, orders of activation; got gates"):
        which_shortcut.along_blocks(group="gates")
    with pytest.raises(InputError, match="depth must be one of 20, 56, 110; got 8"):
        which_shortcut.along_blocks(depth=8)


def test_the_paths_grow_about_as_the_square_root_of_the_blocks() -> None:
    shown = path_unrolling.length_by_depth()
    assert shown.title == "With 111 times as many blocks, the paths that carry the gradient are 12 times as long"
    (dashed, *_) = traces_of(shown)
    assert dashed["x"] == [3, 333] and dashed["y"] == [1.5, 166.5]
    found = path_lengths.recorded()
    for kind in path_lengths.ORDERS:
        assert path_unrolling.exponent(path_unrolling.untrained(found, kind)) == pytest.approx(0.5, abs=0.05)
    rows, _, _ = path_unrolling.growth()
    assert len(rows) == 6 and all(row.low <= row.value <= row.high for row in rows)


@pytest.mark.usefixtures("few_images")
def test_a_network_of_a_thousand_layers_opens_without_trained_weights() -> None:
    app = opened("stage_diagram", {"network": "fashion-preact1001"})
    assert not app.exception and "never trained" in texts(app)
    assert "333 blocks" in texts(app) and "untrained, seed 0" in texts(app)
    assert not [control for control in app.segmented_control if control.label == "Weights"]


def test_the_two_orders_of_a_thousand_layers_stand_beside_each_other() -> None:
    shown = which_shortcut.thousand_layers()
    assert shown.title == "1001 layers: of 333 branches, the paths that carry the gradient take 25"
    assert "7.61 %" in shown.says and "2³³³" in shown.says
    bars = [trace for trace in traces_of(shown) if trace["type"] == "bar"]
    assert bars and all(np.isclose(np.sum(trace["y"]), 100, atol=0.5) for trace in bars)
