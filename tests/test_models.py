"""The comparison of other people's networks sees what is wrong, and says what became of each."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import resnet18

from benchmarks.models import __main__ as command
from benchmarks.models import pretrained
from benchmarks.models.catalogue import MODELS
from benchmarks.models.comparison import compared
from resnet_viz.networks.images import Preprocessing

BY_NAME = {model.name: model for model in MODELS}
RESNET = BY_NAME["resnet18"]


def test_a_model_that_is_taken_rightly():
    row = compared(RESNET)
    assert (row.outcome, row.stages, row.kinds) == ("taken", (2, 2, 2, 2), (("basic", 8),))
    assert row.logits == 0 and row.deletions == 0 and row.streams_seen == 8
    assert row.branch_gradients < 1e-4 and row.stream_gradients < 1e-4 and row.paths < 1e-4


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"branches": r"layer\d\.\d\.bn1"}, "differs from the model by more than rounding"),  # which is not the branch
        ({"branches": r"layer[123]\.\d\.bn2"}, "8 blocks were found; 6 were expected"),
        ({"refused": "it joins its ways"}, "taken, where a refusal was expected"),
        ({"make": BY_NAME["densenet121"].make}, "it joins its ways"),
        ({"make": lambda models: models.no_such_model()}, "AttributeError"),
    ],
)
def test_what_is_wrong_is_seen(changes, reason):
    row = compared(replace(RESNET, **changes))
    assert row.outcome == "failed" and reason in row.reason


def test_the_command_prints_a_row_for_each_and_fails_for_one(monkeypatch, capsys, tmp_path):
    absent = replace(RESNET, package="absent-models", name="any", module="absent_models.any")
    wrong = replace(RESNET, name="wrong", branches="fc")
    monkeypatch.setattr(command, "MODELS", (BY_NAME["ConvNeXt"], BY_NAME["densenet121"], absent))
    monkeypatch.setattr(sys, "argv", ["models", "--json", str(tmp_path / "rows.json")])
    assert status_of(command.main) == 0
    told = capsys.readouterr().out
    assert "| torchvision | ConvNeXt | 2 + 2 | 4 block | equal | equal |" in told
    assert "- torchvision `densenet121`: has no residual block" in told
    assert "- absent-models `any`: pip install absent-models" in told
    assert [row["outcome"] for row in json.loads((tmp_path / "rows.json").read_text())] == [
        "taken",
        "refused",
        "not installed",
    ]
    monkeypatch.setattr(command, "MODELS", (wrong,))
    monkeypatch.setattr(sys, "argv", ["models"])
    assert status_of(command.main) == 1
    assert (
        "## Failed\n\n- torchvision `wrong`: ValueError: 8 blocks were found; 1 were expected"
        in capsys.readouterr().out
    )


def test_an_unknown_name_is_told(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["models", "resnet19"])
    assert status_of(command.main) == 2
    assert "NAME must be a package (torchvision, timm, " in capsys.readouterr().err


def status_of(main) -> int:
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code)


def test_the_table_of_trained_networks(monkeypatch, tmp_path):
    generator = np.random.default_rng(0)
    for label in ("0", "1"):
        (tmp_path / label).mkdir()
        pixels = generator.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / label / "noise.png")

    def unavailable(_):
        raise OSError("no such host\nand more")

    makes = {"random": lambda _: (resnet18(), Preprocessing(64, 64, (0.5,) * 3, (0.25,) * 3)), "gone": unavailable}
    monkeypatch.setattr(pretrained, "PRETRAINED", makes)
    table = list(pretrained.pretrained_table(tmp_path, trained=False))
    assert table[-1] == "| gone | not measured: no such host | | | | |"
    cells = table[-2].strip("| ").split(" | ")
    assert cells[:2] == ["random", "8"] and 0 < float(cells[2]) < 1 and cells[3].endswith(" %")
    torch.manual_seed(0)
    without_labels = pretrained.measured(*makes["random"](False), None)
    assert without_labels.rise is None and 0 < without_labels.past_all < 1
    assert 0 <= without_labels.influence[0] <= without_labels.influence[1] <= 2
