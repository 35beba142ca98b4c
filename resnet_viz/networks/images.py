"""Images as a network takes them: pixels of a set, normalisation, and a visitor's own photo made to fit."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms import functional as transforms

from ..errors import InputError

PIXEL_LIMIT = 50_000_000  # of a visitor's photo, width times height


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
        """uint8 (batch, channels, height, width), 0 ... 255 -> float32 of the same shape, in channels_last."""
        mean = torch.tensor(self.mean, device=pixels.device).view(1, -1, 1, 1)
        std = torch.tensor(self.std, device=pixels.device).view(1, -1, 1, 1)
        return ((pixels.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)

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
        return transforms.pil_to_tensor(transforms.center_crop(photo, [self.crop]))


@dataclass(frozen=True)
class ImageSet:
    """Images of one size with their labels, in a fixed order.

    ``pixels``: uint8 (images, channels, height, width); ``labels``: int64 (images,), or None where nobody knows them.
    """

    title: str
    pixels: Tensor
    labels: Tensor | None
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pixels)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of pixels and labels: the key under which results may be kept."""
        labels = b"" if self.labels is None else self.labels.numpy().tobytes()
        return hashlib.sha256(self.pixels.contiguous().numpy().tobytes() + labels).hexdigest()

    def subset(self, indices: list[int]) -> "ImageSet":
        """The images at ``indices``, in that order."""
        labels = None if self.labels is None else self.labels[indices]
        return ImageSet(self.title, self.pixels[indices], labels, tuple(self.names[i] for i in indices))

    def limit(self, count: int) -> "ImageSet":
        """``count`` images spread evenly: image floor(i * total / count) for i = 0 ... count - 1 (all, if there are fewer)."""
        if count >= len(self):
            return self
        part = self.subset([i * len(self) // count for i in range(count)])
        return replace(part, title=f"{count:,} of {self.title}")


def open_photo(source: Path | BinaryIO) -> Image.Image:
    """Open a picture of any mode as RGB, turned upright by its EXIF tag, transparency laid on white.

    Raises InputError for anything that is not a picture, is damaged, or has more than PIXEL_LIMIT pixels.
    """
    name = source if isinstance(source, Path) else getattr(source, "name", "The file")
    try:
        with Image.open(source) as file:
            photo: Image.Image = file
            if photo.width * photo.height > PIXEL_LIMIT:
                raise InputError(
                    f"{name} has {photo.width} x {photo.height} pixels; expected at most "
                    f"{PIXEL_LIMIT // 1_000_000} million: make it smaller."
                )
            photo = ImageOps.exif_transpose(photo)
            if photo.mode.startswith("I") or photo.mode == "F":
                values = np.asarray(photo, np.float64)
                top = 65535 if values.max() > 255 else 255
                photo = Image.fromarray((values.clip(0, top) * (255 / top)).astype(np.uint8))
            if photo.has_transparency_data:
                photo = photo.convert("RGBA")
                photo = Image.alpha_composite(Image.new("RGBA", photo.size, "white"), photo)
            return photo.convert("RGB")
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{name} has far more than {PIXEL_LIMIT // 1_000_000} million pixels; make it smaller."
        ) from error
    except UnidentifiedImageError as error:
        raise InputError(
            f"{name} is not a picture that can be read; give a PNG, JPEG, WebP, GIF, BMP or TIFF file."
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{name} cannot be read as a picture ({error}); give a whole PNG, JPEG, WebP, GIF, BMP or TIFF file."
        ) from error
