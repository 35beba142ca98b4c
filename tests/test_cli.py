"""The command line: what it prints for each family of networks, which images it takes, and how it refuses."""

import csv
import json
import math
import os
import runpy
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from safetensors.torch import load_file, save_file

from resnet_viz.cli import main
from resnet_viz.experiments import lesion_studies
from resnet_viz.experiments.trace import trace
from resnet_viz.networks import device as chosen
from resnet_viz.networks import zoo
from resnet_viz.networks.zoo import loading

FASHION, CIFAR, IMAGENET = "fashion-resnet20", "cifar10-resnet20", "imagenet-resnet18"
FAMILIES = pytest.mark.parametrize("network", [FASHION, CIFAR, IMAGENET])
BLOCKS = {FASHION: 9, CIFAR: 9, IMAGENET: 8}
FEW = ("--limit", "3")


@pytest.fixture(autouse=True)
def no_files_of_this_machine(tmp_path, monkeypatch):
    """Neither cached weights nor downloaded data sets."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("RESNET_VIZ_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("no_proxy", "*")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def answer(*arguments: object) -> Any:
    """What a command prints, read as strict JSON."""
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    return strict(result.stdout)


def strict(text: str) -> Any:
    """JSON without what only Python reads: NaN and infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def refusal(*arguments: object) -> str:
    """The one line on stderr with which a command refuses."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.endswith("\n") and len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr.rstrip("\n")


def says_untrained(told: dict, network: str) -> bool:
    return (told["network"], told["trained"], told["weights"]) == (network, False, "untrained, seed 0")


@pytest.fixture
def picture(tmp_path) -> Path:
    path = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)).save(path)
    return path


def pictures(folder: Path, classes: dict[str, int]) -> Path:
    """A folder for each class with as many pictures."""
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for index in range(count):
            Image.new("RGB", (40, 40), (index, 99, 200)).save(folder / name / f"{index}.png")
    return folder


def always(network: str, label: int, folder: Path) -> Path:
    """Weights of a network that sees one class in everything."""
    state = zoo.NETWORKS[network].build(seed=0).state_dict()
    state["head.fc.weight"].zero_()
    state["head.fc.bias"].copy_(torch.arange(len(state["head.fc.bias"])) == label)
    save_file(state, folder / "always.safetensors")
    return folder / "always.safetensors"


# What each command prints.


def test_networks_lists_the_table():
    rows = {row["name"]: row for row in answer("networks")}
    assert list(rows) == list(zoo.NETWORKS)
    fields = {"name", "dataset", "family", "kind", "blocks", "weights", "provenance", "licence"}
    assert all(fields | {"published_error_pct", "plain"} <= row.keys() for row in rows.values())
    assert {row["family"] for row in rows.values()} == {"fashion", "cifar10", "imagenet"}
    assert [
        rows["imagenet-resnet50"][key] for key in ("dataset", "kind", "blocks", "params", "published_error_pct")
    ] == [
        "ImageNet",
        "bottleneck",
        16,
        25_557_032,
        23.87,
    ]
    assert [rows["fashion-preact56"][key] for key in ("kind", "blocks", "plain")] == [
        "preactivation-basic",
        27,
        "fashion-plain56",
    ]
    assert rows["cifar10-resnet110"]["licence"] == "BSD 2-clause" and rows["cifar10-resnet110"]["plain"] is None


@pytest.mark.parametrize(
    ("network", "params", "giga_macs"),
    [(IMAGENET, 11_689_512, 1.814), (CIFAR, 269_722, 0.041), (FASHION, 269_434, 0.008)],
)
def test_describe_measures_every_block_without_weights(network, params, giga_macs):
    told = answer("describe", network)
    assert (told["network"], told["weights"]) == (network, "not needed for this: none loaded")
    assert told["params"] == params and round(told["gmacs"], 3) == giga_macs
    assert len(told["blocks"]) == BLOCKS[network]
    fields = {"block", "stage", "kind", "shortcut", "in_shape", "out_shape", "params", "macs"}
    assert all(fields <= block.keys() for block in told["blocks"])
    parts = [told["stem"], *told["blocks"], told["head"]]
    assert sum(part["params"] for part in parts) == params
    assert sum(part["macs"] for part in parts) == round(told["gmacs"] * 1e9)
    assert all(before["out_shape"] == after["in_shape"] for before, after in pairwise(parts))


def test_describe_names_the_first_block_of_a_stage():
    block = next(block for block in answer("describe", IMAGENET)["blocks"] if block["block"] == "layer2.0")
    assert block == {
        "block": "layer2.0",
        "stage": "layer2",
        "kind": "basic",
        "shortcut": "projection",
        "in_shape": [64, 56, 56],
        "out_shape": [128, 28, 28],
        "params": 64 * 128 * 9 + 128 * 128 * 9 + 64 * 128 + 3 * 2 * 128,
        "macs": 28 * 28 * (64 * 128 * 9 + 128 * 128 * 9 + 64 * 128),
    }


def test_describe_says_which_weights_it_was_given(tmp_path):
    assert says_untrained(answer("describe", CIFAR, "--untrained", 0), CIFAR)
    told = answer("describe", CIFAR, "--checkpoint", always(CIFAR, 3, tmp_path))
    assert told["trained"] and told["weights"] == "from always.safetensors"


@FAMILIES
@pytest.mark.usefixtures("small_imagenet")
def test_gradients_are_those_of_one_pass(network):
    told = answer("gradients", network, "--untrained", 0, *FEW)
    assert says_untrained(told, network) and told["images"] == 3
    assert told["labels"] == ("of the set" if network == FASHION else "predicted")
    loaded = zoo.load(zoo.NETWORKS[network], untrained=0)
    images = zoo.images_of(loaded.entry, limit=3)
    pixels = loaded.inputs(images)
    labels = images.labels.to(pixels.device) if network == FASHION else loaded.network(pixels).argmax(1)
    expected = trace(loaded.network, pixels, labels)
    assert told["stem_gradient_norm"] == pytest.approx(expected.stem_gradient_norm, rel=1e-3)
    assert [block["block"] for block in told["blocks"]] == list(expected.blocks)
    for field in ("stream_gradient_norm", "branch_gradient_norm", "parameter_gradient_norm"):
        assert [block[field] for block in told["blocks"]] == pytest.approx(getattr(expected, field), rel=1e-3)


@FAMILIES
@pytest.mark.usefixtures("small_imagenet")
def test_paths_of_every_length(network):
    told = answer("paths", network, "--untrained", 0, "--limit", 1)
    count = BLOCKS[network]
    assert says_untrained(told, network) and (told["blocks"], told["images"]) == (count, 1)
    assert told["sum_relative_error"] < 1e-5
    assert [row["length"] for row in told["lengths"]] == list(range(count + 1))
    assert [row["paths"] for row in told["lengths"]] == [math.comb(count, length) for length in range(count + 1)]
    for row in (told["lengths"][0], told["lengths"][-1]):  # one path: all of them, and any one drawn
        assert row["gradient_norm"] == pytest.approx(row["sampled_gradient_norm"], rel=1e-3)
    assert all(row["gradient_norm"] > 0 and row["sampled_gradient_norm"] > 0 for row in told["lengths"])


def test_paths_counts_are_whole_numbers_beyond_a_float():
    told = answer("paths", "fashion-resnet110", "--untrained", 0, "--limit", 1)
    assert sum(row["paths"] for row in told["lengths"]) == 2**54
    assert all(type(row["paths"]) is int for row in told["lengths"])


def test_a_plain_network_has_one_path():
    told = answer("paths", "fashion-plain20", "--untrained", 0, *FEW)
    assert [row["paths"] for row in told["lengths"]] == [0] * 9 + [1]
    assert [row["sampled_gradient_norm"] is None for row in told["lengths"]] == [True] * 9 + [False]
    assert [row["gradient_norm"] > 0 for row in told["lengths"]] == [False] * 9 + [True]


@FAMILIES
@pytest.mark.usefixtures("small_imagenet")
def test_a_row_of_the_sweep_is_the_deletion_of_that_block(network):
    weights = () if network == FASHION else ("--untrained", 0)
    swept = answer("sweep", network, *weights, "--limit", 40)
    assert swept["trained"] is (network == FASHION)
    assert list(swept["blocks"][0]) == ["block", "error_pct", "changed_pct"]
    names = [row["block"] for row in swept["blocks"]]
    assert len(names) == len(set(names)) == BLOCKS[network]
    for row in (swept["blocks"][0], swept["blocks"][-1]):
        deleted = answer("delete", network, *weights, "--limit", 40, "--blocks", row["block"])
        assert deleted["deleted"] == [row["block"]] and deleted["images"] == swept["images"]
        assert deleted["error_pct_before"] == swept["error_pct"]
        assert (deleted["error_pct_after"], deleted["changed_pct"]) == (row["error_pct"], row["changed_pct"])
    if network == FASHION:
        assert swept["blocks"][0]["error_pct"] > swept["error_pct"], "a deletion that changes nothing tests nothing"


@FAMILIES
@pytest.mark.usefixtures("small_imagenet")
def test_without_labels_there_is_no_error(network, picture):
    image = ("--image", picture) if network == FASHION else ()
    swept = answer("sweep", network, "--untrained", 0, *image)
    assert swept["images"] == (1 if image else 4)
    assert swept["error_pct"] is None and all(row["error_pct"] is None for row in swept["blocks"])
    assert all(0 <= row["changed_pct"] <= 100 for row in swept["blocks"])
    if not image:
        deleted = answer("delete", network, "--untrained", 0, "--blocks", "layer1.1")
        assert deleted["error_pct_before"] is None and deleted["error_pct_after"] is None


def test_the_bundled_weights_are_taken_and_labelled_trained():
    told = answer("delete", "fashion-resnet34", "--blocks", "layer1.0,layer4.2", "--limit", 100)
    assert told["trained"] and "trained by this project" in told["weights"]
    assert told["error_pct_before"] < 20 < told["error_pct_after"]


def test_blocks_may_come_in_any_order_and_twice():
    told = answer("delete", FASHION, "--untrained", 0, *FEW, "--blocks", "layer3.0, layer1.2,layer3.0,")
    assert told["deleted"] == ["layer1.2", "layer3.0"]
    assert told == answer("delete", FASHION, "--untrained", 0, *FEW, "--blocks", "layer1.2,layer3.0")


@FAMILIES
def test_one_image_before_and_after(network, picture):
    told = answer("delete", network, "--untrained", 0, "--image", picture, "--blocks", "layer1.0,layer2.0")
    assert told["images"] == 1 and "error_pct_before" not in told
    classes = zoo.NETWORKS[network].classes
    for top in (told["before"], told["after"]):
        assert len(top) == 5 and all(list(row) == ["class", "probability"] for row in top)
        assert all(row["class"] in classes for row in top)
        probabilities = [row["probability"] for row in top]
        assert probabilities == sorted(probabilities, reverse=True) and 0 < sum(probabilities) <= 1
    assert told["before"] != told["after"]


def test_the_likeliest_class_comes_first(picture, tmp_path):
    weights = always(CIFAR, 3, tmp_path)
    told = answer("delete", CIFAR, "--checkpoint", weights, "--image", picture, "--blocks", "layer1.0")
    assert told["after"][0]["class"] == "cat"
    assert told["after"][0]["probability"] == pytest.approx(math.e / (math.e + 9), rel=1e-4)


@pytest.mark.parametrize("command", ["gradients", "paths"])
def test_one_image_stands_for_the_predicted_class(command, picture):
    told = answer(command, FASHION, "--untrained", 0, "--image", picture)
    assert (told["images"], told["image_set"], told["labels"]) == (1, "noise.png", "predicted")


@pytest.mark.parametrize("command", ["gradients", "paths"])
def test_backward_passes_take_32_images_unless_told(command):
    assert answer(command, FASHION, "--untrained", 0)["images"] == 32


def test_the_batch_size_does_not_matter():
    arguments = ("delete", FASHION, "--untrained", 0, "--limit", 50, "--blocks", "layer1.0")
    assert answer(*arguments, "--batch-size", 7) == answer(*arguments)


@pytest.mark.parametrize("command", ["gradients", "paths"])
def test_the_batch_size_of_backward_passes_does_not_matter(command):
    def numbers(*more):
        told = answer(command, FASHION, "--untrained", 0, "--limit", 6, *more)
        rows = told["blocks"] if command == "gradients" else told["lengths"]
        return [value for row in rows for value in row.values() if isinstance(value, float)]

    whole = numbers()
    assert len(whole) >= 20
    assert numbers("--batch-size", 4) == pytest.approx(whole, rel=1e-4)


def test_another_seed_is_another_network():
    told = [answer("gradients", CIFAR, "--untrained", seed) for seed in (0, 0, 1)]
    assert told[0] == told[1] != told[2] and told[2]["weights"] == "untrained, seed 1"


# Folders of pictures. The network sees class 3 (in ImageNet, 281) everywhere, so that the error tells the labels.


@pytest.mark.usefixtures("small_imagenet")
@pytest.mark.parametrize(
    ("network", "label", "classes", "error_pct"),
    [
        (CIFAR, 3, {"cat": 1, "dog": 3}, 75),
        (CIFAR, 3, {"3": 3, "5": 1}, 25),
        (FASHION, 0, {"T-shirt_top": 1, "Ankle boot": 1}, 50),
        (IMAGENET, 281, {"n02123045": 1, "n02504458": 3}, 75),
        (IMAGENET, 281, {"tabby": 2, "386": 2}, 50),
    ],
)
def test_folders_are_matched_by_name_index_or_wordnet_id(tmp_path, network, label, classes, error_pct):
    data = pictures(tmp_path / "set", classes)
    weights = always(network, label, tmp_path)
    told = answer("delete", network, "--checkpoint", weights, "--data", data, "--blocks", "layer1.0")
    assert told["images"] == sum(classes.values())
    assert told["error_pct_before"] == told["error_pct_after"] == error_pct


@pytest.mark.parametrize(
    ("limit", "error_pct"),
    [(1, 0), (3, 100 / 3), (4, 50), (10, 60), (99, 60)],  # 4 cats, then 6 dogs: images 0; 0, 3, 6; 0, 2, 5, 7; all
)
def test_a_limit_takes_the_stated_images(tmp_path, limit, error_pct):
    data = pictures(tmp_path / "set", {"dog": 6, "cat": 4})
    told = answer("sweep", CIFAR, "--checkpoint", always(CIFAR, 3, tmp_path), "--data", data, "--limit", limit)
    assert told["images"] == min(limit, 10)
    assert told["error_pct"] == pytest.approx(error_pct)


# Training.


@pytest.fixture
def few_idx_files(tmp_path) -> Path:
    """An IDX folder of 256 training and 20 test images."""
    folder = tmp_path / "idx"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for prefix, count in (("train", 256), ("t10k", 20)):
        arrays = {
            "images-idx3": generator.integers(0, 256, (count, 28, 28), np.uint8),
            "labels-idx1": (np.arange(count) % 10).astype(np.uint8),
        }
        for name, array in arrays.items():
            header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
            (folder / f"{prefix}-{name}-ubyte").write_bytes(header + array.tobytes())
    return folder


def test_training_writes_weights_that_the_other_commands_take(few_idx_files, tmp_path):
    output = tmp_path / "new" / "folder"
    arguments = ("train", FASHION, "--data", few_idx_files, "--output", output, "--epochs", 2, "--seed", 5)
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    assert f"Reading Fashion-MNIST from {few_idx_files}" in result.stderr
    assert "4/4" in result.stderr, "two epochs of two steps, on the progress bar"
    told = json.loads(result.stdout)
    assert told["trained"] and told["network"] == FASHION and 0 <= told["test_error_pct"] <= 100
    files = sorted(str(path.relative_to(output)) for path in output.rglob("*.*"))
    assert files == [
        "README.md",
        *(f"histories/{FASHION}-epochs2-seed5.{suffix}" for suffix in ("json", "safetensors")),
    ]
    history = json.loads(Path(told["history"]).read_text())
    assert len(history["epochs"]) == 2 and history["recipe"]["seed"] == 5
    used = answer("delete", FASHION, "--checkpoint", told["weights"], *FEW, "--blocks", "layer1.0")
    assert used["trained"] and used["weights"] == f"from {FASHION}-epochs2-seed5.safetensors"
    again = json.loads(run(*arguments[:-4], "--epochs", 2, "--seed", 5, "--output", tmp_path / "again").stdout)
    first, second = load_file(told["weights"]), load_file(again["weights"])
    assert all(torch.allclose(first[name], second[name], rtol=1e-3, atol=1e-5) for name in first)


def test_a_state_of_another_recipe_is_refused(few_idx_files, tmp_path):
    torch.save({"recipe": {"epochs": 99}}, tmp_path / f"{FASHION}.partial.pt")
    result = run("train", FASHION, "--data", few_idx_files, "--output", tmp_path)
    assert result.exit_code == 2
    assert "belongs to another schedule" in result.stderr.splitlines()[-1]


def test_lesions_are_the_librarys_in_json_and_csv():
    options = ("lesions", FASHION, "--limit", 50, "--draws", 2, "--seed", 7)
    told = answer(*options)
    loaded = zoo.load(zoo.NETWORKS[FASHION])
    images = zoo.images_of(loaded.entry, limit=50)
    counts = lesion_studies.ten_counts(9)
    study = lesion_studies.random_deletions(loaded.network, loaded.entry.preprocessing, images, counts, 2, 7)
    assert [row["lesion"] for row in told["lesions"]] == list(study.sweep.blocks)
    assert [row["error_pct"] for row in told["lesions"]] == pytest.approx(study.error_pct.tolist())
    assert told["median_rise"] == pytest.approx(float(np.median(study.sweep.rises)))
    assert told["correlation"] == pytest.approx(study.correlation())
    assert all(row["rise_low"] < row["rise"] < row["rise_high"] for row in told["lesions"])
    rows = list(csv.DictReader(run(*options, "--csv").stdout.splitlines()))
    assert [float(row["rise"]) for row in rows] == [row["rise"] for row in told["lesions"]]
    assert answer(*options[:-1], 8)["lesions"] != told["lesions"]


def test_the_other_studies():
    single = answer("lesions", FASHION, "--limit", 50, "--study", "single")
    swept = answer("sweep", FASHION, "--limit", 50)
    assert [row["error_pct"] for row in single["lesions"]] == [row["error_pct"] for row in swept["blocks"]]
    assert single["correlation"] is None and "seed" not in single
    reordered = answer("lesions", FASHION, "--limit", 50, "--study", "reorder", "--draws", 1)
    assert (
        all(row["amount"] <= 1 for row in reordered["lesions"]) and reordered["lesions"][0]["lesion"].count(" at ") == 2
    )


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), ["Missing command", "describe, gradients"]),
        (("explain",), ["'explain'", "describe, gradients"]),
        (("--depth", "9"), ["'--depth'", "describe, gradients"]),
        (("sweep",), ["NETWORK", "sweep --help"]),
        (("sweep", "resnet20"), ["'resnet20'", "fashion-resnet20", "imagenet-resnet18"]),
        (("describe", "resnet20"), ["'resnet20'", "fashion-resnet20"]),
        (("delete", FASHION, "--untrained", 0, "--blocks", " , "), ["' , ' names no block", "layer1.2,layer3.0"]),
        (("sweep", FASHION, "--depth", 9), ["'--depth'", "--untrained", "--limit", "--batch-size"]),
        (("sweep", FASHION, "more"), ["more", "sweep --help"]),
        (("sweep", FASHION, "--untrained", 0, "--limit", 0), ["--limit", "0 ", "x>=1"]),
        (("sweep", FASHION, "--untrained", 0, "--limit", "many"), ["--limit", "'many'"]),
        (("sweep", FASHION, "--untrained", 0, "--batch-size", 0), ["--batch-size", "0 ", "x>=1"]),
        (("sweep", FASHION, "--untrained", -1), ["--untrained", "-1 ", "0<=x"]),
        (("gradients", FASHION, "--untrained", 0, "--limit", -3), ["--limit", "-3 ", "x>=1"]),
        (("delete", FASHION, "--untrained", 0), ["'--blocks'"]),
        (("delete", FASHION, "--untrained", 0, "--blocks", "layer9.1"), ["'layer9.1'", "layer1.0 ... layer3.2"]),
        (("delete", FASHION, "--untrained", 0, "--blocks", "layer1.0 layer1.1"), ["'layer1.0 layer1.1'", "layer3.0-2"]),
        (("sweep", FASHION, "--untrained", 0, "--checkpoint", "x.pt"), ["--checkpoint and --untrained", "one of them"]),
        (("sweep", FASHION, "--untrained", 0, "--data", "d", "--image", "i"), ["--image and --data", "one of them"]),
        (
            ("train", FASHION, "--blocks-per-batch", 4, "--longest-path", 4),
            ["--blocks-per-batch", "--longest-path", "one of them"],
        ),
        (("train", FASHION, "--blocks-per-batch", 10), ["--blocks-per-batch must be 1 to 9", "got 10"]),
        (("lesions", CIFAR, "--untrained", 0), ["sample photos", "--data FOLDER"]),
        (("lesions", "fashion-vgg11", "--limit", 5, "--study", "reorder"), ["change places"]),
        (("lesions", FASHION, "--study", "all"), ["'all'", "single", "random", "reorder"]),
        (("train", CIFAR, "--data", "nowhere"), [CIFAR, "fashion-resnet20, "]),
        (("train", FASHION, "--epochs", 0), ["--epochs", "0 ", "x>=1"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_arguments_that_cannot_be_used(arguments, told):
    line = refusal(*arguments)
    assert all(part in line for part in told), line


def png_header(width: int, height: int) -> bytes:
    """A small PNG that says it is large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9)))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file"),
        (b"Dear network,", "is not a picture that can be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "is an EPS or PostScript file"),
        (png_header(10_000, 10_000), "at most 50 million"),
        (png_header(40, 40), "whole PNG"),
    ],
    ids=["missing", "text", "EPS", "too large", "truncated"],
)
@pytest.mark.parametrize("command", ["gradients", "sweep"])
@pytest.mark.filterwarnings("error")  # Pillow's warning of a large picture would be a second line on stderr
def test_a_picture_that_cannot_be_used(tmp_path, content, told, command):
    path = tmp_path / "bad.png"
    if content is not None:
        path.write_bytes(content)
    line = refusal(command, FASHION, "--untrained", 0, "--image", path)
    assert str(path) in line and told in line


def test_a_folder_that_cannot_be_used(tmp_path):
    def told() -> str:
        return refusal("sweep", CIFAR, "--untrained", 0, "--data", tmp_path / "set")

    assert "set is not a folder" in told()
    (tmp_path / "set").mkdir()
    assert "set holds no pictures in class folders" in told()
    pictures(tmp_path / "set", {"unicorn": 1})
    line = told()
    assert "'unicorn'" in line and "airplane" in line and "0 ... 9" in line


def test_a_checkpoint_with_classes_of_its_own_is_asked_by_them(tmp_path):
    state = load_file(zoo.weights_path(zoo.NETWORKS[FASHION]))
    torch.save({name: each[:2] if "fc" in name else each for name, each in state.items()}, tmp_path / "two.ckpt")
    (tmp_path / "two.classes.txt").write_text("shirt\ntrousers\n")
    given = ("delete", FASHION, "--checkpoint", tmp_path / "two.ckpt", "--blocks", "layer1.0")
    told = answer(*given, *FEW)
    assert told["weights"] == "from two.ckpt; 2 classes" and told["error_pct_before"] is None
    (tmp_path / "set" / "trousers").mkdir(parents=True)
    Image.new("L", (28, 28)).save(tmp_path / "set" / "trousers" / "a.pgm")
    assert answer(*given, "--data", tmp_path / "set")["error_pct_before"] in (0, 100)
    heal = ("cut", *given[1:], "--heal", 5, "--output", tmp_path / "cut.safetensors")
    assert "must be of Fashion-MNIST, whose training images are bundled; got fashion-resnet20 of 2 classes" in refusal(
        *heal
    )


def test_a_checkpoint_that_cannot_be_used(tmp_path):
    def told(name: str) -> str:
        return refusal("sweep", CIFAR, "--checkpoint", tmp_path / name)

    assert str(tmp_path / "nowhere.pt") in told("nowhere.pt")
    (tmp_path / "text.safetensors").write_text("Dear network,")
    assert str(tmp_path / "text.safetensors") in told("text.safetensors")
    always(FASHION, 0, tmp_path)
    line = told("always.safetensors")
    assert "stem.conv1.weight (16, 1, 3, 3) instead of (16, 3, 3, 3)" in line and "same architecture" in line


@pytest.mark.parametrize("command", [("delete", "--blocks", "layer2.1"), ("sweep",), ("gradients",), ("describe",)])
def test_weights_that_are_not_finite_give_no_answer(tmp_path, picture, command):
    state = load_file(zoo.weights_path(zoo.NETWORKS[FASHION]))
    state["stem.conv1.weight"][0] = torch.nan
    save_file(state, tmp_path / "diverged.safetensors")
    image = [] if command[0] == "describe" else ["--image", picture]
    line = refusal(command[0], FASHION, *command[1:], *image, "--checkpoint", tmp_path / "diverged.safetensors")
    assert "diverged.safetensors must hold finite floating-point weights; got NaN" in line
    assert "in 1 of 116 entries: stem.conv1.weight" in line


def test_weights_that_cannot_be_had(tmp_path, monkeypatch):
    url = "http://127.0.0.1:9/resnet20-12fca82f.th"
    monkeypatch.setitem(zoo.NETWORKS, CIFAR, replace(zoo.NETWORKS[CIFAR], weights=url))
    line = refusal("sweep", CIFAR)
    assert url in line and str(tmp_path / "torch" / "hub" / "checkpoints" / "resnet20-12fca82f.th") in line
    assert "--untrained" in line and "--checkpoint" in line
    monkeypatch.setattr(loading, "CHECKPOINTS", tmp_path)
    line = refusal("sweep", FASHION)
    assert f"python -m resnet_viz train {FASHION}" in line and "--untrained" in line


def test_training_data_that_cannot_be_used(tmp_path):
    result = run("train", FASHION, "--data", tmp_path, "--output", tmp_path)
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert len(lines) == 2 and lines[0] == f"Reading Fashion-MNIST from {tmp_path}"
    assert f"{tmp_path} holds neither train-images-idx3-ubyte" in lines[1]


def test_a_device_that_is_not_there(monkeypatch):
    monkeypatch.setenv("RESNET_VIZ_DEVICE", "abacus")
    chosen.device.cache_clear()
    try:
        line = refusal("networks")
    finally:
        chosen.device.cache_clear()
    assert "'abacus'" in line and "cpu, cuda or mps" in line


@pytest.mark.parametrize("arguments", [("--help",), *((name, "--help") for name in main.commands)])
def test_help(arguments):
    result = run(*arguments)
    assert result.exit_code == 0 and "Usage:" in result.stdout and result.stderr == ""


# As a process.


def start(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "resnet_viz", *arguments],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"RESNET_VIZ_DEVICE": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Started in the background, this suite may itself ignore Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_a_refusal_of_the_module(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["resnet_viz", "describe", "resnet20"])
    with pytest.raises(SystemExit) as exit:
        runpy.run_module("resnet_viz", run_name="__main__")
    output, errors = capsys.readouterr()
    assert exit.value.code == 2 and output == ""
    assert len(errors.splitlines()) == 1 and errors.startswith("Network must be one of ") and "got 'resnet20'" in errors


def test_a_closed_pipe_makes_no_traceback():
    with start("describe", FASHION) as process:
        process.stdout.close()
        errors = process.stderr.read()
    assert errors == ""


def test_ctrl_c_ends_quietly_with_130(few_idx_files, tmp_path):
    arguments = ("train", FASHION, "--data", str(few_idx_files), "--output", str(tmp_path / "out"), "--epochs", "500")
    with start(*arguments) as process:
        told = process.stderr.read(1)  # it has begun
        rest: list[str] = []
        reader = threading.Thread(target=lambda: rest.append(process.stderr.read()))
        reader.start()
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        reader.join()
    assert process.returncode == 130
    assert "Traceback" not in told + rest[0]
