"""The 2^n paths of a residual network: how many there are of each length, and the gradient that flows through them.

After Veit, Wilber and Belongie 2016 (arXiv:1605.06431). A path is one choice of branch or shortcut at every block; its
length is the number of branches it takes. The backward pass decomposes exactly over paths, for the activations of this
forward pass; the forward pass does not, since each branch sees a mixture.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import comb
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

from ..errors import InputError
from ..networks.blocks import Block, Gate, add
from ..networks.exactness import exactly, is_convolution, rounding
from ..networks.network import ResidualNetwork, stage_of
from ..networks.seeds import Seeded
from ..networks.settled import require_settled
from ..progress import Progress, no_progress
from .loss import finite, labels_of, loss_gradient
from .plan import Plan
from .stepwise import Stepping, in_batches, share_of, stepwise
from .trace import gradients_of, image_norms, with_gradient

__all__ = [
    "BATCH_SIZE",
    "COUNT_PLAN",
    "IMAGES",
    "LENGTH_PLAN",
    "MEMORY_BUDGET",
    "SINGLE_PATH_PLAN",
    "GradientByLength",
    "add_pulled",
    "block_pulls",
    "carrying_range",
    "checked_pulls",
    "count_times_norm",
    "gradient_by_length",
    "is_plain",
    "joined",
    "largest_path_share",
    "path_gradients",
    "paths_at_once",
    "pull_of",
    "sampled_path_norms",
    "share_of_paths",
    "stream_gradients",
    "zeros_like_stream",
]

BATCH_SIZE = 128
MEMORY_BUDGET = 512 * 2**20  # bytes; batches are made so small that the gradients kept for all lengths stay below it
COPIES = 6  # of those gradients: what the forward pass keeps and what the recurrence needs, at its widest
PART_BYTES = {"cpu": 2**20, "cuda": 2**26}  # of them that go through a block at once; a CPU keeps them in its cache
ELEMENTWISE = (  # other activations are left to autograd, which needs no such promise
    *(nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Hardswish, nn.Hardtanh, nn.Hardsigmoid, nn.Sigmoid, nn.Tanh, nn.Softplus),
)
Pull = Callable[[Tensor], Tensor]
IMAGES = "32 of the bundled test images"
COUNT_PLAN = Plan(
    "How long are the paths themselves?",
    "share of the 2^54 paths by length, by arithmetic: C(54, k) / 2^54",
    "any residual network of 54 blocks",
    "none are needed",
    "none are needed",
    "0.4537 % have 5 to 17 branches, 98.02 % have 19 to 35",
    "Veit et al., section 4.3: 0.45 % and more than 95 %",
)
LENGTH_PLAN = Plan(
    "Does the gradient take short paths?",
    "mean length of the paths, weighted by the norm of the gradient that all paths of a length carry together, exact",
    "fashion-resnet110, -preact110, -resnet56 and -preact56",
    IMAGES,
    "none are needed; untrained networks with seed 0",
    "at most a quarter of the number of blocks, where the average path has half of it",
    "Veit et al., section 4.3, sampled: almost all gradient of ResNet-110 comes through paths of 5 to 17 branches",
    known="figures of an earlier measurement",
)
SINGLE_PATH_PLAN = Plan(
    "How much gradient does one path carry?",
    "norm of the gradient along single paths, five drawn for each length: Spearman's correlation with the length",
    "fashion-resnet110",
    IMAGES,
    "paths drawn with seed 0",
    "correlation below -0.9: the longer a path, the less it carries",
    "Veit et al., figure 6 (b): the norm falls exponentially with the length",
    known="figures of an earlier measurement",
)


@dataclass(frozen=True)
class GradientByLength:
    """The gradient at the first block's input, by the length of the paths that carried it; n blocks (all, or a stage's).

    ``paths``: the number of paths of each length 0 ... n. ``norms``: (images, n + 1), the L2 norm of the summed gradient
    of all paths of one length, on what blocks write to (``Block.state``). ``sum_relative_error``: |sum over lengths - autograd| / |autograd|, over the whole batch, in
    which each image counts alike, however sure the network is of it.
    """

    paths: tuple[int, ...]
    norms: np.ndarray
    sum_relative_error: float

    @property
    def mean_norms(self) -> np.ndarray:
        """The mean over the images, (n + 1,)."""
        return cast(np.ndarray, self.norms.mean(0))

    @property
    def mean_length(self) -> float:
        """The mean length, weighted by the norms."""
        norms = self.mean_norms
        return float(np.arange(len(norms)) @ norms / norms.sum())


def joined(parts: Sequence[GradientByLength]) -> GradientByLength:
    """Results for parts of a batch as one; ``sum_relative_error`` is the largest of theirs."""
    error = max(part.sum_relative_error for part in parts)
    return GradientByLength(parts[0].paths, np.concatenate([part.norms for part in parts]), error)


def path_counts(network: ResidualNetwork, stage: str | None = None) -> tuple[int, ...]:
    """The number of paths of each length 0 ... n through all blocks, or a stage's: C(n, k), or in a plain network the
    single path of length n. Raises InputError for an unknown stage."""
    blocks = len(blocks_of(network, stage))
    if is_plain(network):
        return (0,) * blocks + (1,)
    return tuple(comb(blocks, length) for length in range(blocks + 1))


def blocks_of(network: ResidualNetwork, stage: str | None) -> range:
    """The positions of a stage's blocks; of all, if None. Raises InputError for an unknown stage."""
    if stage is None:
        return range(len(network.blocks))
    sizes = network.stage_sizes()
    if stage not in sizes:
        raise InputError(f"Stage must be one of {', '.join(sizes)}; got {stage!r}.")
    first = [stage_of(name) for name in network.blocks].index(stage)
    return range(first, first + sizes[stage])


def is_plain(network: ResidualNetwork) -> bool:
    """Whether no block has a shortcut."""
    return all(block.is_plain for block in network.blocks.values())


def carrying_range(norms: np.ndarray, share: float = 0.95) -> tuple[int, int]:
    """The shortest run of lengths (first, last) that holds ``share`` of the summed norms."""
    target, sums = share * norms.sum(), np.concatenate([[0.0], np.cumsum(norms)])
    for width in range(1, len(norms) + 1):
        held = sums[width:] - sums[:-width]
        if held.max() >= target:
            return int(held.argmax()), int(held.argmax()) + width - 1
    return 0, len(norms) - 1


def share_of_paths(paths: Sequence[int], first: int, last: int) -> float:
    """The share, 0 ... 1, of all paths that have ``first`` to ``last`` branches; ``paths``: their number by length.

    Exact up to the last rounding, however many there are. Of the 2^54 paths of 54 blocks, 0.4537 % have 5 to 17 branches
    and 98.02 % have 19 to 35: the figures of Veit et al., section 4.3.
    """
    return sum(paths[first : last + 1]) / sum(paths)


def count_times_norm(paths: Sequence[int], sampled: np.ndarray) -> np.ndarray:
    """How much a length could carry: the number of its paths times the mean norm of a single one, as shares; (n + 1,).

    Veit et al., figure 6. ``paths``: the number of paths by length; ``sampled``: norms of single paths of each length
    (n + 1, samples), as ``sampled_path_norms`` gives them; where there is no path they are not looked at. Computed in
    fractions, so that no number of paths overflows. The shares add up to 1 (all 0 where every norm is, all NaN where a norm is
    not finite). The gradients of many paths partly cancel, so the exact ``gradient_by_length`` is another number.
    """
    means = [norms.mean() if count else 0.0 for count, norms in zip(paths, sampled, strict=True)]
    if not np.isfinite(means).all():
        return np.full(len(means), np.nan)
    products = [count * Fraction(float(mean)) for count, mean in zip(paths, means, strict=True)]
    total = sum(products) or 1
    return np.array([float(product / total) for product in products])


def largest_path_share(paths: Sequence[int], sampled: np.ndarray) -> float:
    """How much of ``count_times_norm`` hangs on the one sampled path that weighs most in it, 0 ... 1: where that is much,
    the sample does not determine the product's shape. NaN where a norm is not finite or all are 0."""
    with np.errstate(invalid="ignore"):
        shares = count_times_norm(paths, sampled) * sampled.max(1) / sampled.sum(1)
    return float(np.nanmax(shares)) if np.isfinite(shares).any() else float("nan")


@stepwise
def gradient_by_length(
    network: ResidualNetwork,
    images: Tensor,
    labels: Tensor,
    gates: list[float] | None = None,
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
    stage: str | None = None,
) -> Stepping[GradientByLength]:
    """Sum the gradients of all paths of each length, exactly, without walking through the 2^n paths.

    One gradient is kept for each number k of branches taken so far, from the loss down; through a block with branch F
    and shortcut s it becomes ``d_k <- J_s^T d_k + J_F^T d_(k-1)``. In float32 the sum over k equals autograd's gradient
    to 1e-5. The batch is split so that the gradients kept stay below MEMORY_BUDGET.

    ``stage``: 'layer2' for the paths through this stage alone, from the stream that leaves it, whose gradient is
    autograd's, to the stream that enters it; its first block's input then takes the place of the first block's.
    Raises InputError for an unknown stage, for a network that is not in eval mode, for labels that do not fit, and where the
    sum is off by more than rounding; NotFinite where the network's output is not finite.
    """
    labels = labels_of(images, labels)
    norms, errors, wholes = [], [], []
    blocks = blocks_of(network, stage)
    count, first = len(blocks), list(network.blocks.values())[blocks.start]

    def compute(part: slice) -> Stepping[tuple[Tensor, Tensor, Tensor]]:
        streams, gradients, size = stream_gradients(network, images[part], labels[part], gates, blocks)
        kept = gradients[-1][None]
        pulls = block_pulls(network, streams, gates, blocks)
        for done, (stream, pair) in enumerate(zip(reversed(streams[:-1]), pulls, strict=True), start=1):
            kept = advance(kept, stream, *pair)
            progress(part.start * count + done * (part.stop - part.start), len(images) * count)
            yield done / count
        kept_norms = image_norms(first.state(kept), 2).T * size[:, None]
        return kept_norms.cpu(), *off_by(kept, gradients[0])

    found = yield from in_batches(compute, len(images), images_at_once(network, images, batch_size))
    for _, (part_norms, part_errors, part_wholes) in found:
        norms.append(part_norms)
        errors.append(part_errors)
        wholes.append(part_wholes)
    error = add_up(torch.cat(errors), torch.cat(wholes), rounding(images))
    return GradientByLength(path_counts(network, stage), torch.cat(norms).numpy(), error)


def off_by(parts: Tensor, whole: Tensor) -> tuple[Tensor, Tensor]:
    """|sum of a stack - whole| and |whole|, each (images,): float64, since in half precision squares vanish."""
    return image_norms(parts.sum(0, dtype=torch.float64) - whole), image_norms(whole)


def add_up(errors: Tensor, wholes: Tensor, tolerance: float) -> float:
    """The relative error, over a batch, of gradients that should add up to autograd's; see ``off_by``.

    Raises InputError where it is above ``tolerance``: what rounding explains.
    """
    error, whole = float(errors.norm()), float(wholes.norm())
    relative = error / whole if whole else error
    if not relative <= tolerance:
        raise InputError(
            f"The gradients of the paths must add up to autograd's; got a relative error of {relative:.1e}, where rounding makes "
            f"less than {tolerance:.1e}: a layer works in place, draws at random, overflows or has a backward hook that is not linear; "
            "or try network.double()."
        )
    return relative


@stepwise
def sampled_path_norms(
    network: ResidualNetwork,
    images: Tensor,
    labels: Tensor,
    samples: int = 5,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
) -> Stepping[np.ndarray]:
    """The gradient norm of single paths, sampled as Veit et al. did (section 4.3): (n + 1, samples).

    For each length k and sample, k of the n blocks are drawn at random; the gradient goes through the branches of those
    and through the shortcuts of the rest. Norms are L2 per image, then the mean over the images. NaN where no path has
    that length (a plain network has one path, of length n). Images and paths are taken in portions that stay below
    MEMORY_BUDGET. Raises as ``gradient_by_length`` does; checked is each block's share in the sum.
    """
    labels = labels_of(images, labels)
    count, first = len(network.blocks), next(iter(network.blocks.values()))
    generator = np.random.default_rng(seed)
    lengths = np.repeat([length for length, number in enumerate(path_counts(network)) if number], samples)
    takes_branch = np.zeros((len(lengths), count), bool)
    for row, length in zip(takes_branch, lengths, strict=True):
        row[generator.choice(count, length, replace=False)] = True
    paths = torch.from_numpy(takes_branch)
    at_once = paths_at_once(network, images)

    def compute(part: slice) -> Stepping[Tensor]:
        streams, gradients, size = stream_gradients(network, images[part], labels[part])
        portions = paths.split(max(1, at_once // len(gradients[-1])))
        found: list[Tensor] = []
        for portion in portions:
            steps = path_gradients.steps(network, streams, gradients, portion)
            each = yield from share_of(steps, len(found), len(portions))
            found.append(image_norms(first.state(each), 2) * size)
        return torch.cat(found)

    of_parts = yield from in_batches(compute, len(images), images_at_once(network, images, batch_size))
    norms = torch.cat([each for _, each in of_parts], 1)
    result = np.full((count + 1, samples), np.nan)
    result[lengths[::samples]] = norms.mean(1).cpu().numpy().reshape(-1, samples)
    return result


@stepwise
def path_gradients(
    network: ResidualNetwork,
    streams: list[Tensor],
    true: Sequence[Tensor],
    takes_branch: Tensor,
    gates: list[float] | None = None,
) -> Stepping[Tensor]:
    """What comes back along each path alone to the first block's input: ``takes_branch`` (paths, blocks), a tensor of
    bools -> (paths, images, ...), as the stream is shaped. ``streams`` and ``true``: of ``stream_gradients``."""
    gradients = true[-1][None].expand(len(takes_branch), *true[-1].shape)
    pulls = checked_pulls(block_pulls(network, streams, gates), true)
    for done, (branch, (through_shortcut, through_branch)) in enumerate(
        zip(takes_branch.T.flip(0), pulls, strict=True), start=1
    ):
        parts = [
            pull(gradients[rows])
            for rows, pull in ((branch, through_branch), (~branch, through_shortcut))
            if rows.any()
        ]
        order = torch.cat([branch.nonzero(), (~branch).nonzero()]).flatten()
        gradients = torch.cat(parts)[order.argsort()]
        yield done / len(streams)
    return gradients


def images_at_once(network: ResidualNetwork, images: Tensor, batch_size: int) -> int:
    """How many images, ``batch_size`` at most, so that a gradient kept for each length stays below MEMORY_BUDGET."""
    kept = COPIES * (len(network.blocks) + 1) * widest_stream(network, images).nbytes
    return min(batch_size, max(1, MEMORY_BUDGET // kept))


def paths_at_once(network: ResidualNetwork, images: Tensor) -> int:
    """How many single paths of one image, so that their gradients stay below MEMORY_BUDGET."""
    return max(1, MEMORY_BUDGET // (COPIES * widest_stream(network, images).nbytes))


def widest_stream(network: ResidualNetwork, images: Tensor) -> Tensor:
    """The largest stream of the first image. Raises InputError for a network that is not in eval mode."""
    require_settled(network)
    with torch.no_grad():
        return max((stream[0] for stream in network.streams(images[:1])), key=lambda stream: stream.nbytes)


def stream_gradients(
    network: ResidualNetwork,
    images: Tensor,
    labels: Tensor,
    gates: list[float] | None = None,
    blocks: range | None = None,
) -> tuple[list[Tensor], tuple[Tensor, ...], Tensor]:
    """The streams along a run of blocks (all, if None), autograd's d loss / d stream for each, and how large these are:
    (images,), float64. The gradients are those of ``loss_gradient``'s directions; times the size, they are the loss's."""
    require_settled(network)
    with torch.enable_grad():
        streams = [with_gradient(network.enter(images.detach()))]
        for block, gate in zip(network.blocks.values(), network.gate_list(gates), strict=True):
            streams.append(with_gradient(block(streams[-1], gate)))
        logits = finite(network.logits(streams[-1]))
        direction, size = loss_gradient(logits, labels)
        streams = streams if blocks is None else streams[blocks.start : blocks.stop + 1]
        gradients = tuple(gradients_of(logits, streams, direction))
    return [stream.detach() for stream in streams], gradients, size


def block_pulls(
    network: ResidualNetwork, streams: list[Tensor], gates: list[float] | None, blocks: range | None = None
) -> Iterator[tuple[Pull, Pull]]:
    """From the last block of a run (all, if None) to its first: how a stack of gradients comes back through the shortcut
    and through the branch. ``streams``: those along the run."""
    gated = list(zip(network.blocks.values(), network.gate_list(gates), strict=True))
    for (block, gate), stream in reversed(
        list(zip(gated if blocks is None else gated[blocks.start : blocks.stop], streams, strict=False))
    ):
        yield pulls_of(block, stream, gate)


def checked_pulls(pulls: Iterable[tuple[Pull, Pull]], true: Sequence[Tensor]) -> Iterator[tuple[Pull, Pull]]:
    """The same pulls. Raises InputError at a block where both ways together do not take autograd's gradient behind it to that
    before it: ``add_up`` for results that leave paths out. ``true``: autograd's, along the run. It is split in two at random,
    as paths split it, since what is not linear (guided backpropagation by a hook) takes the whole another way than its parts."""
    for pair, behind, before in zip(pulls, reversed(true[1:]), reversed(true[:-1]), strict=True):
        with Seeded(0):
            share = torch.empty_like(behind).normal_()
        parts = torch.stack([share * behind, (1 - share) * behind])
        add_up(*off_by(torch.cat([pull(parts) for pull in pair]), before), rounding(before))
        yield pair


def pulls_of(block: Block, stream: Tensor, gate: Gate) -> tuple[Pull, Pull]:
    """J_s^T and J_F^T of one block at this stream, each with the activation's part; stacks (k, batch, ...) -> the same."""
    with torch.no_grad():
        total = add(*block.gated(*block.split(stream), gate))
    ways = block.ways(gate)
    through_sum = pull_of(block.last, total) if ways else pull_of_function(block.activation, total)

    def pull(layers: list[nn.Module], share: Gate) -> Pull:
        if share == 0:
            return lambda gradients: gradients.new_zeros(len(gradients), *stream.shape)
        through = pull_of(nn.Sequential(*layers), stream)
        return lambda gradients: through(through_sum(gradients) if share == 1 else share * through_sum(gradients))

    def pull_of_term(term: int) -> Pull:
        through = pull_of_function(lambda entering: block.gated(*block.split(entering), gate)[term], stream)
        return lambda gradients: through(through_sum(gradients))

    if ways is None:  # whatever it adds up
        return pull_of_term(0), pull_of_term(1)
    return pull(*ways[0]), pull(*ways[1])


@torch.no_grad()
def pull_of(layer: nn.Module, entering: Tensor) -> Pull:
    """J^T of a layer in eval mode at what enters it (batch, ...), for a stack of gradients (k, batch, ...) at once.

    Written out for layers that are exactly what their class says, since autograd would take the stack apart and run the
    convolutions once for each of the k.
    """
    if exactly(layer, nn.Identity):
        return lambda gradients: gradients
    if exactly(layer, nn.Sequential):
        pulls = []
        for inner in cast(nn.Sequential, layer):  # children() would leave out what is called twice
            pulls.append(pull_of(inner, entering))
            entering = inner(entering)
        return lambda gradients: reduce(lambda pulled, pull: pull(pulled), reversed(pulls), gradients)
    if exactly(layer, nn.BatchNorm2d, *ELEMENTWISE):
        factor = slope(layer, entering)
        return lambda gradients: factor * gradients
    if is_convolution(layer) and layer.padding_mode == "zeros" and isinstance(layer.padding, tuple):
        return pull_of_convolution(layer, entering)
    return pull_of_function(layer, entering)


def pull_of_function(function: Callable[[Tensor], Tensor | None], entering: Tensor) -> Pull:
    """J^T of anything that autograd can differentiate."""
    with torch.enable_grad():
        entering = entering.detach().requires_grad_()
        leaving = function(entering.clone())  # a clone, since it may work in place
    if leaving is None or not leaving.requires_grad:
        return lambda gradients: gradients.new_zeros(len(gradients), *entering.shape)

    def one(gradient: Tensor, stacked: bool = False) -> Tensor:
        pulled = torch.autograd.grad(
            leaving, entering, gradient, retain_graph=True, allow_unused=True, is_grads_batched=stacked
        )[0]
        return gradient.new_zeros(*gradient.shape[:1] * stacked, *entering.shape) if pulled is None else pulled

    def pull(gradients: Tensor) -> Tensor:
        try:
            return one(gradients, stacked=True)
        except (RuntimeError, ValueError):  # an operation or a hook that does not know stacks
            return torch.stack([one(gradient) for gradient in gradients])

    return pull


def slope(elementwise: Callable[[Tensor], Tensor], entering: Tensor) -> Tensor:
    """The derivative of a function that works on each number by itself."""
    with torch.enable_grad():
        entering = entering.detach().requires_grad_()
        return torch.autograd.grad(elementwise(entering.clone()).sum(), entering)[0]  # a clone: it may work in place


def pull_of_convolution(layer: nn.Conv2d, entering: Tensor) -> Pull:
    """J^T of a convolution padded with zeros, with the stack as one large batch."""
    settings = layer.stride, layer.padding, layer.dilation, layer.groups

    def pull(gradients: Tensor) -> Tensor:
        batch = gradients.flatten(0, 1)
        pulled = conv2d_input((len(batch), *entering.shape[1:]), layer.weight.detach(), batch, *settings)
        return cast(Tensor, pulled.unflatten(0, gradients.shape[:2]))

    return pull


def advance(kept: Tensor, stream: Tensor, through_shortcut: Pull, through_branch: Pull) -> Tensor:
    """One step of the recurrence: k lengths come in, k + 1 go out, shaped as the stream that enters the block."""
    grown = zeros_like_stream(stream, len(kept) + 1)
    add_pulled(kept, through_shortcut, grown[:-1])
    add_pulled(kept, through_branch, grown[1:])
    return grown


def zeros_like_stream(stream: Tensor, count: int) -> Tensor:
    """A stack of zeros (count, batch, ...), channels last: convolutions of few channels are up to five times faster so."""
    return stream.new_zeros(count, *stream.movedim(1, -1).shape).movedim(-1, 2)


def add_pulled(gradients: Tensor, pull: Pull, onto: Tensor) -> None:
    """Add to ``onto`` what a stack of gradients becomes, in parts of PART_BYTES."""
    at_once = max(1, PART_BYTES.get(gradients.device.type, PART_BYTES["cuda"]) // gradients[0].nbytes)
    for part, sums in zip(gradients.split(at_once), onto.split(at_once), strict=True):
        sums.add_(pull(part))
