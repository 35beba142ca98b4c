"""The table of networks: what each is, where its weights come from, and how one is made ready for use."""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, partial
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from ..errors import InputError
from ..places import CHECKPOINTS
from ..progress import Progress, no_progress
from .adapt import wrap
from .blocks import PlainBlock, ZeroPadding
from .datasets import CIFAR_10, FASHION_MNIST, IMAGENET, Dataset, image_folder, sample_photos
from .device import device
from .images import ImageSet, Preprocessing
from .network import ResidualNetwork, build, stage_of
from .seeds import Seeded
from .vgg import build_vgg11
from .weights import download, faults_of, fill, has_named_hash, read_state

WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".th")
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


class WeightsUnavailable(InputError):
    """The weights of a network are neither here nor to be had."""


@dataclass(frozen=True)
class Entry:
    """A row of the table. ``weights`` is a file in checkpoints/ or a URL whose file name holds the first digits of its
    SHA-256; None for a network that exists untrained only. ``plain``: the trained plain network of equal depth."""

    name: str
    dataset: Dataset
    build: Callable[..., ResidualNetwork]
    weights: str | None
    preprocessing: Preprocessing
    provenance: str
    licence: str
    published_error_pct: float | None = None
    plain: str | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        return self.dataset.classes

    @property
    def family(self) -> str:
        return self.name.split("-")[0]


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A network ready for use, in eval mode on ``device()``. It is shared: nothing may change it.

    ``digest`` names the weights: the SHA-256 of their file, or how the untrained ones were made. ``seed``: of untrained ones.
    """

    entry: Entry
    network: ResidualNetwork
    weights: str
    digest: str
    seed: int | None = None

    @property
    def trained(self) -> bool:
        return self.seed is None

    @property
    def title(self) -> str:
        """The name, with 'untrained' wherever that is so."""
        return self.entry.name if self.trained else f"{self.entry.name} (untrained)"

    @property
    def identity(self) -> tuple[str, str]:
        """What its results may be kept under: the digest alone is the same for two untrained networks of one seed."""
        return self.entry.name, self.digest

    @property
    def intact(self) -> tuple[float, ...]:
        """The gates that leave every block as it is."""
        return (1.0,) * len(self.network.blocks)

    def inputs(self, images: ImageSet) -> Tensor:
        """A set as the network takes it: normalised, on its device."""
        return self.entry.preprocessing.normalise(images.pixels.to(device()))


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


def imagenet(depth: int, version: int) -> Entry:
    """A row of torchvision's ImageNet networks, with the facts of torchvision's own metadata."""
    weights = get_model_weights(f"resnet{depth}")[f"IMAGENET1K_V{version}"]
    transforms = weights.transforms()
    preprocessing = Preprocessing(
        transforms.resize_size[0], transforms.crop_size[0], tuple(transforms.mean), tuple(transforms.std)
    )
    return Entry(
        f"imagenet-resnet{depth}" + ("" if version == 1 else f"-v{version}"),
        IMAGENET,
        partial(build_torchvision, f"resnet{depth}"),
        weights.url,
        preprocessing,
        f"torchvision {weights}",
        "BSD 3-clause (torchvision)",
        round(100 - weights.meta["_metrics"]["ImageNet-1K"]["acc@1"], 3),
    )


def build_torchvision(name: str, *, seed: int = 0, batch_norm: bool = True) -> ResidualNetwork:
    """Build and wrap one of torchvision's networks with initial weights that follow from the seed alone."""
    with Seeded(seed):
        return wrap(get_model(name, weights=None, **({} if batch_norm else {"norm_layer": nn.Identity})))


FOUR, THREE = (16, 32, 64, 128), (16, 32, 64)
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
        fashion("vgg11", build_vgg11),
        *(cifar(depth) for depth in CIFAR_FILES),
        *(imagenet(depth, 1) for depth in (18, 34, 50, 101, 152)),
        *(imagenet(depth, 2) for depth in (50, 101, 152)),
    ]
}
KINDS = {"plain": "plain", "resnet": "basic", "preact": "preactivation-basic"}
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
    entry = fashion(name, partial(build, KINDS[kind], blocks, THREE, shortcut=shortcut, batch_norm=batch_norm))
    return replace(entry, weights=None, provenance="trained in a race")


def local_entries(place: Path) -> tuple[list[Entry], list[str]]:
    """A row for each file of weights at ``place`` (a file, or a folder of them): the row of the table that it fits, under
    the name 'fashion-resnet56:FILE'; and a sentence for each file that cannot be read or fits no network of the table.

    Raises InputError where there is no such file at all.
    """
    files = sorted(path for path in place.iterdir() if path.suffix in WEIGHT_SUFFIXES) if place.is_dir() else [place]
    if not files:
        raise InputError(f"{place} holds no file of weights; expected {', '.join(WEIGHT_SUFFIXES)}.")
    entries, faults = [], []
    for path in files:
        try:
            state = read_state(path)
        except InputError as error:
            faults.append(str(error))
            continue
        rows = [*named_in(path), *NETWORKS.values()]
        row = next((entry for entry in rows if not faults_of(architecture(entry), state)), None)
        if row is None:
            faults.append(
                f"{path} fits no network of the table; --checkpoint FILE of the command line says what differs."
            )
            continue
        name = f"{row.name.removesuffix('-v2')}:{re.sub(r'[^A-Za-z0-9_.]+', '-', path.stem)[:40]}"
        provenance = f"your file {path.name}"
        entries.append(replace(row, name=name, weights=str(path.resolve()), provenance=provenance, licence="yours", published_error_pct=None))  # fmt: skip
    return entries, faults


def named_in(path: Path) -> list[Entry]:
    """The row that a file of this project's says it is of, if it says so."""
    if path.suffix != ".safetensors":
        return []
    with safe_open(path, "pt") as file:
        name = (file.metadata() or {}).get("network", "")
    return [entry_of(name)] if name in NETWORKS or TRAINABLE.fullmatch(name) else []


def with_the_same_blocks(entry: Entry, networks: Iterable[Entry]) -> list[Entry]:
    """The other rows whose blocks have the same names and that look at the same images: other weights of one architecture,
    or another kind of block in each place."""
    others = [row for row in networks if row.name != entry.name and row.dataset == entry.dataset]
    return [row for row in others if block_names(row) == block_names(entry)]


@cache
def plain_entry(entry: Entry) -> Entry | None:
    """The plain network of equal depth: the trained one of the table, else the same layers without their shortcuts
    (untrained only). None for a network that is plain itself, or whose pre-activation blocks have no such twin."""
    if entry.plain:
        return NETWORKS[entry.plain]
    kinds = {block.kind for block in architecture(entry).blocks.values()}
    if not kinds <= {"basic", "bottleneck"}:
        return None
    return Entry(
        f"plain {entry.name}",
        entry.dataset,
        partial(build_without_shortcuts, entry),
        None,
        entry.preprocessing,
        f"{entry.name} without its shortcuts",
        "MIT",
    )


def counterpart(entry: Entry) -> Entry | None:
    """The plain network of a residual one, the residual network of a plain one; None where there is none."""
    return next((row for row in NETWORKS.values() if row.plain == entry.name), None) or plain_entry(entry)


def architecture(entry: Entry) -> ResidualNetwork:
    """The network without weights, in eval mode, on torch's meta device: for shapes and counts at no cost."""
    with torch.device("meta"):
        return entry.build(seed=0).eval()


@cache
def block_names(entry: Entry) -> tuple[str, ...]:
    """The names of a network's blocks, in order."""
    return tuple(architecture(entry).blocks)


def build_without_shortcuts(entry: Entry, *, seed: int = 0, batch_norm: bool = True) -> ResidualNetwork:
    """The network of ``entry`` with the same initial weights, its blocks plain."""
    network = entry.build(seed=seed, batch_norm=batch_norm)
    stages: dict[str, list[PlainBlock]] = {}
    for name, block in network.blocks.items():
        convolutions = [layer for layer in block.branch.modules() if isinstance(layer, nn.Conv2d)]
        stride = max(layer.stride[0] for layer in convolutions)
        carry: nn.Module = block.shortcut
        if block.shortcut_kind == "projection":
            carry = ZeroPadding(convolutions[0].in_channels, convolutions[-1].out_channels, stride)
        stages.setdefault(stage_of(name), []).append(PlainBlock("plain", block.branch, carry))
    return ResidualNetwork(network.stem, stages.values(), network.head)


def load(
    entry: Entry,
    *,
    checkpoint: Path | None = None,
    untrained: int | None = None,
    batch_norm: bool = True,
    progress: Progress = no_progress,
) -> LoadedNetwork:
    """Build a network, fill in its weights and put it on ``device()`` in eval mode and channels_last.

    ``checkpoint``: a file of the user's in place of the row's weights. ``untrained``: a seed, for initial weights with
    calibrated batch norms; only these can be had without batch norms. Raises WeightsUnavailable where the weights are
    not here and cannot be downloaded, or give no finite logits; InputError for a file that does not fit.
    """
    if checkpoint is None and (untrained is not None or entry.weights is None or not batch_norm):
        seed = untrained or 0
        network = entry.build(seed=seed, **({} if batch_norm else {"batch_norm": False}))
        calibrate(network, entry)
        norm = "" if batch_norm else ", without batch norm"
        return ready(entry, network, f"untrained, seed {seed}{norm}", f"untrained-{seed}{norm}", seed)
    network = entry.build(seed=0)
    path = checkpoint or weights_file(entry, progress)
    fill(network, read_state(path), path)
    source = f"from {path.name}" if checkpoint else entry.provenance
    loaded = ready(entry, network, source, hashlib.sha256(path.read_bytes()).hexdigest())
    if checkpoint or "://" not in str(entry.weights):  # what is downloaded is known by its hash
        black = torch.zeros(1, *entry.preprocessing.shape, dtype=torch.uint8, device=device())
        with torch.no_grad():
            if not loaded.network(entry.preprocessing.normalise(black)).isfinite().all():
                raise WeightsUnavailable(
                    f"{path} must hold weights with which {entry.name} gives finite logits; got NaN or infinity for a "
                    f"black image, since values grow too large on the way; give a file of a training that did not diverge."
                )
    return loaded


def ready(entry: Entry, network: ResidualNetwork, weights: str, digest: str, seed: int | None = None) -> LoadedNetwork:
    network = network.to(memory_format=torch.channels_last).to(device()).eval()
    return LoadedNetwork(entry, network, weights, digest, seed)


def calibrate(network: ResidualNetwork, entry: Entry) -> None:
    """Set batch-norm statistics by one pass over a fixed set of images (of the training set where one is bundled)."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    images = entry.dataset.calibration(entry.preprocessing)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(entry.preprocessing.normalise(images.pixels))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def weights_path(entry: Entry) -> Path:
    """Where the file with a row's weights lies once it is here: checkpoints/ or the torch hub cache."""
    assert entry.weights is not None
    if "://" not in entry.weights:
        return CHECKPOINTS / entry.weights
    return Path(torch.hub.get_dir()) / "checkpoints" / entry.weights.rsplit("/", 1)[1]


def weights_file(entry: Entry, progress: Progress = no_progress) -> Path:
    """The file with a row's weights, downloaded into the torch hub cache if need be, its hash checked."""
    path = weights_path(entry)
    if "://" not in str(entry.weights):
        if not path.is_file():
            raise WeightsUnavailable(f"{path} is missing; make it with: python -m resnet_viz train {entry.name}.")
        return path
    if not path.is_file():
        try:
            download(str(entry.weights), path, progress)
        except (OSError, ValueError, HTTPException) as error:
            reason = error.reason if type(error) is URLError else error  # an HTTPError says its code itself
            raise WeightsUnavailable(
                f"The weights of {entry.name} could not be fetched from {entry.weights} ({reason}); put the file at {path} by hand."
            ) from error
    elif not has_named_hash(path, path.name):
        raise WeightsUnavailable(
            f"{path} is damaged: its SHA-256 does not begin with the digits in its name; remove it to fetch it again."
        )
    return path


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
