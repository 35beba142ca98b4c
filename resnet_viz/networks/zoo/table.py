"""The table of networks: what each is, where its weights come from, and which images it is tried on."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision.models import get_model, get_model_weights

from ...errors import InputError
from ..cutting import cut
from ..datasets import CIFAR_10, FASHION_MNIST, IMAGENET, Dataset, image_folder, sample_photos
from ..googlenet import build_googlenet
from ..graph import Anatomy
from ..highway import build_highway
from ..images import AnyPreprocessing, ImageSet, Preprocessing
from ..network import ResidualNetwork, block_indices, build
from ..recurrent import build_lstm, build_rnn
from ..seeds import Seeded
from ..shortcuts import VARIANTS, build_variant
from ..transformer import build_vit
from ..vgg import build_vgg, build_vgg11

__all__ = [
    "DEPTHS",
    "KINDS",
    "NETWORKS",
    "TRAINABLE",
    "Entry",
    "architecture",
    "block_names",
    "cut_entry",
    "entry_of",
    "fashion",
    "has_batch_norm",
    "images_of",
    "names_in",
    "trainable",
    "with_classes",
    "with_shortcuts",
]

FASHION_PREPROCESSING = Preprocessing(resize=28, crop=28, mean=(0.2860,), std=(0.3530,))
CIFAR_PREPROCESSING = Preprocessing(resize=32, crop=32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
CIFAR_FILES = {  # github.com/akamaster/pytorch_resnet_cifar10: depth -> file and the test error it reports, per cent
    20: ("resnet20-12fca82f.th", 8.27),
    32: ("resnet32-d509ac18.th", 7.37),
    44: ("resnet44-014dd654.th", 6.90),
    56: ("resnet56-4bfd9763.th", 6.61),
    110: ("resnet110-1d1ed7c2.th", 6.32),
}
CIFAR_URL = "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models/"


@dataclass(frozen=True)
class Entry:
    """A row of the table. ``weights`` is a file in checkpoints/ or a URL whose file name holds the first digits of its
    SHA-256; None for a network that exists untrained only. ``plain``: the trained plain network of equal depth. ``deleted``: the
    blocks that a cut network lacks. A network that was handed over (``hand_over``) is only there as it is: ``build`` raises
    InputError, and ``blocks`` names its blocks."""

    name: str
    dataset: Dataset
    build: Callable[..., ResidualNetwork]
    weights: str | None
    preprocessing: AnyPreprocessing
    provenance: str
    licence: str
    published_error_pct: float | None = None
    plain: str | None = None
    deleted: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()

    @property
    def can_be_built(self) -> bool:
        """Whether there is more of it than the network itself: its untrained one, its twin."""
        return not self.blocks

    @property
    def classes(self) -> tuple[str, ...]:
        return self.dataset.classes

    @property
    def family(self) -> str:
        """'fashion', 'cifar10', 'imagenet'; '' of a network that was handed over."""
        return self.name.split("-")[0] if self.can_be_built else ""

    @property
    def of_table(self) -> str:
        """The name of the row of the table that a file of weights belongs to, cut or whole; of a row of the table, its own."""
        return self.name.partition(":")[0]


def fashion(name: str, build: Callable[..., ResidualNetwork], plain: str | None = None) -> Entry:
    """A row of the networks that this project trains on Fashion-MNIST."""
    return Entry(
        f"fashion-{name}",
        FASHION_MNIST,
        build,
        f"fashion-{name}.safetensors",
        FASHION_PREPROCESSING,
        f"trained by this project: python -m resnet_viz train fashion-{name}",
        "MIT",
        plain=plain and f"fashion-{plain}",
    )


def cifar(depth: int) -> Entry:
    """A row of the public CIFAR-10 checkpoints: 6n + 2 layers, option A (He et al. 2015, section 4.2)."""
    file, error = CIFAR_FILES[depth]
    return Entry(
        f"cifar10-resnet{depth}",
        CIFAR_10,
        partial(build, "basic", [(depth - 2) // 6] * 3, THREE, in_channels=3, stem_stride=1),
        CIFAR_URL + file,
        CIFAR_PREPROCESSING,
        "github.com/akamaster/pytorch_resnet_cifar10",
        "BSD 2-clause",
        error,
    )


def imagenet(model: str, build: Callable[..., ResidualNetwork], version: int = 1) -> Entry:
    """A row of torchvision's ImageNet networks, with the facts of torchvision's own metadata."""
    weights = get_model_weights(model)[f"IMAGENET1K_V{version}"]
    transforms = weights.transforms()
    preprocessing = Preprocessing(
        transforms.resize_size[0], transforms.crop_size[0], tuple(transforms.mean), tuple(transforms.std)
    )
    return Entry(
        f"imagenet-{model}" + ("" if version == 1 else f"-v{version}"),
        IMAGENET,
        build,
        weights.url,
        preprocessing,
        f"torchvision {weights}",
        "BSD 3-clause (torchvision)",
        round(100 - weights.meta["_metrics"]["ImageNet-1K"]["acc@1"], 3),
    )


def imagenet_resnet(depth: int, version: int) -> Entry:
    """A row of torchvision's residual networks."""
    return imagenet(f"resnet{depth}", partial(build_torchvision, f"resnet{depth}"), version)


def build_torchvision(name: str, *, classes: int = 1000, seed: int = 0, batch_norm: bool = True) -> ResidualNetwork:
    """Build one of torchvision's networks with initial weights that follow from the seed alone."""
    with Seeded(seed):
        norm = {} if batch_norm else {"norm_layer": nn.Identity}
        model = get_model(name, weights=None, num_classes=classes, **norm).eval()
    return Anatomy(model, torch.zeros(2, 3, 64, 64)).network(model)


def thousand_layers(name: str, kind: str) -> Entry:
    """A row as in He et al. 2016 (arXiv:1603.05027): 9n + 2 layers, n = 111 bottlenecks a stage; a quarter as wide, and never trained."""
    row = fashion(name, partial(build, kind, (111, 111, 111), (4, 8, 16)))
    return replace(row, weights=None, provenance="never trained: its weights are the initial ones")


FOUR, THREE = (16, 32, 64, 128), (16, 32, 64)
WIDTH = 64  # of the networks of other families
NETWORKS = {
    entry.name: entry
    for entry in [
        fashion("resnet34", partial(build, "basic", (3, 4, 6, 3), FOUR, shortcut="B"), "plain34"),
        fashion("plain34", partial(build, "plain", (3, 4, 6, 3), FOUR)),
        fashion("resnet50", partial(build, "bottleneck", (3, 4, 6, 3), FOUR, shortcut="B")),
        fashion("plain20", partial(build, "plain", (3, 3, 3), THREE)),
        fashion("resnet20", partial(build, "basic", (3, 3, 3), THREE), "plain20"),
        fashion("plain32", partial(build, "plain", (5, 5, 5), THREE)),
        fashion("resnet32", partial(build, "basic", (5, 5, 5), THREE), "plain32"),
        fashion("plain56", partial(build, "plain", (9, 9, 9), THREE)),
        fashion("resnet56", partial(build, "basic", (9, 9, 9), THREE), "plain56"),
        fashion("preact56", partial(build, "preactivation-basic", (9, 9, 9), THREE), "plain56"),
        fashion("resnet110", partial(build, "basic", (18, 18, 18), THREE)),
        fashion("preact110", partial(build, "preactivation-basic", (18, 18, 18), THREE)),
        thousand_layers("preact1001", "preactivation-bottleneck"),
        thousand_layers("resnet1001", "bottleneck"),
        fashion("vgg11", build_vgg11),
        fashion("highway50", partial(build_highway, 48, WIDTH), "highway50-plain"),
        fashion("highway50-plain", partial(build_highway, 48, WIDTH, gates=False)),
        fashion("lstm", partial(build_lstm, WIDTH), "rnn"),
        fashion("lstm-forget0", partial(build_lstm, WIDTH, forget_bias=0.0), "rnn"),
        fashion("rnn", partial(build_rnn, WIDTH)),
        fashion("vit", partial(build_vit, 8, WIDTH)),
        fashion("vit-postnorm", partial(build_vit, 8, WIDTH, norm_first=False)),
        *(cifar(depth) for depth in CIFAR_FILES),
        *(imagenet_resnet(depth, 1) for depth in (18, 34, 50, 101, 152)),
        *(imagenet_resnet(depth, 2) for depth in (50, 101, 152)),
        *(imagenet(f"vgg{depth}", partial(build_vgg, f"vgg{depth}")) for depth in (11, 16)),
        imagenet("googlenet", build_googlenet),
    ]
}
KINDS = {
    "plain": partial(build, "plain"),
    "resnet": partial(build, "basic"),
    "preact": partial(build, "preactivation-basic"),
    **{variant: partial(build_variant, variant) for variant in VARIANTS},
}
DEPTHS = (8, 14, 20, 26, 32, 44, 56, 110)  # without 50: fashion-resnet50 is the bottleneck network of the table
TRAINABLE = re.compile(rf"fashion-({'|'.join(KINDS)})({'|'.join(map(str, DEPTHS))})(?:-([BC]))?(-without-batch-norm)?")


def entry_of(name: str) -> Entry:
    """A row by its name, or one of the family of ``trainable``. Raises InputError for an unknown one."""
    if name in NETWORKS:
        return NETWORKS[name]
    if match := TRAINABLE.fullmatch(name):
        kind, depth, shortcut, bare = match.groups()
        return trainable(kind, int(depth), shortcut or "A", batch_norm=not bare)
    names, depths = [*NETWORKS, *(f"fashion-{kind}N" for kind in KINDS)], ", ".join(map(str, DEPTHS))
    raise InputError(f"Network must be one of {', '.join(names)} (N: {depths}); got {name!r}.")


def trainable(kind: str, depth: int, shortcut: str = "A", *, batch_norm: bool = True) -> Entry:
    """A network of 6n + 2 layers (He et al. 2015, section 4.2) for Fashion-MNIST: the row of the table if it is one, else
    one without weights. ``kind`` is one of KINDS, ``depth`` one of DEPTHS.
    """
    if depth not in DEPTHS:
        raise InputError(f"Depth must be one of {', '.join(map(str, DEPTHS))}; got {depth}.")
    name = (
        f"{kind}{depth}" + (f"-{shortcut}" if shortcut != "A" else "") + ("" if batch_norm else "-without-batch-norm")
    )
    if f"fashion-{name}" in NETWORKS:
        return NETWORKS[f"fashion-{name}"]
    blocks = ((depth - 2) // 6,) * 3
    entry = fashion(name, partial(KINDS[kind], blocks, THREE, shortcut=shortcut, batch_norm=batch_norm))
    return replace(entry, weights=None, provenance="trained in a race")


def with_shortcuts(row: Entry) -> list[Entry]:
    """The row, and where its kind of network can have other shortcuts than it, the row with those of option A, B and
    C."""
    if not (isinstance(row.build, partial) and row.build.func is build):
        return [row]
    return [row, *(replace(row, build=partial(row.build, shortcut=option)) for option in "ABC")]


def with_classes(row: Entry, classes: tuple[str, ...]) -> Entry:
    """The row with classes of its own. Its data set's labels say nothing of them, so its images have none."""
    dataset = Dataset(
        f"{len(classes):,} classes of your own",
        classes,
        partial(unlabelled, row.dataset.images),
        row.dataset.calibration,
    )
    return replace(row, build=partial(row.build, classes=len(classes)), dataset=dataset, plain=None)


def unlabelled(images: Callable[[], ImageSet | None]) -> ImageSet | None:
    """A data set's images without their labels."""
    found = images()
    return found and replace(found, labels=None)


def cut_entry(row: Entry, deleted: Iterable[str], name: str, path: Path, healed: str = "") -> Entry:
    """A row for a file of weights of a network of the table without some of its blocks; ``healed``: by how many steps of
    training, if it was. Raises InputError for an unknown block, and where none would be left."""
    indices = block_indices(block_names(row), deleted)
    names = tuple(block_names(row)[index] for index in sorted(set(indices)))
    cut(architecture(row), names)
    return replace(
        row,
        name=f"{row.name}:{name}",
        build=partial(build_cut, row.build, names),
        weights=str(path.resolve()),
        provenance=f"cut from {row.name}: {', '.join(names)}" + (f"; healed by {healed} steps" if healed else ""),
        licence="yours",
        published_error_pct=None,
        plain=None,
        deleted=names,
    )


def build_cut(build: Callable[..., ResidualNetwork], deleted: tuple[str, ...], **given: Any) -> ResidualNetwork:
    """Build a network, and leave out some of its blocks."""
    return cut(build(**given), deleted)


def architecture(entry: Entry) -> ResidualNetwork:
    """The network without weights, in eval mode, on torch's meta device: for shapes and counts at no cost."""
    with torch.device("meta"):
        return entry.build(seed=0).eval()


@cache
def names_in(entry: Entry) -> tuple[tuple[str, ...], frozenset[str]]:
    """The names of a network's blocks, in order, and what files of others call its layers where no rule says it."""
    network = architecture(entry)
    return tuple(network.blocks), frozenset(network.known_as)


def block_names(entry: Entry) -> tuple[str, ...]:
    """The names of a network's blocks, in order."""
    return entry.blocks or names_in(entry)[0]


@cache
def has_batch_norm(entry: Entry) -> bool:
    """Whether a network is one with batch norms, if nobody asks for it without."""
    return any(isinstance(module, nn.BatchNorm2d) for module in architecture(entry).modules())


def images_of(entry: Entry, folder: Path | None = None, limit: int | None = None) -> ImageSet:
    """The images a row is tried on: a folder of class folders, else what is bundled or cached.

    fashion-*: the bundled lesion set. cifar10-*: torchvision's CIFAR-10 test set if it is there. Otherwise, and for
    imagenet-*, sample photos without labels. With ``limit`` N, image floor(i * total / N) for i = 0 ... N - 1.
    """
    if limit is not None and limit < 1:
        raise InputError(f"Limit must be 1 or more; got {limit}.")
    if folder is not None:
        return image_folder(folder, entry.preprocessing, entry.classes, entry.dataset.folder_names(), limit)
    images = entry.dataset.images() or sample_photos(entry.preprocessing)
    return images.limit(limit) if limit else images
