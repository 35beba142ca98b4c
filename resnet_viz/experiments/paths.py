"""The 2^n paths of a residual network: how many there are of each length, and the gradient that flows through them.

After Veit, Wilber and Belongie 2016 (arXiv:1605.06431). A path is one choice of branch or shortcut at every block; its
length is the number of branches it takes. The backward pass decomposes exactly over paths, for the activations of this
forward pass; the forward pass does not, since each branch sees a mixture.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import comb

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_input

from ..errors import InputError
from ..networks.blocks import Block, Gate, PlainBlock, PreactivationBlock, add
from ..networks.device import in_batches
from ..networks.network import ResidualNetwork, stage_of
from ..progress import Progress, no_progress
from .plan import Plan
from .trace import image_norms

BATCH_SIZE = 128
MEMORY_BUDGET = 512 * 2**20  # bytes; batches are made so small that the gradients kept for all lengths stay below it
COPIES = 6  # of those gradients: what the forward pass keeps and what the recurrence needs, at its widest
PART_BYTES = {"cpu": 2**20, "cuda": 2**26}  # of them that go through a block at once; a CPU keeps them in its cache
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
    of all paths of one length. ``sum_relative_error``: |sum over lengths - autograd| / |autograd|, over the whole batch.
    """

    paths: tuple[int, ...]
    norms: np.ndarray
    sum_relative_error: float

    @property
    def mean_norms(self) -> np.ndarray:
        """The mean over the images, (n + 1,)."""
        return self.norms.mean(0)

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
    return all(block.shortcut_kind == "none" for block in network.blocks.values())


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


def gradient_by_length(
    network: ResidualNetwork,
    images: Tensor,
    labels: Tensor,
    gates: list[float] | None = None,
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
    stage: str | None = None,
) -> GradientByLength:
    """Sum the gradients of all paths of each length, exactly, without walking through the 2^n paths.

    One gradient is kept for each number k of branches taken so far, from the loss down; through a block with branch F
    and shortcut s it becomes ``d_k <- J_s^T d_k + J_F^T d_(k-1)``. In float32 the sum over k equals autograd's gradient
    to 1e-5. The batch is split so that the gradients kept stay below MEMORY_BUDGET.

    ``stage``: 'layer2' for the paths through this stage alone, from the stream that leaves it, whose gradient is
    autograd's, to the stream that enters it; its first block's input then takes the place of the first block's.
    Raises InputError for an unknown stage.
    """
    norms, error, size = [], 0.0, 0.0
    blocks = blocks_of(network, stage)
    count = len(blocks)

    def compute(part: slice) -> tuple[Tensor, float, float]:
        streams, last, true = backward_ends(network, images[part], labels[part], gates, blocks)
        kept = last[None]
        pulls = block_pulls(network, streams, gates, blocks)
        for done, (stream, pair) in enumerate(zip(reversed(streams[:-1]), pulls, strict=True), start=1):
            kept = advance(kept, stream, *pair)
            progress(part.start * count + done * (part.stop - part.start), len(images) * count)
        kept_norms = image_norms(kept).T
        return kept_norms.cpu(), (kept.sum(0) - true).square().sum().item(), true.square().sum().item()

    for _, (part_norms, part_error, part_size) in in_batches(
        compute, len(images), images_at_once(network, images, batch_size)
    ):
        norms.append(part_norms)
        error, size = error + part_error, size + part_size
    return GradientByLength(
        path_counts(network, stage), torch.cat(norms).numpy(), (error / size) ** 0.5 if size else 0.0
    )


def sampled_path_norms(
    network: ResidualNetwork,
    images: Tensor,
    labels: Tensor,
    samples: int = 5,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """The gradient norm of single paths, sampled as Veit et al. did (section 4.3): (n + 1, samples).

    For each length k and sample, k of the n blocks are drawn at random; the gradient goes through the branches of those
    and through the shortcuts of the rest. Norms are L2 per image, then the mean over the images. NaN where no path has
    that length (a plain network has one path, of length n). Images and paths are taken in portions that stay below
    MEMORY_BUDGET.
    """
    count = len(network.blocks)
    generator = np.random.default_rng(seed)
    lengths = np.repeat([length for length, number in enumerate(path_counts(network)) if number], samples)
    takes_branch = np.zeros((len(lengths), count), bool)
    for row, length in zip(takes_branch, lengths, strict=True):
        row[generator.choice(count, length, replace=False)] = True
    paths = torch.from_numpy(takes_branch)
    at_once = paths_at_once(network, images)

    def compute(part: slice) -> Tensor:
        streams, last, _ = backward_ends(network, images[part], labels[part])
        portions = paths.split(max(1, at_once // len(last)))
        return torch.cat([image_norms(path_gradients(network, streams, last, portion)) for portion in portions])

    norms = torch.cat(
        [each for _, each in in_batches(compute, len(images), images_at_once(network, images, batch_size))], 1
    )
    result = np.full((count + 1, samples), np.nan)
    result[lengths[::samples]] = norms.mean(1).cpu().numpy().reshape(-1, samples)
    return result


def path_gradients(
    network: ResidualNetwork,
    streams: list[Tensor],
    last: Tensor,
    takes_branch: Tensor,
    gates: list[float] | None = None,
) -> Tensor:
    """What comes back along each path alone to the first block's input: ``takes_branch`` (paths, blocks), a tensor of
    bools -> (paths, images, channels, height, width)."""
    gradients = last[None].expand(len(takes_branch), *last.shape)
    pulls = block_pulls(network, streams, gates)
    for branch, (through_shortcut, through_branch) in zip(takes_branch.T.flip(0), pulls, strict=True):
        parts = [
            pull(gradients[rows])
            for rows, pull in ((branch, through_branch), (~branch, through_shortcut))
            if rows.any()
        ]
        order = torch.cat([branch.nonzero(), (~branch).nonzero()]).flatten()
        gradients = torch.cat(parts)[order.argsort()]
    return gradients


def images_at_once(network: ResidualNetwork, images: Tensor, batch_size: int) -> int:
    """How many images, ``batch_size`` at most, so that a gradient kept for each length stays below MEMORY_BUDGET."""
    kept = COPIES * (len(network.blocks) + 1) * widest_stream(network, images).nbytes
    return min(batch_size, max(1, MEMORY_BUDGET // kept))


def paths_at_once(network: ResidualNetwork, images: Tensor) -> int:
    """How many single paths of one image, so that their gradients stay below MEMORY_BUDGET."""
    return max(1, MEMORY_BUDGET // (COPIES * widest_stream(network, images).nbytes))


def widest_stream(network: ResidualNetwork, images: Tensor) -> Tensor:
    """The largest stream of the first image."""
    with torch.no_grad():
        return max((stream[0] for stream in network.streams(images[:1])), key=lambda stream: stream.nbytes)


def backward_ends(
    network: ResidualNetwork,
    images: Tensor,
    labels: Tensor,
    gates: list[float] | None = None,
    blocks: range | None = None,
) -> tuple[list[Tensor], Tensor, Tensor]:
    """The streams along a run of blocks (all, if None), and autograd's d loss / d stream where it ends and begins."""
    streams, gradients = stream_gradients(network, images, labels, gates, blocks)
    return streams, gradients[-1], gradients[0]


def stream_gradients(
    network: ResidualNetwork,
    images: Tensor,
    labels: Tensor,
    gates: list[float] | None = None,
    blocks: range | None = None,
) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """The streams along a run of blocks (all, if None), and autograd's d loss / d stream for each."""
    with torch.enable_grad():
        streams = network.streams(images.detach().requires_grad_(), gates)  # the stem's weights may take no gradient
        loss = functional.cross_entropy(network.head(streams[-1]), labels, reduction="sum")
        streams = streams if blocks is None else streams[blocks.start : blocks.stop + 1]
        gradients = torch.autograd.grad(loss, streams)
    return [stream.detach() for stream in streams], gradients


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


def pulls_of(block: Block, stream: Tensor, gate: Gate) -> tuple[Pull, Pull]:
    """J_s^T and J_F^T of one block at this stream, each with the activation's part; stacks (k, batch, ...) -> the same."""
    with torch.no_grad():
        total = add(*block.gated(*block.split(stream), gate))
    after_sum = slope(block.activation, total)
    entry = [block.entry] if isinstance(block, PreactivationBlock) else []
    shortcut_layers = [*(entry if block.shortcut_kind == "projection" else []), block.shortcut]

    def pull(layers: list[nn.Module], share: Gate) -> Pull:
        if share == 0:
            return lambda gradients: gradients.new_zeros(len(gradients), *stream.shape)
        through, factor = pull_of(nn.Sequential(*layers), stream), share * after_sum
        return lambda gradients: through(factor * gradients)

    return pull(shortcut_layers, 1 - gate if isinstance(block, PlainBlock) else 1.0), pull([*entry, block.branch], gate)


@torch.no_grad()
def pull_of(layer: nn.Module, entering: Tensor) -> Pull:
    """J^T of a layer in eval mode at what enters it (batch, ...), for a stack of gradients (k, batch, ...) at once.

    Written out, since autograd would take the stack apart and run the convolutions once for each of the k.
    """
    if isinstance(layer, nn.Identity):
        return lambda gradients: gradients
    if isinstance(layer, nn.Sequential):
        pulls = []
        for inner in layer:
            pulls.append(pull_of(inner, entering))
            entering = inner(entering)
        return lambda gradients: reduce(lambda pulled, pull: pull(pulled), reversed(pulls), gradients)
    if isinstance(layer, nn.BatchNorm2d | nn.ReLU):
        factor = slope(layer, entering)
        return lambda gradients: factor * gradients
    if isinstance(layer, nn.Conv2d):
        return pull_of_convolution(layer, entering)
    with torch.enable_grad():
        entering = entering.detach().requires_grad_()
        leaving = layer(entering)
    return lambda gradients: torch.autograd.grad(
        leaving, entering, gradients, retain_graph=True, is_grads_batched=True
    )[0]


def slope(elementwise: Callable[[Tensor], Tensor], entering: Tensor) -> Tensor:
    """The derivative of a function that works on each number by itself."""
    with torch.enable_grad():
        entering = entering.detach().requires_grad_()
        return torch.autograd.grad(elementwise(entering).sum(), entering)[0]


def pull_of_convolution(layer: nn.Conv2d, entering: Tensor) -> Pull:
    """J^T of a convolution, with the stack as one large batch."""
    assert isinstance(layer.padding, tuple)
    settings = layer.stride, layer.padding, layer.dilation, layer.groups

    def pull(gradients: Tensor) -> Tensor:
        batch = gradients.flatten(0, 1)
        pulled = conv2d_input((len(batch), *entering.shape[1:]), layer.weight.detach(), batch, *settings)
        return pulled.unflatten(0, gradients.shape[:2])

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
