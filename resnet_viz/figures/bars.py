"""Values by block as the bars of the network strip: for each block a share of 1, and the value in words."""

from collections.abc import Mapping

import numpy as np

__all__ = ["Bars", "log_bars", "relative_bars"]

Bars = Mapping[str, tuple[float, str]]


def log_bars(values: Mapping[str, float], quantity: str) -> Bars:
    """Positive values on a log scale, the smallest still to be seen."""
    logs = np.log10(np.maximum(list(values.values()), 1e-30))
    shares = (logs - logs.min() + 0.15) / (np.ptp(logs) + 0.15)
    return {
        name: (float(share), f"{quantity} {value:.3g}")
        for (name, value), share in zip(values.items(), shares, strict=True)
    }


def relative_bars(values: Mapping[str, float], unit: str, digits: int = 1, *, least: float = 0.0) -> Bars:
    """A share of the largest value (of ``least``, if all are smaller)."""
    top = max([*values.values(), least]) or 1.0
    return {name: (max(0.0, value) / top, f"{value:,.{digits}f} {unit}") for name, value in values.items()}
