"""Print the peak memory of this process in MiB: ``python -m benchmarks.peak NETWORK predict|sweep|paths`` (Linux only)."""

import sys
from pathlib import Path

from resnet_viz.experiments import deletion, paths
from resnet_viz.networks import zoo

from .measure import load

PATHS_IMAGES = 256  # more than fit into the memory budget at once


def run(name: str, program: str) -> None:
    loaded = load(name)
    preprocessing, images = loaded.entry.preprocessing, zoo.images_of(loaded.entry)
    deletion.predict(loaded.network, preprocessing, images)
    if program == "sweep":
        deletion.sweep(loaded.network, preprocessing, images)
    elif program == "paths":
        images = images.limit(PATHS_IMAGES)
        paths.gradient_by_length(loaded.network, preprocessing.normalise(images.pixels), images.labels)


def peak_mib() -> float:
    """Not resource.getrusage: there a child begins with the peak of the process that started it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].removesuffix("kB")) / 1024


if __name__ == "__main__":
    run(*sys.argv[1:])
    print(peak_mib())
