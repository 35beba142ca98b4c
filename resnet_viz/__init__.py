"""resnet_viz: explore residual networks by touching them."""

import os
from typing import Any

# Before torch is loaded: its threads wait for each other by spinning, by default for so long that a second busy process
# (another visitor, a training run) can slow both a hundredfold. A shorter spin costs an idle machine nothing measurable.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def __getattr__(name: str) -> Any:
    """``resnet_viz.adapt``, imported when it is first asked for: it brings torch, which the command line imports later."""
    if name == "adapt":
        from .networks.adapt import adapt

        return adapt
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
