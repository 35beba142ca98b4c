"""What experiments take and what they refuse: modes, labels, outputs, precisions."""

from collections import OrderedDict
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from resnet_viz.errors import InputError, NotFinite
from resnet_viz.experiments import (
    attribution,
    deletion,
    early_stop,
    image_attribution,
    influence,
    lesion_studies,
    loss,
    paths,
    strongest_paths,
    trace,
)
from resnet_viz.experiments.stepwise import finished
from resnet_viz.networks.blocks import Block
from resnet_viz.networks.description import describe
from resnet_viz.networks.images import ImageSet
from resnet_viz.networks.network import ResidualNetwork

from ..conftest import SMALL_PREPROCESSING, Case, everything_about, small_network

INTACT = [1.0] * 4


@pytest.fixture
def network(image_set) -> ResidualNetwork:
    return small_network(Case("basic", "B"), image_set)


@pytest.fixture
def labels() -> Tensor:
    return torch.arange(4)


# Everything that asks for labels, and everything else: network, a set, its images, its labels -> a result.
Ask = Callable[[ResidualNetwork, ImageSet, Tensor, Tensor], object]
OF_A_SET: dict[str, Ask] = {
    "sweep": lambda n, s, *_: deletion.sweep(n, SMALL_PREPROCESSING, s),
    "delete": lambda n, s, *_: deletion.delete(n, SMALL_PREPROCESSING, s, [1, 0, 1, 1]),
    "loss_of_each": lambda n, s, *_: deletion.loss_of_each(n, SMALL_PREPROCESSING, s, [INTACT]),
    "stop_everywhere": lambda n, s, *_: early_stop.stop_everywhere(n, SMALL_PREPROCESSING, s),
    "random_deletions": lambda n, s, *_: lesion_studies.random_deletions(n, SMALL_PREPROCESSING, s, [2]),
    "random_swaps": lambda n, s, *_: lesion_studies.random_swaps(n, SMALL_PREPROCESSING, s, [2]),
    "predict": lambda n, s, *_: deletion.predict(n, SMALL_PREPROCESSING, s),
}
OF_A_BATCH: dict[str, Ask] = {
    "trace": lambda n, _, x, y: trace.trace(n, x, y),
    "gradient_by_length": lambda n, _, x, y: paths.gradient_by_length(n, x, y),
    "sampled_path_norms": lambda n, _, x, y: paths.sampled_path_norms(n, x, y),
    "true_deletion": lambda n, _, x, y: attribution.true_deletion(n, x, y),
    "first_order": lambda n, _, x, y: attribution.first_order(n, x, y),
    "branch_size": lambda n, _, x, y: attribution.branch_size(n, x, y),
    "influence": lambda n, _, x, y: influence.influence(n, x, y),
    "shapley_exact": lambda n, _, x, y: attribution.shapley_exact(n, x, y),
    "shapley_permutation": lambda n, _, x, y: attribution.shapley_permutation(n, x, y, 0),
}
OF_AN_IMAGE: dict[str, Ask] = {
    "strongest_paths": lambda n, _, x, y: strongest_paths.strongest_paths(n, x[:1], y[:1]),
    "path_gradient": lambda n, _, x, y: strongest_paths.path_gradient(n, x[:1], y[:1], [True] * 4),
}
WITHOUT_LABELS: dict[str, Ask] = {
    "grad_cam": lambda n, s, *_: image_attribution.grad_cam(
        n, SMALL_PREPROCESSING, s.subset([0]), 0, INTACT, "layer1.0"
    ),
    "integrated": lambda n, s, *_: image_attribution.integrated_gradients(
        n, SMALL_PREPROCESSING, s.subset([0]), 0, INTACT
    ),
    "probabilities_by_stop": lambda n, _, x, __: early_stop.probabilities_by_stop(n, x[:1]),
    "probabilities": lambda n, _, x, __: deletion.probabilities(n, deletion.intact_streams(n, x), [0.0] * 4),
}
OF_NO_OUTPUT: dict[str, Ask] = {
    "block_maps": lambda n, _, x, __: trace.block_maps(n, x[:1], "layer1.0"),
    "stream_gradient_norms": lambda n, _, x, y: trace.stream_gradient_norms(n, x, y),
    "probe": lambda n, s, *_: early_stop.probe_everywhere(n, SMALL_PREPROCESSING, s, s),
    "describe": lambda n, *_: describe(n, SMALL_PREPROCESSING),
}
EVERYTHING = OF_A_SET | OF_A_BATCH | OF_AN_IMAGE | WITHOUT_LABELS | OF_NO_OUTPUT


def ask(kind: str, network: ResidualNetwork, image_set: ImageSet, labels: Tensor) -> object:
    few = image_set.subset([0, 1, 2, 3])
    if kind not in OF_A_BATCH:  # a set checks the kind of its labels itself
        few = replace(few, labels=labels)
    return EVERYTHING[kind](network, few, SMALL_PREPROCESSING.normalise(few.pixels), labels)


# Modes.


def in_training(layer: nn.Module) -> Callable[[ResidualNetwork], None]:
    """Put a layer in training mode at the end of a branch."""
    return lambda network: network.blocks["layer2.1"].branch.add_module("last", layer.train())


UNSETTLED = {
    "all of it": (lambda network: network.train(), "BatchNorm2d, in training mode.*network.eval"),
    "one norm": (
        lambda network: network.blocks["layer2.1"].branch.bn1.train(),
        "layer2.1.branch.bn1, a BatchNorm2d, in training",
    ),
    "dropout": (in_training(nn.Dropout(0.1)), "layer2.1.branch.last, a Dropout, in training"),
    "dropout of channels": (in_training(nn.Dropout2d(0.1)), "a Dropout2d, in training"),
    "alpha dropout": (in_training(nn.AlphaDropout(0.1)), "an? AlphaDropout, in training"),
    "random slope": (in_training(nn.RReLU()), "a RReLU, in training"),
    "instance norm": (in_training(nn.InstanceNorm2d(8, track_running_stats=True)), "a InstanceNorm2d, in training"),
    "spectral norm": (in_training(nn.utils.spectral_norm(nn.Conv2d(8, 8, 1))), "a Conv2d, in training"),
    "a stranger's": (in_training(type("Noisy", (nn.Module,), {"forward": lambda _, x: x})()), "a Noisy, in training"),
    "statistics of the batch": (
        lambda network: setattr(network.stem, "bn1", nn.BatchNorm2d(4, track_running_stats=False).eval()),
        "must have running statistics; got stem.bn1",
    ),
    "fractional pool": (
        lambda network: network.stem.add_module("pool", nn.FractionalMaxPool2d(2, output_ratio=0.5).eval()),
        "stem.pool, a FractionalMaxPool2d, draws at random",
    ),
    "hook on a block": (
        lambda network: network.blocks["layer1.1"].register_forward_hook(lambda *given: 2 * given[-1]),
        "got some on layer1.1",
    ),
    "hook on the network": (
        lambda network: network.register_forward_hook(lambda *given: 2 * given[-1]),
        "got some on the network",
    ),
}


@pytest.mark.parametrize("kind", EVERYTHING)
def test_a_network_in_training_mode_is_refused_and_left_as_it_was(network, image_set, labels, kind):
    network.train()
    before = everything_about(network)
    with pytest.raises(
        InputError, match=r"must be in eval mode; got .*BatchNorm2d, in training mode.*network\.eval\(\)"
    ):
        ask(kind, network, image_set, labels)
    after = everything_about(network)
    assert all(torch.equal(v, after[k]) if torch.is_tensor(v) else v == after[k] for k, v in before.items())


@pytest.mark.parametrize("kind", UNSETTLED)
def test_what_depends_on_the_batch_or_on_chance_is_named(network, image_set, labels, kind):
    change, named = UNSETTLED[kind]
    change(network)
    for function in ("sweep", "trace", "gradient_by_length"):
        with pytest.raises(InputError, match=named):
            ask(function, network, image_set, labels)


def test_layers_that_do_not_read_the_mode_may_be_in_either(network, image_set, labels):
    expected = ask("gradient_by_length", network, image_set, labels).norms
    for module in network.modules():
        if not isinstance(module, nn.BatchNorm2d):
            module.training = True
    np.testing.assert_array_equal(ask("gradient_by_length", network, image_set, labels).norms, expected)


# Labels.

WRONG_LABELS = {
    "from 1": (torch.tensor([1, 2, 3, 10]), r"one for each of 4 images; got 1 to 10: .*subtract 1"),
    "too large": (torch.tensor([0, 2, 3, 99]), r"got 0 to 99: they belong to a network of more classes"),
    "unknown": (torch.tensor([0, 1, -1, 2]), r"got -1 to 2: leave out images without a class"),
    "ignored": (torch.tensor([0, 1, -100, 2]), r"got -100 to 2"),
    "floats": (torch.tensor([0.0, 1.0, 2.0, 3.0]), r"got torch.float32: give class numbers"),
    "truths": (torch.tensor([True, False, True, False]), r"got torch.bool"),
    "one-hot": (functional.one_hot(torch.arange(4), 10), r"got a tensor of shape \(4, 10\): give labels\.argmax\(1\)"),
    "a column": (torch.arange(4)[:, None], r"got a tensor of shape \(4, 1\)"),
}


@pytest.mark.parametrize("kind", OF_A_SET | OF_A_BATCH)
@pytest.mark.parametrize("wrong", WRONG_LABELS)
def test_labels_that_do_not_fit_are_refused(network, image_set, kind, wrong):
    labels, named = WRONG_LABELS[wrong]
    of_no_set = kind in OF_A_SET and wrong not in ("from 1", "too large")  # see tests/networks/test_images.py
    expected = "Labels must be (int64|0 or more)" if of_no_set else f"Labels must be whole numbers from 0 to 9.*{named}"
    with pytest.raises(InputError, match=expected):
        ask(kind, network, image_set, labels)


NO_LABELS = {
    "a list": ([0, 1, 2, 3], "got a list: write torch.tensor"),
    "an array": (np.arange(4), "got a ndarray: write torch.tensor"),
    "strings": (["cat", "dog", "cat", "dog"], "got a list: write torch.tensor.*whole numbers"),
    "one number": (3, "got a int"),
    "none": (None, "got a NoneType"),
    "no dimension": (torch.tensor(3), r"got a tensor of shape \(\): give as many of both"),
    "more": (torch.arange(6), r"got a tensor of shape \(6,\): give as many of both"),
    "fewer": (torch.arange(2), r"got a tensor of shape \(2,\): give as many of both"),
    "sparse": (torch.arange(4).to_sparse(), r"got a sparse one: write labels\.to_dense"),
    "meta": (torch.arange(4, device="meta"), "got one on the meta device"),
}


@pytest.mark.parametrize("wrong", NO_LABELS)
def test_what_is_not_a_label_for_each_image_is_refused(network, image_set, wrong):
    labels, told = NO_LABELS[wrong]
    inputs = SMALL_PREPROCESSING.normalise(image_set.pixels[:4])
    for function in OF_A_BATCH.values():
        with pytest.raises(InputError, match=f"^Labels must be .*, one for each of 4 images; {told}"):
            function(network, image_set, inputs, labels)


def test_soft_labels_are_refused_with_the_cure(network, image_set):
    with pytest.raises(InputError, match=r"got torch\.float32: give labels\.argmax\(1\)"):
        ask("trace", network, image_set, torch.rand(4, 10))


@pytest.mark.parametrize("label", [10, -1, 1.0, "cat", None, torch.tensor([1, 2]), torch.tensor(1.0)], ids=str)
def test_a_class_that_there_is_not_is_refused(network, image_set, label):
    image = image_set.subset([0])
    for explain, rest in ((image_attribution.grad_cam, ["layer1.0"]), (image_attribution.integrated_gradients, [])):
        with pytest.raises(InputError, match="class must be a whole number from 0 to 9; got"):
            explain(network, SMALL_PREPROCESSING, image, label, INTACT, *rest)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int32, torch.int64])
def test_labels_may_be_of_any_integer_type(network, image_set, labels, dtype):
    expected = ask("trace", network, image_set, labels)
    assert ask("trace", network, image_set, labels.to(dtype)).loss == expected.loss


# Batches.

UNFIT = {
    "uint8": (lambda x: x.to(torch.uint8), "got torch.uint8 .*normalise them"),
    "int64": (lambda x: x.long(), "got torch.int64 .*normalise them"),
    "double": (lambda x: x.double(), r"got torch.float64 .*write images\.to\(torch.float32\)"),
    "channels": (
        lambda x: x.repeat(1, 2, 1, 1),
        r"got torch.float32 of shape \(\d, 2, 8, 8\) .*give a batch of the shape",
    ),
    "more dimensions": (lambda x: x[:, :, None], r"got torch.float32 of shape .*give a batch of the shape"),
    "an array": (lambda x: x.numpy(), "got a ndarray"),
    "a list": (list, "got a list"),
    "sparse": (lambda x: x.to_sparse(), "got a sparse one"),
    "meta": (lambda x: x.to("meta"), "got one on the meta device"),
    "empty": (lambda x: x[:0], "give a batch that is not empty"),
}
OF_IMAGES = (
    OF_A_BATCH
    | OF_AN_IMAGE
    | {
        "network": lambda n, _, x, __: n(x),
        **{
            kind: EVERYTHING[kind]
            for kind in ("probabilities_by_stop", "probabilities", "block_maps", "stream_gradient_norms")
        },
    }
)


@pytest.mark.parametrize("wrong", UNFIT)
def test_batches_that_the_network_does_not_take_are_refused(network, image_set, labels, wrong):
    change, told = UNFIT[wrong]
    inputs = change(SMALL_PREPROCESSING.normalise(image_set.pixels[:4]))
    for kind, function in OF_IMAGES.items():
        if wrong == "sparse" and kind in (*OF_AN_IMAGE, "probabilities_by_stop", "block_maps"):
            continue  # a sparse batch cannot be sliced
        with pytest.raises(InputError, match=f"^Images must be .*{told}"):
            function(network, image_set, inputs, labels)


# Outputs.


def test_one_output_is_two_classes(network, image_set):
    network.head.fc = nn.Linear(8, 1)
    inputs, labels = SMALL_PREPROCESSING.normalise(image_set.pixels[:4]), torch.tensor([0, 1, 1, 0])
    with torch.no_grad():
        outputs = network.head(network.walk(network.stem(inputs)))
        network.head.fc.bias -= outputs.mean()
        outputs = network.head(network.walk(network.stem(inputs)))
    by_sigmoid = functional.binary_cross_entropy_with_logits(outputs[:, 0], labels.float(), reduction="none")
    logits = network(inputs)
    torch.testing.assert_close(logits, torch.cat([torch.zeros(4, 1), outputs], 1))
    torch.testing.assert_close(loss.image_losses(logits, labels).float(), by_sigmoid)
    assert ask("trace", network, image_set, labels).loss == pytest.approx(by_sigmoid.mean().item(), rel=1e-5)
    np.testing.assert_array_equal(ask("predict", network, image_set, labels), (outputs[:, 0] > 0).long())
    assert ask("gradient_by_length", network, image_set, labels).norms.sum() > 0
    for kind in EVERYTHING:
        ask(kind, network, image_set, labels)
    with pytest.raises(
        InputError, match="from 0 to 1, one for each of 4 images; got 1 to 2: they seem to count from 1"
    ):
        ask("sweep", network, image_set, labels + 1)


HEADS = {
    "maps": (nn.Conv2d(8, 3, 1), r"a tensor of shape \(4, 3, 4, 4\)"),
    "a tuple": (lambda stream: (stream.mean((2, 3)), stream), "a tuple"),
    "a dict": (lambda stream: {"logits": stream.mean((2, 3))}, "a dict"),
    "no classes": (lambda stream: stream.mean((2, 3))[:, :0], r"a tensor of shape \(4, 0\)"),
    "squeezed": (lambda stream: stream.mean((1, 2, 3)), r"a tensor of shape \(4,\)"),
    "several rows an image": (
        lambda stream: stream.flatten(2).movedim(1, 2).flatten(0, 1),
        r"a tensor of shape \(64, 8\)",
    ),
}


class Head(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, stream):
        return self.function(stream)


@pytest.mark.parametrize("head", HEADS)
def test_a_head_that_returns_no_logits_is_refused(network, image_set, labels, head):
    function, named = HEADS[head]
    network.head = Head(function).eval()
    for kind in ("predict", "trace", "gradient_by_length", "true_deletion", "probabilities"):
        with pytest.raises(InputError, match=rf"must return logits of shape \(4, classes\), .*; got {named}"):
            ask(kind, network, image_set, labels)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("kind", OF_A_SET | OF_A_BATCH | OF_AN_IMAGE | WITHOUT_LABELS)
def test_what_is_not_finite_is_refused(network, image_set, labels, kind, value):
    with torch.no_grad():
        network.head.fc.weight.fill_(value)
    with pytest.raises(NotFinite, match="output must be finite; got NaN or infinite logits"):
        ask(kind, network, image_set, labels)


def test_a_probe_of_streams_that_are_not_finite_is_refused(network, image_set, labels):
    with torch.no_grad():
        network.stem.conv1.weight[0] = torch.nan
    with pytest.raises(NotFinite, match="output must be finite; got NaN or infinite streams"):
        ask("probe", network, image_set, labels)


@pytest.mark.parametrize("last", [nn.Sigmoid(), nn.Softmax(1)])
def test_a_head_that_ends_in_probabilities_is_refused(network, image_set, labels, last):
    network.head.add_module("last", last.eval())
    for kind in EVERYTHING.keys() - {"describe"}:
        with pytest.raises(InputError, match=r"head must give logits; got head\.last, a S.*, at its end"):
            ask(kind, network, image_set, labels)


# Streams without height and width.


@pytest.mark.parametrize("stream", [(), (5,)])
def test_streams_of_any_shape_are_probed_and_have_no_grad_cam(image_set, labels, stream):
    stem = nn.Sequential(nn.Flatten(), nn.Linear(64, 4 * (*stream, 1)[0]), nn.Unflatten(1, (4, *stream)))
    width = (4, *stream)[-1]
    blocks = [Block("basic", nn.Sequential(nn.Linear(width, width)), nn.Identity()) for _ in range(4)]
    head = nn.Sequential(nn.Flatten(), nn.Linear(4 * (*stream, 1)[0], 10))
    network = ResidualNetwork(stem, [blocks], head).eval()
    assert ask("probe", network, image_set, labels).shape == (5, 4)
    means = finished(early_stop.channel_means(network, SMALL_PREPROCESSING, image_set))
    streams = network.streams(SMALL_PREPROCESSING.normalise(image_set.pixels))
    torch.testing.assert_close(
        means[-1], streams[-1].detach().unflatten(1, (4, 1) if not stream else (4,)).flatten(2).mean(2).double()
    )
    with pytest.raises(InputError, match=r"behind layer1\.\d it is 4"):
        ask("grad_cam", network, image_set, labels)


# Precisions.


@pytest.mark.parametrize("precision", [torch.float64, torch.bfloat16, torch.float16])
def test_every_experiment_works_in_every_precision(network, image_set, labels, precision, monkeypatch):
    monkeypatch.setattr(image_attribution, "STEPS", (4,))
    few = replace(image_set.subset([0, 1, 2, 3]), labels=labels)
    inputs = SMALL_PREPROCESSING.normalise(few.pixels)
    known = ("loss_of_each", "probabilities_by_stop", "probabilities")
    expected = {kind: EVERYTHING[kind](network, few, inputs, labels) for kind in known}
    network, inputs = network.to(precision), inputs.to(precision)
    for kind in EVERYTHING.keys() - {"random_deletions", "random_swaps"}:  # which ask as a sweep does, and many times
        if precision != torch.float16 or kind not in (
            "trace",
            "branch_size",
            "influence",
            "stream_gradient_norms",
        ):  # see below
            found = EVERYTHING[kind](network, few, inputs, labels)
            if kind in known:
                np.testing.assert_allclose(found, expected[kind], rtol=0.1, atol=0.02)


@pytest.mark.parametrize("ahead", [8, 20, 80])
def test_a_sure_network_is_asked_as_exactly_as_another(network, image_set, ahead):
    inputs = SMALL_PREPROCESSING.normalise(image_set.pixels[:1])
    with torch.no_grad():
        best = network(inputs)[0].topk(2).values
        network.head.fc.weight *= ahead / (best[0] - best[1])
        network.head.fc.bias *= ahead / (best[0] - best[1])
    double, labels = deepcopy(network).double(), network(inputs).argmax(1)
    found, expected = (trace.trace(each, x, labels) for each, x in ((network, inputs), (double, inputs.double())))
    assert found.loss == pytest.approx(expected.loss, rel=1e-3)
    np.testing.assert_allclose(found.parameter_gradient_norm, expected.parameter_gradient_norm, rtol=1e-3)
    assert found.stem_gradient_norm == pytest.approx(expected.stem_gradient_norm, rel=1e-3)
    assert found.stem_gradient_norm > 0
    for measure in (attribution.first_order, attribution.true_deletion):
        by_image = measure(network, inputs, labels).by_image
        scale = np.abs(by_image).max()
        np.testing.assert_allclose(
            by_image, measure(double, inputs.double(), labels).by_image, rtol=1e-3, atol=1e-3 * scale
        )


@pytest.mark.parametrize("ahead", [1, 20, 50, 150])  # of the other classes: float32 ends at exp(-103)
def test_a_sure_network_has_a_small_gradient_and_no_wrong_one(network, image_set, ahead):
    inputs = SMALL_PREPROCESSING.normalise(image_set.pixels[:1])
    with torch.no_grad():
        best = network(inputs)[0].topk(2).values
        times = ahead / (best[0] - best[1])
        network.head.fc.weight *= times
        network.head.fc.bias *= times
    double = deepcopy(network).double()
    labels = network(inputs).argmax(1)
    found = paths.gradient_by_length(network, inputs, labels)
    assert 0 < found.sum_relative_error < 1e-5
    expected = paths.gradient_by_length(double, inputs.double(), labels)
    np.testing.assert_allclose(found.norms, expected.norms, rtol=1e-2)
    assert (found.norms > 0).all()


@pytest.mark.parametrize(
    ("precision", "rounding"), [(torch.float16, 3e-2), (torch.bfloat16, 9e-2), (torch.float64, 1e-12)]
)
def test_the_sum_is_checked_in_every_precision(network, image_set, labels, precision, rounding):
    inputs = SMALL_PREPROCESSING.normalise(image_set.pixels[:4])
    expected = paths.gradient_by_length(deepcopy(network).double(), inputs.double(), labels)
    network, inputs = network.to(precision), inputs.to(precision)
    found = paths.gradient_by_length(network, inputs, labels)
    assert 0 < found.sum_relative_error < rounding
    np.testing.assert_allclose(found.norms, expected.norms, rtol=10 * rounding, atol=rounding * expected.norms.max())


def test_a_trace_in_half_precision_is_refused(network, image_set, labels):
    with pytest.raises(InputError, match=r"float32, float64 or bfloat16; got float16.*network\.float\(\)"):
        trace.trace(network.half(), SMALL_PREPROCESSING.normalise(image_set.pixels[:4]).half(), labels)


class Rounding(nn.Module):
    """A layer whose gradient is not that of what it computes in another call: it draws at random."""

    def forward(self, stream):
        return functional.dropout(stream, 0.5)


@pytest.mark.parametrize("kind", ["gradient_by_length", "sampled_path_norms", "strongest_paths", "path_gradient"])
def test_paths_that_do_not_add_up_are_refused(network, image_set, labels, kind):
    network.blocks["layer2.0"].branch.add_module("last", Rounding().eval())
    with pytest.raises(InputError, match=r"must add up to autograd's; got a relative error of .*draws at random"):
        ask(kind, network, image_set, labels)


def test_a_layer_that_overwrites_the_stream_is_refused(network, image_set, labels):
    relu, conv = nn.ReLU(inplace=True), nn.Conv2d(8, 8, 1)
    block = Block(
        "basic", nn.Sequential(OrderedDict(inner=nn.Sequential(nn.Identity(), relu), conv=conv)), nn.Identity()
    ).eval()
    network.blocks["layer2.1"] = network.layer2[1] = block
    for kind in ("sweep", "trace", "gradient_by_length"):
        with pytest.raises(
            InputError, match=r"must not work in place; got layer2\.1\.branch\.inner\.1, a ReLU, which does"
        ):
            ask(kind, network, image_set, labels)
    block.branch.inner[0] = nn.Conv2d(8, 8, 1).eval()  # behind another layer it overwrites nothing that is read again
    assert ask("gradient_by_length", network, image_set, labels).sum_relative_error < 1e-5
    inputs = SMALL_PREPROCESSING.normalise(image_set.pixels[:4])
    expected = torch.cat([network(inputs, network.gates_without([name])) for name in network.blocks]).argmax(1)
    np.testing.assert_array_equal(ask("sweep", network, image_set, labels).predictions.flatten(), expected)
