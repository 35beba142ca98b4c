"""The loss that everything is asked of: each image's cross-entropy against its label, and what it can be asked of."""

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError, NotFinite


def image_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Each image's cross-entropy, (images,). Raises InputError for labels that do not fit, NotFinite for such logits."""
    return functional.cross_entropy(finite(logits), checked(labels, logits).to(logits.device), reduction="none")


def loss_gradient(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """d loss / d logits as a direction and a size: (images, classes), whose largest value is 1, and (images,), both float64.

    The softmax less the one-hot label, but without their difference: for a network that is sure of the label it would be
    rounding, or 0. Apart from its size, the gradient vanishes in no precision. Raises InputError for labels that do not fit.
    """
    labels = checked(labels, logits).cpu()[:, None]
    others = logits.detach().cpu().double().log_softmax(1).scatter(1, labels, -torch.inf)
    size = others.logsumexp(1, keepdim=True)
    direction = (others - size).exp().scatter(1, labels, -1.0)
    return direction.to(logits.device), size.exp()[:, 0].to(logits.device)


def finite(logits: Tensor) -> Tensor:
    """The logits. Raises NotFinite where one is NaN or infinite."""
    if not logits.isfinite().all():
        raise NotFinite(
            "The network's output must be finite; got NaN or infinite logits, of which nothing can be said: look for NaN in the "
            "weights and images, or for values too large for their precision."
        )
    return logits


def checked(labels: Tensor, logits: Tensor) -> Tensor:
    """The labels, int64. Raises InputError where they are not one class for each row of the logits."""
    images, classes = logits.shape
    wanted = f"Labels must be whole numbers from 0 to {classes - 1}, one for each of {images} images"
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise InputError(f"{wanted}; got {labels.dtype}: give class numbers, labels.long() where they are whole.")
    if labels.shape != (images,):
        cure = ": give labels.argmax(1)." if labels.shape == logits.shape else "."
        raise InputError(f"{wanted}; got a tensor of shape {tuple(labels.shape)}{cure}")
    low, high = (int(labels.min()), int(labels.max())) if images else (0, 0)
    if low < 0 or high >= classes:
        cure = "leave out images without a class." if low < 0 else "they belong to a network of more classes."
        if low > 0 and high == classes:
            cure = "they seem to count from 1, so subtract 1."
        raise InputError(f"{wanted}; got {low} to {high}: {cure}")
    return labels.long()
