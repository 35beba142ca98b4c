"""The adapter: a ResNet that was written elsewhere, walked block by block with its own layers."""

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable
from copy import copy, deepcopy
from functools import partial
from itertools import chain
from typing import cast

import torch
from torch import Tensor, nn

from ..errors import InputError
from .blocks import Block
from .exactness import agree, exactly, reads_the_mode, require_logits, require_shape, rounding
from .network import ResidualNetwork, check_batch, not_taken, shape_of, stage_of

__all__ = ["AdaptedBlock", "activation", "adapt", "compare", "title", "wrap"]

TRIED_SIZES = (64, 32, 224)  # pixels; networks for small images may pool a fixed number of them before the last layer
TRIED_VOLUMES = (32, 16, 64)
QUIET, LOUD = 1.0, 100.0  # how large noise is: loud is beyond the 6 of ReLU6 and where a Hardswish bends
POSSIBLE = (
    "adapt takes torchvision's and timm's ResNets and modules of their layout; for any other network, build a "
    "ResidualNetwork(stem, stages, head) from its layers, as help(resnet_viz.adapt) shows"
)
Noise = Callable[[Tensor], Tensor]  # a tensor -> noise of its shape


class AdaptedBlock(Block):
    """A block of somebody else's: any activation may follow the sum, and any module may be the shortcut.

    It is in training mode where theirs is, or the stage or model around it: what these do then (a dropout in forward) nobody
    knows.
    """

    of_others = True

    def __init__(self, kind: str, branch: nn.Module, shortcut: nn.Module, last_activation: nn.Module) -> None:
        super().__init__(kind, branch, shortcut)
        self.last_activation = last_activation

    @property
    def shortcut_kind(self) -> str:
        """As of any block, but 'parameter-free' for a shortcut without weights that is not an identity (often option A)."""
        has_weights = next(self.shortcut.parameters(), None) is not None
        return "parameter-free" if super().shortcut_kind == "projection" and not has_weights else super().shortcut_kind

    def activation(self, total: Tensor) -> Tensor:
        return cast(Tensor, self.last_activation(total))


def adapt(model: nn.Module, images: Tensor | None = None) -> ResidualNetwork:
    """Return a ResNet that this project did not write as a network that can be walked with gates.

    The layers are shared, not copied, with their hooks, masks and parametrisations, and the model is left as it was. In eval
    mode, which all experiments ask for (of the model, too, whose forward may read it), the logits are the model's, bit for bit where both run the same operations (one
    output z, for a sigmoid, becomes the logits 0 and z of two classes); in training mode a dropout in the head is left out.
    Images may have one, two or three space dimensions. Taken are
    torchvision's ResNet, ResNeXt and Wide ResNet, timm's ``timm.models.resnet.ResNet`` with basic or bottleneck blocks,
    and any module of the same layout ([] may be absent):

    - the model: conv1, bn1, [maxpool], layer1 ... layerN, [avgpool or global_pool, else an average pool], fc or linear;
    - a block: conv1, bn1, conv2, bn2, [conv3, bn3], [downsample or shortcut, else an identity]; in the branch before
      and after its last activation [drop_block] and [aa], and at its end [se] and [drop_path];
    - the activations: act1, act2 ... or relu1, relu2 ..., else one called relu, act or activation, else ReLUs. Those
      that work in place are replaced, here and not in the model, so that what a trace keeps is not overwritten.

    Such a layout names the layers, it does not say how forward() uses them, or what hooks on a block, a stage or the model
    change, which a walk does not call. So a copy of the model with other weights is compared with its own walk in eval mode,
    to rounding, outputs and gradients: each block on noise, small and large, the whole on ``images`` (batch, channels,
    height, width), normalised; if None, on noise of 64, 32 or 224 pixels a side (of 32, 16 or 64 in volumes), the first that
    the model takes. (All hooks are called there.) Models on the meta device are not compared.

    Raises TypeError for another layout; for a block, stage, stem or head that computes something else, naming it; for a
    compiled one; for a model whose output for an image depends on the rest of the batch, or is not (batch, classes).
    InputError where the model takes no noise of these sizes or not the ``images``, where its layers have seen no batch or its
    weights are not finite, and where it returns probabilities (seen for several classes, or where its head ends in them). Warns of branches whose last norm is 0 (timm's
    ``zero_init_last``, on by default; torchvision's ``zero_init_residual``): until trained they add exactly 0, so that
    deleting them changes nothing and no gradient comes through them.

    Any other network can be walked as well, if its layers are handed to ``resnet_viz.networks.blocks``:
    ``Block(kind, branch, shortcut)`` is relu(shortcut(x) + branch(x)), ``PreactivationBlock(kind, entry, branch,
    shortcut)`` is shortcut + branch(entry(x)), where a projection reads entry(x) and any other shortcut x. No layer may
    work in place::

        def wrap(block):
            branch = nn.Sequential(block.conv1, block.norm2, nn.ReLU(), block.conv2)
            entry = nn.Sequential(block.norm1, nn.ReLU())
            return PreactivationBlock("preactivation-basic", entry, branch, block.project or nn.Identity())

        stages = [[wrap(block) for block in stage] for stage in model.stages]
        head = nn.Sequential(model.norm, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), model.classifier)
        network = ResidualNetwork(model.stem, stages, head).eval()
        assert torch.equal(network(images), model.eval()(images))
    """
    network = wrap(model)
    for module in model.modules():
        require_shape(model, module)
    require_logits(network)
    if any(parameter.is_meta for parameter in model.parameters()):
        return network
    require_numbers(model)
    compare(model, images)
    zero = [name for name, block in network.blocks.items() if adds_nothing(block)]
    if zero:
        warnings.warn(
            f"The branches of {len(zero)} of {len(network.blocks)} blocks ({zero[0]} ...) end in a norm whose weight "
            "and bias are 0: until they are trained they add exactly 0, and deleting them changes nothing.",
            stacklevel=2,
        )
    return network


def require_numbers(model: nn.Module) -> None:
    """Raise InputError for weights or statistics that are NaN or infinite, behind which no two computations differ."""
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        if not tensor.isfinite().all():
            raise InputError(
                f"Weights and statistics must be finite; got NaN or infinity in {name}: give those of a training that did not "
                "diverge."
            )


def wrap(model: nn.Module) -> ResidualNetwork:
    """Build the network from the model's layers, unseen. Raises TypeError naming those that are missing."""
    not_compiled(model, "The model")
    fc, stages = layer(model, "fc", "linear"), stages_of(model)
    missing = [name for name in ("conv1", "bn1") if layer(model, name) is None]
    missing += [] if stages else ["layer1 (a Sequential or ModuleList)"]
    if missing or fc is None:
        raise TypeError(f"{title(model)} has no {', '.join(missing or ['fc or linear'])}; {POSSIBLE}.")
    if isinstance(fc, nn.ModuleList | nn.ModuleDict):
        raise TypeError(
            f"The head must be one layer; got a {title(fc)}: choose one of them, for example model.fc = model.fc[0]."
        )
    stem = layers_of(model, "conv1", "bn1") | {"act1": activation(model, 1)} | present(model, "maxpool")
    pool = layer(model, "avgpool", "global_pool") or average_pool(model)
    network = ResidualNetwork(
        nn.Sequential(OrderedDict(stem)),
        [
            [wrap_block(block, f"layer{number}.{index}") for index, block in enumerate(stage)]
            for number, stage in enumerate(stages, start=1)
        ],
        nn.Sequential(OrderedDict(avgpool=pool, flatten=nn.Flatten(1), fc=fc)),
    )
    theirs = set(model.modules())
    for module in network.modules():
        # A shared one may be in another mode than the model (a frozen batch norm), and so may a copy of one.
        if module not in theirs and not reads_the_mode(module):
            module.training = model.training
    for name, block in network.blocks.items():
        stage = getattr(model, stage_of(name))
        around = (model, stage, stage[int(name.partition(".")[2])])
        block.training = any(each.training and reads_the_mode(each) for each in around)
    return network


def wrap_block(block: nn.Module, name: str) -> AdaptedBlock:
    """Build a block from the layers of theirs. Raises TypeError naming those that are missing."""
    not_compiled(block, f"Block {name}")
    count = 2 if layer(block, "conv3") is None else 3
    pairs = [(f"conv{number}", f"bn{number}") for number in range(1, count + 1)]
    missing = [each for each in chain(*pairs) if layer(block, each) is None]
    if missing:
        raise TypeError(f"Block {name}, a {title(block)}, has no {', '.join(missing)}; {POSSIBLE}.")
    layers: dict[str, nn.Module] = {}
    for number, pair in enumerate(pairs, start=1):
        layers |= layers_of(block, *pair)
        if number == count - 1:
            layers |= present(block, "drop_block")
        if number < count:
            layers[f"act{number}"] = activation(block, number)
        if number == count - 1:
            layers |= present(block, "aa")
    layers |= present(block, "se") | present(block, "drop_path")
    # An empty Sequential is an identity too, and false.
    shortcut = layer(block, "downsample") or layer(block, "shortcut") or nn.Identity()
    branch = nn.Sequential(OrderedDict(layers))
    return AdaptedBlock(
        "basic" if count == 2 else "bottleneck", branch, out_of_place(shortcut), activation(block, count)
    )


def stages_of(model: nn.Module) -> list[list[nn.Module]]:
    """The blocks of layer1, layer2 ..., as far as these go. Raises TypeError for one that holds no blocks to be walked."""
    stages: list[list[nn.Module]] = []
    while (stage := layer(model, name := f"layer{len(stages) + 1}")) is not None:
        not_compiled(stage, f"Stage {name}")
        if not isinstance(stage, nn.Sequential | nn.ModuleList):
            raise TypeError(
                f"Stage {name} must be a Sequential or ModuleList of blocks; got a {title(stage)}; {POSSIBLE}."
            )
        stages.append(list(stage))
    return stages


def not_compiled(module: nn.Module, what: str) -> None:
    """Raise TypeError for what torch.compile has returned: it walks past its hooks, and takes its time when compared."""
    if "_orig_mod" in module._modules:
        raise TypeError(
            f"{what} must not be compiled; got a {title(module)}: put the original, its ._orig_mod, in its place."
        )


def average_pool(model: nn.Module) -> nn.Module:
    """An average over all places, in as many dimensions as the model's convolutions have."""
    return (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)[dimensions(model) - 1](1)


def dimensions(model: nn.Module) -> int:
    """The space dimensions of the first convolution; 2 where there is none."""
    kinds = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
    return next((kinds[kind] for module in model.modules() for kind in kinds if isinstance(module, kind)), 2)


def layer(module: nn.Module, *names: str) -> nn.Module | None:
    """The first of the named layers that there is."""
    return next((found for name in names if isinstance(found := getattr(module, name, None), nn.Module)), None)


def layers_of(module: nn.Module, *names: str) -> dict[str, nn.Module]:
    """The named layers under their names."""
    return {name: out_of_place(getattr(module, name)) for name in names}


def present(module: nn.Module, name: str) -> dict[str, nn.Module]:
    """The named layer under its name; nothing where it is absent or an identity."""
    return {} if isinstance(layer(module, name), nn.Identity | None) else layers_of(module, name)


def activation(module: nn.Module, number: int) -> nn.Module:
    """The activation after the numbered norm; a ReLU where the module has none as a layer."""
    return out_of_place(layer(module, f"act{number}", f"relu{number}", "relu", "act", "activation") or nn.ReLU())


def out_of_place(module: nn.Module) -> nn.Module:
    """The layer itself, but for a copy of an activation that works in place, also inside a Sequential."""
    if exactly(module, nn.Sequential):
        return nn.Sequential(*map(out_of_place, module.children()))
    if not hasattr(module, "inplace") or next(module.parameters(), None) is not None:
        return module
    own = copy(module)  # which shares its hooks
    setattr(own, "inplace", False)  # noqa: B010 - mypy knows no such attribute of a module
    return own


def compare(model: nn.Module, images: Tensor | None) -> None:
    """Raise TypeError naming the first block (or else the stage, stem or head) that computes something other than its walk."""
    copy = independent(model).eval()
    generator = torch.Generator().manual_seed(0)  # the global random state is the caller's

    def noise(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator).to(like)

    def change(parameters: Iterable[nn.Parameter], by: float) -> None:
        with torch.no_grad():
            for parameter in parameters:
                parameter.add_(noise(parameter), alpha=by)

    change(copy.parameters(), 0.01)  # behind a last norm of weight 0, no mistake would be seen
    images = accepted(copy, noise) if images is None else taken(copy, images)
    network = wrap(copy)
    scales = [parameter for parameter in copy.parameters() if parameter.ndim == 1]
    kept = [parameter.detach().clone() for parameter in scales]
    differs = differing_block(network, copy, images, noise, QUIET)
    if differs is None:
        change(scales, 10.0)  # so that every activation sees large values, behind norms of the image itself, too
        differs = differing_block(network, copy, images, noise, LOUD)
        with torch.no_grad():
            for parameter, before in zip(scales, kept, strict=True):
                parameter.copy_(before)
    if differs is None:
        differs = differing_whole(network, copy, images, noise)
    if differs:
        raise TypeError(
            f"{differs} computes something other than its layers in the usual order, or draws at random; {POSSIBLE}."
        )
    alone = images[:1]
    with torch.no_grad():
        together = network(torch.cat([alone, LOUD * noise(alone)]))[:1]
        if not agree(together, network(alone)):
            raise TypeError(
                f"{title(model)} must answer each image by itself; got an output that depends on the rest of the batch or on "
                "chance: give its batch norms running statistics, and leave out what draws at random."
            )


def independent(model: nn.Module) -> nn.Module:
    """A deep copy of a model, also of one whose weights are computed from others in a hook (pruning, weight norm)."""
    computed = [
        value
        for module in model.modules()
        for value in vars(module).values()
        if torch.is_tensor(value) and not value.is_leaf
    ]
    return deepcopy(model, {id(value): value.detach().clone() for value in computed})


def differing_block(
    network: ResidualNetwork, model: nn.Module, images: Tensor, noise: Noise, size: float
) -> str | None:
    """Name the first block of a model that makes something else of noise than the network's does, if any."""
    try:
        with torch.no_grad():
            stream = network.stem(images)
    except RuntimeError:  # shapes that do not fit, where the model itself takes the images
        return f"The stem or head of {title(model)}"
    for (name, block), original in zip(network.blocks.items(), chain(*stages_of(model)), strict=True):
        common = common_output(block, original, size * noise(stream))  # noise is no larger after a hundred blocks
        if common is None:
            return f"Block {name}, a {title(original)},"
        stream = common
    return None


def differing_whole(network: ResidualNetwork, model: nn.Module, images: Tensor, noise: Noise) -> str | None:
    """Name a stage, or else stem and head, where the whole model makes something else of images than the network does."""

    def walked(images: Tensor) -> Tensor:
        return cast(Tensor, network.head(network.walk(network.stem(images))))

    with torch.no_grad():
        logits = model(images.clone())
    if not torch.is_tensor(logits) or logits.ndim != 2 or len(logits) != len(images) or not logits.shape[1]:
        cure = "let its forward return the class scores alone"
        if torch.is_tensor(logits) and logits.shape[:1] == (len(images),) and logits.numel():
            cure = "let its forward return them as " + ("logits[:, None]" if logits.ndim == 1 else "logits.flatten(1)")
        raise TypeError(
            f"{title(model)} must return logits of shape (batch, classes); got {shape_of(logits)} for {len(images)} images: {cure}."
        )
    sums = logits.sum(1)
    if (
        logits.shape[1] > 1 and (logits >= 0).all() and ((sums - 1).abs() < rounding(sums)).all()
    ):  # the weights are noise
        raise InputError(
            f"{title(model)} must return logits; got rows from 0 to 1 whose sum is 1: leave out the softmax, or the hook that does it."
        )
    if common_output(walked, model, images) is not None:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.ndim == 1 and not name.startswith("layer"):
                    parameter.add_(noise(parameter), alpha=10.0)
        if common_output(walked, model, LOUD * images) is not None:
            return None
    with torch.no_grad():
        streams = network.streams(images)
    start = 0
    for number, blocks in enumerate(stages_of(model), start=1):
        stage = getattr(model, f"layer{number}")
        stop = start + len(blocks)
        if isinstance(stage, nn.Sequential) and blocks:
            walk = partial(network.walk, start=start, stop=stop)
            if common_output(walk, stage, noise(streams[start])) is None:
                return f"Stage layer{number}, a {title(stage)},"
        start = stop
    return f"The stem or head of {title(model)}, or what it does between its stages,"


def taken(model: nn.Module, images: Tensor) -> Tensor:
    """The first two of the user's images. Raises InputError where the model does not take them."""
    check_batch(images)
    try:
        with torch.no_grad():
            model(images[:2].clone())
    except Exception as error:  # whatever a model raises
        raise InputError(not_taken(title(model), model, images, error)) from error
    return images[:2]


def accepted(model: nn.Module, noise: Noise) -> Tensor:
    """Two images of noise, of a size that the model takes. Raises InputError where it takes none of the sizes tried."""
    kinds = nn.Conv1d | nn.Conv2d | nn.Conv3d
    channels = next((module.in_channels for module in model.modules() if isinstance(module, kinds)), 3)
    sizes = TRIED_VOLUMES if dimensions(model) == 3 else TRIED_SIZES
    for size in sizes:
        images = noise(next(model.parameters()).new_empty(2, channels, *[size] * dimensions(model)))
        try:
            with torch.no_grad():
                model(images.clone())
            return images
        except Exception as refusal:  # whatever a model raises that expects another size
            reason = refusal
    raise InputError(
        f"{title(model)} takes no images of {', '.join(map(str, sizes))} pixels a side ({reason}); "
        "give some that it takes: adapt(model, images)."
    ) from reason


def common_output(
    ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor], tensor: Tensor
) -> Tensor | None:
    """What both make of a tensor, to rounding; None where they differ, or the gradients that come back through them."""
    try:
        (result, pulled), (expected, true) = there_and_back(ours, tensor), there_and_back(theirs, tensor)
    except Exception:  # shapes that do not fit, a block that wants more than the stream or returns more than one
        return None
    return result if agree(result, expected) and agree(pulled, true) else None


def there_and_back(function: Callable[[Tensor], Tensor], tensor: Tensor) -> tuple[Tensor, Tensor]:
    """What a function makes of a tensor, and the gradient of half the sum of its squares."""
    with torch.enable_grad():
        entering = tensor.detach().clone().requires_grad_()
        leaving = function(entering.clone())  # a clone, since it may work in place
        gradient = None
        if leaving.requires_grad:
            (gradient,) = torch.autograd.grad(leaving, entering, leaving.detach(), allow_unused=True)
    return leaving.detach(), torch.zeros_like(tensor) if gradient is None else gradient


def adds_nothing(block: Block) -> bool:
    """Whether weight and bias of the branch's last norm are all 0."""
    norm = block.branch.get_submodule("bn3" if block.kind == "bottleneck" else "bn2")
    parameters = list(norm.parameters())
    return bool(parameters) and not any(parameter.any() for parameter in parameters)


def title(module: nn.Module) -> str:
    """'torch.nn.modules.linear.Linear'."""
    return f"{type(module).__module__}.{type(module).__qualname__}"
