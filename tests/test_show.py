"""The figures of the app from a shell: the same words and numbers, in every form, and errors that say what is possible."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from resnet_viz import recipes
from resnet_viz.cli import main
from resnet_viz.places import CHECKPOINTS
from resnet_viz.recipes.layer_deletion import grad_cam, set_error
from resnet_viz.recipes.stage_diagram import maps, wiring
from resnet_viz.recipes.subject import Subject

NETWORK = "fashion-resnet20"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["show", *map(str, arguments)], catch_exceptions=False)


def test_it_prints_what_the_recipe_says_and_writes_every_form(tmp_path) -> None:
    files = tmp_path / "answer.json", tmp_path / "answer.html"
    options = "--beside", "fashion-plain20", "--deleted", "layer1.1", "--gate", "0.5"
    result = run("layer_deletion.set_error", NETWORK, *options, "--json", files[0], "--html", files[1])
    assert result.exit_code == 0, result.output
    subject = Subject.of(NETWORK, deleted=["layer1.1"], gate=0.5)
    expected = set_error(subject, subject.beside("fashion-plain20"))
    said, written, page = json.loads(result.stdout), json.loads(files[0].read_text()), files[1].read_text()
    assert said["title"] == written["title"] == expected.title and said["says"] == expected.says
    assert said["sources"] == list(expected.sources)
    assert written["figure"] == json.loads(expected.plot().json())
    assert f"<h2>{expected.title}</h2>" in page and page.count("plotly.js v") == 1
    made: dict = {}
    exec(compile(said["python"], "python", "exec"), made)
    assert made["shown"].title == expected.title


def test_settings_are_read_as_the_recipe_takes_them() -> None:
    result = run("layer_deletion.grad_cam", NETWORK, "--image", "13", "--set", "block=layer2.0")
    assert json.loads(result.stdout)["title"] == grad_cam(Subject.of(NETWORK, image=13), block="layer2.0").title
    file = CHECKPOINTS / "norms-resnet56.jsonl"
    result = run("gradient_flow.norms_by_step", "--set", f"norms={file}", "--set", "quantity=stream_norm")
    assert json.loads(result.stdout)["says"].startswith("Stream, at the first block and at the last: **")
    photo = Path(__file__).parents[1] / "docs" / "start.png"
    result = run("layer_deletion.prediction", NETWORK, "--image", photo)
    assert "images: start.png" in json.loads(result.stdout)["sources"]


def test_a_block_is_told_as_it_says_itself() -> None:
    original, preactivation = Subject.of(NETWORK, image=0), Subject.of("fashion-preact56", image=0)
    assert "The sum of branch and shortcut, after the ReLU, is the stream out." in maps(original).caption
    assert "The sum of branch and shortcut is the stream out." in maps(preactivation).caption
    first = "every other block has batch norm and ReLU before its branch; the first reads what leaves the stem as it is"
    assert first in wiring(preactivation, block="layer1.0").caption
    for subject, block in ((preactivation, "layer1.1"), (original, "layer1.0")):
        assert "every other block" not in wiring(subject, block=block).caption


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["layer_deletion.nothing"], "Recipe must be one of "),
        (["nothing"], "got 'nothing'."),
        (["layer_deletion.sweep"], "layer_deletion.sweep needs a network"),
        (["layer_deletion.sweep", "nothing"], "Network must be one of"),
        (["layer_deletion.grad_cam", NETWORK, "--beside", NETWORK], "looks at one network"),
        (["layer_deletion.grad_cam", NETWORK, "--set", "blok=layer1.0"], "layer_deletion.grad_cam has block"),
        (["layer_deletion.grad_cam", NETWORK, "--set", "block=layer9.0"], "layer9.0"),
        (["live_training.race_errors", "--set", "race=plain8"], "live_training.race_errors has step;"),
        (["live_training.race_errors", "--set", "step=-1"], "step must be 0 to 2000; got -1."),
        (["learning_identity.deepened", "--set", "learning_rate=0.5"], "must be one of 0.05, 0.01; got 0.5."),
        (["layer_deletion.sweep", NETWORK, "--set", "block=1"], "has no settings"),
        (["gradient_flow.norms_by_step", "--set", "norms=none.jsonl"], "none.jsonl cannot be read"),
        (["gradient_flow.norms_by_step", "--set", f"norms={__file__}"], "is not a file of norms"),
        (["layer_deletion.prediction", NETWORK, "--image", "1000"], "--image must be 0 to 999"),
        (["layer_deletion.prediction", NETWORK, "--image", "none.png"], "none.png"),
        (["layer_deletion.prediction", NETWORK, "--json", "/nowhere/x.json"], "/nowhere is not a folder"),
        (["layer_deletion.changed_predictions", NETWORK, "--svg", "x.svg"], "it needs a figure"),
    ],
)
def test_what_cannot_be_shown_is_told_in_one_line(arguments: list[str], says: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2 and says in result.stderr and result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir()), "nothing is left half-written"


def test_every_recipe_can_be_named() -> None:
    assert len(set(recipes.names())) == len(recipes.names())
    for name in recipes.names():
        found = recipes.recipe_named(name)
        assert found and found.name == name and found.__doc__
