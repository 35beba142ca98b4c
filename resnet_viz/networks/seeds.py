"""Initial weights that follow from their seed alone, whatever other threads draw."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["Seeded"]


class Seeded(TorchDispatchMode):
    """``with Seeded(0):`` the numbers that this thread draws into tensors come from generators of its own.

    They are the numbers that ``torch.manual_seed(0)`` would lead to in a process of one thread. The global generators,
    of every device, are neither read nor set, so no other thread can change the weights or is changed by them. Nothing
    is drawn on the meta device. Raises RuntimeError where a tensor is made at random and not filled in place: such
    operations take no generator (torch.nn.init uses none of them).
    """

    def __init__(self, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seed = seed
        self.generators: dict[torch.device, torch.Generator] = {}

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded in func.tags and given.get("generator") is None:
            if not isinstance(args[0], Tensor):
                raise RuntimeError(f"Weights must be drawn in place, as torch.nn.init does; got {func}.")
            if args[0].is_meta:  # it holds no numbers, but torch takes 2 ms to draw none
                return args[0]
            given["generator"] = self.generator(args[0].device)
        return func(*args, **given)

    def generator(self, device: torch.device) -> torch.Generator:
        """The generator of a device, begun at the seed when it is first asked for."""
        if device not in self.generators:
            self.generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self.generators[device]
