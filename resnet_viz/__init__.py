"""resnet_viz: explore residual networks by touching them."""

from typing import Any


def __getattr__(name: str) -> Any:
    """``resnet_viz.adapt``, imported when it is first asked for: it brings torch, which the command line imports later."""
    if name == "adapt":
        from .networks.adapt import adapt

        return adapt
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
