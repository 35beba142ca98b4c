"""What trained networks of other people's are like: how long their paths are, what a deleted block costs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import timm
from timm.data import resolve_model_data_config
from torch import nn
from torchvision.models import get_model, get_model_weights

from resnet_viz.experiments.deletion import labelled, sweep
from resnet_viz.experiments.influence import influence
from resnet_viz.experiments.paths import gradient_by_length
from resnet_viz.networks.adapt import adapt
from resnet_viz.networks.datasets import IMAGENET, image_folder, sample_photos
from resnet_viz.networks.images import AnyPreprocessing, ImageSet, Preprocessing
from resnet_viz.networks.network import ResidualNetwork

__all__ = ["NOT_RUN", "PRETRAINED", "pretrained_table"]

NOT_RUN = "It was not run with real weights so far, which it downloads: its tests have random ones."
IMAGES = 32  # spread over the folder
AT_ONCE = 8
COLUMNS = (
    "network",
    "blocks",
    "mean length of the paths / n",
    "share past all branches",
    "rise by deletion, points: median, largest",
    "block influence: median, largest",
)
Make = Callable[
    [bool], tuple[nn.Module, AnyPreprocessing]
]  # whether with trained weights -> the model and what it is given


def of_torchvision(name: str) -> Make:
    def make(trained: bool) -> tuple[nn.Module, AnyPreprocessing]:
        weights = get_model_weights(name).DEFAULT
        how = weights.transforms()
        preprocessing = Preprocessing(how.resize_size[0], how.crop_size[0], tuple(how.mean), tuple(how.std))
        return get_model(name, weights=weights if trained else None), preprocessing

    return make


def of_timm(name: str) -> Make:
    def make(trained: bool) -> tuple[nn.Module, AnyPreprocessing]:
        model = timm.create_model(name, pretrained=trained)
        how = resolve_model_data_config(model)
        side = how["input_size"][-1]
        return model, Preprocessing(round(side / how["crop_pct"]), side, tuple(how["mean"]), tuple(how["std"]))

    return make


PRETRAINED = {
    "torchvision resnet50": of_torchvision("resnet50"),
    "torchvision convnext_tiny": of_torchvision("convnext_tiny"),
    "torchvision vit_b_16": of_torchvision("vit_b_16"),
    "torchvision swin_t": of_torchvision("swin_t"),
    "torchvision efficientnet_b0": of_torchvision("efficientnet_b0"),
    "timm resnet50": of_timm("resnet50"),
    "timm resnetv2_50": of_timm("resnetv2_50"),
    "timm vit_tiny_patch16_224": of_timm("vit_tiny_patch16_224"),
    "timm mixer_b16_224": of_timm("mixer_b16_224"),
}


class Trained(NamedTuple):
    """What was measured of a network of n blocks.

    ``mean_length``: of the paths, weighted by the norm of their gradient, / n; ``past_all``: the share of the norms
    that the one path without branches has; ``rise``: in error when a block is deleted, median and largest, in
    percentage points, None without labels; ``influence``: 1 - cosine of the stream with the one that leaves the deleted
    block, median and largest.
    """

    blocks: int
    mean_length: float
    past_all: float
    rise: tuple[float, float] | None
    influence: tuple[float, float]


def pretrained_table(folder: Path | None, trained: bool = True) -> Iterator[str]:
    """The lines of a Markdown table of trained networks, over labelled pictures or, without a folder, sample photos; a
    network whose weights cannot be had says so."""
    yield "\n## With trained weights\n"
    yield f"Up to {IMAGES} images; without labels the loss is that of the predicted class.\n"
    yield f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"
    for name, make in PRETRAINED.items():
        try:
            yield line_of(name, measured(*make(trained), folder))
        except Exception as error:  # of whatever library: no network, a file that is cut off ...
            yield f"| {name} | not measured: {str(error).partition(chr(10))[0]} | | | | |"


def line_of(name: str, found: Trained) -> str:
    rise = "no labels" if found.rise is None else "{:.1f}, {:.1f}".format(*found.rise)
    influence = "{:.3f}, {:.3f}".format(*found.influence)
    share = f"{100 * found.past_all:.1f} %"
    return f"| {name} | {found.blocks} | {found.mean_length:.3f} | {share} | {rise} | {influence} |"


def measured(model: nn.Module, preprocessing: AnyPreprocessing, folder: Path | None) -> Trained:
    """Take a model and measure it. Raises what ``adapt`` and ``image_folder`` raise."""
    images = images_of(preprocessing, folder)
    network = adapt(model.eval(), preprocessing.normalise(images.pixels[:2]))
    lengths, influences = [], []
    for part in labelled(network, preprocessing, images).parts(AT_ONCE):
        assert part.labels is not None
        inputs = preprocessing.inputs_of(network, part.pixels)
        lengths.append(gradient_by_length(network, inputs, part.labels).norms)
        influences.append(influence(network, inputs, part.labels).importance.by_image)
    norms = np.concatenate(lengths).mean(0)
    return Trained(
        len(network.blocks),
        float(np.arange(len(norms)) @ norms / norms.sum()) / len(network.blocks),
        float(norms[0] / norms.sum()),
        rise(network, preprocessing, images),
        median_and_largest(np.concatenate(influences).mean(0)),
    )


def images_of(preprocessing: AnyPreprocessing, folder: Path | None) -> ImageSet:
    if folder is None:
        return sample_photos(preprocessing)
    return image_folder(folder, preprocessing, IMAGENET.classes, IMAGENET.folder_names(), IMAGES)


def rise(network: ResidualNetwork, preprocessing: AnyPreprocessing, images: ImageSet) -> tuple[float, float] | None:
    return None if images.labels is None else median_and_largest(sweep(network, preprocessing, images).rises)


def median_and_largest(values: np.ndarray) -> tuple[float, float]:
    return float(np.median(values)), float(values.max())
