"""The commands that train for a moment: races and stacks, as printed and as a page, and how they refuse."""

import json
import math
import re
from itertools import product

import numpy as np
import pytest

from resnet_viz.experiments.identity import ARMS, LEARNING_RATES
from resnet_viz.experiments.race import recorded
from resnet_viz.figures.palette import LIGHT
from resnet_viz.figures.race import race_figures
from resnet_viz.networks import datasets, zoo
from tests.test_cli import refusal, run, strict

QUICK = ("--left", "plain8", "--right", "resnet8")


def lines(*arguments: object) -> list[dict]:
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    return [strict(line) for line in result.stdout.splitlines()]


def test_race_prints_its_settings_and_a_line_for_every_tenth_step(tmp_path):
    page = tmp_path / "race.html"
    settings, *records = lines("race", *QUICK, "--steps", 11, "--seed", 7, "--learning-rate", 0.02, "--html", page)
    assert settings == {
        "left": "plain8",
        "right": "resnet8",
        "steps": 11,
        "learning_rate": 0.02,
        "seed": 7,
        "batch_size": 128,
        "full": False,
    }
    assert [record["step"] for record in records] == [0, 10, 11]
    for record in records:
        for side in ("left", "right"):
            standing = record[side]
            assert len(standing["stream_gradient_norms"]) == len(standing["deletion_rises"]) == 3
            assert 0 <= standing["train_error_pct"] <= 100
    assert [len(record["left"]["batch_losses"]) for record in records] == [0, 10, 1]

    html = page.read_text()
    assert "plotly" in html and html.count("Plotly.newPlot(") == 3
    assert not re.search(r"<script[^>]*\ssrc=|<link[^>]*\shref=", html)
    assert "plain8 beside resnet8, 11 steps, seed 7" in html
    for title in ("error, %", "gradient norm, log scale", "rise in error, points", "plain8, training images"):
        assert json.dumps(title).strip('"') in html
    assert [path.name for path in tmp_path.iterdir()] == ["race.html"]


def test_race_of_networks_that_explode_prints_no_nan(tmp_path):
    page, kept = tmp_path / "race.html", tmp_path / "race.jsonl"
    bare = "plain14-without-batch-norm"
    told = lines("race", "--left", bare, "--right", "plain8", "--steps", 12, "--learning-rate", 10, "--html", page)
    _, first, _, last = told
    assert first["left"]["train_loss"] > 0
    assert last["left"]["train_loss"] is None
    assert last["left"]["batch_losses"] == [None, None]
    assert last["left"]["stream_gradient_norms"] == [None] * 6
    assert last["right"]["train_loss"] > 0
    assert page.stat().st_size > 1_000_000
    kept.write_text("\n".join(map(json.dumps, told)))
    race, records = recorded(kept)  # and can be drawn again
    assert math.isnan(records[-1].left.train_loss)
    assert records[0].left.train_loss == first["left"]["train_loss"]
    _, gradients, _ = race_figures(
        race, records, [zoo.block_names(zoo.entry_of(f"fashion-{name}")) for name in (race.left, race.right)], LIGHT
    )
    left, right = (trace["y"] for trace in gradients.data)
    assert np.isnan(left).all() and np.isfinite(right).all()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--left", "nonsense"), "got 'fashion-nonsense'"),
        (("--right", "plain9"), "got 'fashion-plain9'"),
        (("--left", "plain20-from-plain56", "--right", "plain8"), "fashion-plain20 does not contain that network"),
        ((*QUICK, "--full"), "four IDX files"),
        (("--steps", 0), "see main race --help."),
        (("--steps", 2001), "see main race --help."),
        (("--learning-rate", 0), "see main race --help."),
        (("--seed", -1), "see main race --help."),
        (("--nonsense", 1), "must be one of --left, --right, --steps"),
    ],
    ids=str,
)
def test_race_refuses(arguments, says, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "DEBIAN_FASHION_FOLDER", tmp_path)
    assert says in refusal("race", *arguments)


def test_identity_prints_every_arm_with_each_rate(tmp_path):
    result = run("identity", "--blocks", 1, "--seed", 0, "--steps", 5)
    assert result.exit_code == 0
    rows = strict(result.stdout)
    assert len(rows) == 21
    tried = [(row["arm"]["kind"], row["arm"]["scale"], row["learning_rate"]) for row in rows]
    assert tried == [(arm.kind, arm.scale, rate) for arm, rate in product(ARMS, LEARNING_RATES)]
    assert all((row["blocks"], row["seed"], row["steps"], len(row["errors"])) == (1, 0, [0, 5], 2) for row in rows)
    assert "Stacks" in result.stderr

    path = tmp_path / "identity.json"
    told = run("identity", "--blocks", 1, "--seed", 0, "--steps", 5, "--json", path)
    assert strict(told.stdout) == {"attempts": 21, "json": str(path)}
    assert strict(path.read_text()) == rows


def test_identity_takes_several_depths_and_seeds(monkeypatch):
    monkeypatch.setattr("resnet_viz.experiments.identity.ARMS", ARMS[:1])
    monkeypatch.setattr("resnet_viz.experiments.identity.train_stacks.__defaults__", (ARMS[:1],))
    rows = strict(run("identity", "--blocks", 1, "--blocks", 2, "--seed", 3, "--seed", 4, "--steps", 1).stdout)
    assert [(row["blocks"], row["seed"]) for row in rows[::3]] == [(1, 3), (1, 4), (2, 3), (2, 4)]


@pytest.mark.parametrize("arguments", [("--blocks", 0), ("--blocks", 51), ("--steps", 0), ("--seed", -1)], ids=str)
def test_identity_refuses(arguments):
    assert "see main identity --help." in refusal("identity", *arguments)
