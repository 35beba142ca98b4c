"""Files of weights: fetched, checked against the hash in their name, read without running code."""

import hashlib
import os
import re
import urllib.request
from collections import OrderedDict
from pathlib import Path
from pickle import UnpicklingError
from threading import Lock
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.serialization import safe_globals

from ..errors import InputError
from ..progress import Progress
from .file_kinds import kind_of, start_of

__all__ = ["WEIGHT_SUFFIXES", "download", "has_named_hash", "is_safetensors", "read"]

WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".th", ".ckpt", ".bin", ".pth.tar", ".pt.tar", ".ckpt.tar")
# What people save beside weights: numbers and settings. None of it is imported or made: a stand-in takes its place.
SETTINGS = re.compile(
    r"(argparse|types)\.(Simple)?Namespace|(collections|datetime|decimal|fractions|pathlib|typing|uuid)\..+"
    r"|builtins\.(bool|bytes|dict|float|frozenset|int|list|range|slice|str|tuple)"
    r"|(numpy|torch\.optim|torch\.amp|torch\.cuda\.amp)\..+"
    r"|(addict|easydict|lightning|lightning_fabric|ml_collections|omegaconf|pytorch_lightning|yacs)\..+"
)
MAPPINGS = ("defaultdict", "AttributeDict", "EasyDict", "CfgNode")  # of these, those that are filled as a dict is
MOST_SETTINGS = 100  # classes in one file
ALLOWING = Lock()  # torch keeps what it allows for all threads together
PLAIN_CURE = 'give a safetensors file or a state dict: torch.save(model.state_dict(), "weights.pth")'


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


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors does: eight bytes of a length, and JSON. Raises OSError where there is
    none."""
    return start_of(path)[8:9] == b"{"


def read(path: Path) -> object:
    """What a file of weights holds, safetensors or what torch.save wrote, by its content: tensors by name, maybe in
    dicts with other things. No code of the file is run; settings beside the weights come back as empty stand-ins.

    Raises InputError for what cannot be read, saying what it is and the cure.
    """
    try:
        return load_file(path) if is_safetensors(path) else read_pickle(path)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); {PLAIN_CURE}.") from error
    except UnpicklingError as error:
        if name := unknown_class(error):
            fault = f"holds an object of {name}, as a whole model does, and to make one could run code; save the weights alone"
            raise InputError(
                f'{path} is not a file of plain weights: it {fault}: torch.save(model.state_dict(), "weights.pth").'
            ) from error
        raise InputError(f"{path} is damaged or written in an unusual way; {PLAIN_CURE}.") from error
    except SafetensorError as error:
        raise InputError(f"{path} is cut off or damaged ({error}); fetch or save it once more.") from error
    except (
        Exception
    ) as error:  # a damaged pickle makes torch raise almost anything, with advice to switch its safety off
        raise InputError(f"{path} is cut off or damaged; fetch or save it once more.") from error


def read_pickle(path: Path) -> object:
    """What torch.save wrote. Raises InputError for another kind of file, and what torch raises."""
    require_pickle(path)
    inert: list[Any] = []
    while True:
        try:
            with ALLOWING, safe_globals(inert):
                return torch.load(path, map_location="cpu", weights_only=True)
        except UnpicklingError as error:
            name = unknown_class(error)
            if name is None or not SETTINGS.fullmatch(name) or len(inert) == MOST_SETTINGS:
                raise
            inert.append((AnyMapping if name.endswith(MAPPINGS) else Setting, name))


class Setting:
    """Stands for an object beside the weights: nothing of its class is imported or run."""

    def __new__(cls, *_: object) -> "Setting":
        return super().__new__(cls)

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


class AnyMapping:
    """Stands for a kind of dict: what it holds is read."""

    def __new__(cls, *_: object) -> OrderedDict[Any, Any]:  # type: ignore[misc]
        return OrderedDict()


def unknown_class(error: UnpicklingError) -> str | None:
    """The class or function that torch did not read, by its full name."""
    match = re.search(r"GLOBAL (\S+) w", str(error))
    if match is None:
        return None
    return match[1] if "." in match[1] else f"builtins.{match[1]}"


def require_pickle(path: Path) -> None:
    """Raise InputError for a file that torch.save did not write whole, saying what it is and the cure."""
    start = start_of(path)
    if start.startswith(b"PK\x03\x04"):
        try:
            with ZipFile(path) as archive:
                names = {name.partition("/")[2] for name in archive.namelist()}
        except BadZipFile as error:
            raise InputError(f"{path} is cut off: its end is missing; fetch or save it once more.") from error
        kind, cure = "a ZIP archive", f"unpack it, and {PLAIN_CURE}"
        if "constants.pkl" in names:
            kind, cure = (
                "a TorchScript archive",
                f'torch.save(torch.jit.load("{path.name}").state_dict(), "weights.pth")',
            )
        elif "archive_format" in names:
            kind = "an exported program"
            cure = f'torch.save(dict(torch.export.load("{path.name}").state_dict), "weights.pth")'
        elif "data.pkl" in names:
            return
        cure = cure if kind == "a ZIP archive" else f"save its weights alone: {cure}"
    elif start.startswith(b"\x80"):
        return
    elif not start:
        kind, cure = "empty", "fetch or save it once more"
    else:
        kind = kind_of(start) or "neither of safetensors nor of torch.save"
        cure = PLAIN_CURE
        if kind == "a web page":
            cure = f'fetch the file itself: torch.hub.download_url_to_file("https://...", "{path.name}")'
        elif kind == "a Git LFS pointer":
            cure = "fetch the file that it stands for: git lfs pull"
    raise InputError(f"{path} is {kind}; {cure}.")
