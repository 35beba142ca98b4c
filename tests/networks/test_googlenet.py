"""GoogLeNet beside torchvision's own."""

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from resnet_viz.errors import InputError
from resnet_viz.networks import zoo
from resnet_viz.networks.description import blank, branch_layers_of, describe
from resnet_viz.networks.googlenet import MODULES
from resnet_viz.networks.zoo import NETWORKS, load

from ..conftest import lived_in

ENTRY = NETWORKS["imagenet-googlenet"]
NAMES = {f"layer{stage}.{index}": each for stage, row in enumerate(MODULES, 1) for index, each in enumerate(row)}


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """torchvision's own, as its weights are made: with auxiliary heads, and images normalised inside."""
    made = {"transform_input": True, "aux_logits": True, "init_weights": False}
    model = get_model("googlenet", weights=None, num_classes=5, **made)
    for norm in (each for each in model.modules() if isinstance(each, nn.BatchNorm2d)):
        norm.momentum = 1.0
    return lived_in(model, torch.randn(4, 3, 64, 64))


@pytest.fixture(scope="module")
def loaded(model, tmp_path_factory):
    """Our row with these weights, from a file that is found by the names in it."""
    path = tmp_path_factory.mktemp("googlenet") / "theirs.pth"
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in model.state_dict().items()}}, path)
    (entry,), faults = zoo.local_entries(path)
    assert not faults and entry.name == "imagenet-googlenet:theirs"
    return load(entry)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 64)


def logits(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """What torchvision's own gives, in the layout that ours computes in."""
    with torch.no_grad():
        return model.to(memory_format=torch.channels_last)(images)


def test_it_gives_torchvisions_logits_bit_for_bit(model, loaded, images):
    with torch.no_grad():
        ours = loaded.network(images)
    assert ours.std() > 0.01 and torch.equal(ours, logits(model, images))
    model.transform_input = False
    assert not torch.equal(ours, logits(model, images)), "the images are normalised once more inside"
    model.transform_input = True


def test_what_is_not_taken_from_the_file_is_named(loaded):
    assert "5 classes; without module.aux1.conv.conv.weight, module.aux1.conv.bn.weight" in loaded.weights
    assert loaded.weights.endswith("...")


def test_a_file_without_a_row_of_a_module_is_refused(model, tmp_path):
    state = {name: each for name, each in model.state_dict().items() if not name.startswith("inception4b.branch3")}
    torch.save(state, tmp_path / "less.pth")
    with pytest.raises(InputError, match=r"missing: layer2\.1\.branch\.layers\.rows\.branch3"):
        load(ENTRY, checkpoint=tmp_path / "less.pth")


class Carried(nn.Module):
    """What a deleted module hands on: its input, with channels of zeros before and after it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, stream: torch.Tensor) -> torch.Tensor:
        added = (self.channels - stream.shape[1]) // 2
        return nn.functional.pad(stream, (0, 0, 0, 0, added, added))


@pytest.mark.parametrize("block", ["layer1.1", "layer2.0", "layer2.2", "layer3.0"])
def test_a_deleted_module_is_that_of_a_network_without_it(model, loaded, images, block, monkeypatch):
    name = f"inception{NAMES[block]}"
    channels = {part.name: part.out_shape[0] for part in describe(zoo.architecture(ENTRY), ENTRY.preprocessing).blocks}
    monkeypatch.setitem(model._modules, name, Carried(channels[block]))
    with torch.no_grad():
        ours = loaded.network(images, loaded.network.gates_without([block]))
    assert torch.equal(ours, logits(model, images))


def test_a_module_counts_two_layers_and_is_told_row_by_row():
    network = zoo.architecture(ENTRY)
    described = describe(network, ENTRY.preprocessing)
    assert described.layers == 3 + 2 * len(NAMES) + 1 == 22
    part = next(each for each in described.blocks if each.name == "layer2.0")
    pool, rows, relu = branch_layers_of(network.blocks[part.name], blank(network, part.in_shape))
    assert (pool.kind, relu.kind) == ("3x3 max pool, stride 2", "ReLU")
    assert rows.kind == "side by side: 1x1 | 1x1, 3x3 | 1x1, 3x3 | 3x3 max pool, 1x1"
    assert (rows.params, rows.macs) == (part.params, part.macs) and rows.out_shape == part.out_shape


def test_without_batch_norm_nothing_else_is_left_out():
    network = ENTRY.build(seed=0, batch_norm=False, classes=5)
    kept = [type(each) for each in network.modules() if isinstance(each, nn.Conv2d | nn.BatchNorm2d)]
    assert kept == [nn.Conv2d] * 57
