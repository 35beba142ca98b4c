"""Images as a network takes them: those of a set, normalisation, and a visitor's own photo made to fit."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

import numpy as np
import torch
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms import functional as transforms

from ..errors import InputError
from .file_kinds import HEIC, kind_of, start_of
from .network import ResidualNetwork, not_plain

__all__ = [
    "FORMATS_TOLD",
    "PICTURE_SUFFIXES",
    "PIXEL_LIMIT",
    "AnyPreprocessing",
    "AsGiven",
    "ImageSet",
    "Preprocessing",
    "open_photo",
]

PIXEL_LIMIT = 50_000_000  # of a visitor's photo, width times height
LEAST_WHITE = 0.25  # of the range in which a picture is stored: one that is darker throughout is likely of fewer bits
OTHER_TIFF = "is a TIFF of a kind that is not read here; give a TIFF of 8 bits, grey or RGB, its channels interleaved"
# The formats that are read, with the suffixes of their files. Pillow knows some thirty more, and starts Ghostscript for one.
PICTURE_FORMATS = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "WebP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "AVIF": (".avif", ".avifs"),
}
PICTURE_SUFFIXES = tuple(suffix for suffixes in PICTURE_FORMATS.values() for suffix in suffixes)
FORMATS_TOLD = f"{', '.join(list(PICTURE_FORMATS)[:-1])} or {list(PICTURE_FORMATS)[-1]}"


@dataclass(frozen=True)
class Preprocessing:
    """How a photo becomes a network's input: short side to ``resize``, centre ``crop``, then (x / 255 - mean) / std."""

    resize: int
    crop: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def channels(self) -> int:
        return len(self.mean)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image, as the network takes it."""
        return self.channels, self.crop, self.crop

    def normalise(self, pixels: Tensor) -> Tensor:
        """uint8 (batch, channels, height, width), 0 ... 255 -> float32 of the same shape, in channels_last.

        Raises InputError for pixels of another type or shape, or with another number of channels.
        """
        check_pixels(pixels)
        if pixels.shape[1] != self.channels:
            cure = "give images of the kind that the network was trained on"
            if pixels.shape[3] == self.channels:
                cure = "write pixels.permute(0, 3, 1, 2)"
            elif pixels.shape[1] == 1:
                cure = f"write pixels.expand(-1, {self.channels}, -1, -1)"
            elif pixels.shape[1] == self.channels + 1 and self.channels in (1, 3):  # with transparency
                cure = f"write pixels[:, :{self.channels}]"
            raise InputError(
                f"Pixels must have the shape (images, {self.channels}, height, width) for this network; got "
                f"{tuple(pixels.shape)}: {cure}."
            )
        mean = torch.tensor(self.mean, device=pixels.device).view(1, -1, 1, 1)
        std = torch.tensor(self.std, device=pixels.device).view(1, -1, 1, 1)
        return ((pixels.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)

    def inputs_of(self, network: ResidualNetwork, pixels: Tensor) -> Tensor:
        """Pixels normalised, where the network's weights are and in their precision."""
        weights = next(network.parameters())
        return self.normalise(pixels.to(weights.device)).to(weights.dtype)

    def fit(self, photo: Image.Image) -> Tensor:
        """A photo (mode RGB) as uint8 pixels (channels, crop, crop).

        For a network of one channel it is turned grey, and inverted if its border is light: Fashion-MNIST shows light
        things on black.
        """
        if self.channels == 1:
            photo = photo.convert("L")
            pixels = np.asarray(photo)
            border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
            if np.median(border) > 127:
                photo = ImageOps.invert(photo)
        short = min(photo.size)  # a strip is cropped first: made to fit, its long side could take all memory
        photo = transforms.center_crop(photo, [min(photo.height, 8 * short), min(photo.width, 8 * short)])
        photo = transforms.resize(photo, [self.resize], antialias=True)
        return cast(Tensor, transforms.pil_to_tensor(transforms.center_crop(photo, [self.crop])))


@dataclass(frozen=True)
class AsGiven:
    """Images come as the network takes them: ``shape`` each, of any number of dimensions, normalised by whoever has them."""

    shape: tuple[int, ...]

    def normalise(self, inputs: Tensor) -> Tensor:
        """The same tensor, (batch, *shape). Raises InputError for one that is of whole numbers, or of another shape."""
        check_inputs(inputs)
        if inputs.shape[1:] != self.shape:
            raise InputError(
                f"Images must have the shape (images, {', '.join(map(str, self.shape))}); got {tuple(inputs.shape)}."
            )
        return inputs

    def inputs_of(self, network: ResidualNetwork, inputs: Tensor) -> Tensor:
        """The same images, where the network's weights are and in their precision."""
        return self.normalise(inputs).to(next(network.parameters()))

    def fit(self, _: Image.Image) -> Tensor:
        """Raises InputError: nobody has said how a photo becomes an input."""
        raise InputError(
            "This network's images come normalised; a photo cannot be made one of them: hand the network over with uint8 images and "
            "a preprocessing."
        )


AnyPreprocessing: TypeAlias = Preprocessing | AsGiven


@dataclass(frozen=True)
class ImageSet:
    """Images of one size with their labels, in a fixed order.

    ``pixels``: uint8 (images, channels, height, width), or where ``normalised`` floating numbers (images, channels, ...) as
    ``AsGiven`` takes them; ``labels``: int64 (images,), or None where nobody knows them; ``names``: one for each image. Raises
    InputError for anything else.
    """

    title: str
    pixels: Tensor
    labels: Tensor | None
    names: tuple[str, ...]
    normalised: bool = False

    def __post_init__(self) -> None:
        (check_inputs if self.normalised else check_pixels)(self.pixels)
        if self.labels is not None:
            check_labels(self.labels, len(self.pixels))
        if len(self.names) != len(self.pixels):
            raise InputError(f"Names must be one for each of {len(self.pixels):,} images; got {len(self.names):,}.")

    def __len__(self) -> int:
        return len(self.pixels)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of pixels and labels: the key under which results may be kept."""
        labels = b"" if self.labels is None else self.labels.numpy().tobytes()
        return hashlib.sha256(self.pixels.contiguous().numpy().tobytes() + labels).hexdigest()

    @cached_property
    def name(self) -> str:
        """SHA-256 of all that it holds, title and names included."""
        return hashlib.sha256("\n".join([self.digest, self.title, *self.names]).encode()).hexdigest()

    def subset(self, indices: list[int]) -> "ImageSet":
        """The images at ``indices``, in that order."""
        labels = None if self.labels is None else self.labels[indices]
        return replace(self, pixels=self.pixels[indices], labels=labels, names=tuple(self.names[i] for i in indices))

    def limit(self, count: int) -> "ImageSet":
        """``count`` images spread evenly (all, if there are fewer)."""
        if count >= len(self):
            return self
        return replace(self.subset(self.spread(count)), title=f"{count:,} of {self.title}")

    def parts(self, size: int) -> list["ImageSet"]:
        """``size`` images each, one after the other; the last part may be smaller."""
        order = range(len(self))
        return [self.subset([*order[first : first + size]]) for first in order[::size]]

    def spread(self, count: int) -> list[int]:
        """The positions of ``count`` images spread evenly: floor(i * total / count) for i = 0 ... count - 1 (all, if there are
        fewer)."""
        count = min(count, len(self))
        return [i * len(self) // count for i in range(count)]


def check_inputs(inputs: Tensor) -> None:
    """Raise InputError for anything but a tensor of finite floating numbers (images, channels, ...)."""
    wanted = "Images must be a tensor of finite floating numbers (images, channels, ...), normalised as the network takes them"
    if not isinstance(inputs, Tensor):
        raise InputError(f"{wanted}; got a {type(inputs).__name__}: make one by torch.stack or torch.from_numpy.")
    if other := not_plain(inputs, "images"):
        raise InputError(f"{wanted}; got {other}.")
    if not inputs.numel():
        raise InputError(f"{wanted}; got none: their shape is {tuple(inputs.shape)}.")
    if inputs.ndim < 3:
        raise InputError(f"{wanted}; got the shape {tuple(inputs.shape)}: write images[None] for a single one.")
    if not inputs.is_floating_point():
        raise InputError(f"{wanted}; got {str(inputs.dtype).removeprefix('torch.')}: normalise them.")
    if lost := int((~inputs.isfinite()).any(1).flatten(1).any(1).sum()):
        raise InputError(f"{wanted}; got NaN or infinity in {lost} of {len(inputs)}: leave these out.")


def check_pixels(pixels: Tensor) -> None:
    """Raise InputError for anything but a tensor of uint8 (images, channels, height, width), with the way to make it one."""
    if not isinstance(pixels, Tensor):
        raise InputError(f"Pixels must be a torch tensor of uint8; got {type(pixels).__name__}: torch.from_numpy(...).")
    if other := not_plain(pixels, "pixels"):
        raise InputError(f"Pixels must be a plain tensor of uint8; got {other}.")
    if pixels.ndim != 4 or not pixels.numel():
        raise InputError(
            f"Pixels must have the shape (images, channels, height, width), none of them 0; got {tuple(pixels.shape)}: "
            f"write pixels[None] for a single image, pixels[:, None] for grey images without channels, pixels[None, None] for a "
            "single one of these."
        )
    if pixels.dtype == torch.uint8:
        return
    low, high = (value.item() for value in pixels.float().aminmax())
    if pixels.dtype == torch.bool:
        cure = "write pixels.to(torch.uint8) * 255"
    elif pixels.is_floating_point() and low >= 0 and high <= 1:
        cure = "write (pixels.float() * 255).round().to(torch.uint8)"
    elif low >= 0 and high <= 255:
        cure = f"write pixels{'.round()' * pixels.is_floating_point()}.to(torch.uint8)"
    else:
        cure = "undo any normalisation, scale them to 0 ... 255, round them and convert them to uint8"
    kind = str(pixels.dtype).removeprefix("torch.")
    raise InputError(f"Pixels must be uint8 from 0 to 255; got {kind} from {low:.4g} to {high:.4g}: {cure}.")


def check_labels(labels: Tensor, count: int) -> None:
    """Raise InputError for anything but a tensor of int64 (count,), none of them negative."""
    if not isinstance(labels, Tensor):
        raise InputError(f"Labels must be a torch tensor of int64; got {type(labels).__name__}: torch.tensor(labels).")
    if other := not_plain(labels, "labels"):
        raise InputError(f"Labels must be a plain tensor of int64; got {other}.")
    if labels.dtype != torch.int64 or labels.shape != (count,):
        cure = "give one for each image"
        if labels.numel() == count:
            cure = "write labels.flatten().long()"
        elif labels.ndim == 2 and len(labels) == count:
            cure = "write labels.argmax(1)"
        raise InputError(
            f"Labels must be int64 of the shape ({count},), the index of each image's class; got "
            f"{str(labels.dtype).removeprefix('torch.')} of the shape {tuple(labels.shape)}: {cure}."
        )
    if labels.min() < 0:
        raise InputError(f"Labels must be 0 or more; got {labels.min()}: leave out the images that have none.")


def open_photo(source: Path | BinaryIO) -> Image.Image:
    """Open a picture of any mode as RGB, turned upright by its EXIF tag, transparency laid on white; of several in one
    file (an animation, pages), the first.

    The file's content alone decides which of PICTURE_FORMATS it is. Raises InputError for anything else, for what is
    damaged, has more than PIXEL_LIMIT pixels, or holds numbers that do not say what white is (``to_bytes``).
    """
    name = source if isinstance(source, Path) else getattr(source, "name", "The file")
    try:
        with Image.open(source, formats=tuple(PICTURE_FORMATS)) as file:
            photo: Image.Image = file
            if photo.width * photo.height > PIXEL_LIMIT:
                raise InputError(
                    f"{name} has {photo.width} x {photo.height} pixels; expected at most "
                    f"{PIXEL_LIMIT // 1_000_000} million: make it smaller."
                )
            stored = " ".join(str(tile[3]) for tile in file.tile)  # how the decoder names the numbers in the file
            if file.format == "TIFF" and is_misread(file, stored):
                raise InputError(f"{name} {OTHER_TIFF}.")
            photo = ImageOps.exif_transpose(photo)
            if photo.mode.startswith("I;16"):
                photo = to_bytes(photo, name, (4095,) if ";12" in stored else (65535,))
            elif photo.mode == "I":
                declared = file.format == "PPM"  # which says what white is, and is scaled so, however dark it is
                tops = (255,) if ";16S" in stored else (255, 65535)
                photo = to_bytes(photo, name, (65535,) if declared else tops, least=0.0 if declared else LEAST_WHITE)
            elif photo.mode == "F":
                photo = to_bytes(photo, name, (1, 255))
            elif ";16" in stored and photo.mode in ("RGB", "RGBA", "LA"):  # the decoder kept the upper 8 bits
                brightest = np.asarray(photo)[..., : len(photo.getbands()) - ("A" in photo.mode)].max()
                if 0 < brightest < LEAST_WHITE * 255:
                    raise InputError(unknown_white(name, 0, (int(brightest) + 1) * 256 - 1))
            if photo.has_transparency_data:
                photo = photo.convert("RGBA")
                photo = Image.alpha_composite(Image.new("RGBA", photo.size, "white"), photo)
            return photo.convert("RGB")
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{name} has far more than {PIXEL_LIMIT // 1_000_000} million pixels; make it smaller."
        ) from error
    except Exception as error:  # a damaged file makes decoders raise almost anything
        raise InputError(f"{name} {not_read(source, error)}.") from error


def is_misread(tiff: Image.Image, stored: str) -> bool:
    """Whether the decoder would read a TIFF of more than 8 bits wrongly: as bytes, where the channels lie apart, or as
    its negative."""
    tags = tiff.tag_v2  # type: ignore[attr-defined]
    bits, photometric = (
        tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,)),
        tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION),
    )
    return max(bits) > 8 and (";" not in stored or photometric == 0)


def to_bytes(photo: Image.Image, name: object, tops: tuple[int, ...], least: float = LEAST_WHITE) -> Image.Image:
    """A grey picture of large or fractional numbers in 8 bits, mode L, white the one of ``tops`` that its brightest
    pixel comes near.

    Raises InputError for numbers that are not finite or negative, or whose brightest is above all ``tops`` or below the
    share ``least`` of each, as where 12 bits lie in 16.
    """
    values = np.asarray(photo, np.float64)
    if lost := int((~np.isfinite(values)).sum()):
        raise InputError(
            f"{name} has NaN or infinity in {lost:,} of {values.size:,} pixels; fill them and save it again."
        )
    low, high = values.min(), values.max()
    top = next((top for top in tops if least * top <= high <= top), None)
    if low < 0 or (top is None and high > 0):
        raise InputError(unknown_white(name, low, high))
    return Image.fromarray((values * (255 / (top or 1))).astype(np.uint8))


def unknown_white(name: object, low: float, high: float) -> str:
    return (
        f"{name} has values from {low:.4g} to {high:.4g}, which do not say what is black and what is white; save it in 8 bits: "
        'Image.fromarray(((values - black) / (white - black) * 255).clip(0, 255).astype("uint8")).save("picture.png").'
    )


def not_read(source: Path | BinaryIO, error: Exception) -> str:
    """What keeps a file from being read as a picture, and the cure."""
    try:
        start = start_of(source)
    except (OSError, ValueError):
        start = b""
    kind = kind_of(start)
    if kind == HEIC:
        return f"is {kind}, which is not read here; export it as JPEG"
    if kind:
        return f"is {kind}, which is not read here; give a {FORMATS_TOLD} file"
    if isinstance(error, UnidentifiedImageError):
        if start.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")):
            return OTHER_TIFF
        return f"is not a picture that can be read; give a {FORMATS_TOLD} file"
    return f"cannot be read as a picture ({error}); give a whole {FORMATS_TOLD} file"
