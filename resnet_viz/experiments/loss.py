"""The loss that everything is asked of: each image's cross-entropy against its label, and what it can be asked of."""

from operator import index

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError, NotFinite
from ..networks.network import check_batch, not_plain

__all__ = ["checked", "finite", "image_losses", "labels_of", "logit_of", "loss_gradient"]


def image_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Each image's cross-entropy, (images,). Raises InputError for labels that do not fit, NotFinite for such logits.

    In float64, since in float32 the loss of a sure network would be 0; on MPS, which has no float64, as the logits are.
    """
    precise = finite(logits) if logits.device.type == "mps" else finite(logits).double()
    return functional.cross_entropy(precise, checked(labels, logits).to(logits.device), reduction="none")


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


def finite(output: Tensor, kind: str = "logits") -> Tensor:
    """The output. Raises NotFinite where a number of it is NaN or infinite."""
    if not output.isfinite().all():
        raise NotFinite(
            f"The network's output must be finite; got NaN or infinite {kind}, of which nothing can be said: look for NaN or "
            "infinity in the weights and images, or for values too large for their precision."
        )
    return output


def labels_of(images: Tensor, labels: Tensor) -> Tensor:
    """The labels, before a batch is cut into parts. Raises InputError unless both are plain tensors of one length."""
    check_batch(images)
    wanted = f"Labels must be a plain tensor of class numbers, one for each of {len(images)} images"
    if not isinstance(labels, Tensor):
        raise InputError(f"{wanted}; got a {type(labels).__name__}: write torch.tensor(...) of whole numbers.")
    if other := not_plain(labels, "labels"):
        raise InputError(f"{wanted}; got {other}.")
    if labels.shape[:1] != (len(images),):
        raise InputError(f"{wanted}; got a tensor of shape {tuple(labels.shape)}: give as many of both.")
    return labels


def checked(labels: Tensor, logits: Tensor) -> Tensor:
    """The labels, int64. Raises InputError where they are not one class for each row of the logits."""
    images, classes = logits.shape
    wanted = f"Labels must be whole numbers from 0 to {classes - 1}, one for each of {images} images"
    kind = labels_of(logits, labels).dtype
    if kind.is_floating_point or kind.is_complex or kind == torch.bool:
        cure = (
            "labels.argmax(1)" if labels.shape == logits.shape else "class numbers, labels.long() where they are whole"
        )
        raise InputError(f"{wanted}; got {kind}: give {cure}.")
    if labels.shape != (images,):
        cure = ": give labels.argmax(1)." if labels.shape == logits.shape else "."
        raise InputError(f"{wanted}; got a tensor of shape {tuple(labels.shape)}{cure}")
    labels = labels.long()
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        cure = "leave out images without a class." if low < 0 else "they belong to a network of more classes."
        if low > 0 and high == classes:
            cure = "they seem to count from 1, so subtract 1."
        raise InputError(f"{wanted}; got {low} to {high}: {cure}")
    return labels


def logit_of(logits: Tensor, label: int) -> Tensor:
    """The logits of one class, (images,). Raises InputError for a label that is none, NotFinite for logits that are not."""
    classes = finite(logits).shape[1]
    try:
        number = index(label)
    except TypeError:  # no whole number
        number = -1
    if not 0 <= number < classes:
        raise InputError(f"The class must be a whole number from 0 to {classes - 1}; got {label!r}.")
    return logits[:, number]
