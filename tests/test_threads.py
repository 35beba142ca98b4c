"""Thirty students are threads: whatever eight of them do at once, each gets what it gets alone, bit for bit."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, is_dataclass
from functools import partial
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from resnet_viz.experiments import attribution, deletion, paths, strongest_paths, trace
from resnet_viz.experiments.identity import Arm, stack
from resnet_viz.networks.datasets import bundled_fashion
from resnet_viz.networks.description import describe
from resnet_viz.networks.network import build
from resnet_viz.networks.vgg import build_vgg11
from resnet_viz.networks.zoo import NETWORKS, load

THREADS, ROUNDS = 8, 2


@pytest.fixture(scope="module")
def work() -> dict[str, Callable[[], Any]]:
    """What visitors ask for: networks built and described, images traced and predicted under lesions of their own."""
    jobs: dict[str, Callable[[], Any]] = {
        f"build {kind}, seed {seed}": partial(build, kind, (1, 1), (4, 8), shortcut="B", seed=seed)
        for kind in ("basic", "preactivation-bottleneck")
        for seed in (0, 1)
    }
    jobs |= {"build vgg11": build_vgg11, "build a stack": partial(stack, Arm("plain"), 5, 0)}
    images = bundled_fashion("lesion").limit(8)
    for name in ("fashion-resnet20", "fashion-plain20"):
        loaded = load(NETWORKS[name])
        network, inputs, labels = loaded.network, loaded.inputs(images), images.labels.to(loaded.inputs(images).device)
        settings = network, inputs[:2], labels[:2]
        jobs |= {
            f"describe {name}": partial(describe, network, loaded.entry.preprocessing),
            f"trace {name}": partial(trace.trace, *settings),
            f"paths {name}": partial(paths.gradient_by_length, *settings),
            f"sampled paths {name}": partial(paths.sampled_path_norms, *settings, samples=1),
            f"strongest paths {name}": partial(
                strongest_paths.strongest_paths, network, inputs[:1], labels[:1], width=8
            ),
            f"Shapley {name}": partial(attribution.shapley_permutation, *settings, 0),
            f"sweep {name}": partial(deletion.sweep, network, loaded.entry.preprocessing, images),
        }
        for block in network.blocks:
            jobs[f"{name} without {block}"] = partial(network, inputs, network.gates_without([block]))
    return jobs


def plain(result: Any) -> Any:
    """A result as nested tuples that can be compared, numbers as their bytes."""
    if isinstance(result, nn.Module):
        return [(name, plain(tensor)) for name, tensor in result.state_dict().items()]
    if isinstance(result, Tensor):
        return plain(result.detach().cpu().numpy())
    if isinstance(result, np.ndarray):
        return result.shape, result.tobytes()
    if is_dataclass(result):
        return [plain(each) for each in astuple(result)]
    return [plain(each) for each in result] if isinstance(result, list | tuple) else result


def test_eight_threads_get_what_one_gets(work):
    alone = {name: plain(job()) for name, job in work.items()}
    start = Barrier(THREADS)

    def visitor(number: int) -> list[str]:
        torch.set_num_threads(1)
        names = list(work) * ROUNDS
        random.Random(number).shuffle(names)
        start.wait()
        return [name for name in names if plain(work[name]()) != alone[name]]

    with ThreadPoolExecutor(THREADS) as pool:
        wrong = [name for names in pool.map(visitor, range(THREADS)) for name in names]
    assert not wrong
