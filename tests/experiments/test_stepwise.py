"""What measures a step at a time: it says how far it is, and comes to the same as at once."""

import numpy as np
import pytest
import torch

from resnet_viz.errors import InputError
from resnet_viz.experiments import deletion
from resnet_viz.experiments.stepwise import finished, in_batches

from ..conftest import SMALL_PREPROCESSING


def test_each_lesion_of_each_batch_is_a_step(network, image_set):
    lesions = [network.gates_without([name]) for name in network.blocks]
    given = network, SMALL_PREPROCESSING, image_set, lesions
    steps, seen = deletion.predict_each.steps(*given, batch_size=7), []
    try:
        while True:
            seen.append(next(steps))
            assert torch.is_grad_enabled(), "between two steps others compute"
    except StopIteration as end:
        assert np.array_equal(end.value, deletion.predict_each(*given))
    assert seen == sorted(seen) and seen[-1] == 1
    assert len(seen) == len(lesions) * -(-len(image_set) // 7)


def test_where_memory_ends_a_batch_is_halved():
    sizes = []

    def compute(part):
        sizes.append(part.stop - part.start)
        yield 0.5
        if sizes[-1] > 3:
            raise torch.OutOfMemoryError
        return list(range(part.start, part.stop))

    found = finished(in_batches(compute, 10, 8))
    assert sizes == [8, 4, 2, 2, 2, 2, 2]
    assert [number for _, numbers in found for number in numbers] == list(range(10))
    with pytest.raises(InputError, match="Batch size must be 1 or more; got 0"):
        finished(in_batches(compute, 10, 0))
