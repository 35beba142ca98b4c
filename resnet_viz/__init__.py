"""resnet_viz: explore residual networks by touching them."""

import os
from typing import Any

# Before torch is loaded: its threads wait for each other by spinning, by default for so long that a second busy process
# (another visitor, a training run) can slow both a hundredfold. A shorter spin costs an idle machine nothing measurable.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def __getattr__(name: str) -> Any:
    """``resnet_viz.adapt``, ``watch``, ``hand_over`` and ``show``, imported when they are first asked for: they bring torch, which
    the command line imports later."""
    if name == "adapt":
        from .networks.adapt import adapt

        return adapt
    if name == "watch":
        from .experiments.watching import watch

        return watch
    if name == "hand_over":
        from .networks.zoo import hand_over

        return hand_over
    if name == "show":
        from .opening import show

        return show
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
