"""Checkpoints as people save them: the network's weights are found in them whole, or the file is refused with the cure."""

import argparse
import contextlib
import datetime
import io
import pickle
import re
import threading
import types
import zipfile
from collections import OrderedDict, defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import resnet18

import resnet_viz.networks.weights
from resnet_viz.errors import InputError
from resnet_viz.experiments.cut import weights_file
from resnet_viz.networks import weights, zoo
from resnet_viz.networks.cutting import cut
from resnet_viz.networks.datasets import FASHION_CLASSES, FASHION_MNIST
from resnet_viz.networks.fitting import state_dicts
from resnet_viz.networks.network import build
from resnet_viz.networks.zoo import NETWORKS, load

from ..conftest import lived_in, same_state

ROW = NETWORKS["fashion-resnet20"]
PIXELS = ROW.preprocessing.normalise(
    torch.randint(0, 256, (4, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
)
OTHER_ROW = NETWORKS["fashion-resnet32"]
Content = dict[str, object]


def state_of(seed: int = 7, **options: object) -> dict[str, Tensor]:
    """A small network's weights, as after training."""
    return lived_in(ROW.build(seed=seed, **options), PIXELS).state_dict()


STATE = state_of()


def under(prefix: str, state: dict[str, Tensor] = STATE) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


def torchvision_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.replace("stem.", "")
        .replace("head.", "")
        .replace(".branch.", ".")
        .replace(".shortcut.", ".downsample."): each
        for name, each in state.items()
    }


def saved(folder: Path, content: object, name: str = "mine.pth", **options: object) -> Path:
    torch.save(content, folder / name, **options)
    return folder / name


def refusal(path: Path) -> str:
    """The sentence with which a file is refused: by name of its network, and as one of a folder."""
    with pytest.raises(InputError) as told:
        load(ROW, checkpoint=path)
    entries, faults = zoo.local_entries(path)
    assert entries == [] and len(faults) == 1
    for sentence in (str(told.value), *faults):
        assert path.stem.split(".")[0] in sentence and "weights_only" not in sentence and "\n" not in sentence
    return str(told.value)


# What is taken, exactly.


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "_orig_mod.",
        "module._orig_mod.",
        "model.",
        "net.",
        "backbone.",
        "encoder_q.",
        "module.encoder_q.",
        "a.b.c.d.",
    ],
)
@pytest.mark.parametrize("names", [dict, torchvision_names])
def test_what_stands_before_all_names_is_taken_off(tmp_path, prefix, names):
    path = saved(tmp_path, under(prefix, names(STATE)))
    assert same_state(load(ROW, checkpoint=path).network, STATE)
    (entry,), faults = zoo.local_entries(path)
    assert faults == [] and entry.name == "fashion-resnet20:mine" and same_state(load(entry).network, STATE)


def test_what_torch_wraps_within_a_network_is_taken_off(tmp_path):
    names = torchvision_names(STATE)
    inside = {name.replace("layer2.", "layer2._orig_mod.").replace("fc.", "fc.module."): names[name] for name in names}
    assert same_state(load(ROW, checkpoint=saved(tmp_path, inside)).network, STATE)


OPTIMIZER = {
    "state": {0: {"exp_avg": torch.zeros(16, 1, 3, 3), "step": torch.tensor(3.0)}},
    "param_groups": [{"lr": 0.1}],
}
WRAPPERS = {
    "state_dict": {"state_dict": STATE},
    "net": {"net": under("module."), "acc": 93.1, "epoch": 199},
    "model": {"model": STATE, "optimizer": OPTIMIZER, "epoch": 9},
    "model_state_dict": {"model_state_dict": STATE, "optimizer_state_dict": OPTIMIZER, "loss": torch.tensor(0.3)},
    "ema": {"ema": STATE, "decay": 0.999},
    "any": {"a name of one's own": OrderedDict(STATE)},
    "flat": {**STATE, "epoch": 7, "optimizer": OPTIMIZER, "best": None},
    "nested": {"checkpoint": {"model": {"state_dict": under("module.")}}},
    "Lightning": {
        "epoch": 3,
        "state_dict": under("model."),
        "hyper_parameters": {"lr": 0.1},
        "loops": {},
        "callbacks": {},
    },
    "average beside it": {"state_dict": STATE, "state_dict_ema": {name: each.clone() for name, each in STATE.items()}},
    "two that are the same": under("encoder_q.") | under("encoder_k."),
    "average of parameters": {
        "model": STATE,
        "ema": {"shadow": {n: t + 1 for n, t in STATE.items() if "running" not in n}},
    },
}


@pytest.mark.parametrize("kind", WRAPPERS)
def test_the_weights_are_found_in_what_they_are_wrapped_in(tmp_path, kind):
    loaded = load(ROW, checkpoint=saved(tmp_path, WRAPPERS[kind]))
    assert same_state(loaded.network, STATE) and loaded.weights == "from mine.pth"


def test_safetensors_are_known_by_their_content(tmp_path):
    for name in ("pytorch_model.bin", "MINE.SAFETENSORS", "other.pth"):
        save_file(under("backbone."), tmp_path / name)
        assert same_state(load(ROW, checkpoint=tmp_path / name).network, STATE)


@pytest.mark.parametrize(
    ("counters", "told"),
    [
        ({"n_averaged": torch.tensor(5)}, "n_averaged"),
        ({"total_ops": torch.zeros(1), "total_params": torch.zeros(1).double()}, "total_ops, total_params"),
        ({"layer1.0.total_ops": torch.zeros(1)}, "layer1.0.total_ops"),
        ({"queue_ptr": torch.zeros(1, dtype=torch.long)}, "queue_ptr"),
        ({"num_updates": torch.tensor(9, dtype=torch.int32)}, "num_updates"),
    ],
)
def test_what_other_tools_counted_is_left_out_and_named(tmp_path, counters, told):
    path = saved(tmp_path, counters | under("module."))
    loaded = load(ROW, checkpoint=path)
    assert same_state(loaded.network, STATE) and loaded.weights == f"from mine.pth; without {told}"
    assert zoo.local_entries(path)[0][0].provenance == f"your file mine.pth; without {told}"


SETTINGS = {
    "Namespace": argparse.Namespace(lr=0.1, sizes=[1, 2]),
    "SimpleNamespace": types.SimpleNamespace(lr=0.1),
    "float64": np.float64(93.1),
    "float32": np.float32(93.1),
    "int64": np.int64(3),
    "bool": np.bool_(True),
    "array": np.arange(3),
    "generator": np.random.get_state(),
    "path": Path("runs/7"),
    "date": datetime.datetime(2024, 5, 6),
    "defaultdict": defaultdict(list, losses=[1.0]),
    "set": {1, 2},
    "dtype": torch.float32,
    "optimizer": torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1),
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("kind", SETTINGS)
def test_numbers_and_settings_beside_the_weights_do_no_harm(tmp_path, kind, zipped):
    allowed = torch.serialization.get_safe_globals()
    path = saved(tmp_path, {"extra": SETTINGS[kind], "model": STATE}, _use_new_zipfile_serialization=zipped)
    assert same_state(load(ROW, checkpoint=path).network, STATE)
    assert set(torch.serialization.get_safe_globals()) == set(allowed)


def test_a_dict_of_another_kind_is_read(tmp_path):
    assert same_state(load(ROW, checkpoint=saved(tmp_path, {"model": defaultdict(None, STATE)})).network, STATE)


def test_files_are_read_one_at_a_time(tmp_path, monkeypatch):
    path = saved(
        tmp_path, {"args": argparse.Namespace(lr=1), "best": np.float64(1), "model": {"weight": torch.ones(2)}}
    )
    allowed, whole, meet, met = set(torch.serialization.get_safe_globals()), torch.load, threading.Barrier(2), []

    def slowly(*given: object, **options: object) -> object:
        with contextlib.suppress(threading.BrokenBarrierError):
            meet.wait(0.05)  # for another reader
            met.append(given)
        return whole(*given, **options)

    monkeypatch.setattr(torch, "load", slowly)
    with ThreadPoolExecutor(2) as pool:
        contents = [*pool.map(weights.read, [path] * 2)]
    assert [content["model"]["weight"].tolist() for content in contents] == [[1.0, 1.0]] * 2
    assert met == [], "what one reader allows is allowed to all that read meanwhile, and taken from them when it ends"
    assert set(torch.serialization.get_safe_globals()) == allowed


class Calls:
    """Unpickled, it calls a function."""

    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self) -> tuple:
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("trap", [Path.touch, partial(Path.touch)], ids=["pathlib", "functools"])
def test_stand_ins_run_nothing_of_the_modules_that_they_stand_for(tmp_path, trap):
    path = saved(tmp_path, {"model": STATE, "trap": Calls(trap, tmp_path / "ran")})
    with contextlib.suppress(InputError):
        load(ROW, checkpoint=path)
    assert not (tmp_path / "ran").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "ran").exists(), "the trap was none"


# Class counts, shortcuts, names.


def fine_tuned(count: int) -> dict[str, Tensor]:
    return state_of(classes=count)


@pytest.mark.parametrize("count", [2, 5, 37])
def test_the_number_of_classes_follows_from_the_file(tmp_path, count):
    state = fine_tuned(count)
    path = saved(tmp_path, {"state_dict": under("model.", state)})
    (entry,), _ = zoo.local_entries(path)
    for loaded in (load(ROW, checkpoint=path), load(entry)):
        assert same_state(loaded.network, state)
        assert loaded.entry.classes == tuple(f"class {index}" for index in range(count))
        assert loaded.weights.endswith(f"mine.pth; {count} classes")
        assert zoo.images_of(loaded.entry).labels is None, "the data set's labels say nothing of other classes"
        assert loaded.entry.dataset != FASHION_MNIST and loaded.entry.plain is None
    assert load(entry, untrained=3).network.head.fc.out_features == count


def test_torchvisions_networks_and_vgg_take_other_class_counts_too(tmp_path):
    model = resnet18(num_classes=3)
    save_file(model.state_dict(), tmp_path / "three.safetensors")
    torch.save(NETWORKS["fashion-vgg11"].build(seed=1, classes=4).state_dict(), tmp_path / "vgg.pt")
    three, vgg = zoo.local_entries(tmp_path)[0]
    assert (three.name, len(three.classes)) == ("imagenet-resnet18:three", 3)
    assert (vgg.name, len(vgg.classes)) == ("fashion-vgg11:vgg", 4)
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(load(three).network(images), model.eval()(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["best.pth.tar", "Best.PT", "best.safetensors"])
def test_a_text_file_beside_the_weights_names_the_classes(tmp_path, name):
    content = fine_tuned(3)
    path = tmp_path / name
    (save_file if "safe" in name else torch.save)(content, path)
    names = path.with_name(f"{name.split('.')[0]}.classes.txt")
    names.write_text("cat\n\n sea lion \r\nhütte\n", "utf-8")
    assert zoo.local_entries(path)[0][0].classes == ("cat", "sea lion", "hütte")
    for text in ("cat\ndog\n", "cat\ndog\ncat\n"):
        names.write_text(text)
        assert f"{names} must name 3 classes, each on a line and once; got 2." in refusal(path)


def test_names_may_be_of_as_many_classes_as_the_data_set_has(tmp_path):
    path = saved(tmp_path, STATE)
    (tmp_path / "mine.classes.txt").write_text("\n".join("abcdefghij"))
    entry = load(ROW, checkpoint=path).entry
    assert entry.classes == tuple("abcdefghij") and zoo.images_of(entry).labels is None
    (tmp_path / "mine.classes.txt").write_text("\n".join(FASHION_CLASSES))
    assert load(ROW, checkpoint=path).entry.dataset == FASHION_MNIST


@pytest.mark.parametrize("name", ["fashion-resnet20", "cifar10-resnet20"])
@pytest.mark.parametrize("option", ["A", "B", "C"])
def test_the_shortcuts_follow_from_the_file(tmp_path, name, option):
    row = NETWORKS[name]
    given = row.build.keywords | {"shortcut": option}
    model = build(*row.build.args, **given, seed=5).eval()
    path = saved(tmp_path, under("module.", model.state_dict()))
    (entry,), faults = zoo.local_entries(path)
    assert faults == [] and entry.name == f"{name}:mine"
    images = torch.randn(2, *row.preprocessing.shape)
    for loaded in (load(row, checkpoint=path), load(entry)):
        torch.testing.assert_close(loaded.network(images), model(images), rtol=1e-3, atol=1e-4)
        own = row.build.keywords.get("shortcut", "A")
        assert loaded.weights.endswith("mine.pth" + (f"; shortcuts of option {option}" if option != own else ""))


def test_a_cut_network_keeps_its_classes_and_shortcuts(tmp_path):
    whole = load(ROW, checkpoint=saved(tmp_path, state_of(classes=4, shortcut="B")))
    left = cut(whole.network, ["layer1.1"])
    path = tmp_path / "cut.safetensors"
    path.write_bytes(weights_file(whole, left, ["layer1.1"]))
    (entry,), faults = zoo.local_entries(path)
    assert faults == [] and entry.deleted == ("layer1.1",) and len(entry.classes) == 4
    assert entry.provenance == "cut from fashion-resnet20: layer1.1; shortcuts of option B; 4 classes"
    assert same_state(load(entry).network, left.state_dict())


# Folders of weights.


@pytest.mark.parametrize(
    "name",
    ["a.pt", "a.pth", "a.th", "a.ckpt", "a.bin", "a.pth.tar", "a.PTH", "a.Ckpt", "a.PTH.TAR", "epoch=3-step=1.ckpt"],
)
def test_files_of_weights_are_known_by_their_suffix_in_any_case(tmp_path, name):
    saved(tmp_path, STATE, name)
    for other in ("._a.pth", ".hidden.pt", "notes.txt", "log.tar"):
        (tmp_path / other).write_bytes(b"no weights")
    (tmp_path / "folder.pt").mkdir()
    (entry,), faults = zoo.local_entries(tmp_path)
    stem = "epoch-3-step-1" if "=" in name else "a"
    assert faults == [] and entry.name == f"fashion-resnet20:{stem}" and same_state(load(entry).network, STATE)


def test_files_of_one_name_are_told_apart(tmp_path):
    for name in ("best.ckpt", "best.pth", "best.pth.tar"):
        saved(tmp_path, STATE, name)
    names = [entry.name for entry in zoo.local_entries(tmp_path)[0]]
    assert names == ["fashion-resnet20:best", "fashion-resnet20:best-2", "fashion-resnet20:best-3"]


# What is refused, never guessed.


LINEAR = nn.Linear(2, 2)


def scripted() -> bytes:
    out = io.BytesIO()
    torch.jit.save(torch.jit.trace(nn.Sequential(LINEAR), torch.zeros(1, 2)), out)
    return out.getvalue()


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return out.getvalue()


def written(content: object, **options: object) -> bytes:
    out = io.BytesIO()
    torch.save(content, out, **options)
    return out.getvalue()


PLAIN = r"torch\.save\(model\.state_dict\(\), \"weights\.pth\"\)"


@pytest.mark.filterwarnings("ignore:Detected pickle protocol", "ignore:`torch.jit")
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (lambda: written(LINEAR), rf"holds an object of torch\.nn\.modules\.linear\.Linear, as a whole model.*{PLAIN}"),
        (
            lambda: written(LINEAR, _use_new_zipfile_serialization=False),
            rf"torch\.nn\.modules\.linear\.Linear.*{PLAIN}",
        ),
        (lambda: written({"net": LINEAR, "epoch": 3}), rf"holds an object of torch\.nn\.modules\.linear.*{PLAIN}"),
        (lambda: written(resnet18()), rf"holds an object of torchvision\.models\.resnet\.ResNet.*{PLAIN}"),
        (scripted, r"is a TorchScript archive; .*torch\.save\(torch\.jit\.load\(\"mine\.pth\"\)\.state_dict\(\)"),
        (partial(zipped, "m/archive_format", "m/models/model.json"), r"is an exported program; .*torch\.export\.load"),
        (partial(zipped, "a/b.txt"), r"is a ZIP archive; unpack it"),
        (lambda: b"<!DOCTYPE html><html>404</html>", r"is a web page; fetch the file itself: torch\.hub\.download_url"),
        (lambda: b"\n<html><head>", r"is a web page"),
        (lambda: b"version https://git-lfs.github.com/spec/v1\noid", r"is a Git LFS pointer; fetch .*: git lfs pull"),
        (lambda: b"\x89HDF\r\n\x1a\n" + bytes(99), rf"is an HDF5 file; .*{PLAIN}"),
        (lambda: bytes(257) + b"ustar" + bytes(99), r"is a tar archive"),
        (lambda: b"", r"is empty; fetch or save it once more"),
        (lambda: b"weights", rf"is neither of safetensors nor of torch\.save; .*{PLAIN}"),
        (lambda: written(STATE)[:-5000], r"is cut off: its end is missing"),
        (lambda: written(STATE, _use_new_zipfile_serialization=False)[:-5000], r"is cut off or damaged"),
        (lambda: written(STATE, pickle_protocol=4), rf"is damaged or written in an unusual way; .*{PLAIN}"),
        (lambda: pickle.dumps({"weight": [1.0]}), r"is (cut off or )?damaged"),
    ],
)
def test_what_is_no_file_of_weights_says_what_it_is(tmp_path, content, told):
    path = tmp_path / "mine.pth"
    path.write_bytes(content())
    assert re.search(told, refusal(path)), refusal(path)


def test_a_cut_off_safetensors_file_says_so(tmp_path):
    save_file(STATE, tmp_path / "whole.safetensors")
    path = tmp_path / "cut.safetensors"
    path.write_bytes((tmp_path / "whole.safetensors").read_bytes()[:-5000])
    assert "is cut off or damaged" in refusal(path)


def changed(state: dict[str, Tensor] = STATE) -> dict[str, Tensor]:
    return {name: tensor * 1.01 if tensor.is_floating_point() else tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    ("content", "told", "cured"),
    [
        (
            {"model": STATE, "model_ema": changed()},
            r"2 sets of weights that fit and differ: model\., model_ema\.; keep",
            True,
        ),
        (
            {"model": STATE, "teacher": state_of(classes=4)},
            r"2 sets of weights that fit and differ: model\., teacher\.",
            True,
        ),
        (under("encoder_q.") | under("encoder_k.", changed()), r"differ: encoder_q\., encoder_k\.; keep one", True),
        (
            {"state_dict": under("model.") | under("ema.module.", changed())},
            r"state_dict\.ema\.module\.; keep one",
            True,
        ),
        (
            under("model.") | {"criterion.weight": torch.ones(10)},
            r"1 unexpected: criterion\.weight; if these change",
            True,
        ),
        (
            under("1.") | {"0.mean": torch.ones(1), "0.std": torch.ones(1)},
            r"2 unexpected: 0\.mean, 0\.std; if these",
            True,
        ),
        (under("student.") | under("teacher.", OTHER_ROW.build(seed=1).state_dict()), r"unexpected: teacher\.", True),
        (STATE | {"layer1.0.alpha": torch.ones(1)}, r"1 unexpected: layer1\.0\.alpha; give weights of the same", False),
        (STATE | {"layer1.0.gate": torch.tensor(True)}, r"1 unexpected: layer1\.0\.gate", False),
        (STATE | {"layer1.0.branch.se.weight": torch.ones(4)}, r"1 unexpected: layer1\.0\.branch\.se\.weight", False),
        (
            {n: t for n, t in under("net.").items() if "fc" not in n},
            r"2 missing: head\.fc\.weight, head\.fc\.bias",
            False,
        ),
        (
            {n.replace("head.fc", "head.fc.1"): t for n, t in STATE.items()},
            r"2 missing: head\.fc\.weight, head\.fc\.bias; 2 unexpected: head\.fc\.1\.weight",
            False,
        ),
        (
            {n: t[:, :32] if n == "head.fc.weight" else t for n, t in STATE.items()},
            r"\(10, 32\) instead of \(10, 64\)",
            False,
        ),
        (state_of(classes=1), r"must tell two classes or more apart; got 1", False),
        (state_of() | {"head.fc.weight": torch.zeros(0, 64), "head.fc.bias": torch.zeros(0)}, r"\(0, 64\)", False),
        ({"model": {n: t.numpy() for n, t in STATE.items()}}, r"holds no state dict", False),
    ],
)
def test_what_may_be_wrong_is_refused(tmp_path, monkeypatch, content, told, cured):
    path = saved(tmp_path, content)
    sentence = refusal(path)
    assert re.search(told, sentence), sentence
    if cured:
        monkeypatch.chdir(tmp_path)
        exec(
            sentence.partition("keep one: ")[2][:-1] or sentence.partition("leave them out: ")[2][:-1],
            {"torch": torch, "resnet_viz": resnet_viz, "Path": Path},
        )
        assert load(ROW, checkpoint=tmp_path / "weights.pth").trained


def test_a_file_of_a_folder_says_which_network_is_nearest(tmp_path):
    (fault,) = zoo.local_entries(
        saved(tmp_path, resnet18(num_classes=10).state_dict() | {"conv1.weight": torch.ones(64, 3, 3, 3)})
    )[1]
    assert "the nearest is imagenet-resnet18, but for 1 wrongly shaped: stem.conv1.weight (64, 3, 3, 3)" in fault


def test_weights_of_two_networks_in_a_file_need_a_name(tmp_path):
    other = OTHER_ROW.build(seed=1).state_dict()
    path = saved(tmp_path, {"student": STATE, "teacher": other})
    assert same_state(load(ROW, checkpoint=path).network, STATE)
    assert same_state(load(OTHER_ROW, checkpoint=path).network, other)
    entries, (fault,) = zoo.local_entries(path)
    assert entries == [] and "holds weights of fashion-resnet20 and of fashion-resnet32; keep one: " in fault
    path = saved(
        tmp_path, {"model": STATE, "ema": {"shadow": {name: each for name, each in other.items() if "fc" not in name}}}
    )
    assert [entry.name for entry in zoo.local_entries(path)[0]] == ["fashion-resnet20:mine"]


def test_what_lies_twice_in_a_file_is_looked_through_once(tmp_path):
    content: Content = {"model": STATE, "again": {"model": STATE}}
    content["self"] = content
    path = saved(tmp_path, content)
    assert same_state(load(ROW, checkpoint=path).network, STATE)
    assert [keys for keys, _ in state_dicts(weights.read(path))] == [("model",)]
