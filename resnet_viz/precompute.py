"""What the pages show first of the bundled networks, measured beforehand: a class that opens a page need not wait for it."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from .engine.folder import Archive, Folder
from .engine.kept import PRECOMPUTED, Shared
from .engine.tickets import Call, steps_of
from .experiments.lesion_studies import RANDOM, REORDER
from .experiments.stepwise import finished
from .experiments.training import replace
from .networks.zoo import NETWORKS
from .places import CHECKPOINTS
from .progress import Progress, no_progress
from .recipes import (
    block_importance,
    block_influence,
    early_stop,
    layer_deletion,
    lesion_studies,
    lineage,
    painters,
    path_unrolling,
    shattered_gradients,
)
from .recipes.subject import Subject

__all__ = ["bundled", "first_views", "precompute"]

LIMIT = 2**30  # bytes, before they are packed
SEVERAL = 8  # images of a pass, on the page about paths


def bundled() -> list[str]:
    """The networks whose weights come with the project, but for those of other families, which are small."""
    rows = [entry for entry in NETWORKS.values() if entry.name not in lineage.OTHERS]
    return [entry.name for entry in rows if entry.weights and (CHECKPOINTS / entry.weights).is_file()]


def first_views(network: str) -> Iterator[Call]:
    """What is asked of a network over many images when its pages are opened."""
    subject = Subject.of(network)
    yield partial(layer_deletion.set_error, subject)
    yield partial(layer_deletion.sweep, subject)
    for kind in (RANDOM, REORDER):
        yield partial(lesion_studies.study, subject, kind=kind, draws=lesion_studies.MOST_DRAWS)
    yield partial(block_importance.importance, subject)
    yield partial(block_importance.shapley_values, subject)
    yield partial(block_importance.most_harmed, subject)
    yield partial(block_importance.agreement, subject)
    for measured in (block_influence.change, block_influence.harm, block_influence.responses, block_influence.descent):
        yield partial(measured, subject)
    yield partial(early_stop.error_by_stop, subject)
    yield partial(early_stop.probes, subject)
    yield partial(painters.reverse, subject)
    yield partial(painters.repeat, subject, block=subject.blocks[0])
    yield partial(painters.parallel, subject)
    yield partial(shattered_gradients.cosines, subject.without_image().untrained(0))
    for images in (1, SEVERAL):
        yield partial(path_unrolling.share_by_length, subject, images=images)
        yield partial(path_unrolling.count_times_norm, subject, images=images)


def precompute(path: Path = PRECOMPUTED, progress: Progress = no_progress) -> None:
    """Measure all of it anew, in a process that does nothing else, and write it to a file."""
    networks = bundled()
    with TemporaryDirectory() as folder:
        Shared.folder, Shared.worth, Shared.archive = Folder(folder, LIMIT), 0.0, None
        for number, network in enumerate(networks):
            for view in first_views(network):
                finished(steps_of(view))
            progress(number + 1, len(networks))
        replace(path, lambda unfinished: Archive.write(unfinished, Path(folder).iterdir()))
