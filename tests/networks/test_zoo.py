"""The table of networks against published facts; weights that come over HTTP, from the cache and from files."""

import hashlib
import json
import pickle
import re
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
from torchvision.models import get_model, get_model_weights

from resnet_viz.errors import InputError
from resnet_viz.experiments.deletion import predict
from resnet_viz.networks import zoo
from resnet_viz.networks.datasets import bundled_fashion
from resnet_viz.networks.description import describe
from resnet_viz.networks.weights import fill, own_name
from resnet_viz.networks.zoo import NETWORKS, Entry, WeightsUnavailable, load

from ..conftest import lived_in, relative_error

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


def same_state(network: nn.Module, state: dict[str, Tensor]) -> bool:
    own = network.state_dict()
    return own.keys() == state.keys() and all(torch.equal(own[name].cpu(), state[name]) for name in state)


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
    with pytest.raises(WeightsUnavailable, match="another SHA-256"):
        load(at(server.url, served))
    assert list(hub.iterdir()) == []


def test_a_name_without_digits_is_never_trusted(server, hub):
    served = named_by_hash(server.folder, trained_state()).rename(server.folder / "weights.th")
    with pytest.raises(WeightsUnavailable, match="another SHA-256"):
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
    monkeypatch.setattr(zoo, "CHECKPOINTS", tmp_path)
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
    with pytest.raises(InputError, match="no file of plain weights"):
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


# Untrained networks.


def test_untrained_weights_are_seeded_and_leave_the_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    networks = [load(SMALL, untrained=seed) for seed in (3, 3, 4)]
    assert torch.equal(torch.rand(1), expected)
    assert same_state(networks[0].network, networks[1].network.cpu().state_dict())
    weights = [loaded.network.stem.conv1.weight.cpu() for loaded in networks]
    assert not torch.equal(weights[1], weights[2])
    assert networks[0].digest == networks[1].digest != networks[2].digest


def test_untrained_networks_say_so():
    loaded = load(SMALL, untrained=3)
    assert not loaded.trained
    assert loaded.weights == "untrained, seed 3"
    assert loaded.title == "cifar10-resnet20 (untrained)"
    without = load(SMALL, batch_norm=False)
    assert not without.trained and without.weights == "untrained, seed 0, without batch norm"
    assert without.digest != load(SMALL, untrained=0).digest
    assert not any(isinstance(module, nn.BatchNorm2d) for module in without.network.modules())


@pytest.mark.parametrize("name", ["fashion-preact56", "cifar10-resnet20"])
def test_untrained_batch_norms_are_calibrated_by_one_pass(name):
    entry = NETWORKS[name]
    network = load(entry, untrained=0).network.cpu()
    images = bundled_fashion("training").limit(256) if "fashion" in name else zoo.images_of(entry)
    if "fashion" not in name:
        assert images.labels is None, "the sample photos were expected"
    assert not any(module.training for module in network.modules())
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {norm.momentum for norm in norms} == {0.1}
    seen = []
    hooks = [norm.register_forward_hook(lambda *passed: seen.append(passed[-1])) for norm in norms]
    with torch.no_grad():
        network(entry.preprocessing.normalise(images.pixels))
    for hook in hooks:
        hook.remove()
    for output in seen:  # weight 1 and bias 0: mean 0 and variance 1 in every channel, up to 1e-5 added to the variance
        assert output.mean((0, 2, 3)).abs().max() < 0.05
        assert (output.var((0, 2, 3)) - 1).abs().max() < 0.05


def test_a_loaded_network_is_in_eval_mode_on_the_device(device):
    network = load(SMALL, untrained=0).network
    assert not any(module.training for module in network.modules())
    assert {parameter.device.type for parameter in network.parameters()} == {device.type}


# The table.

# torchvision 0.29.1 at 224 x 224, and He et al. 2015, table 1: blocks of each stage, parameters, 10^9 multiply-adds.
IMAGENET_FACTS = {
    18: ("basic", [2, 2, 2, 2], 11_689_512, 1.814),
    34: ("basic", [3, 4, 6, 3], 21_797_672, 3.664),
    50: ("bottleneck", [3, 4, 6, 3], 25_557_032, 4.089),
    101: ("bottleneck", [3, 4, 23, 3], 44_549_160, 7.801),
    152: ("bottleneck", [3, 8, 36, 3], 60_192_808, 11.514),
}
# He et al. 2015, table 6: millions of parameters, as printed there.
CIFAR_MILLIONS = {20: "0.27", 32: "0.46", 44: "0.66", 56: "0.85", 110: "1.7"}


@pytest.mark.parametrize("name", [name for name in NETWORKS if name.startswith("imagenet")])
def test_the_imagenet_networks_have_the_published_sizes(name):
    depth = int(name.removeprefix("imagenet-resnet").split("-")[0])
    kind, stages, params, giga_macs = IMAGENET_FACTS[depth]
    network = zoo.architecture(NETWORKS[name])
    described = describe(network.eval(), NETWORKS[name].preprocessing)
    assert {block.kind for block in network.blocks.values()} == {kind}
    assert list(network.stage_sizes().values()) == stages
    assert described.params == params == sum(parameter.numel() for parameter in network.parameters())
    assert round(described.macs / 1e9, 3) == giga_macs
    assert described.layers == depth
    assert len(NETWORKS[name].classes) == described.head.out_shape[0] == 1000


def test_the_cifar_networks_have_the_published_sizes():
    depths = [int(name.removeprefix("cifar10-resnet")) for name in NETWORKS if name.startswith("cifar10")]
    assert depths == list(CIFAR_MILLIONS)
    for depth, millions in CIFAR_MILLIONS.items():
        entry = NETWORKS[f"cifar10-resnet{depth}"]
        described = describe(zoo.architecture(entry).eval(), entry.preprocessing)
        digits = len(millions.split(".")[1])
        assert f"{described.params / 1e6:.{digits}f}" == millions
        assert described.layers == depth and len(described.blocks) == (depth - 2) // 2
        assert {block.shortcut for block in described.blocks} == {"identity", "option A"}
        assert [block.out_shape for block in described.blocks][:: len(described.blocks) // 3] == [
            (16, 32, 32),
            (32, 16, 16),
            (64, 8, 8),
        ]


def test_the_test_errors_are_the_published_ones():
    published = {20: 8.27, 32: 7.37, 44: 6.90, 56: 6.61, 110: 6.32}  # github.com/akamaster/pytorch_resnet_cifar10
    assert {depth: NETWORKS[f"cifar10-resnet{depth}"].published_error_pct for depth in published} == published
    assert NETWORKS["imagenet-resnet18"].published_error_pct == pytest.approx(30.242)
    assert NETWORKS["imagenet-resnet50-v2"].published_error_pct == pytest.approx(19.142)


@pytest.mark.parametrize("name", ["fashion-resnet34", "cifar10-resnet110", "imagenet-resnet18"])
def test_a_description_needs_no_weights(name):
    entry = NETWORKS[name]
    with_weights = describe(entry.build(seed=0).eval(), entry.preprocessing)
    assert describe(zoo.architecture(entry).eval(), entry.preprocessing) == with_weights


def test_every_row_is_complete():
    for name, entry in NETWORKS.items():
        assert entry.name == name and entry.family == name.split("-")[0]
        assert entry.provenance and entry.licence and entry.weights
        assert entry.plain is None or NETWORKS[entry.plain].name == entry.plain
        if "://" in entry.weights:
            assert entry.weights.startswith("https://")
            assert re.search(r"-[0-9a-f]{8,}\.", entry.weights), f"the file of {name} cannot be checked"
    assert zoo.DEFAULT_NETWORK in NETWORKS


def test_preprocessing_is_torchvisions_own():
    transforms = get_model_weights("resnet50")["IMAGENET1K_V2"].transforms()
    preprocessing = NETWORKS["imagenet-resnet50-v2"].preprocessing
    assert [preprocessing.resize, preprocessing.crop] == [transforms.resize_size[0], transforms.crop_size[0]]
    assert (list(preprocessing.mean), list(preprocessing.std)) == (transforms.mean, transforms.std)


def test_an_unknown_network_is_told_with_the_known_ones():
    with pytest.raises(InputError, match=r"'resnet20'.*fashion-resnet20.*imagenet-resnet18"):
        zoo.entry_of("resnet20")
    assert zoo.entry_of("cifar10-resnet20") is SMALL


@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_plain_network_has_the_depth_and_shapes_of_its_residual_one(name):
    entry = NETWORKS[name]
    plain = zoo.plain_entry(entry)
    if "plain" in name:
        assert plain is None
        return
    residual_blocks = describe(zoo.architecture(entry).eval(), entry.preprocessing).blocks
    plain_blocks = describe(zoo.architecture(plain).eval(), plain.preprocessing).blocks
    assert {block.shortcut for block in plain_blocks} == {"none"}
    assert [(block.name, block.out_shape) for block in plain_blocks] == [
        (block.name, block.out_shape) for block in residual_blocks
    ]
    network, crop = zoo.architecture(plain).eval(), entry.preprocessing.crop
    image = torch.zeros(1, entry.preprocessing.channels, crop, crop, device="meta")
    assert network(image, [0.0] * len(plain_blocks)).shape == (1, len(entry.classes)), "every block deleted"


def test_counterparts():
    assert zoo.counterpart(NETWORKS["fashion-plain34"]) is NETWORKS["fashion-resnet34"]
    assert zoo.counterpart(NETWORKS["fashion-resnet34"]) is NETWORKS["fashion-plain34"]
    other = zoo.counterpart(SMALL)
    assert other.weights is None and load(other).weights == "untrained, seed 0"


def test_the_bundled_weights_do_what_their_histories_say():
    files = sorted(zoo.CHECKPOINTS.glob("*.safetensors"))
    assert files
    images = bundled_fashion("lesion").limit(200)
    for file in files:
        loaded = load(NETWORKS[file.stem])
        assert loaded.trained and loaded.digest == hashlib.sha256(file.read_bytes()).hexdigest()
        predictions = predict(loaded.network, loaded.entry.preprocessing, images)
        error = 100 * (predictions != images.labels.numpy()).mean()
        told = json.loads(file.with_suffix(".json").read_text())["test_error_pct"]
        assert abs(error - told) < 10, f"{file.stem}: {error} % of 200 images, {told} % of all"  # 3 standard errors


# The images that come with a row.


def test_images_of_a_row(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_VIZ_DATA", str(tmp_path))
    assert len(zoo.images_of(NETWORKS["fashion-plain20"])) == 1000
    for name in ("cifar10-resnet20", "imagenet-resnet18"):
        images = zoo.images_of(NETWORKS[name])
        crop = NETWORKS[name].preprocessing.crop
        assert images.labels is None and images.pixels.shape == (4, 3, crop, crop)


def test_a_limit_spreads_over_the_set():
    whole, limited = (zoo.images_of(NETWORKS["fashion-resnet20"], limit=limit) for limit in (None, 7))
    assert limited.names == tuple(whole.names[i * 1000 // 7] for i in range(7))
    assert len(zoo.images_of(NETWORKS["fashion-resnet20"], limit=5000)) == 1000
    with pytest.raises(InputError, match="0 came"):
        zoo.images_of(NETWORKS["fashion-resnet20"], limit=0)


def test_wordnet_ids_are_imagenets_in_its_order():
    ids = zoo.wordnet_ids()
    classes = NETWORKS["imagenet-resnet18"].classes
    assert len(ids) == 1000 and sorted(ids.values()) == list(range(1000))
    assert sorted(ids, key=ids.get) == sorted(ids), "ImageNet's classes are numbered in the order of their ids"
    known = {"n01440764": "tench", "n02123045": "tabby", "n02504458": "African elephant", "n15075141": "toilet tissue"}
    assert {wordnet_id: classes[ids[wordnet_id]] for wordnet_id in known} == known


# Files of the visitor's own.


def test_a_file_is_found_by_the_network_that_it_fits(tmp_path):
    save_file({name: tensor.contiguous() for name, tensor in NETWORKS["fashion-resnet20"].build(seed=3).state_dict().items()}, tmp_path / "my run!.safetensors")  # fmt: skip
    torch.save(NETWORKS["cifar10-resnet20"].build(seed=4).state_dict(), tmp_path / "other.pt")
    (tmp_path / "notes.txt").write_text("no weights")
    (fashion, cifar), faults = zoo.local_entries(tmp_path)
    assert faults == []
    assert (fashion.name, cifar.name) == ("fashion-resnet20:my-run-", "cifar10-resnet20:other")
    assert fashion.family == "fashion" and fashion.provenance == "your file my run!.safetensors"
    images = torch.randn(2, 1, 28, 28)
    loaded = load(fashion)
    torch.testing.assert_close(loaded.network(images), NETWORKS["fashion-resnet20"].build(seed=3).eval()(images), rtol=1e-4, atol=1e-5)  # fmt: skip
    assert loaded.trained and loaded.weights == fashion.provenance
    assert [entry.name for entry in zoo.local_entries(tmp_path / "other.pt")[0]] == ["cifar10-resnet20:other"]


def test_a_folder_without_weights_and_a_file_that_fits_nothing_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no file of weights"):
        zoo.local_entries(tmp_path)
    torch.save({"weight": torch.zeros(3)}, tmp_path / "odd.pt")
    (tmp_path / "broken.pt").write_bytes(b"no weights")
    torch.save(NETWORKS["fashion-resnet20"].build(seed=1).state_dict(), tmp_path / "whole.pt")
    entries, faults = zoo.local_entries(tmp_path)
    assert [entry.name for entry in entries] == ["fashion-resnet20:whole"]
    assert ["broken.pt" in faults[0], "odd.pt fits no network of the table" in faults[1]] == [True, True]


def test_other_weights_of_one_architecture():
    names = [entry.name for entry in zoo.same_architecture(NETWORKS["imagenet-resnet50"], NETWORKS.values())]
    assert names == ["imagenet-resnet50-v2"]
    assert zoo.same_architecture(NETWORKS["fashion-resnet34"], NETWORKS.values()) == []
