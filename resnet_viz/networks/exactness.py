"""Whether a layer does what its class says and nothing more, and whether two computations agree.

Rules for one class of layer (fold a batch norm, write a gradient out) hold for layers that are exactly of it. A subclass, a
hook, a pruning mask, a parametrisation or a patched ``forward`` computes something else under the same name.
"""

from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.modules import module as of_all_modules

__all__ = ["agree", "exactly", "is_batch_norm", "is_convolution", "rounding", "untouched"]

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
GLOBAL_HOOKS = tuple(f"_global{hooks}" for hooks in HOOKS)


def untouched(module: nn.Module) -> bool:
    """Whether a module has no hooks and none of its methods was replaced on it alone (also by ``module.compile()``)."""
    own = vars(module)
    return not any(own[hooks] for hooks in HOOKS) and not any(
        callable(value) and hasattr(type(module), name) for name, value in own.items()
    )


def exactly(module: nn.Module, *classes: type[nn.Module]) -> bool:
    """Whether a module is of one of these classes, no subclass, and untouched: also by hooks on all modules, and with its
    weights as parameters, not as plain tensors that would hide those of a copy."""
    return (
        type(module) in classes
        and untouched(module)
        and not any(getattr(of_all_modules, hooks) for hooks in GLOBAL_HOOKS)
        and not any(isinstance(value, Tensor) for value in vars(module).values())
    )


def is_convolution(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    return exactly(module, nn.Conv2d)


def is_batch_norm(module: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
    return exactly(module, nn.BatchNorm2d)


def agree(result: Tensor, expected: Tensor) -> bool:
    """Whether two ways of computing one tensor differ by no more than rounding explains, NaN and infinity in the same places."""
    if result.shape != expected.shape or result.dtype != expected.dtype:
        return False
    numbers = expected[expected.isfinite()].abs()
    largest = float(numbers.max()) if len(numbers) else 0.0
    return torch.allclose(result, expected, 0.0, rounding(expected) * largest, equal_nan=True)


def rounding(tensor: Tensor) -> float:
    """The largest relative difference that rounding explains: the square root of the precision's epsilon.

    3e-4 in float32, 1.5e-8 in float64, 0.03 in float16 and in TF32, with which CUDA may compute. Rounding adds up to some
    hundred epsilons; a layer that is taken for another is off by some per cent.
    """
    tf32 = torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32
    coarse = tensor.is_cuda and tensor.dtype == torch.float32 and tf32
    return 2.0**-5 if coarse else torch.finfo(tensor.dtype).eps ** 0.5
