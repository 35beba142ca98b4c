"""Every page with networks of others, as ``resnet_viz.show`` brings them: tokens, volumes, signals, and pictures without labels."""

import re

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from resnet_viz.networks.blocks import Block
from resnet_viz.networks.network import ResidualNetwork
from resnet_viz.networks.zoo import NamedNetwork, hand_over
from resnet_viz.recipes import measures
from resnet_viz.recipes.subject import ONLY_AS_IT_IS
from resnet_viz.web import networks

from .test_pages import EXPERIMENTS, OF_OTHER_NETWORKS, QUICK, opened, texts

IMAGES = 12


class Signals(nn.Module):
    """A residual network of two stages for signals of three channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(3, 8, 7, 2, 3)
        self.first = nn.ModuleList([unit(8, 8, 1) for _ in range(2)])
        self.down = nn.Conv1d(8, 16, 1, 2)
        self.second = nn.ModuleList([unit(16, 16, 1) for _ in range(2)])
        self.classify = nn.Linear(16, 4)

    def forward(self, signals: Tensor) -> Tensor:
        stream = self.stem(signals)
        for block in self.first:
            stream = torch.relu(stream + block(stream))
        stream = self.down(stream)
        for block in self.second:
            stream = torch.relu(stream + block(stream))
        return self.classify(stream.mean(2))


def unit(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(before, after, 3, stride, 1), nn.BatchNorm1d(after), nn.ReLU(), nn.Conv1d(after, after, 3, 1, 1)
    )


def volumes() -> ResidualNetwork:
    """Two stages of one block each, for volumes of one channel; nobody has labelled them."""
    stages = []
    for before, after in ((4, 4), (4, 8)):
        branch = nn.Sequential(
            nn.Conv3d(before, after, 3, after // before, 1), nn.ReLU(), nn.Conv3d(after, after, 3, 1, 1)
        )
        stages.append([Block("basic", branch, nn.Identity() if before == after else nn.Conv3d(before, after, 1, 2))])
    head = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, 3))
    return ResidualNetwork(nn.Conv3d(1, 4, 3, 1, 1), stages, head)


def transformer() -> VisionTransformer:
    model = VisionTransformer(16, 4, num_layers=3, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=5)
    nn.init.normal_(model.heads.head.weight, std=0.5)  # torchvision begins with 0, behind which no gradient comes back
    return model


@pytest.fixture
def network(request, monkeypatch) -> NamedNetwork:
    """A network of the kind asked for, as the app knows it."""
    torch.manual_seed(0)
    labels = torch.arange(IMAGES) % 4
    match request.param:
        case "tokens":
            network = hand_over(transformer(), torch.randn(IMAGES, 3, 16, 16), labels, name="my-vit")
        case "signals":
            network = hand_over(Signals(), torch.randn(IMAGES, 3, 64), labels)
        case "volumes":
            network = hand_over(volumes(), torch.randn(4, 1, 8, 8, 8))
    monkeypatch.setitem(networks.HANDED_OVER, network.entry.name, network.entry)
    return network


@pytest.mark.parametrize("page", [page for page in EXPERIMENTS if page not in OF_OTHER_NETWORKS])
@pytest.mark.parametrize("network", ["tokens", "signals", "volumes"], indirect=True)
def test_page_opens(page: str, network: NamedNetwork) -> None:
    app = opened(page, {"network": network.entry.name} | (QUICK if page == "lesion_studies" else {}))
    assert app.title[0].value.endswith("?")
    told = [each.value for each in app.error]
    if page == "layer_deletion":  # the rest of the page is there
        assert "Grad-CAM needs a stream with channels, height and width" in told.pop()
    assert not told and not app.warning
    assert not re.search(r"\b(nan|inf)\b", texts(app))
    assert (ONLY_AS_IT_IS.format(name=network.title) in texts(app)) == (page in ("gradient_flow", "painters"))
    assert not [each for each in app.segmented_control if each.label in ("Weights", "Image")]


@pytest.mark.parametrize("network", ["tokens"], indirect=True)
def test_a_link_deletes_a_branch_of_the_model(network: NamedNetwork) -> None:
    """Block 3 of six is the MLP of the second of three layers."""
    app = opened("layer_deletion", {"network": "my-vit", "image": "5", "deleted": "3"})
    torch.manual_seed(0)
    model, images = transformer().eval(), torch.randn(IMAGES, 3, 16, 16)
    assert [block.origin for block in measures.loaded(network).network.blocks.values()][3].endswith(
        "encoder_layer_1.mlp"
    )
    model.encoder.layers.encoder_layer_1.mlp.register_forward_hook(lambda *_: torch.zeros(()))
    probabilities = model(images[5:6]).softmax(1)[0]
    likeliest = int(probabilities.argmax())
    assert f"class {likeliest} (probability {probabilities[likeliest]:.2f})" in texts(app)
    assert "deleted: layer1.3" in texts(app)


@pytest.mark.parametrize("network", ["signals"], indirect=True)
def test_what_a_link_asks_of_it_in_vain_is_told(network: NamedNetwork) -> None:
    app = opened("stage_diagram", {"network": network.entry.name, "seed": "3", "beside": "itself, untrained"})
    assert any("Signals cannot be had untrained, so its seed was left out" in each.value for each in app.warning)
    assert app.session_state["state"].visit.beside is None
    assert "2 stages" in texts(app)
