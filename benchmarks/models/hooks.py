"""A model's blocks deleted and its gradients read by hooks on its own modules, with nothing of this project."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["branch_gradients", "calls_of", "logits_without", "stream_gradients"]


@contextmanager
def at_each_call(model: nn.Module, pattern: str, act: Callable[[int, Tensor], Tensor | None]) -> Iterator[None]:
    """Within it, ``act`` is handed the number and the output of each call of the modules named by ``pattern``; what it
    returns, if anything, takes the output's place."""
    calls = count()
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output: act(next(calls), output))
        for name, module in model.named_modules()
        if re.fullmatch(pattern, name)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def calls_of(model: nn.Module, pattern: str, images: Tensor) -> int:
    """How many calls of the modules named by ``pattern`` an image's way through the model makes."""
    seen: list[int] = []
    with at_each_call(model, pattern, lambda number, _: seen.append(number)):
        model(images)
    return len(seen)


@torch.no_grad()
def logits_without(model: nn.Module, pattern: str, deleted: int, images: Tensor) -> Tensor:
    """The logits, (batch, classes), when one of these calls gives zeros."""
    with at_each_call(model, pattern, lambda number, output: torch.zeros_like(output) if number == deleted else None):
        return model(images)


def branch_gradients(model: nn.Module, pattern: str, images: Tensor, labels: Tensor) -> list[Tensor]:
    """The gradient of the summed cross-entropy with respect to what each of these calls gives."""
    gradients: dict[int, Tensor] = {}

    def keep(number: int, output: Tensor) -> Tensor:
        output.register_hook(lambda gradient: gradients.__setitem__(number, gradient))
        return output.clone()  # since the sum may be written over it

    with at_each_call(model, pattern, keep):
        backward(model, images, labels)
    return [gradients[number] for number in sorted(gradients)]


def stream_gradients(model: nn.Module, images: Tensor, labels: Tensor, streams: Sequence[Tensor]) -> dict[int, Tensor]:
    """The gradient of the summed cross-entropy with respect to each of ``streams``, by its place, where it is what one
    of the model's own modules is given, to the last bit. (A window as large as the image would be taken for it: give
    larger images.)"""
    gradients: dict[int, Tensor] = {}
    found: set[int] = set()

    def look(_: nn.Module, inputs: tuple[object, ...]) -> None:
        given = inputs[0] if inputs else None
        if not torch.is_tensor(given) or not given.requires_grad:
            return
        for place, stream in enumerate(streams):
            if place not in found and given.shape == stream.shape and torch.equal(given, stream):
                found.add(place)
                given.register_hook(lambda gradient, place=place: gradients.__setitem__(place, gradient))

    hooks = [module.register_forward_pre_hook(look) for module in model.modules()]
    try:
        backward(model, images, labels)
    finally:
        for hook in hooks:
            hook.remove()
    return gradients


def backward(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    """One pass there and back, which leaves no gradients on the weights."""
    entering = images.clone().requires_grad_()
    loss = functional.cross_entropy(model(entering.clone()), labels, reduction="sum")  # a clone: it may work in place
    torch.autograd.grad(loss, entering)
