"""Files of weights: over HTTP, from the cache, from anybody's disk, under other people's names."""

import hashlib
import pickle
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import get_model

from resnet_viz.errors import InputError
from resnet_viz.networks import zoo
from resnet_viz.networks.fitting import fill, own_name
from resnet_viz.networks.zoo import NETWORKS, Entry, WeightsUnavailable, load, loading

from ..conftest import lived_in, relative_error, same_state

SMALL = NETWORKS["cifar10-resnet20"]


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder and remembers what was asked for."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


class Server(NamedTuple):
    """An HTTP server on this machine, the folder that it serves and the paths that were asked for."""

    url: str
    folder: Path
    asked: list[str]


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch) -> Path:
    """An empty torch hub cache; returns the folder in which weights are kept."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    folder = tmp_path / "served"
    folder.mkdir()
    with serving(partial(QuietHandler, directory=folder)) as running:
        yield Server(f"http://127.0.0.1:{running.server_port}", folder, running.asked)


class serving:
    """Run an HTTP server in a thread for a block of code."""

    def __init__(self, handler) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.asked = []

    def __enter__(self) -> ThreadingHTTPServer:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self.server

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def pixels(entry: Entry = SMALL, size: int | None = None) -> Tensor:
    """Four images of noise, normalised."""
    size = size or entry.preprocessing.crop
    shape = (4, entry.preprocessing.channels, size, size)
    generator = torch.Generator().manual_seed(4)
    return entry.preprocessing.normalise(torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator))


def named_by_hash(folder: Path, state: object, digits: str | None = None) -> Path:
    """Save weights under a name that holds the first digits of their SHA-256, or those given."""
    folder.mkdir(parents=True, exist_ok=True)
    unnamed = folder / "unnamed"
    torch.save(state, unnamed)
    digits = digits or hashlib.sha256(unnamed.read_bytes()).hexdigest()[:8]
    return unnamed.rename(folder / f"small-{digits}.th")


def trained_state(seed: int = 7) -> dict[str, Tensor]:
    return lived_in(SMALL.build(seed=seed), pixels()).state_dict()


def at(url: str, path: Path) -> Entry:
    """The small network with its weights at a URL."""
    return replace(SMALL, weights=f"{url}/{path.name}")


# Weights over HTTP and in the cache.


def test_a_download_appears_whole_and_checked(server, hub):
    state = trained_state()
    served = named_by_hash(server.folder, state)
    entry, told = at(server.url, served), []

    def progress(done: int, total: int) -> None:
        assert not (hub / served.name).exists(), "the file was seen before it was whole"
        told.append((done, total))

    loaded = load(entry, progress=progress)
    assert loaded.trained and loaded.weights == entry.provenance
    assert loaded.digest == hashlib.sha256(served.read_bytes()).hexdigest()
    assert same_state(loaded.network, state)
    assert [path.name for path in hub.iterdir()] == [served.name]
    assert (hub / served.name).read_bytes() == served.read_bytes()
    size = served.stat().st_size
    assert [done for done, _ in told] == sorted({done for done, _ in told}) and told[-1] == (size, size)


def test_the_cached_file_is_used_without_asking_the_server(server):
    entry = at(server.url, named_by_hash(server.folder, trained_state()))
    first = load(entry)
    again = load(entry)
    assert len(server.asked) == 1
    assert again.digest == first.digest and same_state(again.network, first.network.cpu().state_dict())


def test_a_file_put_into_the_cache_by_hand_needs_no_server(hub):
    state = trained_state()
    path = named_by_hash(hub, state)
    assert same_state(load(at("http://127.0.0.1:9", path)).network, state)


def test_what_has_another_hash_is_refused_and_removed(server, hub):
    served = named_by_hash(server.folder, trained_state(), digits="0123abcd")
    with pytest.raises(WeightsUnavailable, match="SHA-256 does not begin with the digits in its name"):
        load(at(server.url, served))
    assert list(hub.iterdir()) == []


def test_a_name_without_digits_is_never_trusted(server, hub):
    served = named_by_hash(server.folder, trained_state()).rename(server.folder / "weights.th")
    with pytest.raises(WeightsUnavailable, match="SHA-256 does not begin with the digits in its name"):
        load(at(server.url, served))
    assert list(hub.iterdir()) == []


def test_a_missing_server_is_told_with_address_and_place(server, hub):
    served = named_by_hash(server.folder, trained_state())
    with serving(QuietHandler) as gone:
        url = f"http://127.0.0.1:{gone.server_port}"
    with pytest.raises(WeightsUnavailable) as refusal:
        load(at(url, served))
    told = str(refusal.value)
    assert f"{url}/{served.name}" in told and f"put the file at {hub / served.name} by hand" in told


def test_a_file_that_the_server_has_not(server, hub):
    with pytest.raises(WeightsUnavailable, match="404"):
        load(at(server.url, Path("small-01234567.th")))
    assert list(hub.iterdir()) == []


class BreaksOff(BaseHTTPRequestHandler):
    """Promises a megabyte in chunks and hangs up after a few bytes."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"100000\r\nsome bytes")

    def log_message(self, *_: object) -> None:
        pass


class BreaksOffSilently(BreaksOff):
    """The same with a length in place of chunks."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(b"some bytes")


class SpeaksNoHttp(BreaksOff):
    def do_GET(self) -> None:
        self.wfile.write(b"what?\r\n\r\n")


@pytest.mark.parametrize("handler", [BreaksOff, BreaksOffSilently, SpeaksNoHttp])
def test_a_broken_answer_leaves_nothing_behind(handler, hub):
    with serving(handler) as running, pytest.raises(WeightsUnavailable, match="could not be fetched"):
        load(at(f"http://127.0.0.1:{running.server_port}", Path("small-01234567.th")))
    assert list(hub.iterdir()) == []


def test_an_interrupted_download_leaves_nothing_behind(server, hub):
    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(at(server.url, named_by_hash(server.folder, trained_state())), progress=interrupt)
    assert list(hub.iterdir()) == []


def test_a_damaged_cached_file_is_named_and_kept(server, hub):
    served = named_by_hash(server.folder, trained_state())
    hub.mkdir(parents=True)
    (hub / served.name).write_bytes(served.read_bytes()[:-100])
    with pytest.raises(WeightsUnavailable, match="damaged") as refusal:
        load(at(server.url, served))
    assert str(hub / served.name) in str(refusal.value)
    assert server.asked == [] and (hub / served.name).exists()


def test_a_bundled_file_that_is_missing_is_told_with_the_command_that_makes_it(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "CHECKPOINTS", tmp_path)
    with pytest.raises(WeightsUnavailable, match=r"python -m resnet_viz train fashion-resnet20"):
        load(NETWORKS["fashion-resnet20"])


# What a file may hold.


def checkpoint(tmp_path: Path, state: object, **options: bool) -> Path:
    path = tmp_path / "checkpoint.pt"
    torch.save(state, path, **options)
    return path


@pytest.mark.parametrize("wrap", [False, True], ids=["bare", "wrapped"])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_state_dicts_as_they_are_usually_saved(tmp_path, wrap, prefix, zipped):
    state = trained_state()
    saved = OrderedDict((prefix + name, tensor) for name, tensor in state.items())
    file = {"epoch": 3, "state_dict": saved, "best_prec1": 91.7} if wrap else saved
    path = checkpoint(tmp_path, file, _use_new_zipfile_serialization=zipped)
    loaded = load(SMALL, checkpoint=path)
    assert same_state(loaded.network, state)
    assert loaded.trained and loaded.weights == "from checkpoint.pt"


def test_safetensors_and_pickles_give_the_same_network(tmp_path):
    state = trained_state()
    save_file(state, tmp_path / "checkpoint.safetensors")
    networks = [
        load(SMALL, checkpoint=tmp_path / "checkpoint.safetensors"),
        load(SMALL, checkpoint=checkpoint(tmp_path, state)),
    ]
    assert all(same_state(loaded.network, state) for loaded in networks)
    assert networks[0].digest != networks[1].digest


class Marker:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, zipped):
    path = checkpoint(tmp_path, {"weight": Marker(tmp_path / "ran")}, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match="not a file of plain weights"):
        load(SMALL, checkpoint=path)
    assert not (tmp_path / "ran").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "ran").exists(), "the trap was none"


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_bare_pickle_with_code_is_refused_and_not_run(tmp_path):
    path = tmp_path / "checkpoint.pkl"
    path.write_bytes(pickle.dumps(Marker(tmp_path / "ran")))
    with pytest.raises(InputError, match=r"checkpoint\.pkl"):
        load(SMALL, checkpoint=path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["checkpoint.safetensors", "checkpoint.pt"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04 neither", b"\x80\x02}q\x00."])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        load(SMALL, checkpoint=tmp_path / name)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn], ids=str)
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_weights_of_another_precision_become_float32(tmp_path, suffix, kind):
    state = {
        name: tensor.to(kind) if tensor.is_floating_point() else tensor for name, tensor in trained_state().items()
    }
    path = tmp_path / f"checkpoint.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(state, path)
    expected = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    assert same_state(load(SMALL, checkpoint=path).network, expected)


def with_value(tensor: Tensor, value: float) -> Tensor:
    tensor = tensor.clone()
    tensor.view(-1)[1] = value
    return tensor


WEIGHT, VARIANCE = "layer2.1.branch.conv1.weight", "layer1.0.branch.bn1.running_var"
NOT_FINITE, NOT_DENSE = "NaN, infinity or values too large for float32", "other than dense floating-point numbers"


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
@pytest.mark.parametrize(
    ("name", "change", "fault"),
    [
        (WEIGHT, lambda tensor: with_value(tensor, torch.nan), NOT_FINITE),
        (WEIGHT, lambda tensor: with_value(tensor, torch.inf), NOT_FINITE),
        (WEIGHT, lambda tensor: with_value(tensor, -torch.inf), NOT_FINITE),
        (WEIGHT, lambda tensor: (tensor * 1e9).half(), NOT_FINITE),
        (WEIGHT, lambda tensor: with_value(tensor.bfloat16(), torch.nan), NOT_FINITE),
        (WEIGHT, lambda tensor: with_value(tensor.double(), 1e300), NOT_FINITE),
        ("head.fc.bias", lambda tensor: with_value(tensor, torch.nan), NOT_FINITE),
        (VARIANCE, lambda tensor: with_value(tensor, torch.nan), NOT_FINITE),
        (VARIANCE, lambda tensor: with_value(tensor, -1e-3), "a variance below 0"),
        (WEIGHT, lambda tensor: (tensor * 127).to(torch.int8), NOT_DENSE),
        (WEIGHT, lambda tensor: tensor > 0, NOT_DENSE),
        (WEIGHT, lambda tensor: tensor.to(torch.complex64), NOT_DENSE),
    ],
)
def test_values_that_no_network_computes_with_are_refused_by_name(tmp_path, suffix, name, change, fault):
    state = trained_state()
    path = tmp_path / f"checkpoint.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(state | {name: change(state[name])}, path)
    told = f"must hold finite floating-point weights; got {fault} in 1 of {len(state)} entries: {name}; give"
    with pytest.raises(InputError, match=told):
        load(SMALL, checkpoint=path)
    entries, faults = zoo.local_entries(path)
    assert entries == [] and len(faults) == 1 and told in faults[0]


@pytest.mark.filterwarnings("ignore:Validating sparse tensor invariants")
@pytest.mark.parametrize("change", [Tensor.to_sparse, lambda tensor: tensor.to("meta")], ids=["sparse", "meta"])
def test_a_pickled_weight_that_is_no_dense_tensor_is_refused_by_name(tmp_path, change):
    state = trained_state()
    path = checkpoint(tmp_path, state | {WEIGHT: change(state[WEIGHT])})
    with pytest.raises(InputError, match=f"{NOT_DENSE} in 1 of .* entries: {WEIGHT}"):
        load(SMALL, checkpoint=path)


def test_of_many_values_that_are_not_finite_the_first_entries_are_named(tmp_path):
    state = {n: tensor * torch.nan if tensor.is_floating_point() else tensor for n, tensor in trained_state().items()}
    first = ", ".join([name for name, tensor in state.items() if tensor.is_floating_point()][:5])
    with pytest.raises(InputError, match=rf"entries: {first} \.\.\.; give"):
        load(SMALL, checkpoint=checkpoint(tmp_path, state))


@pytest.mark.parametrize("names", [WEIGHT, "weight"])  # one entry and all that end so
def test_finite_weights_whose_logits_are_not_finite_are_refused(tmp_path, names):
    large = {name: 1e37 * tensor for name, tensor in trained_state().items() if name.endswith(names)}
    path = checkpoint(tmp_path, trained_state() | large)
    row = replace(SMALL, weights=str(path))  # as a file of the user's is listed in the app
    for load_it in (partial(load, SMALL, checkpoint=path), partial(load, row)):
        with pytest.raises(WeightsUnavailable, match=r"checkpoint\.pt must hold weights .* finite logits; got NaN"):
            load_it()


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_a_cut_off_checkpoint_is_named(tmp_path, suffix):
    path = tmp_path / f"whole.{suffix}"
    save = save_file if suffix == "safetensors" else torch.save
    save(trained_state(), path)
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"cut\."):
        load(SMALL, checkpoint=cut)


@pytest.mark.parametrize(
    "state", [{}, [1, 2], {"weight": 3}, torch.zeros(2)], ids=["empty", "list", "number", "tensor"]
)
def test_what_is_no_state_dict_is_told(tmp_path, state):
    with pytest.raises(InputError, match="no state dict"):
        load(SMALL, checkpoint=checkpoint(tmp_path, state))


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    for path in (tmp_path / "nowhere.pt", tmp_path / "nowhere.safetensors", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            load(SMALL, checkpoint=path)


def test_every_entry_that_does_not_fit_is_named_and_nothing_is_loaded(tmp_path):
    state = trained_state()
    state["layer2.1.branch.bn1.extra"] = state.pop("layer2.1.branch.bn1.weight")
    state["head.fc.weight"] = torch.zeros(100, 64)
    network = SMALL.build(seed=0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(InputError) as refusal:
        fill(network, state, tmp_path / "mine.pt")
    told = str(refusal.value)
    assert "mine.pt" in told
    assert "1 missing: layer2.1.branch.bn1.weight" in told
    assert "1 unexpected: layer2.1.branch.bn1.extra" in told
    assert "1 wrongly shaped: head.fc.weight (100, 64) instead of (10, 64)" in told
    assert same_state(network, before)


def test_weights_of_another_network_are_refused(tmp_path):
    path = checkpoint(tmp_path, NETWORKS["cifar10-resnet32"].build(seed=0).state_dict())
    with pytest.raises(InputError, match=r"unexpected: layer1\.3\.branch\.conv1\.weight"):
        load(SMALL, checkpoint=path)


def test_counters_of_batches_may_be_absent(tmp_path):
    state = {name: tensor for name, tensor in trained_state().items() if not name.endswith("num_batches_tracked")}
    loaded = load(SMALL, checkpoint=checkpoint(tmp_path, state))
    assert all(torch.equal(loaded.network.state_dict()[name].cpu(), tensor) for name, tensor in state.items())


# Other people's names.


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_torchvisions_names_load_to_torchvisions_logits(tmp_path, name):
    entry = NETWORKS[f"imagenet-{name}"]
    images = pixels(entry, size=64)
    model = get_model(name, weights=None)
    for norm in (module for module in model.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.2)
    with torch.no_grad():
        model.train()(images)
        loaded = load(entry, checkpoint=checkpoint(tmp_path, model.state_dict()))
        device = next(loaded.network.parameters()).device
        model = model.eval().to(device, memory_format=torch.channels_last)
        assert torch.equal(loaded.network(images.to(device)), model(images.to(device)))


class ReferenceBlock(nn.Module):
    """A block of the public CIFAR-10 networks, under the names of their checkpoints."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.stride = channels // in_channels
        self.conv1 = nn.Conv2d(in_channels, channels, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, stream: Tensor) -> Tensor:
        branch = self.bn2(self.conv2(self.bn1(self.conv1(stream)).relu()))
        if self.stride == 2:
            quarter = branch.shape[1] // 4
            stream = functional.pad(stream[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
        return (stream + branch).relu()


class ReferenceCifarNetwork(nn.Module):
    """ResNet-20 of He et al. 2015, section 4.2, under the names of the public checkpoints."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(ReferenceBlock(16, 16) for _ in range(3)))
        self.layer2 = nn.Sequential(ReferenceBlock(16, 32), ReferenceBlock(32, 32), ReferenceBlock(32, 32))
        self.layer3 = nn.Sequential(ReferenceBlock(32, 64), ReferenceBlock(64, 64), ReferenceBlock(64, 64))
        self.linear = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        stream = self.layer3(self.layer2(self.layer1(self.bn1(self.conv1(images)).relu())))
        return self.linear(stream.mean((2, 3)))


def test_the_public_cifar_names_load_to_that_networks_logits(tmp_path):
    model, images = ReferenceCifarNetwork(), pixels()
    for norm in (module for module in model.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.2)
    with torch.no_grad():
        model.train()(images)
        saved = {"state_dict": {f"module.{name}": tensor for name, tensor in model.state_dict().items()}}
        loaded = load(SMALL, checkpoint=checkpoint(tmp_path, saved))
        device = next(loaded.network.parameters()).device
        assert relative_error(loaded.network(images.to(device)), model.eval().to(device)(images.to(device))) < 1e-5


def test_own_names_stay_as_they_are():
    for entry in NETWORKS.values():
        names = list(zoo.architecture(entry).state_dict())
        assert [own_name(name) for name in names] == names
