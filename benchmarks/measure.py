"""Two programs timed in turn, and the peak memory of a process."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

from resnet_viz.networks import zoo
from resnet_viz.networks.zoo import LoadedNetwork, WeightsUnavailable

Program = Callable[[], Any]


@dataclass(frozen=True)
class Measurement:
    """Seconds of our program and of the one it is measured against, pair by pair; ``ratio`` is ours / theirs.

    ``target``: the largest ratio aimed at, None where there is none. ``notes``: what was measured beside it.
    """

    name: str
    network: str
    ours: list[float]
    theirs: list[float]
    target: float | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def ratios(self) -> list[float]:
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        """The median over the pairs: whatever else the machine does slows both programs of a pair."""
        return median(self.ratios)


def in_turn(
    ours: Program, theirs: Program, pairs: int, runs: tuple[int, int] = (1, 1)
) -> tuple[list[float], list[float]]:
    """Seconds for one run of each program, run A B A B ... after a first pair that does not count.

    ``runs``: how often each is run within a pair, so that both take about equally long.
    """
    seconds: tuple[list[float], list[float]] = [], []
    for pair in range(pairs + 1):
        for program, times, count in zip((ours, theirs), seconds, runs, strict=True):
            started = perf_counter()
            for _ in range(count):
                program()
            if pair > 0:
                times.append((perf_counter() - started) / count)
    return seconds


def load(name: str) -> LoadedNetwork:
    """The trained network if its weights are here, else the untrained one, which its title says."""
    entry = zoo.entry_of(name)
    try:
        return zoo.load(entry)
    except WeightsUnavailable:
        return zoo.load(entry, untrained=0)


def extra_mib(network: str, program: str) -> float | None:
    """Peak memory of ``benchmarks.peak``'s program in a fresh process, less that of one which only loads the network and
    predicts; None where the system does not tell."""
    if sys.platform != "linux":
        return None

    def peak(program: str) -> float:
        command = [sys.executable, "-m", "benchmarks.peak", network, program]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    return peak(program) - peak("predict")
