"""Files of weights: fetched, checked against the hash in their name, read without running code, filled into a network."""

import hashlib
import os
import re
import urllib.request
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..errors import InputError
from ..progress import Progress
from .network import ResidualNetwork

__all__ = ["download", "faults_of", "fill", "has_named_hash", "read_state", "require_fit"]


def download(url: str, path: Path, progress: Progress) -> None:
    """Fetch a file whose name holds the first digits of its SHA-256; it appears at ``path`` whole and checked, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with urllib.request.urlopen(url, timeout=20) as response, partial_path.open("wb") as file:
            total, done = int(response.headers.get("Content-Length", 0)), 0
            while chunk := response.read(1 << 18):
                file.write(chunk)
                done += len(chunk)
                progress(done, total)
        if not has_named_hash(partial_path, path.name):
            raise ValueError("the file's SHA-256 does not begin with the digits in its name")
        partial_path.replace(path)
    finally:
        partial_path.unlink(missing_ok=True)


def has_named_hash(path: Path, name: str) -> bool:
    """Whether a file's SHA-256 begins with the digits in its name: resnet20-12fca82f.th."""
    digits = re.search(r"-([0-9a-f]{8,})\.", name)
    return digits is not None and hashlib.sha256(path.read_bytes()).hexdigest().startswith(digits[1])


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict from safetensors or from a pickle (weights_only), unwrapped and under this project's names.

    Raises InputError for a file that cannot be read, or whose values cannot be those of a network (``check_values``).
    """
    try:
        if path.suffix == ".safetensors":
            state: object = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path} cannot be read ({reason}); give a safetensors file or a state dict.") from error
    except Exception as error:  # pickle.UnpicklingError, and what a damaged pickle makes torch raise
        raise InputError(
            f"{path} is not a file of plain weights ({type(error).__name__}); give a safetensors file or a state dict."
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path} holds no state dict; expected names with tensors.")
    state = {own_name(name): tensor for name, tensor in state.items()}
    check_values(state, path)
    return state


def check_values(state: dict[str, Tensor], path: Path) -> None:
    """Raise InputError naming entries whose values are no weights: of another type than real floating-point numbers in a
    dense tensor, not finite in float32 (in which networks compute), or variances below 0."""
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
    """The first five, and whether there are more."""
    return f"{', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"


def own_name(name: str) -> str:
    """torchvision's (and the CIFAR checkpoints') names under this project's: 'layer1.0.conv1.weight' ->
    'layer1.0.branch.conv1.weight'. A name that is the project's already comes back as it is."""
    name = name.removeprefix("module.")
    for pattern, replacement in [
        (r"^(conv1|bn1)\.", r"stem.\1."),
        (r"^(fc|linear)\.", "head.fc."),
        (r"^(layer\d+\.\d+)\.((?:conv|bn)\d)\.", r"\1.branch.\2."),
        (r"^(layer\d+\.\d+)\.downsample\.", r"\1.shortcut."),
    ]:
        name = re.sub(pattern, replacement, name)
    return name


def faults_of(network: ResidualNetwork, state: dict[str, Tensor]) -> dict[str, list[str]]:
    """What keeps a state dict from fitting: the missing, unexpected and wrongly shaped entries; empty if it fits."""
    expected = network.state_dict()
    optional = {name for name in expected if name.endswith("num_batches_tracked")}
    faults = {
        "missing": [name for name in expected if name not in state and name not in optional],
        "unexpected": [name for name in state if name not in expected],
        "wrongly shaped": [
            f"{name} {tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
            for name in expected
            if name in state and state[name].shape != expected[name].shape
        ],
    }
    return {fault: names for fault, names in faults.items() if names}


def fill(network: ResidualNetwork, state: dict[str, Tensor], path: Path) -> None:
    """Load a state dict. Raises what ``require_fit`` raises; then nothing is loaded."""
    require_fit(network, state, path)
    network.load_state_dict(state, strict=False)


def require_fit(network: ResidualNetwork, state: dict[str, Tensor], path: Path) -> None:
    """Raise InputError naming the missing, unexpected and wrongly shaped entries of a state dict."""
    if faults := faults_of(network, state):
        told = "; ".join(f"{len(names)} {fault}: {first_of(names)}" for fault, names in faults.items())
        raise InputError(f"{path} does not fit this network: {told}; give weights of the same architecture.")
