"""Where the computing runs, and in what portions."""

import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError

__all__ = ["array_of", "describe_device", "device", "in_batches"]

Result = TypeVar("Result")


@cache
def device() -> torch.device:
    """$RESNET_VIZ_DEVICE if it is set, else CUDA, then MPS, then the CPU. Chosen once in a process.

    Raises InputError where the variable names no device of this machine.
    """
    torch.backends.cudnn.allow_tf32 = False  # the invariants hold in full float32
    wanted = os.environ.get("RESNET_VIZ_DEVICE")
    if wanted:
        try:
            torch.zeros(1, device=wanted).item()  # torch's meta device holds no numbers
        except (RuntimeError, AssertionError) as error:
            raise InputError(f"RESNET_VIZ_DEVICE must be cpu, cuda or mps, and usable here; got {wanted!r}.") from error
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def describe_device() -> str:
    """For example 'CPU, 2 threads, torch 2.14.1'."""
    version, threads = f"torch {torch.__version__.split('+')[0]}", torch.get_num_threads()
    if device().type == "cuda":
        return f"{torch.cuda.get_device_name(device())}, {version}"
    return (
        f"CPU, {threads} thread{'s' if threads > 1 else ''}, {version}"
        if device().type == "cpu"
        else f"{device().type.upper()}, {version}"
    )


def in_batches(compute: Callable[[slice], Result], count: int, batch_size: int) -> Iterator[tuple[slice, Result]]:
    """Yield ``(part, compute(part))`` for consecutive parts of ``range(count)``.

    When the device runs out of memory the batch is halved, for this part and all later ones, and tried again; at a batch
    of one the error is raised.
    """
    if batch_size < 1:
        raise InputError(f"Batch size must be 1 or more; got {batch_size}.")
    start = 0
    while start < count:
        part = slice(start, min(start + batch_size, count))
        try:
            result = compute(part)
        except torch.OutOfMemoryError:
            if batch_size == 1:
                raise
            batch_size = (part.stop - part.start + 1) // 2
            continue
        yield part, result
        start = part.stop


def array_of(tensor: Tensor) -> np.ndarray:
    """A tensor as an array; numpy knows no bfloat16, so this becomes float32."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
