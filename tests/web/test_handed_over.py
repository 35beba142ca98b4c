"""Every page with networks of others, as ``resnet_viz.show`` brings them: tokens, volumes, signals, and pictures without labels."""

import re

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from resnet_viz.experiments.early_stop import probabilities_by_stop
from resnet_viz.networks.blocks import Block
from resnet_viz.networks.network import ResidualNetwork
from resnet_viz.networks.zoo import NamedNetwork, hand_over
from resnet_viz.recipes import (
    block_influence,
    early_stop,
    gradient_flow,
    layer_deletion,
    lesion_studies,
    measures,
    painters,
    shattered_gradients,
)
from resnet_viz.recipes.subject import ONLY_AS_IT_IS, Subject
from resnet_viz.web import networks

from .conftest import traces_of
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
    assert not app.error and not app.warning
    assert not re.search(r"\b(nan|inf)\b", texts(app))
    assert (ONLY_AS_IT_IS.format(name=network.title) in texts(app)) == (page in ("gradient_flow", "painters"))
    assert not [each for each in app.segmented_control if each.label in ("Weights", "Image")]
    assert "Only this machine can open it" in texts(app) and "make run" not in texts(app)
    match page:
        case "start":
            count = len(measures.images(network.entry))
            assert f"Over {count} images" in [each.proto.label for each in app.main.get("page_link")]
        case "gradient_flow":
            assert "Whichever network is chosen, these are the residual and plain networks of 20, 56, 110" in texts(app)
        case "layer_deletion":
            assert "Grad-CAM is a map of a stream with channels" in texts(app) and not app.select_slider
            assert ("short bars below the blocks" in texts(app)) == (network.title != "ResidualNetwork")


@pytest.mark.parametrize("network", ["volumes"], indirect=True)
def test_without_labels_it_is_told_how_to_give_them(network: NamedNetwork) -> None:
    subject = Subject.of(network)
    intact = layer_deletion.set_error(subject)
    assert intact.title == "4 images, nothing deleted"
    assert layer_deletion.set_error(Subject.of(network, deleted=["layer1.0"])).title.endswith("% of predictions change")
    refused = [early_stop.error_by_stop, block_influence.harm, lesion_studies.study, painters.reverse]
    for told in (intact.caption, *(recipe(subject).says for recipe in refused)):
        assert told.endswith("no error to measure. Hand the network over with labels: `labels=`.")


@pytest.mark.parametrize("network", ["tokens"], indirect=True)
def test_it_is_not_told_to_have_what_it_has_not(network: NamedNetwork) -> None:
    subject = Subject.of(network)
    gradients = shattered_gradients.cosines(subject)
    assert "Dotted" not in gradients.caption
    assert [each["line"]["dash"] for each in traces_of(gradients)] == ["solid"]
    changed, responses = block_influence.change(subject), block_influence.responses(subject)
    assert "plain block" not in changed.caption and "ratios are to the norm of $x$ itself" in changed.caption
    assert "batch norm" not in responses.caption and "3×3" not in responses.caption
    stops = early_stop.error_by_stop(subject), early_stop.by_stop(subject)
    assert "probe" not in stops[0].caption and stops[1].caption == "All 5 classes."
    assert gradient_flow.trained(subject).says.endswith("-fold.")


def test_what_bundled_networks_have_is_told_of_them() -> None:
    subject = Subject.of("fashion-resnet20")
    assert shattered_gradients.cosines(subject).caption.endswith("Dotted: trained.")
    assert "Where a branch ends in a batch norm" in block_influence.responses(subject).caption
    assert early_stop.by_stop(subject).caption.startswith("The five classes that come out likeliest")
    assert early_stop.can_be_probed(subject)


@pytest.mark.parametrize("network", ["signals"], indirect=True)
def test_one_class_is_told_once(network: NamedNetwork) -> None:
    subject = Subject.of(network)
    found = measures.over_image(probabilities_by_stop, subject.loaded, subject.image)
    classes = {}
    for block, said in zip(subject.blocks, found[1:], strict=True):
        title = early_stop.by_stop(subject, block=block).title
        known = f"Stopped after {block}, it would say class {said.argmax()} ({said.max():#.3g})"
        if block == subject.blocks[-1]:
            assert title == f"{known}: that is the end"
            continue
        same = said.argmax() == found[-1].argmax()
        end = ", as at the end" if same else f"; at the end class {found[-1].argmax()}"
        assert title == f"{known}{end} ({found[-1].max():#.3g})"
        classes[same] = title
    assert classes.keys() == {True, False}


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
    app = opened("stage_diagram", {"network": network.entry.name, "seed": "3", "beside": "itself-untrained"})
    (warning,) = app.warning
    assert "Signals cannot be had untrained, so its seed was left out" in warning.value
    assert "beside = 'itself-untrained' was not used: it cannot stand beside Signals" in warning.value
    assert app.session_state["state"].visit.beside is None
    assert "2 stages" in texts(app)
