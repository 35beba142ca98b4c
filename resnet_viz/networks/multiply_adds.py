"""Multiply-adds, counted as PyTorch runs them, in the calling thread alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

__all__ = ["MultiplyAdds"]

aten = torch.ops.aten
# torch.utils.flop_counter knows attention as a GPU runs it, not as a CPU does.
FORMULAS = flop_registry | {
    aten._scaled_dot_product_flash_attention_for_cpu: flop_registry[aten._scaled_dot_product_flash_attention]
}


class MultiplyAdds(TorchDispatchMode):
    """``with MultiplyAdds() as counted:`` adds up what this thread computes in ``counted.macs``.

    The formulas are those of torch.utils.flop_counter, whose FlopCounterMode hooks every module of the process while it
    counts and so breaks what other threads compute. As there, only products count: convolutions, matrix products,
    attention; two floating-point operations are one multiply-add. Encoder layers and attention of torch.nn that PyTorch
    fuses when it needs no gradient are not seen: count with a gradient asked for.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0

    @property
    def macs(self) -> int:
        return self.operations // 2

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        with self:
            decomposed = func.decompose(*args, **given)
        if decomposed is not NotImplemented:
            return decomposed
        output = func(*args, **given)
        if func.overloadpacket in FORMULAS:
            self.operations += FORMULAS[func.overloadpacket](*args, **given, out_val=output)
        return output
