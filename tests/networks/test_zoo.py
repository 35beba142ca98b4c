"""The table of networks against published facts; untrained networks; the images and files that belong to a row."""

import hashlib
import json
import re
from functools import cache

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import get_model_weights

from resnet_viz.errors import InputError
from resnet_viz.experiments.deletion import predict
from resnet_viz.networks import datasets, zoo
from resnet_viz.networks.datasets import bundled_fashion
from resnet_viz.networks.description import Description, describe
from resnet_viz.networks.zoo import NETWORKS, Entry, load
from resnet_viz.networks.zoo.twins import plain_entry
from resnet_viz.places import CHECKPOINTS

from ..conftest import same_state

SMALL = NETWORKS["cifar10-resnet20"]


@cache
def described(entry: Entry) -> Description:
    return describe(zoo.architecture(entry), entry.preprocessing)


# Untrained networks.


def test_untrained_weights_are_seeded_and_leave_the_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    networks = [load(SMALL, untrained=seed) for seed in (3, 3, 4)]
    assert torch.equal(torch.rand(1), expected)
    assert same_state(networks[0].network, networks[1].network.cpu().state_dict())
    weights = [loaded.network.stem.conv1.weight.cpu() for loaded in networks]
    assert not torch.equal(weights[1], weights[2])
    assert networks[0].digest == networks[1].digest != networks[2].digest


def test_untrained_networks_say_so():
    loaded = load(SMALL, untrained=3)
    assert not loaded.trained
    assert loaded.weights == "untrained, seed 3"
    without = load(SMALL, batch_norm=False)
    assert not without.trained and without.weights == "untrained, seed 0, without batch norm"
    assert without.digest != load(SMALL, untrained=0).digest
    assert not any(isinstance(module, nn.BatchNorm2d) for module in without.network.modules())


@pytest.mark.parametrize("name", ["fashion-preact56", "cifar10-resnet20"])
def test_untrained_batch_norms_are_calibrated_by_one_pass(name):
    entry = NETWORKS[name]
    network = load(entry, untrained=0).network.cpu()
    images = bundled_fashion("training").limit(256) if "fashion" in name else zoo.images_of(entry)
    if "fashion" not in name:
        assert images.labels is None, "the sample photos were expected"
    assert not any(module.training for module in network.modules())
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {norm.momentum for norm in norms} == {0.1}
    seen = []
    hooks = [norm.register_forward_hook(lambda *passed: seen.append(passed[-1])) for norm in norms]
    with torch.no_grad():
        network(entry.preprocessing.normalise(images.pixels))
    for hook in hooks:
        hook.remove()
    for output in seen:  # weight 1 and bias 0: mean 0 and variance 1 in every channel, up to 1e-5 added to the variance
        assert output.mean((0, 2, 3)).abs().max() < 0.05
        assert (output.var((0, 2, 3)) - 1).abs().max() < 0.05


def test_a_loaded_network_is_in_eval_mode_on_the_device(device):
    network = load(SMALL, untrained=0).network
    assert not any(module.training for module in network.modules())
    assert {parameter.device.type for parameter in network.parameters()} == {device.type}


# The table.

# torchvision 0.29.1 at 224 x 224, and He et al. 2015, table 1: blocks of each stage, parameters, 10^9 multiply-adds.
IMAGENET_FACTS = {
    18: ("basic", [2, 2, 2, 2], 11_689_512, 1.814),
    34: ("basic", [3, 4, 6, 3], 21_797_672, 3.664),
    50: ("bottleneck", [3, 4, 6, 3], 25_557_032, 4.089),
    101: ("bottleneck", [3, 4, 23, 3], 44_549_160, 7.801),
    152: ("bottleneck", [3, 8, 36, 3], 60_192_808, 11.514),
}
# He et al. 2015, table 6: millions of parameters, as printed there.
CIFAR_MILLIONS = {20: "0.27", 32: "0.46", 44: "0.66", 56: "0.85", 110: "1.7"}


@pytest.mark.parametrize("name", [name for name in NETWORKS if name.startswith("imagenet-resnet")])
def test_the_imagenet_networks_have_the_published_sizes(name):
    depth = int(name.removeprefix("imagenet-resnet").split("-")[0])
    kind, stages, params, giga_macs = IMAGENET_FACTS[depth]
    network, description = zoo.architecture(NETWORKS[name]), described(NETWORKS[name])
    assert {block.kind for block in network.blocks.values()} == {kind}
    assert list(network.stage_sizes().values()) == stages
    assert description.params == params == sum(parameter.numel() for parameter in network.parameters())
    assert round(description.macs / 1e9, 3) == giga_macs
    assert description.layers == depth
    assert len(NETWORKS[name].classes) == description.head.out_shape[0] == 1000


@pytest.mark.parametrize("name", [name for name in NETWORKS if name.startswith("imagenet")])
def test_torchvision_publishes_the_same_sizes(name):
    model, _, version = name.removeprefix("imagenet-").partition("-v")
    published = get_model_weights(model)[f"IMAGENET1K_V{version or 1}"]
    description = described(NETWORKS[name])
    assert description.params == published.meta["num_params"]
    assert description.macs / 1e9 == pytest.approx(published.meta["_ops"], rel=0.01)
    assert NETWORKS[name].weights == published.url
    top1 = published.meta["_metrics"]["ImageNet-1K"]["acc@1"]
    assert NETWORKS[name].published_error_pct == pytest.approx(100 - top1)


def test_the_older_networks_have_the_layers_that_name_them():
    layers = {name: described(NETWORKS[f"imagenet-{name}"]).layers for name in ("vgg11", "vgg16", "googlenet")}
    assert layers == {"vgg11": 11, "vgg16": 16, "googlenet": 22}


def test_the_cifar_networks_have_the_published_sizes():
    depths = [int(name.removeprefix("cifar10-resnet")) for name in NETWORKS if name.startswith("cifar10")]
    assert depths == list(CIFAR_MILLIONS)
    for depth, millions in CIFAR_MILLIONS.items():
        description = described(NETWORKS[f"cifar10-resnet{depth}"])
        digits = len(millions.split(".")[1])
        assert f"{description.params / 1e6:.{digits}f}" == millions
        assert description.layers == depth and len(description.blocks) == (depth - 2) // 2
        assert {block.shortcut for block in description.blocks} == {"identity", "option A"}
        assert [block.out_shape for block in description.blocks][:: len(description.blocks) // 3] == [
            (16, 32, 32),
            (32, 16, 16),
            (64, 8, 8),
        ]


def test_the_test_errors_are_the_published_ones():
    published = {20: 8.27, 32: 7.37, 44: 6.90, 56: 6.61, 110: 6.32}  # github.com/akamaster/pytorch_resnet_cifar10
    assert {depth: NETWORKS[f"cifar10-resnet{depth}"].published_error_pct for depth in published} == published
    assert NETWORKS["imagenet-resnet18"].published_error_pct == pytest.approx(30.242)
    assert NETWORKS["imagenet-resnet50-v2"].published_error_pct == pytest.approx(19.142)


@pytest.mark.parametrize("name", ["fashion-resnet34", "cifar10-resnet110", "imagenet-resnet18"])
def test_a_description_needs_no_weights(name):
    entry = NETWORKS[name]
    with_weights = describe(entry.build(seed=0).eval(), entry.preprocessing)
    assert described(entry) == with_weights


def test_every_row_is_complete():
    for name, entry in NETWORKS.items():
        assert entry.name == name and entry.family == name.split("-")[0]
        assert entry.provenance and entry.licence and bool(entry.weights) == ("1001" not in name)
        assert entry.plain is None or NETWORKS[entry.plain].name == entry.plain
        if "://" in str(entry.weights):
            assert entry.weights.startswith("https://")
            assert re.search(r"-[0-9a-f]{8,}\.", entry.weights), f"the file of {name} cannot be checked"


def test_preprocessing_is_torchvisions_own():
    transforms = get_model_weights("resnet50")["IMAGENET1K_V2"].transforms()
    preprocessing = NETWORKS["imagenet-resnet50-v2"].preprocessing
    assert [preprocessing.resize, preprocessing.crop] == [transforms.resize_size[0], transforms.crop_size[0]]
    assert (list(preprocessing.mean), list(preprocessing.std)) == (transforms.mean, transforms.std)


def test_an_unknown_network_is_told_with_the_known_ones():
    with pytest.raises(
        InputError, match=r"must be one of .*fashion-resnet20.*imagenet-resnet18.*fashion-plainN.*; got 'resnet20'"
    ):
        zoo.entry_of("resnet20")
    assert zoo.entry_of("cifar10-resnet20") is SMALL


@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_plain_network_has_the_depth_and_shapes_of_its_residual_one(name):
    entry = NETWORKS[name]
    plain = plain_entry(entry)
    others = "preact110", "preact1001", "rnn", "vit", "vit-postnorm", "imagenet-googlenet"
    if "plain" in name or "vgg" in name or name.removeprefix("fashion-") in others:
        assert plain is None
        return
    residual_blocks = described(entry).blocks
    network, crop = zoo.architecture(plain), entry.preprocessing.crop
    plain_blocks = describe(network, plain.preprocessing).blocks
    assert {block.shortcut for block in plain_blocks} == {"none"}
    assert [block.name for block in plain_blocks] == [block.name for block in residual_blocks]
    if "lstm" not in name:  # whose memory has a cell state, too
        assert [block.out_shape for block in plain_blocks] == [block.out_shape for block in residual_blocks]
    image = torch.zeros(1, entry.preprocessing.channels, crop, crop, device="meta")
    assert network(image, [0.0] * len(plain_blocks)).shape == (1, len(entry.classes)), "every block deleted"


def test_counterparts():
    assert zoo.counterpart(NETWORKS["fashion-plain34"]) is NETWORKS["fashion-resnet34"]
    assert zoo.counterpart(NETWORKS["fashion-resnet34"]) is NETWORKS["fashion-plain34"]
    other = zoo.counterpart(SMALL)
    assert other.weights is None and load(other).weights == "untrained, seed 0"


def test_the_bundled_weights_do_what_their_histories_say():
    files = sorted(CHECKPOINTS.glob("*.safetensors"))
    assert files
    images = bundled_fashion("lesion").limit(200)
    for file in files:
        loaded = load(NETWORKS[file.stem])
        assert loaded.trained and loaded.digest == hashlib.sha256(file.read_bytes()).hexdigest()
        predictions = predict(loaded.network, loaded.entry.preprocessing, images)
        error = 100 * (predictions != images.labels.numpy()).mean()
        told = json.loads(file.with_suffix(".json").read_text())["test_error_pct"]
        assert abs(error - told) < 10, f"{file.stem}: {error} % of 200 images, {told} % of all"  # 3 standard errors


# The images that come with a row.


def test_images_of_a_row(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_VIZ_DATA", str(tmp_path))
    assert len(zoo.images_of(NETWORKS["fashion-plain20"])) == 1000
    for name in ("cifar10-resnet20", "imagenet-resnet18"):
        images = zoo.images_of(NETWORKS[name])
        crop = NETWORKS[name].preprocessing.crop
        assert images.labels is None and images.pixels.shape == (4, 3, crop, crop)


def test_a_limit_spreads_over_the_set():
    whole, limited = (zoo.images_of(NETWORKS["fashion-resnet20"], limit=limit) for limit in (None, 7))
    assert limited.names == tuple(whole.names[i * 1000 // 7] for i in range(7))
    assert len(zoo.images_of(NETWORKS["fashion-resnet20"], limit=5000)) == 1000
    with pytest.raises(InputError, match="must be 1 or more; got 0"):
        zoo.images_of(NETWORKS["fashion-resnet20"], limit=0)


def test_wordnet_ids_are_imagenets_in_its_order():
    ids = datasets.wordnet_ids()
    classes = NETWORKS["imagenet-resnet18"].classes
    assert len(ids) == 1000 and sorted(ids.values()) == list(range(1000))
    assert sorted(ids, key=ids.get) == sorted(ids), "ImageNet's classes are numbered in the order of their ids"
    known = {"n01440764": "tench", "n02123045": "tabby", "n02504458": "African elephant", "n15075141": "toilet tissue"}
    assert {wordnet_id: classes[ids[wordnet_id]] for wordnet_id in known} == known


# Files of the visitor's own.


def test_a_file_is_found_by_the_network_that_it_fits(tmp_path):
    save_file(
        {name: tensor.contiguous() for name, tensor in NETWORKS["fashion-resnet20"].build(seed=3).state_dict().items()},
        tmp_path / "my run!.safetensors",
    )
    torch.save(NETWORKS["cifar10-resnet20"].build(seed=4).state_dict(), tmp_path / "other.pt")
    (tmp_path / "notes.txt").write_text("no weights")
    (fashion, cifar), faults = zoo.local_entries(tmp_path)
    assert faults == []
    assert (fashion.name, cifar.name) == ("fashion-resnet20:my-run-", "cifar10-resnet20:other")
    assert fashion.family == "fashion" and fashion.provenance == "your file my run!.safetensors"
    images = torch.randn(2, 1, 28, 28)
    loaded = load(fashion)
    torch.testing.assert_close(
        loaded.network(images), NETWORKS["fashion-resnet20"].build(seed=3).eval()(images), rtol=1e-4, atol=1e-5
    )
    assert loaded.trained and loaded.weights == fashion.provenance
    assert [entry.name for entry in zoo.local_entries(tmp_path / "other.pt")[0]] == ["cifar10-resnet20:other"]


def test_a_folder_without_weights_and_a_file_that_fits_nothing_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no file of weights"):
        zoo.local_entries(tmp_path)
    torch.save({"weight": torch.zeros(3)}, tmp_path / "odd.pt")
    (tmp_path / "broken.pt").write_bytes(b"no weights")
    torch.save(NETWORKS["fashion-resnet20"].build(seed=1).state_dict(), tmp_path / "whole.pt")
    entries, faults = zoo.local_entries(tmp_path)
    assert [entry.name for entry in entries] == ["fashion-resnet20:whole"]
    assert ["broken.pt" in faults[0], "odd.pt fits no network of the table" in faults[1]] == [True, True]


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("imagenet-resnet50", ["imagenet-resnet34", "imagenet-resnet50-v2"]),
        ("fashion-resnet110", ["fashion-preact110"]),
        ("fashion-resnet20", ["fashion-plain20"]),
        ("fashion-vgg11", []),
    ],
)
def test_networks_with_the_same_blocks(name, others):
    assert [entry.name for entry in zoo.with_the_same_blocks(NETWORKS[name], NETWORKS.values())] == others
