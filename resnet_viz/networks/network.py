"""A residual network as stem -> blocks -> head, walked block by block with a gate on each branch."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError
from .blocks import Block, Gate, PlainBlock, PreactivationBlock, ZeroPadding, branch_layers
from .seeds import Seeded

__all__ = [
    "Norm",
    "ResidualNetwork",
    "block_indices",
    "build",
    "build_block",
    "called_as_in",
    "check_batch",
    "convolution",
    "gates_without",
    "not_plain",
    "not_taken",
    "shape_of",
    "stage_of",
    "stage_sizes",
]

BLOCK_KINDS = ("plain", "basic", "bottleneck", "preactivation-basic", "preactivation-bottleneck")
BOTTLENECK_EXPANSION = 4
CONVOLUTIONS = nn.Conv1d, nn.Conv2d, nn.Conv3d
Norm = Callable[[int], nn.Module]


class ResidualNetwork(nn.Module):
    """Stem, stages of named blocks, head.

    Invariant: with all gates 1 the logits equal those of the network that it was built from or wraps, bit for bit within
    one memory layout, batch shape and thread count. No call changes weights, modes, gradients or hooks. Raises InputError for a
    kind of block with a forward of its own, which traces and paths would not see.

    ``known_as``: what files of others call its layers where these names follow from no rule, 'features.0', and what
    they are called here; ``left_out``: how the names begin of what such files hold beside them, and it does without.
    """

    def __init__(self, stem: nn.Module, stages: Iterable[Sequence[Block]], head: nn.Module) -> None:
        super().__init__()
        self.stem = stem
        self.blocks: dict[str, Block] = {}
        self.known_as: dict[str, str] = {}
        self.left_out: tuple[str, ...] = ()
        for number, stage in enumerate(stages, start=1):
            for kind in {type(block) for block in stage}:
                if kind.forward is not Block.forward:
                    raise InputError(
                        f"{kind.__name__} must leave forward as it is; it overrides it: traces and paths call split, gated and "
                        "activation, so override those, or put the change into the branch."
                    )
            self.add_module(f"layer{number}", nn.ModuleList(stage))
            self.blocks |= {f"layer{number}.{index}": block for index, block in enumerate(stage)}
        self.head = head

    def gate_list(self, gates: Sequence[float] | Tensor | None) -> Sequence[Gate]:
        """Return one gate for each block, checked.

        ``gates``: None (all 1), n numbers, or a tensor of shape (n,) or (batch, n).
        Raises InputError where their number is not the number of blocks.
        """
        if gates is None:
            return [1.0] * len(self.blocks)
        count = gates.shape[-1] if torch.is_tensor(gates) else len(gates)
        if count != len(self.blocks):
            raise InputError(f"Gates must be one for each of {len(self.blocks)} blocks; got {count}.")
        if not torch.is_tensor(gates):
            return [float(gate) for gate in gates]
        if gates.ndim == 1 and not gates.requires_grad:
            return gates.tolist()
        return list(gates.unbind(-1))

    def enter(self, images: Tensor) -> Tensor:
        """What the stem makes of a batch of images: the first stream. Raises InputError for images that it does not take."""
        weights = next(self.parameters(), None)
        if weights is None or not weights.is_meta:  # there, shapes alone are asked for
            check_batch(images)
        try:
            return cast(Tensor, self.stem(images))
        except torch.OutOfMemoryError:  # a smaller batch may do
            raise
        except (RuntimeError, TypeError, ValueError) as error:
            raise InputError(not_taken("the network's stem", self, images, error)) from error

    def walk(
        self,
        stream: Tensor,
        gates: Sequence[float] | Tensor | None = None,
        start: int = 0,
        stop: int | None = None,
        order: Sequence[int] | None = None,
    ) -> Tensor:
        """Take the stream that enters block ``start`` to the one that enters block ``stop`` (the head, if None).

        ``order``: positions of the blocks in the order in which they are walked, None for their own; ``start`` and
        ``stop`` count in it, and each block keeps its gate.
        """
        pairs = list(zip(self.blocks.values(), self.gate_list(gates), strict=True))
        for block, gate in (pairs if order is None else [pairs[index] for index in order])[start:stop]:
            stream = block(stream, gate)
        return stream

    def streams(self, images: Tensor, gates: Sequence[float] | Tensor | None = None) -> list[Tensor]:
        """Return the n + 1 streams: the input of each block, and the head's."""
        streams = [self.enter(images)]
        for block, gate in zip(self.blocks.values(), self.gate_list(gates), strict=True):
            streams.append(block(streams[-1], gate))
        return streams

    def forward(self, images: Tensor, gates: Sequence[float] | Tensor | None = None) -> Tensor:
        """Logits (batch, classes) of normalised images (batch, channels, height, width)."""
        return self.logits(self.walk(self.enter(images), gates))

    def logits(self, stream: Tensor) -> Tensor:
        """What the head makes of the last stream: (batch, classes).

        A single output z, behind which a sigmoid stands, is two classes: their logits are 0 and z. Raises InputError where the
        head returns something other than (batch, classes).
        """
        logits = self.head(stream)
        if not torch.is_tensor(logits) or logits.ndim != 2 or len(logits) != len(stream) or not logits.shape[1]:
            raise InputError(
                f"The head must return logits of shape ({len(stream)}, classes), one row for each image; got "
                f"{shape_of(logits)}: hand over a head that ends in the class scores."
            )
        return functional.pad(logits, (1, 0)) if logits.shape[1] == 1 else logits

    def block_indices(self, names: Iterable[str]) -> list[int]:
        """The positions of named blocks. Raises InputError naming an unknown one and what is possible."""
        return block_indices(list(self.blocks), names)

    def stage_sizes(self) -> dict[str, int]:
        """The number of blocks in each stage."""
        return stage_sizes(self.blocks)

    def gates_without(self, deleted: Iterable[str], gate: float = 0.0) -> list[float]:
        """Gates that are 0 (or ``gate``) for the named blocks and 1 elsewhere."""
        return gates_without(list(self.blocks), deleted, gate)


def block_indices(blocks: Sequence[str], names: Iterable[str]) -> list[int]:
    """The positions of names in those of a network's blocks. Raises InputError naming an unknown one and what is possible."""
    indices = []
    for name in [names] if isinstance(names, str) else names:
        if name not in blocks:
            stages = ", ".join(f"{stage}.{numbers_in(blocks, stage)}" for stage in stage_sizes(blocks))
            raise InputError(f"Block must be one of {blocks[0]} ... {blocks[-1]} (by stage: {stages}); got {name!r}.")
        indices.append(blocks.index(name))
    return indices


def numbers_in(blocks: Iterable[str], stage: str) -> str:
    """The numbers of a stage's blocks: '0-8'; where a cut network has gaps, '0, 2, 3'."""
    numbers = [name.partition(".")[2] for name in blocks if stage_of(name) == stage]
    whole = numbers == [str(number) for number in range(len(numbers))]
    return f"0-{numbers[-1]}" if whole else ", ".join(numbers)


def stage_sizes(blocks: Iterable[str]) -> dict[str, int]:
    """The number of blocks in each stage."""
    return dict(Counter(map(stage_of, blocks)))


def gates_without(blocks: Sequence[str], deleted: Iterable[str], gate: float = 0.0) -> list[float]:
    """Gates that are 0 (or ``gate``) for the named blocks and 1 elsewhere. Raises what ``block_indices`` raises."""
    indices = set(block_indices(blocks, deleted))
    return [gate if index in indices else 1.0 for index in range(len(blocks))]


def check_batch(images: object) -> None:
    """Raise InputError for anything but a plain tensor of one image or more."""
    wanted = "Images must be a plain tensor of one image or more, normalised as the network was trained"
    if not isinstance(images, Tensor):
        raise InputError(f"{wanted}; got a {type(images).__name__}: make one by torch.stack or torch.from_numpy.")
    if other := not_plain(images, "images"):
        raise InputError(f"{wanted}; got {other}.")
    if not images.ndim or not images.numel():
        raise InputError(f"{wanted}; got a tensor of shape {tuple(images.shape)}: give a batch that is not empty.")


def not_plain(tensor: Tensor, name: str) -> str | None:
    """What a tensor is that does not hold all its numbers as they are, with the cure; None for one that does."""
    if tensor.is_meta:
        return "one on the meta device, which holds no numbers: load them"
    if tensor.is_quantized:
        return f"a quantised one: write {name}.dequantize()"
    return None if tensor.layout == torch.strided else f"a sparse one: write {name}.to_dense()"


def not_taken(by: str, network: nn.Module, images: Tensor, error: Exception) -> str:
    """One sentence about images that a network, or its stem, does not take."""
    weights = next(network.parameters(), images)
    cure = "give a batch of the shape that it was trained on"
    if images.dtype != weights.dtype:
        cure = f"write images.to({weights.dtype})"
        if not images.is_floating_point():
            cure = f"normalise them, which gives {weights.dtype}"
    elif images.device != weights.device:
        cure = f'write images.to("{weights.device}")'
    elif wanted := next((each for each in network.modules() if isinstance(each, CONVOLUTIONS)), None):
        if images.ndim == wanted.weight.ndim - 1:
            cure = (
                "write images[:, None]"
                if wanted.in_channels == 1 < len(images)
                else "write images[None] for a single one"
            )
        elif images.ndim == wanted.weight.ndim and images.shape[1] != wanted.in_channels == images.shape[-1]:
            cure = "write images.movedim(-1, 1), since the channels come last"
    given, reason = f"{images.dtype} of shape {tuple(images.shape)}", str(error).partition("\n")[0].rstrip(".")
    return f"Images must be such that {by} takes them; got {given} ({reason}): {cure}."


def shape_of(output: object) -> str:
    """'a tensor of shape (2, 10)', 'a dict'."""
    return f"a tensor of shape {tuple(output.shape)}" if torch.is_tensor(output) else f"a {type(output).__name__}"


def stage_of(block: str) -> str:
    """'layer3.2' -> 'layer3'."""
    return block.split(".")[0]


def called_as_in(model: nn.Module, network: ResidualNetwork, left_out: tuple[str, ...] = ()) -> ResidualNetwork:
    """The network, which takes files with the weights of the model that its layers come from."""
    own = {layer: name for name, layer in network.named_modules()}
    names = {name: own.get(layer) for name, layer in model.named_modules() if layer._parameters}
    network.known_as = {name: here for name, here in names.items() if here}
    network.left_out = left_out
    return network


def build(
    kind: str,
    blocks: Sequence[int],
    widths: Sequence[int],
    *,
    shortcut: str = "A",
    in_channels: int = 1,
    stem_stride: int = 2,
    classes: int = 10,
    batch_norm: bool = True,
    seed: int = 0,
) -> ResidualNetwork:
    """Build a network with a 3x3 stem convolution and seeded initial weights.

    ``kind`` is one of BLOCK_KINDS; ``blocks`` and ``widths`` give the number of blocks and the channels of each stage (a
    bottleneck puts out four times as many). ``shortcut``: A, zero-padding where the shape changes; B, projections there;
    C, projections everywhere. Weights: He et al. 2015 (arXiv:1502.01852), fan-out, as torchvision does; they follow from the
    seed alone.
    """
    if kind not in BLOCK_KINDS:
        raise InputError(f"Block kind must be one of {', '.join(BLOCK_KINDS)}; got {kind!r}.")
    if shortcut not in ("A", "B", "C"):
        raise InputError(f"Shortcut option must be one of A, B, C; got {shortcut!r}.")
    with Seeded(seed):
        norm: Norm = nn.BatchNorm2d if batch_norm else nn.Identity  # nn.Identity takes the channels and ignores them
        stem = branch_layers(
            [convolution(in_channels, widths[0], 3, stem_stride, not batch_norm)], [norm(widths[0])], relu_last=True
        )
        preactivation = kind.startswith("preactivation")
        expansion = BOTTLENECK_EXPANSION if kind.endswith("bottleneck") else 1
        channels, stages = widths[0], []
        for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
            row = []
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                first = preactivation and stage == 0 and index == 0
                row.append(
                    build_block(kind, channels, width, stride, shortcut, norm, bias=not batch_norm, entry=not first)
                )
                channels = width * expansion
            stages.append(row)
        head = nn.Sequential(
            OrderedDict(
                **({"bn": norm(channels), "relu": nn.ReLU()} if preactivation else {}),
                avgpool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(1),
                fc=nn.Linear(channels, classes),
            )
        )
        return ResidualNetwork(stem, stages, head)


def build_block(
    kind: str,
    in_channels: int,
    width: int,
    stride: int,
    option: str,
    norm: Norm,
    *,
    bias: bool = False,
    entry: bool = True,
) -> Block:
    """Build one block of a stage; ``entry`` says whether a pre-activation block begins with BN-ReLU of its own."""
    bottleneck = kind.endswith("bottleneck")
    out_channels = width * BOTTLENECK_EXPANSION if bottleneck else width
    if bottleneck:
        convolutions = [
            convolution(in_channels, width, 1, 1, bias),
            convolution(width, width, 3, stride, bias),
            convolution(width, out_channels, 1, 1, bias),
        ]
    else:
        convolutions = [convolution(in_channels, width, 3, stride, bias), convolution(width, width, 3, 1, bias)]
    same_shape = stride == 1 and in_channels == out_channels
    shortcut: nn.Module = nn.Identity()
    if kind != "plain" and (option == "C" or (option == "B" and not same_shape)):
        projection = convolution(in_channels, out_channels, 1, stride, bias)
        shortcut = projection if kind.startswith("preactivation") else nn.Sequential(projection, norm(out_channels))
    elif not same_shape:
        shortcut = ZeroPadding(in_channels, out_channels, stride)
    if kind.startswith("preactivation"):
        layers: OrderedDict[str, nn.Module] = OrderedDict(conv1=convolutions[0])
        for number, layer in enumerate(convolutions[1:], start=2):
            layers |= {f"bn{number}": norm(layer.in_channels), f"relu{number}": nn.ReLU(), f"conv{number}": layer}
        first = nn.Sequential(OrderedDict(bn=norm(in_channels), relu=nn.ReLU())) if entry else nn.Identity()
        return PreactivationBlock(kind, first, nn.Sequential(layers), shortcut)
    branch = branch_layers(convolutions, [norm(layer.out_channels) for layer in convolutions])
    return PlainBlock(kind, branch, shortcut) if kind == "plain" else Block(kind, branch, shortcut)


def convolution(in_channels: int, out_channels: int, size: int, stride: int, bias: bool) -> nn.Conv2d:
    """A padded convolution with He-initialised weights."""
    layer = nn.Conv2d(in_channels, out_channels, size, stride, padding=size // 2, bias=bias)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
