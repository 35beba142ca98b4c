"""What comes back along the shortcuts alone, and the race of their kinds."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from resnet_viz.cli import main
from resnet_viz.errors import InputError
from resnet_viz.experiments import shortcuts
from resnet_viz.experiments.paths import gradient_by_length, stream_gradients
from resnet_viz.experiments.shortcuts import DEEP, DEPTH, KINDS, SEEDS, along_shortcuts, mean_factor
from resnet_viz.experiments.trace import image_norms
from resnet_viz.networks import zoo
from resnet_viz.networks.datasets import bundled_fashion
from resnet_viz.networks.shortcuts import build_variant
from resnet_viz.networks.zoo import load

from ..conftest import lived_in

pytestmark = pytest.mark.usefixtures("on_the_cpu")


@pytest.mark.parametrize("variant", ["halved", "exclusive", "normafter", "relufirst"])
def test_it_is_what_the_paths_without_a_branch_carry(variant, images, labels) -> None:
    network = lived_in(build_variant(variant, (2, 2), (4, 8), stem_stride=1), images)
    found = along_shortcuts(network, images, labels)
    _, gradients, size = stream_gradients(network, images, labels)
    at_each = [float((image_norms(each) * size).mean()) for each in gradients]
    assert found.whole == pytest.approx(np.array(at_each) / at_each[-1])
    whole, second = (gradient_by_length(network, images, labels, stage=stage).mean_norms for stage in (None, "layer2"))
    expected = np.array([whole[0], second[0], at_each[-1]]) / at_each[-1]
    assert found.alone[[0, 2, 4]] == pytest.approx(expected, rel=1e-5)
    assert 0 < found.alone[0] < 1 and found.factors.shape == (4,)


def test_a_factor_on_every_shortcut_multiplies_up(images, labels) -> None:
    network = lived_in(build_variant("halved", (3,), (4,), stem_stride=1), images)
    for block in network.blocks.values():
        block.last = torch.nn.Identity()
    found = along_shortcuts(network, images, labels)
    assert found.alone == pytest.approx([1 / 8, 1 / 4, 1 / 2, 1]) and found.factors.tolist() == [0.5] * 3


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("identity", 1.0),
        ("none", 0.0),
        ("halved", 0.5),
        ("convolution", np.nan),
        ("dropout", 1.0),
        ("preactivation", 1.0),
    ],
)
def test_the_factor_of_each_kind(name, factor) -> None:
    network = KINDS[name].entry(8).build(seed=0).eval()
    blocks = list(network.blocks.values())
    assert mean_factor(blocks[0], torch.ones(1, 16, 4, 4)) == pytest.approx(factor, nan_ok=True)


def test_a_gates_factor_is_its_mean_over_what_it_sees() -> None:
    block = KINDS["opened"].entry(8).build(seed=0).eval().blocks["layer1.0"]
    assert mean_factor(block, torch.zeros(2, 16, 4, 4)) == pytest.approx(1 - 1 / (1 + np.exp(6)), rel=1e-6)


def test_nothing_comes_back_where_there_is_no_shortcut(images, labels) -> None:
    network = KINDS["none"].entry(8).build(seed=0).eval()
    found = along_shortcuts(network, images, labels)
    assert found.alone.tolist() == [0, 0, 0, 1] and (found.whole > 0).all()


def test_the_bundled_rows_are_what_is_measured_here() -> None:
    recorded = shortcuts.recorded()
    assert {key: len(rows) for key, rows in recorded.items()} == {
        (name, depth): len(SEEDS) for name in KINDS for depth in shortcuts.DEPTHS
    }
    for name in ("identity", "exclusive", "normafter"):
        entry = KINDS[name].entry(20)
        loaded, images = load(entry, untrained=1), zoo.images_of(entry, limit=shortcuts.IMAGES)
        found, known = along_shortcuts(loaded.network, loaded.inputs(images), images.labels), recorded[name, 20][1]
        for field in ("alone", "whole", "factors"):
            assert getattr(found, field) == pytest.approx(getattr(known, field), rel=2e-3), (name, field)


def test_each_run_is_made_once_and_the_first_seeds_of_all_kinds_come_first() -> None:
    runs = [(entry.name, schedule.seed) for entry, schedule in shortcuts.runs()]
    assert len(runs) == len(set(runs)) == (len(KINDS) + 2) * len(SEEDS)
    assert runs[:4] == [(f"fashion-{kind}{DEPTH}", 0) for kind in ("resnet", "plain", "exclusive", "halved")]
    assert {seed for _, seed in runs[: len(KINDS)]} == {0}
    assert runs[-6:] == [(f"fashion-{kind}{DEEP}", seed) for seed in SEEDS for kind in ("resnet", "exclusive")]
    assert {schedule.epochs for _, schedule in shortcuts.runs()} == {3}


def test_the_command_trains_what_is_missing_and_keeps_the_histories_alone(monkeypatch, tmp_path) -> None:
    images = bundled_fashion("training").limit(500)
    monkeypatch.setattr(shortcuts, "DEPTH", 8)
    monkeypatch.setattr("resnet_viz.networks.datasets.full_fashion", lambda: (images, images))
    entry, schedule = next(shortcuts.runs())
    there = schedule.path(entry, tmp_path).with_suffix(".json")
    there.parent.mkdir()
    there.write_text(json.dumps({"seconds": 0}))
    monkeypatch.setattr("resnet_viz.experiments.training.write_table", lambda _: None)
    for _ in range(2):
        told = CliRunner().invoke(main, ["shortcuts", "--output", str(tmp_path), "--most", "1"])
        assert told.exit_code == 0, told.output
    files = sorted(path.name for path in (tmp_path / "histories").iterdir())
    assert files == [f"fashion-{kind}8-epochs3.json" for kind in ("exclusive", "plain", "resnet")]
    assert json.loads(told.stdout)["trained"] == 1
    assert json.loads(told.stdout)["missing"] == (len(KINDS) * 3 + 6) - 3
    run = json.loads((tmp_path / "histories" / files[0]).read_text())
    assert run["network"] == "fashion-exclusive8" and len(run["epochs"]) == 3 and run["recipe"]["epochs"] == 3


def test_the_command_writes_what_it_measures(tmp_path) -> None:
    file = tmp_path / "rows.json"
    arguments = ["shortcut-gradients", "--json", str(file), "--depth", "8", "--seed", "1"]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    rows = {row["kind"]: row for row in json.loads(file.read_text())}
    assert list(rows) == list(KINDS)
    assert rows["halved"]["factors"] == [0.5] * 3 and rows["convolution"]["factors"] == [None] * 3
    assert all(row["alone"][-1] == row["whole"][-1] == 1 and row["seed"] == 1 for row in rows.values())


def test_a_depth_that_no_network_has_is_refused() -> None:
    with pytest.raises(InputError, match=r"Depth must be one of 8, 14, .*; got 9"):
        KINDS["halved"].entry(9)
