"""Where images come from: the bundled set, IDX files, CIFAR-10's files, sample photos and folders of pictures."""

import gzip
import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10, FashionMNIST

from resnet_viz.errors import InputError
from resnet_viz.networks import datasets, zoo
from resnet_viz.networks.datasets import CIFAR10_CLASSES, FASHION_CLASSES, image_folder, wordnet_ids
from resnet_viz.networks.images import PICTURE_SUFFIXES, ImageSet, Preprocessing

SMALL = Preprocessing(resize=4, crop=4, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
IMAGENET_CLASSES = zoo.NETWORKS["imagenet-resnet18"].classes


# Fashion-MNIST.


@pytest.mark.parametrize(("part", "count", "source"), [("lesion", 1000, "test"), ("training", 4000, "training")])
def test_the_bundled_images_are_balanced_and_ordered_by_class(part, count, source):
    images = datasets.bundled_fashion(part)
    assert images.pixels.shape == (count, 1, 28, 28) and images.pixels.dtype == torch.uint8
    assert images.labels.tolist() == [label for label in range(10) for _ in range(count // 10)]
    for name, label in zip(images.names, images.labels, strict=True):
        assert name.startswith(f"{FASHION_CLASSES[label]}, Fashion-MNIST {source} image ")
    assert len(set(images.names)) == count
    assert f"{count:,}" in images.title and source in images.title


def test_the_bundled_parts_share_no_image():
    digests = [
        {image.numpy().tobytes() for image in datasets.bundled_fashion(part).pixels} for part in ("lesion", "training")
    ]
    assert not digests[0] & digests[1]


def test_bundling_takes_the_first_images_of_each_class(tmp_path, monkeypatch):
    generator = torch.Generator().manual_seed(0)

    def a_set(count: int) -> ImageSet:
        pixels = torch.randint(0, 256, (count, 1, 28, 28), dtype=torch.uint8, generator=generator)
        return ImageSet("all", pixels, torch.arange(count).flip(0) % 10, tuple(str(index) for index in range(count)))

    training, test = a_set(4010), a_set(1010)
    monkeypatch.setattr(datasets, "BUNDLED_FASHION", tmp_path / "bundle.npz")
    datasets.bundle_fashion(training, test, tmp_path / "bundle.npz")
    read = datasets.bundled_fashion.__wrapped__
    for part, whole, count in (("lesion", test, 100), ("training", training, 400)):
        images = read(part)
        positions = [int(name.rsplit(" ", 1)[1]) for name in images.names]
        expected = [(whole.labels == label).nonzero().flatten()[:count].tolist() for label in range(10)]
        assert positions == [position for positions_of_class in expected for position in positions_of_class]
        assert torch.equal(images.pixels, whole.pixels[positions])
        assert torch.equal(images.labels, whole.labels[positions])


def idx(array: np.ndarray) -> bytes:
    """An array of bytes as an IDX file: two zero bytes, 8 for unsigned bytes, the number of dimensions, the dimensions."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()


def idx_arrays(training: int = 12, test: int = 7) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    arrays = {}
    for prefix, count in (("train", training), ("t10k", test)):
        arrays[f"{prefix}-images-idx3-ubyte"] = generator.integers(0, 256, (count, 28, 28), np.uint8)
        arrays[f"{prefix}-labels-idx1-ubyte"] = generator.integers(0, 10, count).astype(np.uint8)
    return arrays


def write_idx(folder: Path, arrays: dict[str, np.ndarray], *, zipped: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        content = idx(array)
        (folder / f"{name}{'.gz' * zipped}").write_bytes(gzip.compress(content) if zipped else content)
    return folder


def assert_read(sets: tuple[ImageSet, ImageSet], arrays: dict[str, np.ndarray]) -> None:
    for images, prefix in zip(sets, ("train", "t10k"), strict=True):
        assert np.array_equal(images.pixels[:, 0].numpy(), arrays[f"{prefix}-images-idx3-ubyte"])
        assert images.pixels.shape[1:] == (1, 28, 28) and images.labels.dtype == torch.int64
        assert images.labels.tolist() == arrays[f"{prefix}-labels-idx1-ubyte"].tolist()
        assert len(images.names) == len(images)


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzipped"])
def test_idx_files_are_read_as_they_were_written(tmp_path, zipped):
    arrays = idx_arrays()
    assert_read(datasets.full_fashion(write_idx(tmp_path, arrays, zipped=zipped)), arrays)


def test_debians_folder_comes_first_then_the_downloaded_one(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_VIZ_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets, "DEBIAN_FASHION_FOLDER", tmp_path / "debian")
    downloaded = idx_arrays(training=5)
    write_idx(tmp_path / "cache" / "FashionMNIST" / "raw", downloaded)
    assert datasets.fashion_folder() == tmp_path / "cache" / "FashionMNIST" / "raw"
    assert_read(datasets.full_fashion(), downloaded)
    packaged = idx_arrays(training=6)
    write_idx(tmp_path / "debian", packaged)
    assert datasets.fashion_folder() == tmp_path / "debian"
    assert_read(datasets.full_fashion(), packaged)


def test_a_download_that_fails_is_told_every_time(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("RESNET_VIZ_DATA", str(tmp_path))
    monkeypatch.setattr(datasets, "DEBIAN_FASHION_FOLDER", tmp_path / "debian")
    monkeypatch.setattr(FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    for _ in range(2):  # the first try leaves an empty folder behind
        with pytest.raises(InputError, match="could not be fetched into"):
            datasets.full_fashion()


def test_a_missing_idx_file_is_named(tmp_path):
    write_idx(tmp_path, idx_arrays())
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match=r"neither t10k-labels-idx1-ubyte nor t10k-labels-idx1-ubyte\.gz"):
        datasets.full_fashion(tmp_path)
    with pytest.raises(InputError, match="nowhere"):
        datasets.full_fashion(tmp_path / "nowhere")


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("kept", [0, 3, 10, 300])
def test_a_cut_off_idx_file_is_named(tmp_path, zipped, kept):
    write_idx(tmp_path, idx_arrays(), zipped=zipped)
    path = tmp_path / f"train-images-idx3-ubyte{'.gz' * zipped}"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte.* is not a complete IDX file"):
        datasets.full_fashion(tmp_path)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("train-images-idx3-ubyte", np.zeros((12, 32, 32), np.uint8)),
        ("train-images-idx3-ubyte", np.zeros(12, np.uint8)),
        ("train-labels-idx1-ubyte", np.zeros(11, np.uint8)),
        ("train-labels-idx1-ubyte", np.full(12, 10, np.uint8)),
    ],
    ids=["other size", "no images", "too few labels", "an eleventh class"],
)
def test_idx_files_of_something_else_are_refused(tmp_path, name, array):
    write_idx(tmp_path, idx_arrays() | {name: array})
    with pytest.raises(InputError, match=r"training files .* expected 28 x 28"):
        datasets.full_fashion(tmp_path)


# CIFAR-10 and the sample photos.


def write_cifar(folder: Path, monkeypatch) -> dict:
    """A CIFAR-10 of one small test batch, in the original's format."""
    generator = np.random.default_rng(0)
    batch = {"data": generator.integers(0, 256, (6, 3072), np.uint8), "labels": [5, 0, 9, 0, 5, 2]}
    meta = {"label_names": list(CIFAR10_CLASSES)}
    base = folder / CIFAR10.base_folder
    base.mkdir(parents=True)
    digests = {}
    for name, content in (("test_batch", batch), ("batches.meta", meta)):
        (base / name).write_bytes(pickle.dumps(content))
        digests[name] = hashlib.md5((base / name).read_bytes()).hexdigest()
    monkeypatch.setattr(CIFAR10, "train_list", [])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", digests["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": digests["batches.meta"]})
    return batch


def test_cifar10_is_ordered_by_class_where_it_lies_in_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_VIZ_DATA", str(tmp_path))
    batch = write_cifar(tmp_path, monkeypatch)
    images = datasets.cached_cifar10()
    order = [1, 3, 5, 0, 4, 2]
    assert images.labels.tolist() == [0, 0, 2, 5, 5, 9]
    assert np.array_equal(images.pixels.flatten(1).numpy(), batch["data"][order])
    assert images.names[2] == "bird, CIFAR-10 test image 5"
    limited = zoo.images_of(zoo.NETWORKS["cifar10-resnet20"], limit=3)
    assert limited.labels.tolist() == [0, 2, 5]


def test_a_cifar10_that_is_missing_or_damaged_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_VIZ_DATA", str(tmp_path / "nowhere"))
    assert datasets.cached_cifar10() is None
    monkeypatch.setenv("RESNET_VIZ_DATA", str(tmp_path))
    write_cifar(tmp_path, monkeypatch)
    with (tmp_path / CIFAR10.base_folder / "test_batch").open("ab") as file:
        file.write(b"!")
    assert datasets.cached_cifar10() is None


@pytest.mark.parametrize("name", ["fashion-resnet20", "cifar10-resnet20", "imagenet-resnet18"])
def test_sample_photos_fit_every_family_and_have_no_labels(name):
    preprocessing = zoo.NETWORKS[name].preprocessing
    photos = datasets.sample_photos(preprocessing)
    assert photos.labels is None and photos.names == ("cat", "coffee", "rocket", "astronaut")
    assert photos.pixels.shape == (4, preprocessing.channels, preprocessing.crop, preprocessing.crop)
    assert all(image.float().std() > 10 for image in photos.pixels)


# Folders of pictures.


def write_pictures(folder: Path, colours: dict[str, list[int]], suffix: str = "png") -> Path:
    """A folder for each class with pictures of these greys."""
    for name, greys in colours.items():
        (folder / name).mkdir(parents=True)
        for index, grey in enumerate(greys):
            Image.new("RGB", (5, 5), (grey, grey, grey)).save(folder / name / f"{index:02}.{suffix}")
    return folder


def read_pictures(folder: Path, limit: int | None = None) -> ImageSet:
    return image_folder(folder, SMALL, CIFAR10_CLASSES, {}, limit)


def test_pictures_are_sorted_by_folder_then_file_name(tmp_path):
    write_pictures(tmp_path, {"dog": [10, 11], "airplane": [20], "cat": [30, 31]})
    (tmp_path / "dog" / "01.png").rename(tmp_path / "dog" / "-first.png")
    images = read_pictures(tmp_path)
    assert images.names == ("airplane/00.png", "cat/00.png", "cat/01.png", "dog/-first.png", "dog/00.png")
    assert images.labels.tolist() == [0, 3, 3, 5, 5]
    assert images.pixels[:, 0, 0, 0].tolist() == [20, 30, 31, 11, 10]
    assert images.pixels.shape == (5, 3, 4, 4)


@pytest.mark.parametrize("limit", [1, 3, 4, 7, 10, 50])
def test_a_limit_reads_the_stated_images_and_no_other(tmp_path, limit):
    write_pictures(tmp_path, {"cat": list(range(4)), "dog": list(range(4, 10))})
    expected = [i * 10 // limit for i in range(limit)] if limit < 10 else list(range(10))
    for index, path in enumerate(sorted(tmp_path.rglob("*.png"))):
        if index not in expected:
            path.write_bytes(b"not read")
    images = read_pictures(tmp_path, limit)
    assert images.pixels[:, 0, 0, 0].tolist() == expected
    assert images.labels.tolist() == [3 if index < 4 else 5 for index in expected]


@pytest.mark.parametrize(
    ("folder", "classes", "label"),
    [
        ("dog", CIFAR10_CLASSES, 5),
        ("DOG", CIFAR10_CLASSES, 5),
        ("5", CIFAR10_CLASSES, 5),
        ("0", CIFAR10_CLASSES, 0),
        ("T-shirt_top", FASHION_CLASSES, 0),
        ("t-shirt top", FASHION_CLASSES, 0),
        ("ankle_boot", FASHION_CLASSES, 9),
        ("Ankle boot", FASHION_CLASSES, 9),
        ("n02123045", IMAGENET_CLASSES, 281),
        ("N02123045", IMAGENET_CLASSES, 281),
        ("tabby", IMAGENET_CLASSES, 281),
        ("281", IMAGENET_CLASSES, 281),
        ("African_elephant", IMAGENET_CLASSES, 386),
        ("Cardigan", IMAGENET_CLASSES, 264),  # the dog
        ("cardigan", IMAGENET_CLASSES, 474),  # the garment
        ("n02113186", IMAGENET_CLASSES, 264),
    ],
)
def test_a_folder_is_matched_by_name_index_or_wordnet_id(tmp_path, folder, classes, label):
    write_pictures(tmp_path, {folder: [1]})
    images = image_folder(tmp_path, SMALL, classes, wordnet_ids() if classes is IMAGENET_CLASSES else {}, None)
    assert images.labels.tolist() == [label]


@pytest.mark.parametrize("folder", ["unicorn", "10", "-1", "n02123045"])
def test_a_folder_that_is_no_class_is_told_with_what_is_possible(tmp_path, folder):
    write_pictures(tmp_path, {"dog": [1], folder: [1]})
    with pytest.raises(InputError, match=rf"'{folder}'.*10 classes.*'airplane' \.\.\.\).*0 \.\.\. 9"):
        read_pictures(tmp_path)


@pytest.mark.parametrize("suffix", [*(suffix[1:] for suffix in PICTURE_SUFFIXES), "JPEG", "TIF"])
def test_pictures_are_known_by_their_suffix(tmp_path, suffix):
    write_pictures(tmp_path, {"dog": [1]}, suffix)
    (tmp_path / "dog" / "notes.txt").write_text("no picture")
    (tmp_path / "readme.png").write_text("not in a class folder")
    (tmp_path / "empty").mkdir()
    assert len(read_pictures(tmp_path)) == 1


LEFT_BY_PROGRAMS = [".ipynb_checkpoints", "__MACOSX", ".git", "@eaDir", "$RECYCLE.BIN", "System Volume Information"]


@pytest.mark.parametrize("system", LEFT_BY_PROGRAMS)
def test_what_systems_leave_in_folders_is_passed_over(tmp_path, system):
    write_pictures(tmp_path, {"dog": [1, 2], "cat": [3], system: [4]})
    write_pictures(tmp_path / "dog", {system: [5]})
    for name in ("._00.png", ".DS_Store", "Thumbs.db", "DESKTOP.INI"):
        for folder in (tmp_path, tmp_path / "dog"):
            (folder / name).write_bytes(b"\x00\x05\x16\x07")
    images = read_pictures(tmp_path)
    assert images.names == ("cat/00.png", "dog/00.png", "dog/01.png")
    assert images.title == f"3 images of {tmp_path.name}"


def test_what_else_is_no_picture_is_counted_and_named(tmp_path):
    write_pictures(tmp_path, {"dog": [1, 2], "cat": [3]})
    write_pictures(tmp_path / "dog", {"puppies": [4, 5]})
    for name in ("cat/a.heic", "dog/film.mp4", "labels.csv"):
        (tmp_path / name).write_bytes(b"")
    left_out = "4 left out: labels.csv, cat/a.heic, dog/film.mp4 ..."
    assert read_pictures(tmp_path).title == f"3 images of {tmp_path.name} ({left_out})"
    assert read_pictures(tmp_path, limit=2).title == f"2 images of {tmp_path.name} ({left_out})"


def test_a_folder_of_other_files_alone_says_what_was_found(tmp_path):
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "a.heic").write_bytes(b"")
    with pytest.raises(InputError, match=r"no pictures in class folders; .* \(1 left out: dog/a\.heic\)\.$"):
        read_pictures(tmp_path)


def test_folders_without_pictures_are_told(tmp_path):
    with pytest.raises(InputError, match="no pictures in class folders"):
        read_pictures(tmp_path)
    (tmp_path / "dog").mkdir()
    with pytest.raises(InputError, match="no pictures in class folders"):
        read_pictures(tmp_path)
    with pytest.raises(InputError, match="nowhere is not a folder"):
        read_pictures(tmp_path / "nowhere")


def test_a_picture_that_cannot_be_read_is_named(tmp_path):
    write_pictures(tmp_path, {"dog": [1, 2]})
    (tmp_path / "dog" / "01.png").write_text("no picture")
    with pytest.raises(InputError, match=r"dog/01\.png"):
        read_pictures(tmp_path)
