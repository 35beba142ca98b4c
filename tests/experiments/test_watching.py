"""Watching a training: what is recorded is what a trace measures, the training is as without it, and nothing stays on the model."""

import copy
import io
import json
import pickle
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

import resnet_viz
from resnet_viz.errors import InputError
from resnet_viz.experiments.norms import BLOCKS, LAYERS, QUANTITIES, SUMS, Norms
from resnet_viz.experiments.trace import image_norms, trace
from resnet_viz.networks.adapt import adapt
from resnet_viz.networks.network import ResidualNetwork
from resnet_viz.networks.zoo import NETWORKS

LABELS = torch.tensor([1, 0, 2])
GREY, COLOURED = (torch.randn(3, channels, 28, 28, generator=torch.Generator().manual_seed(0)) for channels in (1, 3))


class Unit(nn.Module):
    """A residual block whose sum is made in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1)

    def forward(self, stream: Tensor) -> Tensor:
        out = self.norm(self.conv(stream))
        out += stream
        return functional.relu(out)


class Model(nn.Module):
    """Blocks in a row, the last of them called twice; ``unclear``: its forward cannot be followed."""

    def __init__(self, unclear: bool = False) -> None:
        super().__init__()
        self.unclear = unclear
        self.stem = nn.Conv2d(1, 1, 1)
        self.units = nn.ModuleList(Unit() for _ in range(2))
        self.head = nn.Linear(28 * 28, 3)
        self.fails = False

    def forward(self, images: Tensor) -> Tensor:
        stream = self.stem(images)
        if self.unclear and stream.sum() == 0:
            return stream
        for unit in (*self.units, self.units[-1]):
            stream = unit(stream)
        if self.fails:
            raise RuntimeError("out of luck")
        return self.head(stream.flatten(1))


def model_of(seed: int = 0, unclear: bool = False) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Model(unclear)


def steps(model: nn.Module, count: int, images: Tensor = GREY, passes: int = 1) -> Iterator[int]:
    """Train it, ``passes`` of the model a step."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for step in range(count):
        optimizer.zero_grad()
        for _ in range(passes):
            functional.cross_entropy(model(images), LABELS).backward()
        optimizer.step()
        yield step


def train(model: nn.Module, count: int, images: Tensor = GREY, passes: int = 1) -> None:
    for _ in steps(model, count, images, passes):
        pass


def hooks_of(model: nn.Module) -> list[str]:
    """Where hooks are, on layers and weights."""
    layers = [name for name, each in model.named_modules() if each._forward_hooks or each._forward_pre_hooks]
    return layers + [name for name, each in model.named_parameters() if each._backward_hooks]


def in_training(model: nn.Module) -> nn.Module:
    """In training mode, but for the batch norms, so that it computes what it does in eval mode."""
    model.train()
    for each in model.modules():
        if isinstance(each, _BatchNorm):
            each.eval()
    return model


def bundled(name: str) -> Callable[[], tuple[nn.Module, ResidualNetwork]]:
    def made() -> tuple[nn.Module, ResidualNetwork]:
        network = NETWORKS[name].build(seed=0)
        return network, network

    return made


def torchvisions() -> tuple[nn.Module, ResidualNetwork]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = torchvision.models.resnet18(num_classes=3)
    return model, adapt(copy.deepcopy(model).eval())


@pytest.mark.parametrize(
    ("made", "images"),
    [
        (bundled("fashion-resnet20"), GREY),
        (bundled("fashion-preact56"), GREY),
        (bundled("fashion-plain20"), GREY),
        (torchvisions, COLOURED),
    ],
    ids=["original", "pre-activation", "plain", "torchvision's, with sums in place"],
)
def test_what_is_recorded_is_what_a_trace_measures(made, images, tmp_path) -> None:
    model, network = made()
    found = trace(network.eval(), images, LABELS)
    with torch.no_grad():
        streams = [image_norms(stream).mean().item() for stream in network.streams(images)[:-1]]
    with resnet_viz.watch(in_training(model), tmp_path / "norms.jsonl"):
        functional.cross_entropy(model(images), LABELS).backward()
    norms = Norms.read(tmp_path / "norms.jsonl")
    assert (
        norms.found == (BLOCKS if model is network else SUMS)
        and norms.blocks == found.blocks
        and list(norms.steps) == [0]
    )
    for name in QUANTITIES:
        expected = streams if name == "stream_norm" else getattr(found, name)
        np.testing.assert_allclose(norms.values[name][0], expected, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("passes", [1, 2])
def test_training_is_as_without_it_and_every_third_pass_is_recorded(passes, tmp_path) -> None:
    watched, alone = model_of(), model_of()
    torch.manual_seed(7)
    with resnet_viz.watch(watched, tmp_path / "norms.jsonl", every=3):
        train(watched, 5, passes=passes)
    assert torch.initial_seed() == 7
    train(alone, 5, passes=passes)
    assert all(
        torch.equal(a, b) for a, b in zip(watched.state_dict().values(), alone.state_dict().values(), strict=True)
    )
    norms = Norms.read(tmp_path / "norms.jsonl")
    assert list(norms.steps) == list(range(0, 5 * passes, 3))
    assert norms.values.keys() == set(QUANTITIES) and all(np.isfinite(each).all() for each in norms.values.values())


def test_between_recorded_steps_no_layer_has_a_hook(tmp_path) -> None:
    model, during = model_of(), []
    model.units[0].register_forward_hook(lambda *_: during.append(hooks_of(model)))
    own = ["units.0"]
    with resnet_viz.watch(model, tmp_path / "norms.jsonl", every=2):
        for step in steps(model, 3):
            assert (during[-1] == ["", *own]) == (step % 2 == 1), "while it is called"
            if step % 2 == 1:
                assert hooks_of(model) == ["", *own], "after it"
    assert hooks_of(model) == own


def test_a_pass_that_fails_and_is_tried_again_leaves_no_hook_on_the_layers(tmp_path) -> None:
    model = model_of()
    with resnet_viz.watch(model, tmp_path / "norms.jsonl", every=2):
        train(model, 2)
        model.fails = True
        with pytest.raises(RuntimeError, match="out of luck"):
            model(GREY)
        assert not [name for name in hooks_of(model) if name in dict(model.named_modules()) and name]
        model.fails = False
        train(model, 2)
    assert list(Norms.read(tmp_path / "norms.jsonl").steps) == [0, 4]


def test_a_pass_that_never_goes_backward_is_given_no_other_s_gradient(tmp_path) -> None:
    model = model_of()
    with resnet_viz.watch(model, tmp_path / "norms.jsonl", every=2):
        model(GREY)
        train(model, 2)
    assert list(Norms.read(tmp_path / "norms.jsonl").steps) == [2]


def test_the_last_block_alone_can_be_trained(tmp_path) -> None:
    model = nn.Sequential(Unit(), Unit(), nn.Flatten(), nn.Linear(28 * 28, 3))
    model[0].requires_grad_(False)
    with resnet_viz.watch(model, tmp_path / "norms.jsonl"):
        train(model, 1)
    norms = Norms.read(tmp_path / "norms.jsonl")
    assert "stream_gradient_norm" not in norms.values and norms.values["parameter_gradient_norm"][0, 1] > 0


@pytest.mark.parametrize("within", [True, False], ids=["in the model", "beside it"])
def test_an_exception_leaves_no_hook_and_no_line_too_many(within, tmp_path) -> None:
    model = model_of()
    with pytest.raises(RuntimeError, match="out of luck"), resnet_viz.watch(model, tmp_path / "norms.jsonl", every=2):
        train(model, 2)
        model.fails = within
        model(GREY)
        raise RuntimeError("out of luck")
    assert hooks_of(model) == []
    assert list(Norms.read(tmp_path / "norms.jsonl").steps) == [0]


def test_a_killed_run_leaves_a_file_that_opens(tmp_path) -> None:
    model, file = model_of(), tmp_path / "norms.jsonl"
    with resnet_viz.watch(model, file, every=1):
        for step in steps(model, 4):
            if step:
                assert list(Norms.read(file).steps) == list(range(step)), "whole lines, while it is written"
    content = file.read_bytes()
    ends = [position for position, byte in enumerate(content) if byte == ord("\n")]
    for length in range(ends[1] + 1, len(content)):
        kept = sum(end <= length for end in ends) - 1  # a whole last line may lack its end
        assert len(Norms.parse("cut", content[:length]).steps) == kept


def test_a_block_that_is_called_twice_is_two_blocks(tmp_path) -> None:
    model = in_training(model_of())
    with resnet_viz.watch(model, tmp_path / "norms.jsonl"):
        functional.cross_entropy(model(GREY), LABELS).backward()
    norms = Norms.read(tmp_path / "norms.jsonl")
    assert norms.places == ("units.0", "units.1", "units.1")
    found = trace(adapt(model.eval(), GREY), GREY, LABELS)
    np.testing.assert_allclose(norms.values["stream_gradient_norm"][0], found.stream_gradient_norm, rtol=1e-4)
    np.testing.assert_allclose(norms.values["branch_to_stream"][0], found.branch_to_stream, rtol=1e-4)


def test_a_model_that_cannot_be_followed_is_watched_by_its_lists(tmp_path) -> None:
    clear, unclear = in_training(model_of()), in_training(model_of(unclear=True))
    with resnet_viz.watch(clear, tmp_path / "clear.jsonl"):
        train(clear, 1)
    with (
        pytest.warns(UserWarning, match=r"2 layers, units.0 to units.1, and their branches are not known"),
        resnet_viz.watch(unclear, tmp_path / "unclear.jsonl"),
    ):
        train(unclear, 1)
    norms, expected = Norms.read(tmp_path / "unclear.jsonl"), Norms.read(tmp_path / "clear.jsonl")
    assert norms.found == LAYERS and norms.places == ("units.0", "units.1") and "branch_to_stream" not in norms.values
    for name in norms.values:
        np.testing.assert_allclose(norms.values[name], expected.values[name][:, :2], rtol=1e-4)
    layers = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 8), nn.ReLU(), nn.Linear(8, 3))
    said = pytest.warns(UserWarning, match=r"2 layers, 1 to 3, .* has no residual block")
    with said, resnet_viz.watch(layers, tmp_path / "layers.jsonl"):
        train(layers, 1)
    assert Norms.read(tmp_path / "layers.jsonl").blocks == ("layer1.0", "layer1.1")


def test_blocks_that_no_gradient_reaches_are_empty(tmp_path) -> None:
    model = model_of()
    model.stem.requires_grad_(False)
    model.units[0].requires_grad_(False)
    with resnet_viz.watch(model, tmp_path / "norms.jsonl"):
        train(model, 1)
    norms = Norms.read(tmp_path / "norms.jsonl")
    assert list(np.isfinite(norms.values["stream_gradient_norm"][0])) == [False, False, True]
    assert list(np.isfinite(norms.values["parameter_gradient_norm"][0])) == [False, True, True]
    assert np.isfinite(norms.values["stream_norm"]).all()


def test_passes_that_do_not_train_are_none(tmp_path) -> None:
    model = model_of()
    with resnet_viz.watch(model, tmp_path / "norms.jsonl", every=1):
        for _ in steps(model, 2):
            model.eval()(GREY)
            with torch.no_grad():
                model.train()(GREY)
    assert list(Norms.read(tmp_path / "norms.jsonl").steps) == [0, 1]


def test_two_passes_may_go_backward_together(tmp_path) -> None:
    model = in_training(model_of())
    with resnet_viz.watch(model, tmp_path / "norms.jsonl", every=2):
        for _ in range(2):
            (functional.cross_entropy(model(GREY), LABELS) + model(GREY).mean()).backward()
    norms = Norms.read(tmp_path / "norms.jsonl")
    assert list(norms.steps) == [0, 2]
    np.testing.assert_allclose(*norms.values["stream_gradient_norm"])


def test_copies_and_pickles_of_a_watched_model_are_not_watched(tmp_path) -> None:
    model = model_of()
    with resnet_viz.watch(model, tmp_path / "norms.jsonl", every=1):
        train(model, 1)
        saved = io.BytesIO()
        torch.save(model, saved)
        saved.seek(0)
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), torch.load(saved, weights_only=False)):
            train(other, 2)
        train(model, 1)
    assert list(Norms.read(tmp_path / "norms.jsonl").steps) == [0, 1]


def test_mixed_precision_is_recorded_as_the_whole_one_roughly_is(tmp_path) -> None:
    found = []
    for name, mixed in (("whole", False), ("mixed", True)):
        model = in_training(model_of())
        with (
            resnet_viz.watch(model, tmp_path / f"{name}.jsonl"),
            torch.autocast("cpu", torch.bfloat16, enabled=mixed),
        ):
            functional.cross_entropy(model(GREY), LABELS).backward()
        found.append(Norms.read(tmp_path / f"{name}.jsonl").values)
    for name in QUANTITIES:
        assert not np.array_equal(found[0][name], found[1][name])
        np.testing.assert_allclose(found[1][name], found[0][name], rtol=0.1)


class Compiled(nn.Module):
    """As torch.compile wraps a model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._orig_mod = model


@pytest.mark.parametrize(
    ("make", "file", "every", "says"),
    [
        (nn.DataParallel, "norms.jsonl", 50, "watch model.module"),
        (Compiled, "norms.jsonl", 50, "must not be compiled"),
        (nn.Sequential, "norms.jsonl", 0, "every must be 1 or more steps; got 0"),
        (nn.Sequential, "nowhere/norms.jsonl", 50, "cannot be written"),
    ],
)
def test_what_cannot_be_watched_is_told_at_once(make, file, every, says, tmp_path) -> None:
    model = make(model_of())
    with pytest.raises(InputError, match=says), resnet_viz.watch(model, tmp_path / file, every):
        raise AssertionError("before training begins")
    assert hooks_of(model) == [] and not list(tmp_path.iterdir())


def test_a_model_without_blocks_is_told_at_the_first_pass(tmp_path) -> None:
    model = nn.Linear(28, 3)
    with pytest.raises(InputError, match="has no blocks"), resnet_viz.watch(model, tmp_path / "norms.jsonl"):
        model(GREY)
    assert hooks_of(model) == []


def test_a_model_that_is_never_called_is_told_at_the_end(tmp_path) -> None:
    model = model_of()
    with pytest.warns(UserWarning, match="was never called in training mode"), resnet_viz.watch(model, tmp_path / "n"):
        train(copy.deepcopy(model), 1)
    with pytest.raises(InputError, match="is not a file of norms"):
        Norms.read(tmp_path / "n")


FIRST = {"format": "resnet_viz norms", "version": 1, "model": "m", "found": SUMS, "every": 1, "blocks": ["layer1.0"]}
FIRST["places"] = ["units.0"]
STEP = {"step": 3, "images": 2} | {name: [1.5] for name in QUANTITIES}


def content(*lines: object) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def test_what_is_not_a_finite_number_is_empty() -> None:
    later = STEP | {"step": 4, "stream_norm": [None], "branch_to_stream": [float("inf")]}
    norms = Norms.parse("f", content(FIRST, STEP | {"branch_to_stream": [None]}, later))
    np.testing.assert_array_equal(norms.values["stream_norm"], [[1.5], [np.nan]])
    assert "branch_to_stream" not in norms.values, "there is no number at all"
    assert repr(norms) == "Norms.read('f')"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (b"", "is not a file of norms"),
        (b"\x89PNG\r\n\x1a\n\xff", "is not a file of norms"),
        (b"[" * 100_000 + b"\n", "is not a file of norms"),
        (b"3\n", "its lines are other ones"),
        (content({"title": "a lesson"}), "it has no 'format'"),
        (content(FIRST | {"version": 2}, STEP), "must be of version 1; got 2"),
        (content(FIRST), "its first line alone"),
        (content(FIRST, []), "is not a file of norms"),
        (content(FIRST | {"blocks": []}, STEP), "1 to 2,000 blocks"),
        (content(FIRST | {"blocks": ["a"] * 2_001}, STEP), "1 to 2,000 blocks"),
        (content(FIRST | {"places": ["a" * 201]}, STEP), "short texts"),
        (content(FIRST | {"places": ["a", "b"]}, STEP), "first line is not whole"),
        (content(FIRST | {"found": "by magic"}, STEP), "first line is not whole"),
        (content(FIRST, STEP, STEP), "do not increase"),
        (content(FIRST, STEP | {"step": -1}), "steps must be whole numbers"),
        (content(FIRST, STEP | {"step": 10**13}), "steps must be whole numbers"),
        (content(FIRST, STEP | {"step": "3"}), "steps must be whole numbers"),
        (content(FIRST, STEP | {"stream_norm": [1, 2]}), "one a block"),
        (content(FIRST, STEP | {"stream_norm": 1}), "one a block"),
        (content(FIRST, STEP | {"stream_norm": [[1]]}), "one a block"),
        (content(FIRST, STEP | {"stream_norm": ["much"]}), "one a block"),
        (content(FIRST, STEP | {"stream_norm": [{}]}), "one a block"),
        (content(FIRST, STEP | {"stream_norm": [10**400]}), "one a block"),
        (content(FIRST, STEP | {"stream_norm": [-1]}), "a norm is negative"),
        (content(FIRST, {"step": 1}), "it has no 'stream_gradient_norm'"),
        (content(FIRST, STEP | {name: [None] for name in QUANTITIES}), "must hold a finite number"),
        (b"x" * 8_000_001, "at most 8,000,000 bytes"),
    ],
)
def test_a_stranger_s_file_is_refused_in_a_sentence(given: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says), warnings.catch_warnings():
        warnings.simplefilter("error")
        Norms.parse("f.jsonl", given)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        Norms.read(tmp_path / "none.jsonl")
