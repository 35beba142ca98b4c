"""Fixtures and helpers that several tests share: small networks of every kind, and the same networks written a second time."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules import module as module_hooks

from resnet_viz.engine.kept import ANSWERS, RESULTS
from resnet_viz.experiments import degradation, training
from resnet_viz.networks import device as chosen
from resnet_viz.networks import zoo
from resnet_viz.networks.images import ImageSet, Preprocessing
from resnet_viz.networks.network import ResidualNetwork, build
from resnet_viz.places import CHECKPOINTS


class Case(NamedTuple):
    """A block kind and a shortcut option."""

    kind: str
    option: str


PLAIN = Case("plain", "A")
RESIDUAL_CASES = [
    Case(kind, option)
    for kind in ("basic", "bottleneck", "preactivation-basic", "preactivation-bottleneck")
    for option in "ABC"
]
CASES = [PLAIN, *RESIDUAL_CASES]
SMALL_PREPROCESSING = Preprocessing(resize=8, crop=8, mean=(0.5,), std=(0.25,))


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test starts in the same state, on one thread: small tensors are many times slower on more."""
    torch.manual_seed(0)
    torch.set_grad_enabled(True)
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def on_the_cpu() -> Iterator[None]:
    """Where results are compared bit for bit, the library computes on the CPU, whatever else there is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESNET_VIZ_DEVICE", "cpu")
        chosen.device.cache_clear()
        yield
    chosen.device.cache_clear()


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request, monkeypatch) -> Iterator[torch.device]:
    """The CPU, and CUDA where there is one, in full float32; the library computes there as well."""
    monkeypatch.setenv("RESNET_VIZ_DEVICE", request.param)
    chosen.device.cache_clear()
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield torch.device(request.param)
    chosen.device.cache_clear()


@pytest.fixture(params=CASES, ids="-".join)
def case(request) -> Case:
    """Every block kind with every shortcut option that it has."""
    return request.param


@pytest.fixture
def small_imagenet(monkeypatch) -> None:
    """imagenet-resnet18 takes pictures of 64 pixels, where a test does not ask for their size."""
    entry = zoo.NETWORKS["imagenet-resnet18"]
    small = replace(entry, preprocessing=replace(entry.preprocessing, resize=72, crop=64))
    monkeypatch.setitem(zoo.NETWORKS, entry.name, small)


@pytest.fixture
def image_set() -> ImageSet:
    """16 images of noise, labelled."""
    return noise()


def noise() -> ImageSet:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (16, 1, 8, 8), dtype=torch.uint8, generator=generator)
    labels = torch.arange(16) % 10
    return ImageSet("noise", pixels, labels, tuple(f"noise {index}" for index in range(16)))


@pytest.fixture
def images(image_set, device) -> Tensor:
    """The first four images, normalised."""
    return SMALL_PREPROCESSING.normalise(image_set.pixels[:4]).to(device)


@pytest.fixture
def labels(image_set, device) -> Tensor:
    """The labels of those four."""
    return image_set.labels[:4].to(device)


@pytest.fixture
def network(case, device) -> ResidualNetwork:
    """Two stages of two blocks, in eval mode; each test may change its own."""
    return deepcopy(network_of(case)).to(device)


@cache
def network_of(case: Case) -> ResidualNetwork:
    return small_network(case, noise())


def small_network(case: Case, image_set: ImageSet, **changes) -> ResidualNetwork:
    """Two stages of two blocks, unless ``changes`` say otherwise, with batch norms as after training."""
    options = {"blocks": (2, 2), "widths": (4, 8), "stem_stride": 1} | changes
    images = SMALL_PREPROCESSING.normalise(image_set.pixels)
    network = lived_in(build(case.kind, shortcut=case.option, **options), images)
    with torch.no_grad():
        network.head.fc.bias -= network(images).mean(0)  # so that the images are not all of one class
    return network


def lived_in(network: nn.Module, images: Tensor) -> nn.Module:
    """Give batch norms weights, biases and statistics that are not 1 and 0; leave the network in eval mode."""
    generator = torch.Generator().manual_seed(2)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5, generator=generator)
            norm.bias.uniform_(-0.3, 0.3, generator=generator)
            norm.momentum = 1.0
        network.train()(images)
        for norm in norms:
            norm.momentum = 0.1
    return network.eval()


def relative_error(result: Tensor, expected: Tensor) -> float:
    """|result - expected| / |expected|."""
    return ((result - expected).norm() / expected.norm()).item()


# The networks of He et al. 2015 and 2016, written again with torch.nn.functional alone.


def reference_terms(case: Case, state: dict[str, Tensor], name: str, stream: Tensor) -> tuple[Tensor, Tensor]:
    """What the shortcut (in a plain block: the carry) and the branch of a block make of a stream."""
    stage, index = name.removeprefix("layer").split(".")
    stride = 2 if stage != "1" and index == "0" else 1
    preactivation = case.kind.startswith("preactivation")
    strides = (1, stride, 1) if case.kind.endswith("bottleneck") else (stride, 1)
    branch_name = f"{name}.branch.layers" if case.kind == "plain" else f"{name}.branch"
    activated = stream
    if preactivation and name != "layer1.0":
        activated = reference_norm(state, f"{name}.entry.bn", stream).relu()
    branch = activated
    for number, stride_here in enumerate(strides, start=1):
        if preactivation and number > 1:
            branch = reference_norm(state, f"{branch_name}.bn{number}", branch).relu()
        branch = reference_convolution(state, f"{branch_name}.conv{number}", branch, stride_here)
        if not preactivation:
            branch = reference_norm(state, f"{branch_name}.bn{number}", branch)
            if number < len(strides) or case.kind == "plain":
                branch = branch.relu()
    changes_shape = branch.shape != stream.shape
    if case.option == "C" or (case.option == "B" and changes_shape):
        if preactivation:
            return reference_convolution(state, f"{name}.shortcut", activated, stride), branch
        projected = reference_convolution(state, f"{name}.shortcut.0", stream, stride)
        return reference_norm(state, f"{name}.shortcut.1", projected), branch
    return reference_option_a(stream, branch.shape[1], stride) if changes_shape else stream, branch


def reference_sum(case: Case, shortcut: Tensor, branch: Tensor, gate: float = 1.0) -> tuple[Tensor, Tensor]:
    """The two terms that a block adds up, under a gate."""
    return (1 - gate) * shortcut if case.kind == "plain" else shortcut, gate * branch


def reference_activation(case: Case, total: Tensor) -> Tensor:
    """What follows the sum."""
    return total.relu() if case.kind in ("basic", "bottleneck") else total


def reference_streams(
    case: Case, state: dict[str, Tensor], images: Tensor, gates: list[float] | None = None
) -> list[Tensor]:
    """The input of each block, and the head's."""
    names = list(dict.fromkeys(re.findall(r"^layer\d+\.\d+", "\n".join(state), re.MULTILINE)))
    streams = [reference_norm(state, "stem.bn1", reference_convolution(state, "stem.conv1", images, 1)).relu()]
    for name, gate in zip(names, gates or [1.0] * len(names), strict=True):
        terms = reference_sum(case, *reference_terms(case, state, name, streams[-1]), gate)
        streams.append(reference_activation(case, sum(terms)))
    return streams


def reference_head(case: Case, state: dict[str, Tensor], stream: Tensor) -> Tensor:
    """The logits."""
    if case.kind.startswith("preactivation"):
        stream = reference_norm(state, "head.bn", stream).relu()
    pooled = functional.adaptive_avg_pool2d(stream, 1).flatten(1)
    return functional.linear(pooled, state["head.fc.weight"], state["head.fc.bias"])


def reference_option_a(stream: Tensor, channels: int, stride: int) -> Tensor:
    """Every ``stride``-th pixel, between equally many channels of zeros."""
    pixels = stream[:, :, ::stride, ::stride]
    in_layout = torch.channels_last if stream.stride(1) == 1 else torch.contiguous_format
    padded = pixels.new_zeros(len(stream), channels, *pixels.shape[2:]).contiguous(memory_format=in_layout)
    before = (channels - stream.shape[1]) // 2
    padded[:, before : before + stream.shape[1]] = pixels
    return padded


def reference_convolution(state: dict[str, Tensor], name: str, tensor: Tensor, stride: int) -> Tensor:
    weight = state[f"{name}.weight"]
    return functional.conv2d(tensor, weight, None, stride, padding=weight.shape[-1] // 2)


def reference_norm(state: dict[str, Tensor], name: str, tensor: Tensor) -> Tensor:
    parts = ("running_mean", "running_var", "weight", "bias")
    return functional.batch_norm(tensor, *(state[f"{name}.{part}"] for part in parts))


def same_state(network: nn.Module, state: dict[str, Tensor]) -> bool:
    """Whether a network holds just these weights."""
    own = network.state_dict()
    return own.keys() == state.keys() and all(torch.equal(own[name].cpu(), state[name]) for name in state)


# What a computation must leave as it found it.


@contextmanager
def left_as_it_was(network: nn.Module) -> Iterator[None]:
    """Check that the block of code changes no weight, mode, gradient or hook of a network, whose parts differ in all of these."""
    network.head.fc.train()
    network.head.fc.bias.requires_grad_(False)
    for parameter in list(network.parameters())[::2]:
        parameter.grad = torch.ones_like(parameter)
    network.stem.register_forward_hook(lambda *_: None)
    before = everything_about(network)
    yield
    after = everything_about(network)
    assert before.keys() == after.keys()
    for name, value in before.items():
        same = torch.equal(value, after[name]) if torch.is_tensor(value) else value == after[name]
        assert same, f"{name} has changed"


def everything_about(network: nn.Module) -> dict[str, object]:
    """Copies of the weights and gradients, the modes, and the number of hooks here and in all of torch."""
    found: dict[str, object] = {f"state {name}": tensor.clone() for name, tensor in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        found[f"gradient {name}"] = None if parameter.grad is None else parameter.grad.clone()
        found[f"requires_grad {name}"] = parameter.requires_grad
        found[f"tensor hooks {name}"] = len(parameter._backward_hooks or ())
    for name, module in network.named_modules():
        found[f"mode {name}"] = module.training
        found[f"hooks {name}"] = [len(hooks) for key, hooks in sorted(vars(module).items()) if key.endswith("_hooks")]
    found["global hooks"] = [
        len(hooks)
        for key, hooks in sorted(vars(module_hooks).items())
        if key.startswith("_global_") and key.endswith("_hooks")
    ]
    found["gradients enabled"] = torch.is_grad_enabled()
    return found


class Unlucky(nn.Module):
    """A branch that raises at its second call in forward, or in backward."""

    def __init__(self, branch: nn.Module, where: str) -> None:
        super().__init__()
        self.inner = branch
        self.where = where
        self.calls = 0

    def forward(self, tensor: Tensor) -> Tensor:
        self.calls += 1
        if self.where == "forward" and self.calls == 2:
            raise UnluckyError
        return FailsBackward.apply(self.inner(tensor)) if self.where == "backward" else self.inner(tensor)


class UnluckyError(Exception):
    """What an unlucky branch raises."""


class FailsBackward(torch.autograd.Function):
    """An identity whose backward pass raises."""

    @staticmethod
    def forward(_, tensor: Tensor) -> Tensor:
        return tensor.clone()

    @staticmethod
    def backward(*_) -> Tensor:
        raise UnluckyError


def unlucky(network: ResidualNetwork, where: str = "forward") -> ResidualNetwork:
    """The network with one branch that raises."""
    block = network.blocks["layer2.0"]
    block.branch = Unlucky(block.branch, where).eval()
    return network


MADE_UP = {  # train error, test error, and the latter with statistics taken anew, %
    "fashion-resnet56-blocks13": (29.0, 30.0, 9.5),
    "fashion-resnet56-blocks13-seed1": (31.0, 32.0, 9.0),
    "fashion-resnet56-blocks13-seed2": (33.0, 34.0, 8.5),
    "fashion-plain20-epochs30": (5.5, 7.5, None),
    "fashion-plain56-epochs30": (8.0, 9.0, None),
    "fashion-resnet20-epochs30": (4.5, 7.0, None),
    "fashion-resnet56-epochs30": (3.0, 6.5, None),
}


@pytest.fixture
def all_trained(tmp_path, monkeypatch) -> Iterator[Path]:
    """A folder with the bundled histories, in which the runs that take longest are made up."""
    folder = tmp_path / "checkpoints"
    for path in CHECKPOINTS.rglob("fashion-*.json"):
        copy = folder / path.relative_to(CHECKPOINTS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    for name, (train_error, test_error, anew) in MADE_UP.items():
        run = json.loads((CHECKPOINTS / f"{'-'.join(name.split('-')[:2])}.json").read_text())
        run["epochs"] *= 3 if "epochs30" in name else 1
        run |= {"train_error_pct": train_error, "test_error_pct": test_error, "test_error_reestimated_pct": anew}
        (folder / "histories" / f"{name}.json").write_text(json.dumps(run))
    for module in (training, degradation):
        monkeypatch.setattr(module, "CHECKPOINTS", folder)
    forget()
    yield folder
    forget()


def forget() -> None:
    """Let all that is kept go."""
    RESULTS.forget()
    ANSWERS.forget()


def pytest_collection_modifyitems(items) -> None:
    """Leave the CUDA variants out where there is no CUDA: they are not this machine's tests."""
    if not torch.cuda.is_available():
        items[:] = [item for item in items if "cuda" not in item.keywords]
