"""Which of the tensors in somebody's file are a network's: found by their names and shapes; used all, or refused."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError
from .network import ResidualNetwork

__all__ = ["Misfit", "Weights", "blocks_in", "classes_in", "fill", "keeping", "layers_in", "weights_in"]

DEPTH = 5  # dicts in dicts
FEW = 5  # names that are told
TRIED = 8  # prefixes
# What torch's own wrappers put into names, also further in (layer1._orig_mod.0.conv1): no layer is called so.
WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
COUNTED = ("total_ops", "total_params")  # what thop leaves in a model, as floating-point numbers
HEAD = "head.fc.weight"
BLOCK = re.compile(r"layer\d+\.\d+(?=\.)")
OWN_NAMES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        (r"^(conv1|bn1)\.", r"stem.\1."),
        (r"^(fc|linear)\.", "head.fc."),
        (r"^(layer\d+\.\d+)\.((?:conv|bn)\d)\.", r"\1.branch.\2."),
        (r"^(layer\d+\.\d+)\.downsample\.", r"\1.shortcut."),
    ]
]


class Misfit(InputError):
    """The weights in a file are of another network: ``differences`` are told, and counted in ``entries``."""

    def __init__(self, told: str, differences: str = "", entries: int = 0) -> None:
        super().__init__(told)
        self.differences, self.entries = differences, entries


@dataclass(frozen=True)
class Weights:
    """What may be a network's weights in a file. ``keys``: of the dicts on the way to them; ``prefix``: what stands
    before their names there; ``state``: the tensors under this project's names, ``used``: under their own;
    ``without``: names beside them of what the network does without, as what other tools counted; ``beside``: names of
    what else lies beside them."""

    keys: tuple[str, ...]
    prefix: str
    state: dict[str, Tensor]
    used: frozenset[str]
    without: tuple[str, ...]
    beside: tuple[str, ...]


def fill(network: ResidualNetwork, content: object, path: Path) -> None:
    """Load the weights that a file holds. Raises what ``weights_in`` raises; then nothing is loaded."""
    network.load_state_dict(weights_in(content, network, path).state, strict=False)


def weights_in(content: object, network: ResidualNetwork, path: Path) -> Weights:
    """The one set of weights in what a file holds that is the network's, in whatever dicts and behind whatever prefix.

    Raises Misfit naming the missing, unexpected and wrongly shaped entries; InputError where there are no tensors at
    all, for values that are no weights (``check_values``), and where several sets would fit that differ.
    """
    found = candidates(content, network)
    if not found:
        raise InputError(f"{path} holds no state dict; expected names with tensors.")
    whole = [each for each in found if not faults_of(network, each.state)]
    fitting = [each for each in whole if not any(name.startswith(each.prefix) for name in unused(each, whole))]
    if not fitting:
        raise misfit(nearest(whole or found, network), network, path)
    for each in fitting:
        check_values(each.state, path)
    first = fitting[0]
    others = [each for each in fitting[1:] if not same(first.state, each.state)]
    others += [each for each in found if only_classes_differ(network, each.state)]
    if others:
        raise InputError(
            f"{path} holds {1 + len(others)} sets of weights that fit and differ: "
            f"{', '.join(map(place_of, [first, *others]))}; keep one: {keeping(others[-1], path)}."
        )
    if rest := unused(first, fitting):
        raise misfit(replace(first, beside=rest), network, path)
    return first


def unused(weights: Weights, all_of_them: list[Weights]) -> tuple[str, ...]:
    """What lies beside weights and is none of several others either."""
    used = {name for each in all_of_them if each.keys == weights.keys for name in each.used}
    return tuple(name for name in weights.beside if name not in used)


def candidates(content: object, network: ResidualNetwork) -> list[Weights]:
    """What may be the network's weights: for each dict with tensors, behind the prefixes that make most of its names
    the network's."""
    expected = network.state_dict().keys()
    found = []
    for keys, tensors in state_dicts(content):
        votes = Counter({"": 0})
        for name in tensors:
            parts = name.split(".")
            for index in range(len(parts)):
                if name_in(network, ".".join(parts[index:])) in expected:
                    votes["".join(f"{part}." for part in parts[:index])] += 1
        for prefix, _ in votes.most_common(TRIED):
            state, used, without, beside = dict[str, Tensor](), set(), [], []
            for name, tensor in tensors.items():
                own = name_in(network, name.removeprefix(prefix)) if name.startswith(prefix) else name
                if name.startswith(prefix) and own in expected and own not in state:
                    state[own] = tensor
                    used.add(name)
                elif is_counter(name, tensor) or unwrapped(name.removeprefix(prefix)).startswith(network.left_out):
                    without.append(name)
                else:
                    beside.append(name)
            found.append(Weights(keys, prefix, state, frozenset(used), tuple(without), tuple(beside)))
    return found


def state_dicts(
    content: object, keys: tuple[str, ...] = (), seen: set[int] | None = None
) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
    """Each dict in a file's content that holds tensors by name, without what else it holds, and the keys on the way to
    it."""
    seen = set() if seen is None else seen
    if not isinstance(content, Mapping) or len(keys) > DEPTH or id(content) in seen:
        return
    seen.add(id(content))
    tensors = {name: each for name, each in content.items() if isinstance(name, str) and isinstance(each, Tensor)}
    if tensors:
        yield keys, tensors
    for key, each in content.items():
        if isinstance(key, str):
            yield from state_dicts(each, (*keys, key), seen)


def blocks_in(content: object) -> list[set[str]]:
    """The blocks that the names in each dict with tensors are of: 'layer1.0' ..."""
    return [
        {match[0] for name in tensors if (match := BLOCK.search(unwrapped(name)))}
        for _, tensors in state_dicts(content)
    ]


def layers_in(content: object) -> list[set[str]]:
    """The layers in each dict with tensors by their names, and by what is left of these behind any prefix."""
    paths = ({tuple(unwrapped(name).split(".")[:-1]) for name in tensors} for _, tensors in state_dicts(content))
    return [{".".join(path[start:]) for path in layers for start in range(len(path))} for layers in paths]


def classes_in(content: object, network: ResidualNetwork) -> int | None:
    """How many classes the weights in a file tell apart that come nearest to a network's; None where their last layer
    is another."""
    found = candidates(content, network)
    last, expected = nearest(found, network).state.get(HEAD) if found else None, network.state_dict()[HEAD]
    return len(last) if last is not None and last.ndim == 2 and last.shape[1] == expected.shape[1] else None


@lru_cache(maxsize=1 << 14)  # a file is tried as several networks
def own_name(name: str) -> str:
    """torchvision's (and the CIFAR checkpoints') names under this project's: 'layer1.0.conv1.weight' ->
    'layer1.0.branch.conv1.weight'. A name that is the project's already comes back as it is."""
    name = unwrapped(name)
    for pattern, replacement in OWN_NAMES:
        name = pattern.sub(replacement, name)
    return name


def name_in(network: ResidualNetwork, name: str) -> str:
    """The name that an entry of somebody's file has in a network."""
    layer, _, entry = unwrapped(name).rpartition(".")
    return f"{network.known_as[layer]}.{entry}" if layer in network.known_as else own_name(name)


def unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def is_counter(name: str, tensor: Tensor) -> bool:
    """Whether an entry only counts something: a whole number, which nobody trains, or one of ``COUNTED``. What a batch
    norm counts says that there is one."""
    whole = not (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool)
    last = name.rpartition(".")[2]
    return tensor.numel() == 1 and (last in COUNTED or (whole and last != "num_batches_tracked"))


def nearest(found: list[Weights], network: ResidualNetwork) -> Weights:
    """Those with fewest faults."""
    return min(found, key=lambda each: len(each.beside) + sum(map(len, faults_of(network, each.state).values())))


def faults_of(network: ResidualNetwork, state: dict[str, Tensor]) -> dict[str, list[str]]:
    """What keeps a state dict from filling a network: the missing and wrongly shaped entries; empty if it does."""
    expected = network.state_dict()
    optional = {name for name in expected if name.endswith("num_batches_tracked")}
    faults = {
        "missing": [name for name in expected if name not in state and name not in optional],
        "wrongly shaped": [
            f"{name} {tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
            for name in expected
            if name in state and state[name].shape != expected[name].shape
        ],
    }
    return {fault: names for fault, names in faults.items() if names}


def only_classes_differ(network: ResidualNetwork, state: dict[str, Tensor]) -> bool:
    """Whether a state dict would fill the network if this had another number of classes."""
    faults = faults_of(network, state)
    return faults.keys() == {"wrongly shaped"} and all(name.startswith("head.fc.") for name in faults["wrongly shaped"])


def misfit(weights: Weights, network: ResidualNetwork, path: Path) -> Misfit:
    """What keeps weights from being a network's, and the cure."""
    faults, prefix = faults_of(network, weights.state), weights.prefix
    unexpected = [
        name_in(network, name.removeprefix(prefix)) if name.startswith(prefix) else name for name in weights.beside
    ]
    cure = "give weights of the same architecture"
    if not faults and prefix and not any(name.startswith(prefix) for name in weights.beside):
        cure = f"if these change nothing, leave them out: {keeping(weights, path)}"
    faults |= {"unexpected": unexpected} if unexpected else {}
    told = "; ".join(f"{len(names)} {fault}: {first_of(names)}" for fault, names in faults.items())
    return Misfit(f"{path} does not fit this network: {told}; {cure}.", told, sum(map(len, faults.values())))


def place_of(weights: Weights) -> str:
    """Where weights lie, as their names would say it: 'model.module.'"""
    return "".join(f"{key}." for key in weights.keys) + weights.prefix or "bare names"


def keeping(weights: Weights, path: Path) -> str:
    """The line of Python that writes a file of these weights alone."""
    content = f'resnet_viz.networks.weights.read(Path("{path.name}"))' + "".join(f'["{key}"]' for key in weights.keys)
    if weights.prefix:
        content = f'{{n: t for n, t in {content}.items() if n.startswith("{weights.prefix}")}}'
    return f'torch.save({content}, "weights.pth")'


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two sets of weights compute the same."""
    names = [name for name in one if not name.endswith("num_batches_tracked")]
    return all(torch.equal(one[name], other[name]) for name in names)


def check_values(state: dict[str, Tensor], path: Path) -> None:
    """Raise InputError naming entries whose values are no weights: of another type than real floating-point numbers in
    a dense tensor, not finite in float32 (in which networks compute), or variances below 0."""
    faults: dict[str, list[str]] = {}
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked") or not tensor.numel():
            continue
        if not tensor.is_floating_point() or tensor.layout != torch.strided or tensor.is_meta:
            faults.setdefault("other than dense floating-point numbers", []).append(name)
            continue
        low, high = tensor.float().aminmax()  # both are NaN where one value is
        if not (low.isfinite() and high.isfinite()):
            faults.setdefault("NaN, infinity or values too large for float32", []).append(name)
        elif name.endswith("running_var") and low < 0:
            faults.setdefault("a variance below 0", []).append(name)
    if faults:
        told = "; ".join(
            f"{fault} in {len(names)} of {len(state)} entries: {first_of(names)}" for fault, names in faults.items()
        )
        raise InputError(
            f"{path} must hold finite floating-point weights; got {told}; "
            f"give a whole file of a training that did not diverge."
        )


def first_of(names: list[str]) -> str:
    """The first few, and whether there are more."""
    return f"{', '.join(names[:FEW])}{' ...' if len(names) > FEW else ''}"
