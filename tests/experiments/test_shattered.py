"""Shattered gradients: the cosines are those of a loop over single images, and of what is known."""

import numpy as np
import pytest
import torch

from resnet_viz.errors import InputError
from resnet_viz.experiments.shattered import PARTS, POINTS, Shattering, along_line, gradients_at
from resnet_viz.networks.images import ImageSet
from resnet_viz.networks.zoo import NETWORKS, images_of, load, trainable
from resnet_viz.recipes.shattered_gradients import cosines
from resnet_viz.recipes.subject import Subject

PAIR = images_of(NETWORKS["fashion-resnet20"]).subset([0, 447])


def test_the_gradients_are_those_of_single_images() -> None:
    loaded = load(NETWORKS["fashion-resnet20"], untrained=0)
    found = along_line(loaded.network, loaded.entry.preprocessing, PAIR, 3).gradients
    assert found.shape == (POINTS, 1, 28, 28)
    first, last = loaded.inputs(PAIR).split(1)
    for point in (0, 1, POINTS // 2, POINTS - 1):
        image = (first + point / (POINTS - 1) * (last - first)).requires_grad_()
        loaded.network(image)[0, 3].backward()
        assert np.allclose(found[point], image.grad[0].cpu(), rtol=1e-3, atol=1e-5)
    loaded.network.zero_grad()


def test_the_cosines_are_between_neighbours() -> None:
    gradients = np.array([[1, 0], [1, 1], [-2, -2], [2, -2]], np.float32).reshape(4, 1, 1, 2)
    assert Shattering(gradients).cosines == pytest.approx([2**-0.5, -1, 0])
    assert Shattering(gradients).mean == pytest.approx((2**-0.5 - 1) / 3)


def test_residual_networks_keep_them_alike_where_plain_ones_do_not() -> None:
    means = {}
    for kind in ("resnet", "plain"):
        loaded = load(trainable(kind, 56), untrained=0)
        means[kind] = along_line(loaded.network, loaded.entry.preprocessing, PAIR, 0).mean
    assert means["resnet"] == pytest.approx(0.83, abs=0.02) and means["plain"] == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("positions", [[0], [0, 1, 2], [5, 5]])
def test_a_line_has_two_ends(positions: list[int]) -> None:
    loaded = load(NETWORKS["fashion-resnet20"])
    images = images_of(loaded.entry).subset(positions)
    with pytest.raises(InputError, match="A line needs two images that differ"):
        gradients_at(loaded.network, loaded.entry.preprocessing, images, 0, 0)


@pytest.mark.parametrize(("first", "other"), [(3, 3), (0, 1000), (-1, 5)])
def test_the_recipe_refuses_what_is_no_line(first: int, other: int) -> None:
    with pytest.raises(InputError, match=r"A line needs two images that differ, 0 to 999; got"):
        cosines(Subject.of("fashion-resnet20"), first=first, other=other)


def test_the_recipe_walks_the_whole_line_and_says_how_far_it_is() -> None:
    subject = Subject.of("fashion-resnet20", untrained=1)
    steps = list(cosines.steps(subject, first=0, other=447))
    assert steps == [number / PARTS for number in range(PARTS + 1)], "the first makes the network"
    loaded = subject.loaded
    both = ImageSet("", torch.cat([subject.images.pixels[[0, 447]]]), None, ("a", "b"))
    expected = along_line(loaded.network, loaded.entry.preprocessing, both, 0).mean
    assert f"mean cosine of {expected:.2f}" in cosines(subject, first=0, other=447).title
