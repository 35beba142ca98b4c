"""Whether a network answers each image by itself, and the same each time: what all experiments ask for."""

from collections.abc import Iterator
from functools import cache

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.lazy import LazyModuleMixin

from ..errors import InputError
from .exactness import untouched
from .network import ResidualNetwork

__all__ = ["reads_the_mode", "require_logits", "require_settled", "require_shape"]

GIVE_PROBABILITIES = (nn.Sigmoid, nn.Hardsigmoid, nn.LogSigmoid, nn.Softmax, nn.Softmin)
READ_THE_MODE = (_NormBase, _DropoutNd, nn.RReLU, nn.MultiheadAttention, nn.RNNBase)
NAMES_OF_PROBABILITIES = ("sigmoid", "logsigmoid", "softmax", "softmin", "hardsigmoid")
DRAW_ALWAYS = (nn.FractionalMaxPool2d, nn.FractionalMaxPool3d)
OF_KNOWN_LAYERS = ("torch.nn.modules", __name__.split(".")[0])


def require_settled(network: nn.Module) -> None:
    """Raise InputError where an image's output may depend on the rest of its batch or on chance, or a call may change the
    network, naming the first such layer; where hooks or methods of a block's or the network's own would be passed over; and
    where its head gives probabilities.

    In training mode only layers are taken that are known not to read the mode. None may overwrite a stream, which others read.
    """
    if isinstance(network, ResidualNetwork):
        require_logits(network)
        for name, each in [("the network", network), *network.blocks.items()]:
            if not untouched(each):
                raise InputError(
                    f"Blocks and network must be without hooks and replaced methods, which are not always called; got some on "
                    f"{name}: remove them, or put them on its layers."
                )
        for module in [network.head, *(part for block in network.blocks.values() for part in block.children())]:
            if getattr(first := first_layer(module), "inplace", False):
                raise InputError(
                    f"Layers that read the stream must not work in place; got {named(network, first)} which does: set its inplace to "
                    "False."
                )
    for module in parts_of(network):
        require_shape(network, module)
        if isinstance(module, DRAW_ALWAYS):
            raise InputError(f"{named(network, module)} draws at random in every call; replace it by nn.MaxPool2d.")
        if isinstance(module, _BatchNorm) and module.running_mean is None:
            raise InputError(
                f"Batch norms must have running statistics; got {named(network, module)} without, so that an image's output "
                "depends on the rest of its batch: give it some (track_running_stats=True), or use another norm."
            )
        if module.training and (reads_the_mode(module) or not untouched(module)):
            raise InputError(
                f"The network must be in eval mode; got {named(network, module)} in training mode, in which an image's output "
                "may depend on the rest of its batch or on chance: call network.eval() first."
            )


def require_shape(network: nn.Module, module: nn.Module) -> None:
    """Raise InputError for a lazy layer of a network, which takes its shape, and its weights, from the first batch that it sees."""
    if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():
        raise InputError(
            f"All layers must have weights; got {named(network, module)} without, as it has not seen a batch: call the model "
            "once on a batch."
        )


def require_logits(network: ResidualNetwork) -> None:
    """Raise InputError for a head that ends in probabilities, which all experiments would take for logits."""
    last = last_of(network.head)
    if isinstance(last, GIVE_PROBABILITIES) or last in NAMES_OF_PROBABILITIES:
        found = named(network, last) if isinstance(last, nn.Module) else f"a {last},"
        raise InputError(
            f"The head must give logits; got {found} at its end, which makes probabilities of them: hand over the "
            "model without it (model.fc = model.fc[0], or a forward that returns what the last layer gives)."
        )


def last_of(module: nn.Module) -> nn.Module | str:
    """The last layer of nested Sequentials that is no identity; of a graph the last that it calls, a layer or a function's name."""
    while type(module).forward is nn.Sequential.forward:
        layers = [each for each in module._modules.values() if type(each) is not nn.Identity]
        module = layers[-1] if layers and layers[-1] is not None else nn.Identity()
    if not isinstance(module, fx.GraphModule):
        return module
    last = next(reversed(module.graph.nodes)).args[0]
    while isinstance(last, fx.Node) and last.op == "call_module":
        layer = module.get_submodule(str(last.target))
        if type(layer) is not nn.Identity:
            return last_of(layer)
        last = last.args[0]
    if not isinstance(last, fx.Node):
        return module
    return last.target if isinstance(last.target, str) else getattr(last.target, "__name__", "")


def first_layer(module: nn.Module) -> nn.Module:
    """The first layer of nested Sequentials that is no identity."""
    while type(module) is nn.Sequential:
        module = next((each for each in module._modules.values() if type(each) is not nn.Identity), nn.Identity())
    return module


def parts_of(network: nn.Module) -> Iterator[nn.Module]:
    """The modules of a network, as ``network.modules()`` gives them, but at a fifth of the time and with repetitions."""
    waiting: list[nn.Module | None] = [network]
    while waiting:
        module = waiting.pop()
        if module is not None:
            yield module
            waiting.extend(reversed(module._modules.values()))


def reads_the_mode(module: nn.Module) -> bool:
    """Whether a module may do something else in training mode."""
    kind: type = type(module)
    return kind_reads_the_mode(kind)


@cache
def kind_reads_the_mode(kind: type) -> bool:
    """Whether layers of a class may do something else in training mode; of other people's classes nobody knows, nor of a block
    that stands for one of theirs."""
    known = kind.__module__.startswith(OF_KNOWN_LAYERS) and not getattr(kind, "of_others", False)
    return issubclass(kind, READ_THE_MODE) or not known


def named(network: nn.Module, module: nn.Module) -> str:
    """'layer1.0.branch.bn1, a BatchNorm2d,'."""
    name = next(name for name, each in network.named_modules() if each is module)
    return f"{name}, a {type(module).__name__}," if name else f"the {type(module).__name__}"
