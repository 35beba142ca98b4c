"""The adapter: a residual network that was written elsewhere, walked block by block with its own layers."""

import warnings
from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import chain
from typing import cast

import torch
from torch import Tensor, nn

from ..errors import InputError
from .blocks import add
from .exactness import agree, rounding
from .graph import Anatomy
from .network import ResidualNetwork, check_batch, not_taken, shape_of
from .settled import require_logits, require_shape
from .tracing import title

__all__ = ["adapt"]

TRIED_SIZES = (64, 32, 224)  # pixels; networks for small images may pool a fixed number of them before the last layer
TRIED_VOLUMES = (32, 16, 64)
LOUD = 100.0  # how large noise is that is beyond the 6 of ReLU6 and where a Hardswish bends
POSSIBLE = "for any other network, build a ResidualNetwork(stem, stages, head) from its layers, as help(resnet_viz.adapt) shows"
Noise = Callable[[Tensor], Tensor]  # a tensor -> noise of its shape


def adapt(model: nn.Module, images: Tensor | None = None) -> ResidualNetwork:
    """Return a residual network that this project did not write as one that can be walked with gates.

    The model's forward is followed (torch.fx) down to torch's own layers. A tensor that every way from the images to the output
    passes through is the stream there; where the stream is the sum of two ways from its state before, stands a block. The way with
    fewer operations is its shortcut, the other its branch; activations behind the sum belong to it; what lies between a sum and the
    parting of the next two ways (a downsampling, a norm after the sum, blocks without a shortcut) leads to the next block, which
    keeps it when it is deleted. What is before the first block is the stem, what comes after the last the head. So a Transformer's
    layer is two blocks, attention and MLP. Blocks are called layer1.0 ...; the stream's size changes from stage to stage, and
    ``block.origin`` says where the branch stands in the model. Taken in this way are ResNets of all kinds (of torchvision, timm or
    one's own), ConvNeXt, RegNet, MobileNet and EfficientNet, ViT, Swin, MLP-Mixer ...; refused what joins its ways
    (DenseNet), and what cannot be followed because its forward decides by the numbers that it sees.

    The layers are shared, not copied, with their hooks, masks and parametrisations, and the model is left as it was. In eval mode,
    which all experiments ask for, the logits are the model's, bit for bit (one output z, for a sigmoid, becomes the logits 0 and z
    of two classes). Activations that work in place are replaced, here and not in the model, so that what a trace keeps is not
    overwritten. What the model does in training mode alone, or in hooks on modules that contain others, is done as it was when the
    model was followed.

    So a copy of the model with other weights is compared with its own walk in eval mode, to rounding, outputs and gradients, on
    noise, small and large, or on ``images`` (batch, channels, height, width), normalised; if None, noise of 64, 32 or 224 pixels a
    side (of 32, 16 or 64 in volumes), the first that the model takes. Models on the meta device are not compared.

    Raises TypeError for a model that cannot be followed, has no such sum, is compiled, computes something else than what was
    followed, or whose output for an image depends on the rest of the batch, or is not (batch, classes). InputError where the model
    takes no noise of these sizes or not the ``images``, where its layers have seen no batch or its weights are not finite, and where
    it returns probabilities (seen for several classes, or where its head ends in them). Warns of branches that add exactly 0 (timm's
    ``zero_init_last``, on by default; torchvision's ``zero_init_residual``): until trained, deleting them changes nothing and no
    gradient comes through them.

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
    require_followable(model)
    copy = independent(model).eval()
    generator = torch.Generator().manual_seed(0)  # the global random state is the caller's

    def noise(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator).to(like)

    meta = any(parameter.is_meta for parameter in model.parameters())
    images = accepted(copy, noise) if images is None else taken(copy, images)
    logits = logits_of(copy, images)
    anatomy = Anatomy(copy, images)
    network = anatomy.network(model)
    require_logits(network)
    if meta:
        return network
    require_unbounded(logits, model)
    copied = anatomy.network(copy)
    silent = adding_nothing(copied, images)
    compare(copy, copied, images, noise)
    if silent:
        warnings.warn(
            f"The branches of {len(silent)} of {len(network.blocks)} blocks ({silent[0]} ...) add exactly 0 to the stream: until they "
            "are trained, deleting them changes nothing.",
            stacklevel=2,
        )
    return network


def require_followable(model: nn.Module) -> None:
    """Raise TypeError for what is no model, a compiled or a wrapped one, InputError for one whose weights are missing or not finite."""
    require_module(model)
    for name, module in model.named_modules():
        what = f"{name}, a part of the model," if name else "The model"
        if isinstance(module, torch.jit.ScriptModule):
            raise TypeError(f"{what} must not be TorchScript, which cannot be followed; {POSSIBLE}.")
        require_shape(model, module)
        if "_orig_mod" in module._modules:
            raise TypeError(
                f"{what} must not be compiled; got a {title(module)}: put the original, its ._orig_mod, in its place."
            )
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        raise TypeError(f"The model must not be wrapped; got a {title(model)}: hand over model.module.")
    require_numbers(model)


def require_module(model: object) -> None:
    """Raise TypeError for what is no model."""
    if isinstance(model, nn.Module):
        return
    cure = "give the network itself"
    if isinstance(model, type):
        cure = f"call it: {model.__name__}()"
    elif isinstance(model, dict):
        cure = "build the network, and load this into it: model.load_state_dict(...)"
    elif torch.is_tensor(model):
        cure = "the model comes first, then the images"
    raise TypeError(f"The model must be a torch.nn.Module; got {type(model).__name__}: {cure}.")


def require_numbers(model: nn.Module) -> None:
    """Raise InputError for weights or statistics that are NaN or infinite, behind which no two computations differ."""
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        if not tensor.is_meta and not tensor.isfinite().all():
            raise InputError(
                f"Weights and statistics must be finite; got NaN or infinity in {name}: give those of a training that did not "
                "diverge."
            )


def compare(copy: nn.Module, network: ResidualNetwork, images: Tensor, noise: Noise) -> None:
    """Raise TypeError where a copy of the model, whose weights are changed here, computes something other than the network of its
    layers."""

    def change(parameters: Iterable[nn.Parameter], by: float) -> None:
        with torch.no_grad():
            for parameter in parameters:
                parameter.add_(noise(parameter), alpha=by)
        copy.train().eval()  # in which what is kept of the weights goes (LeViT's attention biases)

    change(copy.parameters(), 0.01)  # behind a last norm of weight 0, no mistake would be seen

    def walked(images: Tensor) -> Tensor:
        return cast(Tensor, network.head(network.walk(network.stem(images))))

    def require_alike(images: Tensor) -> None:
        if not alike(walked, copy, images):
            raise TypeError(
                f"{title(copy)} computes something other than what was followed of it, or draws at random; {POSSIBLE}."
            )

    require_alike(images)
    alone = images[:1]
    with torch.no_grad():
        together = network(torch.cat([alone, LOUD * noise(alone)]))[:1]
        if not agree(together, network(alone)):
            raise TypeError(
                f"{title(copy)} must answer each image by itself; got an output that depends on the rest of the batch or on "
                "chance: give its batch norms running statistics, and leave out what draws at random."
            )
    # Last, so that every activation sees large values, behind norms of the image itself, too. Rounding grows with them: batches of
    # other sizes may go other ways.
    change((parameter for parameter in copy.parameters() if parameter.ndim == 1), 10.0)
    require_alike(LOUD * images)


def logits_of(model: nn.Module, images: Tensor) -> Tensor:
    """What a model returns. Raises TypeError where that is not (batch, classes)."""
    with torch.no_grad():
        logits = model(images.clone())
    if not torch.is_tensor(logits) or logits.ndim != 2 or len(logits) != len(images) or not logits.shape[1]:
        cure = "let its forward return the class scores alone"
        if torch.is_tensor(logits) and logits.shape[:1] == (len(images),) and logits.numel():
            cure = "let its forward return them as " + ("logits[:, None]" if logits.ndim == 1 else "logits.flatten(1)")
        raise TypeError(
            f"{title(model)} must return logits of shape (batch, classes); got {shape_of(logits)} for {len(images)} images: {cure}."
        )
    return logits


def require_unbounded(logits: Tensor, model: nn.Module) -> None:
    """Raise InputError for rows of probabilities."""
    sums = logits.sum(1)
    if logits.shape[1] > 1 and (logits >= 0).all() and ((sums - 1).abs() < rounding(sums)).all():
        raise InputError(
            f"{title(model)} must return logits; got rows from 0 to 1 whose sum is 1: leave out the softmax, or the hook that does it."
        )


def adding_nothing(network: ResidualNetwork, images: Tensor) -> list[str]:
    """The blocks whose branches add exactly 0."""
    found = []
    with torch.no_grad():
        stream = network.stem(images)
        for name, block in network.blocks.items():
            shortcut, branch = block.gated(*block.split(stream), 1.0)
            if branch is not None and not branch.any():
                found.append(name)
            stream = block.activation(add(shortcut, branch))
    return found


def independent(model: nn.Module) -> nn.Module:
    """A deep copy of a model, also of one whose weights are computed from others in a hook (pruning, weight norm)."""
    computed = [
        value
        for module in model.modules()
        for value in vars(module).values()
        if torch.is_tensor(value) and not value.is_leaf
    ]
    return deepcopy(model, {id(value): value.detach().clone() for value in computed})


def dimensions(model: nn.Module) -> int:
    """The space dimensions of the first convolution; 2 where there is none."""
    kinds = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
    return next((kinds[kind] for module in model.modules() for kind in kinds if isinstance(module, kind)), 2)


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


def alike(ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor], tensor: Tensor) -> bool:
    """Whether both make the same of a tensor, to rounding, and of the gradients that come back through them."""
    try:
        (result, pulled), (expected, true) = there_and_back(ours, tensor), there_and_back(theirs, tensor)
    except Exception:  # shapes that do not fit
        return False
    return agree(result, expected) and agree(pulled, true)


def there_and_back(function: Callable[[Tensor], Tensor], tensor: Tensor) -> tuple[Tensor, Tensor]:
    """What a function makes of a tensor, and the gradient of half the sum of its squares."""
    with torch.enable_grad():
        entering = tensor.detach().clone().requires_grad_()
        leaving = function(entering.clone())  # a clone, since it may work in place
        gradient = None
        if leaving.requires_grad:
            (gradient,) = torch.autograd.grad(leaving, entering, leaving.detach(), allow_unused=True)
    return leaving.detach(), torch.zeros_like(tensor) if gradient is None else gradient
