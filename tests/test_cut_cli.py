"""The command that cuts a network: what it prints, the file that it writes, and how it refuses before it has begun."""

import hashlib

import pytest
import torch

from resnet_viz.cli import cutting as command
from resnet_viz.networks import zoo
from resnet_viz.networks.zoo import NETWORKS
from tests.test_cli import FASHION, answer, refusal

DELETED = ["layer1.2", "layer3.2"]


def cut(path, *more):
    return ("cut", FASHION, "--blocks", "layer3.2, layer1.2", "--output", path, "--limit", 50, *more)


def test_it_prints_what_is_left_and_writes_it(tmp_path):
    path = tmp_path / "cut.safetensors"
    told = answer(*cut(path))
    assert (told["network"], told["deleted"], told["images"]) == (FASHION, DELETED, 50)
    assert told["digest"] == hashlib.sha256(zoo.weights_path(NETWORKS[FASHION]).read_bytes()).hexdigest()
    assert told["output_digest"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [each.name for each in tmp_path.iterdir()] == ["cut.safetensors"]
    intact, left, timing = told["intact"], told["cut"], told["time_ratio"]
    assert (intact["blocks"], left["blocks"]) == (9, 7)
    described = [answer("describe", FASHION, *weights) for weights in ([], ["--checkpoint", path])]
    assert [intact["params"], left["params"]] == [each["params"] for each in described]
    assert left["rise"] == pytest.approx(left["error_pct"] - intact["error_pct"])
    assert left["rise_low"] < left["rise"] < left["rise_high"]
    lesion = answer("delete", FASHION, "--blocks", ",".join(DELETED), "--limit", 50)
    assert (intact["error_pct"], left["error_pct"]) == (lesion["error_pct_before"], lesion["error_pct_after"])
    assert timing["least"] <= timing["median"] <= timing["largest"] and timing["pairs"] == 15
    assert "healed" not in told


def test_what_it_writes_is_a_network_for_the_other_commands(tmp_path):
    path = tmp_path / "cut.safetensors"
    answer(*cut(path))
    for name in ("sweep", "gradients", "paths"):
        told = answer(name, FASHION, "--checkpoint", path, "--limit", 5)
        assert told["network"] == f"{FASHION}:cut"
        assert told["weights"] == f"cut from {FASHION}: {', '.join(DELETED)}"
    again = tmp_path / "again.safetensors"
    told = answer("cut", FASHION, "--checkpoint", path, "--blocks", "layer2.1", "--output", again, "--limit", 5)
    assert (told["intact"]["blocks"], told["cut"]["blocks"], told["deleted"]) == (7, 6, ["layer2.1"])
    assert answer("describe", FASHION, "--checkpoint", again)["weights"].endswith("layer1.2, layer2.1, layer3.2")


def test_healed_weights_go_into_the_file(tmp_path):
    torch.set_num_threads(1)
    first, again, other = (tmp_path / f"{name}.safetensors" for name in ("first", "again", "other"))
    told = answer(*cut(first, "--heal", 2))
    assert (told["healed"]["steps"], told["healed"]["seed"], told["healed"]["training_images"]) == (2, 0, 4000)
    assert told["healed"]["rise"] == pytest.approx(told["healed"]["error_pct"] - told["intact"]["error_pct"])
    answer(*cut(again, "--heal", 2))
    answer(*cut(other, "--heal", 2, "--seed", 1))
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    loaded = zoo.load(NETWORKS[FASHION], checkpoint=first)
    assert loaded.weights.endswith("healed by 2 steps")


def test_without_labels_there_is_no_error_but_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_VIZ_DATA", str(tmp_path / "data"))
    torch.save(NETWORKS["cifar10-resnet20"].build(seed=0).state_dict(), tmp_path / "mine.pt")
    path = tmp_path / "cut.safetensors"
    arguments = ("cut", "cifar10-resnet20", "--checkpoint", tmp_path / "mine.pt", "--output", path)
    told = answer(*arguments, "--blocks", "layer1.0")
    assert "error_pct" not in told["cut"] and 0 <= told["cut"]["changed_pct"] <= 100
    assert zoo.local_entries(path)[0][0].provenance == "cut from cifar10-resnet20: layer1.0"


@pytest.mark.parametrize(
    ("network", "blocks", "output", "more", "says"),
    [
        (
            FASHION,
            "layer1.0",
            "nowhere/cut.safetensors",
            (),
            "nowhere is not a folder; give a file in one that exists.",
        ),
        (FASHION, "layer1.0", "cut.pt", (), "--output must end in .safetensors; got"),
        (FASHION, "layer9.0", "cut.safetensors", (), "got 'layer9.0'"),
        (FASHION, " ,", "cut.safetensors", (), "names no block; give one or more: layer1.2,layer3.0"),
        (
            FASHION,
            ",".join(zoo.block_names(NETWORKS[FASHION])),
            "cut.safetensors",
            (),
            "At least one block must be left",
        ),
        (FASHION, "layer1.0", "cut.safetensors", ("--heal", 0), "see main cut --help."),
        ("fashion-resnet8", "layer1.0", "cut.safetensors", (), "must be trained; got fashion-resnet8 without weights"),
        ("cifar10-resnet20", "layer1.0", "cut.safetensors", ("--heal", 5), "must be of Fashion-MNIST"),
    ],
    ids=str,
)
def test_it_refuses_before_anything_is_computed(network, blocks, output, more, says, tmp_path, monkeypatch):
    monkeypatch.setattr(command.deletion, "predict", None)
    told = refusal("cut", network, "--blocks", blocks, "--output", tmp_path / output, *more)
    assert says in told
    assert not any(tmp_path.iterdir())


def test_an_output_that_cannot_be_written_leaves_nothing_half_done(tmp_path):
    (tmp_path / "cut.safetensors").mkdir()
    assert "is a directory" in refusal(*cut(tmp_path / "cut.safetensors"))
    assert [each.name for each in tmp_path.iterdir()] == ["cut.safetensors"]
