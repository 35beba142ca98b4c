"""Images as small pictures."""

import io

import torch
from PIL import Image

from ..networks.images import ImageSet

__all__ = ["picture", "thumbnail"]


def picture(pixels: torch.Tensor) -> Image.Image:
    """uint8 pixels (channels, height, width) as a PIL image."""
    array = pixels.permute(1, 2, 0).numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def thumbnail(images: ImageSet, position: int, size: int) -> bytes:
    """A PNG of ``size`` x ``size`` pixels."""
    buffer = io.BytesIO()
    picture(images.pixels[position]).resize((size, size), Image.Resampling.BILINEAR).save(buffer, "PNG")
    return buffer.getvalue()
