"""Attributions of the image against second implementations; and the shared network is left alone."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch.nn import functional

from resnet_viz.errors import InputError
from resnet_viz.experiments import image_attribution
from resnet_viz.experiments.image_attribution import (
    GradCam,
    correlation,
    grad_cam,
    integrated_gradients,
    stage_ends,
)
from resnet_viz.networks.images import ImageSet, Preprocessing
from resnet_viz.networks.network import build
from resnet_viz.networks.zoo import NETWORKS, images_of, load

from ..conftest import SMALL_PREPROCESSING, UnluckyError, left_as_it_was, lived_in, unlucky

LABEL = 3
GATES = [1.0, 0.0, 0.5, 1.0]


@pytest.fixture
def image(image_set) -> ImageSet:
    return image_set.subset([5])


@pytest.mark.parametrize("gates", [[1.0] * 4, GATES], ids=["intact", "lesion"])
@pytest.mark.parametrize("block", ["layer1.1", "layer2.1"])
def test_grad_cam_is_what_the_paper_writes(network, image, device, gates, block) -> None:
    found = grad_cam(network, SMALL_PREPROCESSING, image, LABEL, gates, block)
    stream = network.stem(SMALL_PREPROCESSING.normalise(image.pixels).to(device))
    for name, gate in zip(network.blocks, gates, strict=True):  # as modules, in one graph from the pixels on
        stream = network.blocks[name](stream, gate)
        if name == block:
            seen = stream
    (slope,) = torch.autograd.grad(network.head(stream)[0, LABEL], seen)
    expected = torch.einsum("bchw,bc->bhw", seen, slope.mean((2, 3))).clamp(min=0).detach().cpu()
    assert found.cells == pytest.approx(expected[0].numpy(), rel=1e-4, abs=1e-6)
    upsampled = functional.interpolate(expected[None], (8, 8), mode="bilinear", align_corners=False)
    assert found.picture == pytest.approx(upsampled[0, 0].numpy(), rel=1e-4, abs=1e-6)


def test_without_the_relu_the_last_map_of_an_original_network_adds_up_to_the_logit() -> None:
    """There Grad-CAM is the class activation map: the head is a mean and a linear layer."""
    loaded = load(NETWORKS["fashion-resnet20"])
    image = images_of(loaded.entry).subset([447])
    label, gates = int(image.labels[0]), loaded.network.gates_without(["layer2.1"])
    found = grad_cam(loaded.network, loaded.entry.preprocessing, image, label, gates, "layer3.2")
    with torch.no_grad():
        stream = loaded.network.walk(loaded.network.stem(loaded.inputs(image)), gates)
        signed = torch.einsum("bchw,c->bhw", stream, loaded.network.head.fc.weight[label]) / stream[0, 0].numel()
        logit = loaded.network(loaded.inputs(image), gates)[0, label] - loaded.network.head.fc.bias[label]
    assert signed.sum().item() == pytest.approx(logit.item(), rel=1e-4)
    assert found.cells == pytest.approx(signed[0].clamp(min=0).cpu().numpy(), rel=1e-4, abs=1e-6)
    assert found.cells.shape == (4, 4) and found.picture.shape == (28, 28)


@pytest.mark.parametrize("gates", [[1.0] * 4, GATES], ids=["intact", "lesion"])
def test_integrated_gradients_are_a_sum_along_the_way_from_black(network, image, device, gates, monkeypatch) -> None:
    monkeypatch.setattr(image_attribution, "STEPS", (12,))
    found = integrated_gradients(network, SMALL_PREPROCESSING, image, LABEL, gates)
    black = torch.full((1, 1, 8, 8), (0 - 0.5) / 0.25, device=device)
    way = SMALL_PREPROCESSING.normalise(image.pixels).to(device) - black
    places, weights = np.polynomial.legendre.leggauss(found.steps)
    expected = torch.zeros(8, 8, dtype=torch.float64)
    for place, weight in zip(places, weights, strict=True):
        at = (black + way * (place + 1) / 2).requires_grad_()
        (slope,) = torch.autograd.grad(network(at, gates)[0, LABEL], at)
        expected += weight / 2 * (slope * way)[0, 0].double().cpu()
    assert found.picture == pytest.approx(expected.numpy(), rel=1e-3, abs=1e-4 * np.abs(expected.numpy()).max())
    with torch.no_grad():
        rise = network(way + black, gates)[0, LABEL] - network(black, gates)[0, LABEL]
    assert found.rise == pytest.approx(rise.item(), rel=1e-4, abs=1e-5)
    assert found.error == pytest.approx(abs(expected.sum().item() - rise.item()), abs=1e-3)


@pytest.mark.parametrize("name", ["fashion-resnet56", "fashion-preact56", "fashion-plain20", "fashion-resnet34"])
def test_attributions_are_complete_and_black_pixels_have_none(name) -> None:
    loaded = load(NETWORKS[name])
    image = images_of(loaded.entry).subset([447])
    found = integrated_gradients(
        loaded.network, loaded.entry.preprocessing, image, int(image.labels[0]), [1.0] * len(loaded.network.blocks)
    )
    assert found.error <= 0.05 * abs(found.rise)
    assert found.steps in (128, 256) and found.rise > 1
    black = (image.pixels[0, 0] == 0).numpy()
    assert black.any() and not found.picture[black].any() and found.picture[~black].all()


def test_more_steps_are_taken_where_the_error_is_too_large(image_set, image, monkeypatch) -> None:
    network = lived_in(build("basic", (2, 2), (4, 8), stem_stride=1), SMALL_PREPROCESSING.normalise(image_set.pixels))
    monkeypatch.setattr(image_attribution, "STEPS", (2, 4, 64))
    settings = network, SMALL_PREPROCESSING, image, LABEL, GATES
    monkeypatch.setattr(image_attribution, "TOLERANCE", 1e9)
    assert integrated_gradients(*settings).steps == 2
    monkeypatch.setattr(image_attribution, "TOLERANCE", 0)
    assert integrated_gradients(*settings).steps == 64


def test_channels_are_summed_and_a_colour_image_may_be_of_any_size() -> None:
    preprocessing = Preprocessing(resize=12, crop=12, mean=(0.5, 0.4, 0.3), std=(0.25, 0.2, 0.3))
    pixels = torch.randint(0, 256, (16, 3, 12, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    network = build("bottleneck", (1, 1), (4, 8), shortcut="B", in_channels=3, stem_stride=2)
    lived_in(network, preprocessing.normalise(pixels))
    image = ImageSet("colours", pixels[:1], None, ("colours",))
    found = integrated_gradients(network, preprocessing, image, LABEL, [1.0, 1.0])
    assert found.picture.shape == (12, 9) and found.error <= 0.05 * abs(found.rise)
    assert grad_cam(network, preprocessing, image, LABEL, [1.0, 0.0], "layer2.0").picture.shape == (12, 9)


def test_the_shared_network_stays_as_it_was(network, image) -> None:
    with left_as_it_was(network), torch.no_grad():
        grad_cam(network, SMALL_PREPROCESSING, image, LABEL, GATES, "layer1.0")
        integrated_gradients(network, SMALL_PREPROCESSING, image, LABEL, GATES)


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("compute", [grad_cam, integrated_gradients])
def test_the_shared_network_stays_as_it_was_after_an_exception(network, image, where, compute) -> None:
    unlucky(network, where).blocks["layer2.0"].branch.calls = 1  # the next call in forward raises
    block = ["layer1.1"] if compute is grad_cam else []
    with left_as_it_was(network), pytest.raises(UnluckyError):
        compute(network, SMALL_PREPROCESSING, image, LABEL, [1.0] * 4, *block)


def test_threads_with_other_lesions_do_not_meet(image_set, image) -> None:
    network = lived_in(build("basic", (2, 2), (4, 8), stem_stride=1), SMALL_PREPROCESSING.normalise(image_set.pixels))
    tasks = [(gates, block) for gates in ([1.0] * 4, GATES, [0.0, 1.0, 1.0, 1.0]) for block in network.blocks] * 4

    def compute(task) -> np.ndarray:
        return grad_cam(network, SMALL_PREPROCESSING, image, LABEL, *task).cells

    alone = [compute(task) for task in tasks]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(compute, tasks))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_what_cannot_be_used_is_said(network, image_set, image) -> None:
    with pytest.raises(InputError, match=r"of one image; got 16"):
        integrated_gradients(network, SMALL_PREPROCESSING, image_set, LABEL, GATES)
    with pytest.raises(InputError, match=r"Block must be one of .*; got 'layer9\.0'"):
        grad_cam(network, SMALL_PREPROCESSING, image, LABEL, GATES, "layer9.0")


def test_the_ends_of_the_stages_and_the_chosen_block_come_in_order() -> None:
    blocks = ["layer1.0", "layer1.1", "layer2.0", "layer2.1", "layer2.2"]
    assert stage_ends(blocks, "layer2.0") == ["layer1.1", "layer2.0", "layer2.2"]
    assert stage_ends(blocks, "layer2.2") == ["layer1.1", "layer2.2"]


def test_half_of_a_map_lies_in_its_strongest_cells() -> None:
    def half(*cells: float) -> int:
        return GradCam(np.array([cells], np.float32), np.zeros((1, 1), np.float32)).half

    assert half(0, 9, 1, 2) == 1
    assert half(1, 1, 1, 1) == 2
    assert half(4, 1, 3, 1) == 2


def test_a_correlation_is_pearsons_and_unknown_for_an_even_map() -> None:
    generator = np.random.default_rng(0)
    before, after = generator.normal(size=(2, 5, 4))
    assert correlation(before, after) == pytest.approx(np.corrcoef(before.ravel(), after.ravel())[0, 1])
    assert correlation(before, 3 * before + 1) == pytest.approx(1)
    with np.errstate(all="raise"):
        assert np.isnan(correlation(before, np.zeros((5, 4))))
