"""How the paths grow with depth: what is recorded is what is measured, and each network is there once."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from resnet_viz.cli import main
from resnet_viz.experiments import path_lengths
from resnet_viz.experiments.path_lengths import DEEPEST, IMAGES, entry_of_depth, measured, recorded, wanted
from resnet_viz.networks import zoo
from resnet_viz.networks.zoo import NETWORKS

pytestmark = pytest.mark.usefixtures("on_the_cpu")


def test_every_network_that_is_wanted_is_recorded_once() -> None:
    rows = [(row.kind, row.depth, row.seed) for row in recorded()]
    assert rows == list(wanted())
    assert [row for row in rows if row[2] is None] == [
        ("resnet", 20, None),
        ("resnet", 32, None),
        ("resnet", 56, None),
        ("preact", 56, None),
        ("resnet", 110, None),
        ("preact", 110, None),
    ]


def test_what_is_recorded_holds_together() -> None:
    for row in recorded():
        assert row.low <= row.mean_length <= row.high and row.sum_relative_error <= 1e-5
        assert row.blocks == (333 if row.depth == DEEPEST else (row.depth - 2) // 2)
        assert row.by_length.mean_length == pytest.approx(row.mean_length, rel=1e-3)
        assert row.by_length.paths[1] == row.blocks and sum(row.by_length.paths) == 2**row.blocks
        assert row.images == (path_lengths.FEW_IMAGES if row.depth == DEEPEST else IMAGES)


@pytest.mark.parametrize(("kind", "depth", "seed"), [("resnet", 14, 1), ("preact", 8, 0)])
def test_it_is_what_is_measured_here(kind, depth, seed) -> None:
    (known,) = [row for row in recorded() if (row.kind, row.depth, row.seed) == (kind, depth, seed)]
    found = measured(kind, depth, seed, zoo.images_of(entry_of_depth(kind, depth), limit=IMAGES))
    assert (found.blocks, found.images) == (known.blocks, known.images)
    for field in ("mean_length", "low", "high", "first", "last", "norms"):
        assert getattr(found, field) == pytest.approx(getattr(known, field), rel=2e-3), field


def test_a_thousand_layers_are_the_papers_blocks() -> None:
    for kind, block in (("preact", "preactivation-bottleneck"), ("resnet", "bottleneck")):
        entry = NETWORKS[f"fashion-{kind}1001"]
        network = zoo.architecture(entry)
        assert network.stage_sizes() == {"layer1": 111, "layer2": 111, "layer3": 111}
        assert {each.kind for each in network.blocks.values()} == {block} and entry.weights is None
        shortcuts = [each.shortcut_kind for each in network.blocks.values()]
        assert shortcuts.count("identity") == 330 and shortcuts.count("option A") == 3
    assert entry_of_depth("preact", DEEPEST) is NETWORKS["fashion-preact1001"]


def test_the_command_writes_each_row_as_soon_as_it_is_measured(tmp_path, monkeypatch) -> None:
    file, rows = tmp_path / "rows.json", []
    written = path_lengths.measured
    monkeypatch.setattr(path_lengths, "measured", lambda *given: rows.append(file.is_file()) or written(*given))
    told = CliRunner().invoke(main, ["path-lengths", "--json", str(file), "--deepest", "8"])
    assert told.exit_code == 0, told.output
    found = json.loads(file.read_text())
    assert [(row["kind"], row["seed"]) for row in found] == [
        (kind, seed) for kind in ("resnet", "preact") for seed in (0, 1, 2)
    ]
    assert rows == [False] + [True] * 5
    assert np.isclose(found[0]["mean_length"], recorded()[0].mean_length, rtol=2e-3)
