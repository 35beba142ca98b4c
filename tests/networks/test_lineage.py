"""Highway networks, LSTMs and Transformers: their forward passes written again, their two terms, their exact paths."""

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from resnet_viz.experiments.lineage import carries
from resnet_viz.experiments.paths import gradient_by_length
from resnet_viz.experiments.trace import stream_gradient_norms
from resnet_viz.networks.blocks import add
from resnet_viz.networks.cutting import cut
from resnet_viz.networks.description import describe
from resnet_viz.networks.folding import folded
from resnet_viz.networks.highway import HighwayBlock, build_highway
from resnet_viz.networks.network import ResidualNetwork
from resnet_viz.networks.recurrent import build_lstm, build_rnn
from resnet_viz.networks.transformer import build_vit
from resnet_viz.networks.zoo import NETWORKS

from ..conftest import left_as_it_was, relative_error

WIDTH = 8
BUILD = {
    "highway": lambda: build_highway(5, WIDTH),
    "plain": lambda: build_highway(5, WIDTH, gates=False),
    "lstm": lambda: build_lstm(WIDTH),
    "lstm, bias 0": lambda: build_lstm(WIDTH, forget_bias=0.0),
    "rnn": lambda: build_rnn(WIDTH),
    "pre-norm": lambda: build_vit(2, WIDTH),
    "post-norm": lambda: build_vit(2, WIDTH, norm_first=False),
}
every_kind = pytest.mark.parametrize("name", BUILD)
with_shortcuts = pytest.mark.parametrize("name", [name for name in BUILD if name not in ("plain", "rnn")])


@pytest.fixture
def images() -> Tensor:
    return torch.randn(4, 1, 28, 28)


@pytest.fixture
def labels() -> Tensor:
    return torch.tensor([3, 1, 4, 1])


def lively(name: str) -> ResidualNetwork:
    """A small network of a kind, with weights large enough for every gate to matter."""
    network = BUILD[name]()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return network.eval()


def by_hand(name: str, network: ResidualNetwork, images: Tensor, skipped: tuple[int, ...] = ()) -> Tensor:
    """The logits, computed with torch's own layers, without some of the blocks."""
    state = network.state_dict()
    if name in ("highway", "plain"):
        stream = functional.linear(images.flatten(1), state["stem.fc.weight"], state["stem.fc.bias"]).tanh()
        for index in (each for each in range(5) if each not in skipped):
            layer = f"layer1.{index}.branch" + (".layers" if name == "plain" else "") + ".fc"
            transformed = functional.linear(stream, state[f"{layer}.weight"], state[f"{layer}.bias"]).tanh()
            if name == "highway":
                gate = f"layer1.{index}.transform.fc"
                transform = functional.linear(stream, state[f"{gate}.weight"], state[f"{gate}.bias"]).sigmoid()
                stream = transform * transformed + (1 - transform) * stream
            else:
                stream = transformed
    elif name in ("lstm", "lstm, bias 0", "rnn"):
        kind, layer = (nn.RNN, "layer") if name == "rnn" else (nn.LSTM, "gates")
        weight, bias = state[f"stem.cell.{layer}.weight"], state[f"stem.cell.{layer}.bias"]
        reading = kind(28, WIDTH, batch_first=True)
        reading.load_state_dict(
            {
                "weight_ih_l0": weight[:, :28],
                "weight_hh_l0": weight[:, 28:],
                "bias_ih_l0": bias,
                "bias_hh_l0": 0 * bias,
            }
        )
        stream = reading(images[:, 0, [row for row in range(28) if row not in skipped]])[0][:, -1]
    else:
        stream = functional.conv2d(images, state["stem.conv.weight"], state["stem.conv.bias"], 7)
        stream = (stream + state["stem.position.added"]).flatten(2).mT
        for index in range(0, 4, 2):
            stream = encoder_layer(state, index, name == "pre-norm")(stream)
        if name == "pre-norm":
            stream = functional.layer_norm(stream, [WIDTH], state["head.norm.weight"], state["head.norm.bias"])
        stream = stream.mean(1)
    return functional.linear(stream, state["head.fc.weight"], state["head.fc.bias"])


def encoder_layer(state: dict[str, Tensor], index: int, norm_first: bool) -> nn.Module:
    """torch's own layer of a Transformer, with the weights of two blocks."""
    norm = "entry" if norm_first else "last"
    names = {
        "self_attn.in_proj_": f"layer1.{index}.branch.heads.",
        "self_attn.out_proj.": f"layer1.{index}.branch.joined.",
        "norm1.": f"layer1.{index}.{norm}.",
        "linear1.": f"layer1.{index + 1}.branch.fc1.",
        "linear2.": f"layer1.{index + 1}.branch.fc2.",
        "norm2.": f"layer1.{index + 1}.{norm}.",
    }
    layer = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=norm_first)
    layer.load_state_dict(
        {
            their + kind: state[ours + kind].view(
                len(state[ours + kind]), *[-1] * (kind == "weight" and "norm" not in their)
            )
            for their, ours in names.items()
            for kind in ("weight", "bias")
        }
    )
    return layer


@every_kind
def test_the_logits_are_those_of_the_same_network_written_by_hand(name, images):
    network = lively(name)
    with torch.no_grad():
        assert relative_error(network(images), by_hand(name, network, images)) < 1e-6


@pytest.mark.parametrize("name", ["highway", "plain", "lstm", "lstm, bias 0", "rnn"])
@pytest.mark.parametrize("skipped", [(-1,), (-3, -2)])
def test_a_deleted_block_is_a_network_built_without_it(name, images, skipped):
    network = lively(name)
    skipped = tuple(range(len(network.blocks))[index] for index in skipped)
    with torch.no_grad():
        without = network(images, network.gates_without([f"layer1.{index}" for index in skipped]))
        assert relative_error(without, by_hand(name, network, images, skipped)) < 1e-6
        assert relative_error(without, network(images)) > 1e-3


@pytest.mark.parametrize("name", ["pre-norm", "post-norm"])
@pytest.mark.parametrize("index", [0, 1])
def test_deleting_attention_or_mlp_is_zeroing_its_last_layer(name, images, index):
    network = lively(name)
    with torch.no_grad():
        without = network(images, network.gates_without([f"layer1.{index}"]))
        for parameter in network.blocks[f"layer1.{index}"].branch[-1].parameters():
            parameter.zero_()
        assert torch.equal(without, network(images)) and torch.allclose(
            without, by_hand(name, network, images), atol=1e-5
        )


@every_kind
def test_the_two_terms_add_up_to_what_leaves_the_block_and_the_gate_scales_between_both(name, images):
    network = lively(name)
    for block in network.blocks.values():
        stream = torch.randn_like(network.enter(images))
        terms = block.gated(*block.split(stream), 1.0)
        assert torch.equal(block.activation(add(*terms)), block(stream))
        old, new, half = (add(*block.gated(*block.split(stream), gate)) for gate in (0.0, 1.0, 0.5))
        assert torch.allclose(half, (old + new) / 2, atol=1e-6)
        assert torch.equal(block.split(stream)[0], stream)


@every_kind
def test_one_batch_holds_many_lesions(name, images):
    network = lively(name)
    gates = torch.ones(4, len(network.blocks))
    gates[1, 0], gates[2, -1], gates[3, 1] = 0, 0, 0.5
    with torch.no_grad():
        together = network(images, gates)
        for number in range(4):
            alone = network(images[number : number + 1], gates[number].tolist())
            assert torch.allclose(together[number], alone[0], atol=1e-6)


@with_shortcuts
def test_the_gradients_of_the_paths_add_up(name, images, labels):
    found = gradient_by_length(lively(name), images, labels)
    assert found.sum_relative_error < 1e-6
    assert (found.norms > 0).sum() > 2 * len(found.norms), "many lengths carry some"


@every_kind
def test_cut_and_folded_networks_do_what_the_walk_does(name, images, labels):
    network = lively(name)
    deleted = ["layer1.1", "layer1.2"]
    without, expected = cut(network, deleted), network(images, network.gates_without(deleted))
    weights = sum(parameter.numel() for parameter in without.parameters())
    left = [block for each, block in network.blocks.items() if each not in deleted]
    kept = {id(parameter) for part in (network.stem, network.head, *left) for parameter in part.parameters()}
    norms = 2 * 2 * WIDTH if name == "post-norm" else 0  # what follows a deleted block's sum stays
    assert weights == norms + sum(each.numel() for each in network.parameters() if id(each) in kept)
    assert torch.allclose(without(images), expected, atol=1e-6)
    assert torch.allclose(folded(network)(images), network(images), atol=1e-6)
    if name not in ("plain", "rnn"):
        assert gradient_by_length(without, images, labels).sum_relative_error < 1e-6


@pytest.mark.parametrize("name", ["plain", "rnn"])
def test_without_a_shortcut_there_is_one_path(name, images, labels):
    network = lively(name)
    found = gradient_by_length(network, images, labels)
    assert found.norms[:, :-1].sum() == 0 < found.norms[:, -1].min()
    assert found.norms[:, -1].mean() == pytest.approx(stream_gradient_norms(network, images, labels)[0])


@pytest.mark.parametrize(
    "name", [name for name, row in NETWORKS.items() if name.split("-")[1] in ("highway50", "lstm", "vit")]
)
def test_the_paths_of_the_bundled_networks_are_exact(name, images, labels):
    found = gradient_by_length(NETWORKS[name].build(seed=0).eval(), images, labels)
    assert found.sum_relative_error < 1e-5


@pytest.mark.parametrize("name", ["highway", "lstm"])
def test_the_path_past_every_branch_is_the_product_of_the_carries(name, images, labels):
    network = lively(name)
    streams = [stream.requires_grad_() for stream in network.streams(images)]
    loss = functional.cross_entropy(network.logits(network.walk(streams[0])), labels, reduction="sum")
    last = torch.autograd.grad(
        functional.cross_entropy(network.logits(streams[-1]), labels, reduction="sum"), streams[-1]
    )[0]
    pairs = zip(network.blocks.values(), streams, strict=False)
    product = torch.stack([block.carry(stream) for block, stream in pairs]).prod(0)
    norms = (product * last[:, :WIDTH]).norm(dim=1)  # of an LSTM, the cell state alone is carried
    found = gradient_by_length(network, images, labels).norms[:, 0]
    assert torch.allclose(torch.from_numpy(found).float(), norms, rtol=1e-4, atol=1e-9)
    assert name == "lstm" or norms.min() > 0
    assert loss.requires_grad


def test_norms_look_at_the_memory_and_not_at_the_rows_that_are_carried(images, labels):
    network = lively("rnn")
    cell = network.stem.cell
    memories = [torch.zeros(4, WIDTH, requires_grad=True)]
    for row in images[:, 0].unbind(1):
        memories.append(cell(memories[-1], row))
    loss = functional.cross_entropy(network.head.fc(memories[-1]), labels, reduction="sum")
    gradients = torch.autograd.grad(loss, memories[:-1])
    expected = [float(gradient.norm(dim=1).mean()) for gradient in gradients]
    assert stream_gradient_norms(network, images, labels) == pytest.approx(expected, rel=1e-4)


@with_shortcuts
def test_the_loss_changes_with_a_gate_as_autograd_says(name, images, labels):
    network, images = lively(name).double(), images.double()
    gates = torch.full((len(network.blocks),), 0.7, dtype=torch.float64, requires_grad=True)

    def loss(gates: Tensor) -> Tensor:
        return functional.cross_entropy(network(images, gates), labels)

    assert torch.autograd.gradcheck(loss, gates)


@every_kind
def test_a_trace_of_paths_leaves_the_network_as_it_was(name, images, labels):
    network = lively(name)
    with left_as_it_was(network):
        network.head.fc.eval()
        gradient_by_length(network, images, labels)
        network.head.fc.train()


def test_the_gates_begin_where_the_papers_want_them(images):
    highway = carries(NETWORKS["fashion-highway50"].build(seed=0).eval(), images)
    usual, old = (
        carries(NETWORKS[f"fashion-{name}"].build(seed=0).eval(), images) for name in ("lstm", "lstm-forget0")
    )
    assert highway.shape == (4, 48) and usual.shape == (4, 28)
    assert highway.mean() > 0.9, "nearly the identity"
    assert usual[:, 0].mean() == pytest.approx(1 / (1 + 2.718**-1), abs=0.05) and old[:, 0].mean() == pytest.approx(
        0.5, abs=0.05
    )
    assert carries(NETWORKS["fashion-highway50"].build(seed=0).eval(), 3 * images).std() > 0


def test_highway50_and_its_twin_have_fifty_layers_and_the_same_ones():
    highway, plain = (NETWORKS[name] for name in ("fashion-highway50", "fashion-highway50-plain"))
    assert highway.plain == plain.name
    described = [describe(row.build(seed=0).eval(), row.preprocessing) for row in (highway, plain)]
    assert [each.layers for each in described] == [50, 50]
    assert {block.shortcut for block in described[0].blocks} == {"gated"}
    assert {block.activation for block in described[0].blocks} == {""}, "nothing follows the sum"
    assert isinstance(highway.build(seed=0).blocks["layer1.0"], HighwayBlock)


@pytest.mark.parametrize(("name", "layers"), [("lstm", 29), ("rnn", 29), ("vit", 34), ("vit-postnorm", 34)])
def test_layers_are_counted_as_the_papers_count_them(name, layers):
    row = NETWORKS[f"fashion-{name}"]
    found = describe(row.build(seed=0).eval(), row.preprocessing)
    assert found.layers == layers
    assert found.params == sum(parameter.numel() for parameter in row.build(seed=0).parameters())
    if "vit" in name:
        assert {(block.kind, block.lead, block.activation) for block in found.blocks} == {
            (kind, *(("layer norm", "") if name == "vit" else ("", "layer norm"))) for kind in ("attention", "MLP")
        }


@pytest.mark.parametrize("name", ["fashion-lstm", "fashion-rnn"])
def test_all_steps_share_the_weights_of_one_cell(name, tmp_path):
    network = NETWORKS[name].build(seed=0)
    save_file(network.state_dict(), tmp_path / "cell.safetensors")  # which refuses tensors that stand there twice
    names = [name for name in network.state_dict() if not name.startswith("head.")]
    assert len(names) == 2 and all(name.startswith("stem.cell.") for name in names)
    assert all(not list(block.parameters()) for block in network.blocks.values())
