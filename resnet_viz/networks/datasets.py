"""Where images come from: bundled Fashion-MNIST, the full sets, sample photos, and anybody's folders of pictures."""

import gzip
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from skimage import data as skimage_data
from torchvision.datasets import CIFAR10, FashionMNIST
from torchvision.models import get_model_weights

from ..errors import InputError
from .images import PICTURE_SUFFIXES, AnyPreprocessing, ImageSet, open_photo

__all__ = [
    "CALIBRATION_IMAGES",
    "CIFAR_10",
    "FASHION_MNIST",
    "IMAGENET",
    "Dataset",
    "bundled_fashion",
    "fashion_folder",
    "full_fashion",
    "image_folder",
    "sample_photos",
]

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CALIBRATION_IMAGES = 256
# How these names begin, in lower case: .DS_Store, ._photo.jpg, .ipynb_checkpoints; __MACOSX; @eaDir; $RECYCLE.BIN;
# others whole.
LEFT_BY_SYSTEMS = (".", "__", "@", "$", "thumbs.db", "desktop.ini", "icon\r", "system volume information", "lost+found")
FEW = 3  # files that are named
DEBIAN_FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
BUNDLED_FASHION = Path(__file__).parent / "fashion-mnist.npz"
SAMPLE_PHOTOS = {"cat": "chelsea.png", "coffee": "coffee.png", "rocket": "rocket.jpg", "astronaut": "astronaut.png"}


@dataclass(frozen=True)
class Dataset:
    """What networks are trained on; two of one name and with the same classes are the same. ``images``: the labelled
    set that is bundled or lies on this machine, None where there is none; ``calibration``: the images that set the
    batch norms of untrained networks; ``folder_names``: what a folder of pictures may be called beside its class's
    name, and that class."""

    name: str
    classes: tuple[str, ...]
    images: Callable[[], ImageSet | None] = field(compare=False)
    calibration: Callable[[AnyPreprocessing], ImageSet] = field(compare=False)
    folder_names: Callable[[], Mapping[str, int]] = field(default=dict, compare=False)


def data_folder() -> Path:
    """Where downloaded data sets are kept: $RESNET_VIZ_DATA, else ~/.cache/resnet_viz."""
    return Path(os.environ.get("RESNET_VIZ_DATA", Path.home() / ".cache" / "resnet_viz"))


@cache
def bundled_fashion(part: str) -> ImageSet:
    """The images that come with the project: 'lesion' (1,000 test images) or 'training' (4,000 training images).

    Ordered by class, the same number of each. Nothing is ever trained on the lesion images.
    """
    with np.load(BUNDLED_FASHION) as arrays:
        pixels, labels, positions = (arrays[f"{part}_{what}"] for what in ("pixels", "labels", "positions"))
    source = {"lesion": "test", "training": "training"}[part]
    names = tuple(
        f"{FASHION_CLASSES[label]}, Fashion-MNIST {source} image {position}"
        for label, position in zip(labels, positions, strict=True)
    )
    title = f"{len(pixels):,} Fashion-MNIST {source} images"
    return ImageSet(title, torch.from_numpy(pixels)[:, None], torch.from_numpy(labels).long(), names)


def bundle_fashion(training: ImageSet, test: ImageSet, path: Path = BUNDLED_FASHION) -> None:
    """Write the bundled file: the first 100 test and the first 400 training images of each class."""
    arrays: dict[str, np.ndarray] = {}
    for part, images, count in (("lesion", test, 100), ("training", training, 400)):
        assert images.labels is not None
        positions = torch.cat([(images.labels == label).nonzero()[:count, 0] for label in range(10)])
        arrays |= {
            f"{part}_pixels": images.pixels[positions, 0].numpy(),
            f"{part}_positions": positions.int().numpy(),
            f"{part}_labels": images.labels[positions].to(torch.uint8).numpy(),
        }
    np.savez_compressed(path, allow_pickle=False, **arrays)


def fashion_folder() -> Path:
    """Where the full Fashion-MNIST lies or will lie: Debian's dataset-fashion-mnist, else torchvision's download."""
    return DEBIAN_FASHION_FOLDER if DEBIAN_FASHION_FOLDER.is_dir() else data_folder() / "FashionMNIST" / "raw"


def full_fashion(folder: Path | None = None) -> tuple[ImageSet, ImageSet]:
    """All 60,000 training and 10,000 test images of Fashion-MNIST.

    From ``folder`` (the four IDX files, gzipped or not), else from ``fashion_folder()``, where torchvision's download puts
    what is not there yet. Raises InputError where a file is missing or no such file, or the download fails.
    """
    if folder is None:
        folder = fashion_folder()
        if folder != DEBIAN_FASHION_FOLDER:
            try:
                FashionMNIST(str(data_folder()), download=True)
            except (OSError, RuntimeError) as error:
                raise InputError(
                    f"Fashion-MNIST could not be fetched into {folder} ({error}); "
                    f"give a folder with its four IDX files."
                ) from error
    sets = []
    for prefix, title in (("train", "training"), ("t10k", "test")):
        pixels = read_idx(folder, f"{prefix}-images-idx3-ubyte")
        labels = read_idx(folder, f"{prefix}-labels-idx1-ubyte").long()
        if pixels.shape != (len(labels), 28, 28) or not set(labels.tolist()) <= set(range(10)):
            raise InputError(
                f"The {title} files in {folder} hold pixels of shape {tuple(pixels.shape)} and labels of shape "
                f"{tuple(labels.shape)}; expected 28 x 28 pixels an image, and for each one label from 0 to 9."
            )
        names = tuple(f"{FASHION_CLASSES[label]}, Fashion-MNIST {title} image {i}" for i, label in enumerate(labels))
        sets.append(ImageSet(f"{len(pixels):,} Fashion-MNIST {title} images", pixels[:, None], labels, names))
    return sets[0], sets[1]


def read_idx(folder: Path, name: str) -> torch.Tensor:
    """Read an IDX file of unsigned bytes (http://yann.lecun.com/exdb/mnist/), gzipped or not."""
    for path, opener in ((folder / name, open), (folder / f"{name}.gz", gzip.open)):
        if path.is_file():
            try:
                with opener(path, "rb") as file:
                    data = file.read()
                shape = np.frombuffer(data, ">i4", count=data[3], offset=4)
                return torch.from_numpy(np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape).copy())
            except (OSError, EOFError, ValueError, IndexError, zlib.error) as error:
                raise InputError(f"{path} is not a complete IDX file of bytes ({error}); fetch it again.") from error
    raise InputError(
        f"{folder} holds neither {name} nor {name}.gz; give a folder with the four IDX files of Fashion-MNIST."
    )


def sample_photos(preprocessing: AnyPreprocessing) -> ImageSet:
    """Four photos that come with scikit-image, made to fit; nobody has labelled them."""
    folder = Path(skimage_data.__file__).parent
    pixels = torch.stack([preprocessing.fit(open_photo(folder / file)) for file in SAMPLE_PHOTOS.values()])
    return ImageSet(f"{len(pixels)} sample photos of scikit-image", pixels, None, tuple(SAMPLE_PHOTOS))


def cached_cifar10() -> ImageSet | None:
    """The 10,000 CIFAR-10 test images, ordered by class, if torchvision's files lie in ``data_folder()``; else None."""
    try:
        cifar = CIFAR10(str(data_folder()), train=False)
    except RuntimeError:
        return None
    order = np.argsort(cifar.targets, kind="stable")
    labels = torch.tensor(cifar.targets)[order]
    pixels = torch.from_numpy(cifar.data[order]).permute(0, 3, 1, 2).contiguous()
    names = tuple(f"{CIFAR10_CLASSES[label]}, CIFAR-10 test image {i}" for label, i in zip(labels, order, strict=True))
    return ImageSet("10,000 CIFAR-10 test images", pixels, labels, names)


def image_folder(
    folder: Path,
    preprocessing: AnyPreprocessing,
    class_names: tuple[str, ...],
    folder_names: Mapping[str, int],
    limit: int | None,
) -> ImageSet:
    """Pictures in folders named for their classes, sorted by folder, then file name.

    A folder stands for a class by the class's name (its case does not matter, an underscore may stand for a space or a
    slash), by its index, or by an entry of ``folder_names`` (ImageNet's WordNet ids). With ``limit`` N, image
    floor(i * total / N) for i = 0 ... N - 1 is read. What systems and programs leave in folders is passed over; of what
    else is no picture the title says how many there are, and names some. Raises InputError for a folder that is missing
    or empty, or whose folders match no class.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give one that holds a folder of pictures for each class.")
    by_name = {as_folder_name(name): index for index, name in enumerate(class_names)}
    by_name |= {name: index for index, name in enumerate(class_names)}  # ImageNet has a Cardigan and a cardigan
    by_name |= {str(index): index for index in range(len(class_names))} | dict(folder_names)
    files: list[tuple[Path, int]] = []
    others = [path for path in brought(folder) if not path.is_dir()]
    for subfolder in (path for path in brought(folder) if path.is_dir()):
        pictures: list[Path] = []
        for path in brought(subfolder):
            (pictures if path.suffix.lower() in PICTURE_SUFFIXES and not path.is_dir() else others).append(path)
        if not pictures:
            continue
        label = by_name.get(subfolder.name, by_name.get(as_folder_name(subfolder.name)))
        if label is None:
            raise InputError(
                f"Folder {subfolder.name!r} in {folder} is none of this network's {len(class_names)} classes; "
                f"name it by class ({class_names[0].replace('/', '_')!r} ...) or by index (0 ... {len(class_names) - 1})."
            )
        files += [(picture, label) for picture in pictures]
    left_out = ""
    if others:
        some = ", ".join(str(path.relative_to(folder)) for path in others[:FEW])
        left_out = f"{len(others):,} left out: {some}{' ...' if len(others) > FEW else ''}"
    if not files:
        raise InputError(
            f"{folder} holds no pictures in class folders; expected {folder}/CLASS/PICTURE.png or similar"
            f"{f' ({left_out})' if left_out else ''}."
        )
    if limit is not None and limit < len(files):
        files = [files[i * len(files) // limit] for i in range(limit)]
    pixels = torch.stack([preprocessing.fit(open_photo(path)) for path, _ in files])
    names = tuple(f"{path.parent.name}/{path.name}" for path, _ in files)
    title = f"{len(files):,} images of {folder.name}" + (f" ({left_out})" if left_out else "")
    return ImageSet(title, pixels, torch.tensor([label for _, label in files]), names)


def brought(folder: Path) -> list[Path]:
    """What somebody has put into a folder, in order: without what systems and programs leave there."""
    return sorted(path for path in folder.iterdir() if not path.name.lower().startswith(LEFT_BY_SYSTEMS))


def as_folder_name(name: str) -> str:
    """A class's or folder's name as they are compared: 'T-shirt/top' cannot be a folder, 'T-shirt_top' can."""
    return name.lower().replace("_", " ").replace("/", " ")


@cache
def wordnet_ids() -> dict[str, int]:
    """ImageNet's WordNet ids -> class indices."""
    ids = (Path(__file__).parent / "imagenet-wordnet-ids.txt").read_text().split()
    return {wordnet_id: index for index, wordnet_id in enumerate(ids)}


def lesion_images() -> ImageSet:
    """The bundled test images of Fashion-MNIST."""
    return bundled_fashion("lesion")


def some_training_images(_: AnyPreprocessing) -> ImageSet:
    """A few of the bundled training images of Fashion-MNIST."""
    return bundled_fashion("training").limit(CALIBRATION_IMAGES)


def no_images() -> None:
    """ImageNet may not be given away."""


IMAGENET_CLASSES = tuple(get_model_weights("resnet18")["IMAGENET1K_V1"].meta["categories"])
FASHION_MNIST = Dataset("Fashion-MNIST", FASHION_CLASSES, lesion_images, some_training_images)
CIFAR_10 = Dataset("CIFAR-10", CIFAR10_CLASSES, cached_cifar10, sample_photos)
IMAGENET = Dataset("ImageNet", IMAGENET_CLASSES, no_images, sample_photos, wordnet_ids)
