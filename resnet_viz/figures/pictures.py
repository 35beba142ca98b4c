"""Images, and what else has places, as pictures."""

import io

import numpy as np
from PIL import Image

from ..networks.device import array_of
from ..networks.images import ImageSet

__all__ = ["flat", "picture", "pixels_of", "square", "thumbnail"]

LONGEST = 4  # times its other side: a picture that is longer would be a hairline if its pixels were square


def flat(values: np.ndarray) -> np.ndarray:
    """(channels, height, width) of an array with other dimensions: a signal, or tokens, is one picture with a row for each channel or
    token; numbers in a row are a square, read row by row and filled up with NaN; of a volume it is the middle slice."""
    if values.ndim == 1:
        side = -int(-(len(values) ** 0.5) // 1)
        values = np.pad(values.astype(float), (0, side**2 - len(values)), constant_values=np.nan).reshape(side, side)
    while values.ndim > 3:
        values = values[:, values.shape[1] // 2]
    return values if values.ndim == 3 else values[None]


def square(height: int, width: int) -> bool:
    """Whether a picture of so many pixels is drawn with square ones."""
    return max(height, width) <= LONGEST * min(height, width)


def pixels_of(images: ImageSet, position: int) -> np.ndarray:
    """An image to look at: uint8 (1 or 3 channels, height, width). Of normalised numbers the least is black and the largest white; of
    other channels than 1 or 3 it is the mean."""
    values = flat(array_of(images.pixels[position]))
    if len(values) not in (1, 3):
        values = values.mean(0, keepdims=True)
    if not images.normalised:
        return values.astype(np.uint8)
    low, high = values.min(), values.max()
    shares: np.ndarray = (values - low) / (high - low or 1)
    return (255 * shares).round().astype(np.uint8)


def picture(pixels: np.ndarray) -> Image.Image:
    """uint8 pixels (channels, height, width) as a PIL image."""
    array = pixels.transpose(1, 2, 0)
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def thumbnail(images: ImageSet, position: int, size: int) -> bytes:
    """A PNG of ``size`` x ``size`` pixels."""
    buffer = io.BytesIO()
    picture(pixels_of(images, position)).resize((size, size), Image.Resampling.BILINEAR).save(buffer, "PNG")
    return buffer.getvalue()
