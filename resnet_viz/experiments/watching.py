"""Watching a training: norms of gradients and activations at each block, recorded at some of its steps while it runs."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from threading import get_ident
from typing import Any, TextIO, cast

import torch
from torch import Tensor, fx, nn
from torch.utils.hooks import RemovableHandle

from ..errors import InputError
from ..networks.adapt import independent
from ..networks.graph import Anatomy, GraphBlock, has_weights
from ..networks.network import ResidualNetwork
from ..networks.tracing import name_of, title
from .norms import BLOCKS, LAYERS, QUANTITIES, SUMS, first_line, step_line
from .trace import image_norms

__all__ = ["watch"]


@contextmanager
def watch(model: nn.Module, file: str | Path, every: int = 50) -> Iterator[None]:
    """Record norms at each block of a model while it is trained, to a file that the app opens on *Gradient flow*::

        with resnet_viz.watch(model, "norms.jsonl"):
            for images, labels in batches:
                ...  # as ever: the model is called, the loss goes backward, the optimizer steps

    A step is a pass of the model in training mode with gradients; the first is recorded, and each ``every``-th after it. Recorded
    are, for each block, the norm of the stream that enters it, the branch's output relative to it, the gradient of the loss with
    respect to the stream that enters it (L2 per image, mean over the images), and that with respect to its parameters (L2).

    Blocks are the sums on the model's stream, as ``resnet_viz.adapt`` finds them; of a model whose forward cannot be followed, the
    layers of its longest ``nn.Sequential`` and ``nn.ModuleList``, whose branches are not known: a warning says so, and the file.

    Between recorded steps the model has two hooks, which only count, and during one more, all of them gone at the end, also after an
    exception. Weights, training and random state are as without it. Each line is written when the next pass begins and is whole
    then: a killed run leaves a file that opens. A file that is there already is replaced. What holds where:

    - The loss is taken for the mean over the batch, as torch's are by default: the gradient of an image is multiplied by their number.
    - Gradient accumulation: each pass counts as a step and is recorded alone.
    - Mixed precision: with bfloat16 nothing changes; with a GradScaler gradients are those of the scaled loss, to be compared
      between blocks, not between steps.
    - DistributedDataParallel: watch ``model.module`` in one of the processes; its own part of the batch is recorded.
    - nn.DataParallel and torch.compile are refused; in checkpointed layers (``use_reentrant=True``) no gradient is seen.
    - What goes backward several times through one pass is recorded as it was the last time.

    Raises InputError for a file that cannot be written, a number of steps below 1, and a model that is compiled or wrapped; at the
    first pass, where no blocks are found. Warns at the end if the model was never called.
    """
    require_watchable(model)
    if every < 1:
        raise InputError(f"every must be 1 or more steps; got {every}.")
    try:
        out = Path(file).open("w", encoding="utf-8", newline="\n")  # noqa: SIM115 - what is raised inside is none of it
    except OSError as error:
        raise InputError(
            f"{file} cannot be written ({error.strerror}); give a file in a folder that exists."
        ) from error
    with out:
        watching = Watching(model, out, every)
        try:
            yield
        finally:
            watching.end()
    if not watching.passes:
        warnings.warn(
            f"{title(model)} was never called in training mode with gradients, so nothing was recorded: watch the very module that "
            "the training calls.",
            stacklevel=3,
        )


def require_watchable(model: nn.Module) -> None:
    """Raise InputError for a model whose layers are not called as they stand."""
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        raise InputError(f"The model must not be wrapped; got a {title(model)}: watch model.module.")
    if isinstance(model, torch.jit.ScriptModule) or any(
        "_orig_mod" in each._modules or each._compiled_call_impl is not None for each in model.modules()
    ):
        raise InputError("The model must not be compiled, since hooks are left out there: watch it without.")


@dataclass(frozen=True)
class Place:
    """Where a tensor passes: what a layer is given first, or gives, when it is called for the ``call``-th time in a pass, from 0."""

    layer: nn.Module
    call: int = 0
    given: bool = True


@dataclass(frozen=True)
class Watched:
    """A block: ``origin``, where it stands in the model, where its stream enters and where its branch ends, if that is known."""

    name: str
    origin: str
    entering: Place | None
    branch: Place | None
    parameters: Sequence[nn.Parameter]


class Watching:
    """Counts the passes of a model, and records some of them."""

    def __init__(self, model: nn.Module, out: TextIO, every: int) -> None:
        self.model, self.out, self.every, self.thread = model, out, every, get_ident()
        self.passes = 0
        self.blocks: list[Watched] = []
        self.recording: Recording | None = None
        self.handles = [
            model.register_forward_pre_hook(OfModel(self.before)),
            model.register_forward_hook(OfModel(self.after), always_call=True),
        ]

    def before(self, module: nn.Module, given: tuple[Any, ...]) -> None:
        """A pass begins."""
        if get_ident() != self.thread:
            return
        if self.recording and self.recording.came_back:
            self.write()
        if not (module.training and torch.is_grad_enabled()):
            return
        self.passes += 1
        if (self.passes - 1) % self.every == 0:
            self.let_go()  # of a pass that never went backward
            if not self.blocks:
                found, self.blocks = blocks_of(module, given[0] if given else None)
                names, places = [each.name for each in self.blocks], [each.origin for each in self.blocks]
                self.put(first_line(title(module), found, self.every, names, places))
            self.recording = Recording(self.passes - 1, self.blocks)

    def after(self, *passed: Any) -> None:
        """A pass has ended, in an exception if what comes last, its output, is None."""
        if self.recording and get_ident() == self.thread:
            self.recording.forward_ended()
            if passed[-1] is None:
                self.let_go()

    def write(self) -> None:
        """Write what was recorded last."""
        assert self.recording
        self.put(self.recording.line())
        self.let_go()

    def put(self, line: str) -> None:
        self.out.write(line)
        self.out.flush()

    def let_go(self) -> None:
        """Leave nothing on the model but what counts."""
        if self.recording:
            self.recording.end()
        self.recording = None

    def end(self) -> None:
        """Leave nothing on the model."""
        for handle in self.handles:
            handle.remove()
        try:
            if self.recording and self.recording.came_back:
                self.write()
        finally:
            self.let_go()


class OfModel:
    """A hook of a watched model; in a copy of it, or a pickle, it does nothing."""

    def __init__(self, call: Callable[..., None]) -> None:
        self.call = call

    def __call__(self, *given: Any) -> None:
        self.call(*given)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial, (nothing,)


def nothing(*_: Any) -> None:
    """Stands for the hooks in copies of a watched model."""


class Recording:
    """One recorded pass: by quantity and block what has come so far, numbers on the device of the model."""

    def __init__(self, step: int, blocks: Sequence[Watched]) -> None:
        self.step, self.images, self.thread = step, 0, get_ident()
        self.came_back = False  # the gradient, to this pass's streams or, if they take none, to weights
        self.streams_wait = False
        self.of_images: dict[int, Tensor] = {}  # by block, the norm of each image's stream
        self.of_parameters: list[dict[int, Tensor]] = [{} for _ in blocks]
        self.norms: dict[str, list[Tensor | None]] = {name: [None] * len(blocks) for name in QUANTITIES}
        self.on_layers: list[RemovableHandle] = []
        self.on_tensors: list[RemovableHandle] = []
        for number, block in enumerate(blocks):
            self.at(block.entering, partial(self.stream, number))
            self.at(block.branch, partial(self.branch, number))
            for index, parameter in enumerate(block.parameters):
                if parameter.requires_grad:
                    take = partial(self.parameter_gradient, number, index)
                    self.on_tensors.append(parameter.register_hook(take))

    def at(self, place: Place | None, take: Callable[[Tensor], None]) -> None:
        """Have the tensor taken that passes a place."""
        if place is None:
            return
        calls = count()

        def hook(_: nn.Module, given: tuple[Any, ...], *output: Any) -> None:
            if get_ident() == self.thread and next(calls) == place.call:
                tensor = output[0] if output else given[0] if given else None
                if torch.is_tensor(tensor) and tensor.is_floating_point() and tensor.ndim > 1:
                    take(tensor)

        register = place.layer.register_forward_pre_hook if place.given else place.layer.register_forward_hook
        self.on_layers.append(register(hook))

    def stream(self, number: int, stream: Tensor) -> None:
        self.images = len(stream)
        self.of_images[number] = norms = norms_of(stream)
        self.norms["stream_norm"][number] = norms.mean()
        if stream.requires_grad:
            self.streams_wait = True
            self.on_tensors.append(stream.register_hook(partial(self.stream_gradient, number)))

    def branch(self, number: int, branch: Tensor) -> None:
        if number in self.of_images and len(branch) == len(self.of_images[number]):
            self.norms["branch_to_stream"][number] = (norms_of(branch) / self.of_images[number]).mean()

    def stream_gradient(self, number: int, gradient: Tensor) -> None:
        self.came_back = True
        self.norms["stream_gradient_norm"][number] = norms_of(gradient).mean() * len(gradient)

    def parameter_gradient(self, number: int, index: int, gradient: Tensor) -> None:
        self.came_back = self.came_back or not self.streams_wait
        self.of_parameters[number][index] = norms_of(gradient, 0)

    def forward_ended(self) -> None:
        """Leave the layers alone."""
        for handle in self.on_layers:
            handle.remove()
        self.on_layers.clear()

    def end(self) -> None:
        """Leave the model alone."""
        self.forward_ended()
        for handle in self.on_tensors:
            handle.remove()

    def line(self) -> str:
        """What was recorded, as the file says it."""
        self.norms["parameter_gradient_norm"] = [
            torch.stack(list(each.values())).norm() if each else None for each in self.of_parameters
        ]
        return step_line(self.step, self.images, {name: numbers_of(row) for name, row in self.norms.items()})


def norms_of(tensor: Tensor, leading: int = 1) -> Tensor:
    """``image_norms``, of no account for gradients."""
    tensor = tensor.detach()
    return image_norms(tensor.cpu() if tensor.device.type == "mps" else tensor, leading)  # MPS has no float64


def numbers_of(row: Sequence[Tensor | None]) -> list[float]:
    """Numbers from the device, all at once; NaN for those that are not there."""
    known = [each for each in row if each is not None]
    numbers = iter(torch.stack(known).tolist() if known else [])
    return [float("nan") if each is None else next(numbers) for each in row]


def blocks_of(model: nn.Module, images: Any) -> tuple[str, list[Watched]]:
    """What the blocks of a model are, and the blocks. Raises InputError where there are none."""
    if isinstance(model, ResidualNetwork):  # none of its blocks is called as a layer, but what they are made of is
        return BLOCKS, [
            Watched(
                name,
                name,
                Place([*block.lead, block.shortcut][0]),
                Place(block.branch, given=False),
                [*block.parameters()],
            )
            for name, block in model.blocks.items()
        ]
    try:
        return SUMS, by_sums(model, images[[0, -1]])  # two images, also of a batch of one
    except Exception as error:  # whatever comes of following somebody's model
        blocks = by_lists(model)
        warnings.warn(
            f"The blocks watched are {len(blocks)} layers, {blocks[0].origin} to {blocks[-1].origin}, and their branches are not known: "
            f"{str(error).rstrip('.')}.",
            stacklevel=2,
        )
        return LAYERS, blocks


def by_sums(model: nn.Module, images: Tensor) -> list[Watched]:
    """The blocks as ``adapt`` finds them. Raises TypeError where it finds none, and whatever the model raises."""
    anatomy = Anatomy(independent(model).eval(), images)
    blocks = cast(dict[str, GraphBlock], anatomy.network(model).blocks)
    starts = [anatomy.sums[0].entering, *(anatomy.after(each.node) for each in anatomy.sums)]
    place = partial(place_of, model, anatomy.graph)
    return [  # where no layer takes the stream from the sum before, as it is where its two ways part
        Watched(name, block.origin, place(start) or place(each.entering), place(each.branch), list(block.parameters()))
        for (name, block), start, each in zip(blocks.items(), starts, anatomy.sums, strict=False)
    ]


def place_of(model: nn.Module, graph: fx.Graph, tensor: fx.Node) -> Place | None:
    """The first layer that gives or takes a tensor; None where only functions do."""
    calls: Counter[nn.Module] = Counter()
    for node in graph.nodes:
        if node.op == "call_module":
            layer = model.get_submodule(name_of(node))
            if node is tensor or node.args[:1] == (tensor,):
                return Place(layer, calls[layer], given=node is not tensor)
            calls[layer] += 1
    return None


def children(name: str, module: nn.Module) -> list[tuple[str, nn.Module]]:
    """What stands in a module, by its name in the model."""
    return [(f"{name}.{key}".lstrip("."), child) for key, child in module.named_children()]


def by_lists(model: nn.Module) -> list[Watched]:
    """The layers of lists that stand beside each other, where these are most: a list is a stage. Raises InputError where there are
    none."""
    beside = [[("", model)], *(children(name, each) for name, each in model.named_modules())]
    stages = [
        [children(name, each) for name, each in siblings if isinstance(each, nn.Sequential | nn.ModuleList)]
        for siblings in beside
    ]
    weighty = [[[(name, each) for name, each in stage if has_weights(each)] for stage in each] for each in stages]
    most = [stage for stage in max(weighty, key=lambda each: sum(map(len, each))) if stage]
    if not most:
        raise InputError(
            f"{title(model)} has no blocks: its forward cannot be followed, and none of its layers stand in an nn.Sequential or "
            "nn.ModuleList."
        )
    return [
        Watched(f"layer{stage}.{number}", origin, Place(layer), None, list(layer.parameters()))
        for stage, layers in enumerate(most, start=1)
        for number, (origin, layer) in enumerate(layers)
    ]
