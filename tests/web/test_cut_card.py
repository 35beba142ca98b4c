"""The card of the network without its deleted blocks, its file, and that file as a network on every page."""

from functools import partial

import pytest

from resnet_viz.errors import InputError
from resnet_viz.experiments.cut import Healing
from resnet_viz.networks import zoo
from resnet_viz.places import CHECKPOINTS
from resnet_viz.recipes import cut_network, measures
from resnet_viz.recipes.cut_network import cut_file, healed_file, what_is_left
from resnet_viz.recipes.subject import Subject
from resnet_viz.web.kit.cut_file import LARGEST, made
from resnet_viz.web.networks import local_networks
from tests.web.test_pages import EXPERIMENTS, OF_OTHER_NETWORKS, QUICK, opened, texts

NAME, LINK = "fashion-resnet20", {"network": "fashion-resnet20", "deleted": "2.3"}
DELETED = ("layer1.2", "layer2.0")
TITLE = "The network without these blocks"
pytestmark = pytest.mark.usefixtures("few_images")


def offered(app) -> list[str]:
    """What can be downloaded on a page, of cut networks."""
    return [each.label for each in app.get("download_button") if "what is left" in each.label]


def test_a_lesion_can_be_cut_and_taken_home() -> None:
    app = opened("layer_deletion", LINK | {"beside": "nothing"})
    assert TITLE not in texts(app) and offered(app) == ["Download what is left"]
    next(each for each in app.button if each.label.startswith("Measure what is left")).click().run()
    assert TITLE in texts(app) and not app.exception
    assert f"cut {NAME} --blocks layer1.2,layer2.0 --output without-2-blocks.safetensors" in texts(app)
    (table,) = (each.value for each in app.dataframe)
    assert list(table["quantity"]) == ["parameters", "multiply-adds, one image", "time of a forward pass", "error"]
    assert table["intact"][0] == "269,434" and table["cut"][0] == "250,810"
    (said,) = (each.value for each in app.header if "% error" in each.value)
    assert f"{table['intact'][3]} → {table['cut'][3]}" in said


@pytest.mark.parametrize(
    "change",
    [
        {"deleted": ""},
        {"gate": "0.5"},
        {"seed": "0"},
        {"deleted": "0-8"},
    ],
    ids=["intact", "half a gate", "untrained", "nothing left"],
)
def test_there_is_nothing_to_cut(change) -> None:
    app = opened("layer_deletion", {name: text for name, text in (LINK | change).items() if text})
    assert not offered(app) and not [each for each in app.button if each.label.startswith("Measure what is left")]


def test_a_large_network_is_cut_by_the_command_alone(monkeypatch) -> None:
    assert all(path.stat().st_size < 4 * LARGEST for path in CHECKPOINTS.glob("*.safetensors"))
    monkeypatch.setattr("resnet_viz.web.kit.cut_file.LARGEST", 100_000)
    app = opened("layer_deletion", LINK)
    assert not offered(app) and "python -m resnet_viz cut" in texts(app)


def test_what_is_downloaded_is_the_network_without_the_blocks(tmp_path) -> None:
    subject = Subject.of(NAME, deleted=DELETED)
    path = tmp_path / "mine.safetensors"
    path.write_bytes(made(partial(cut_file, subject.network, DELETED)))
    assert path.read_bytes() == cut_file(subject.network, DELETED)
    (row,), _ = zoo.local_entries(path)
    cut = Subject.of(path)
    assert cut.network.weights == row.provenance == f"cut from {NAME}: layer1.2, layer2.0"
    assert cut.probabilities[0] == pytest.approx(subject.probabilities[1], abs=1e-6)
    again = what_is_left(Subject.of(path, deleted=["layer1.1"]))
    assert again.rows[0]["intact"] == "250,810"


def test_a_cut_network_opens_on_every_page(monkeypatch, tmp_path) -> None:
    subject = Subject.of(NAME, deleted=DELETED)
    (tmp_path / "mine.safetensors").write_bytes(cut_file(subject.network, DELETED))
    monkeypatch.setenv("RESNET_VIZ_CHECKPOINTS", str(tmp_path))
    local_networks.cache_clear()
    for page in (name for name in EXPERIMENTS if name not in OF_OTHER_NETWORKS):
        app = opened(page, {"network": f"{NAME}:mine", "deleted": "3"} | (QUICK if page == "lesion_studies" else {}))
        assert not app.warning and not app.error, page
        assert f"cut from {NAME}: layer1.2, layer2.0" in texts(app)
        card = next(card for card in app.session_state["state"].cards.values() if card.python)
        exec(compile(card.python, page, "exec"), {})  # it names the file
    app = opened("stage_diagram", {"network": f"{NAME}:mine", "block": "2"})
    assert "layer2.1" in texts(app)
    local_networks.cache_clear()


def test_what_is_left_can_be_healed_and_taken_home(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(cut_network, "HEALING", Healing(steps=3))
    app = opened("layer_deletion", LINK | {"beside": "nothing"})
    next(each for each in app.button if each.label.startswith("Heal it")).click().run()
    subject = Subject.of(NAME, deleted=DELETED)
    table = next(each.value for each in app.dataframe if "network" in each.value)
    assert list(table["network"]) == ["intact", "cut", "cut and healed"]
    assert "Healed: " in texts(app) and "3 steps of 64 of the 4,000 bundled training images" in texts(app)
    assert "Download what is healed" in [each.label for each in app.get("download_button")]
    path = tmp_path / "healed.safetensors"
    path.write_bytes(made(partial(healed_file, subject.network, subject.images, DELETED)))
    healed = Subject.of(path)
    assert healed.network.weights == f"cut from {NAME}: layer1.2, layer2.0; healed by 3 steps"
    wrong = measures.predictions(healed.loaded, healed.images, healed.intact) != healed.images.labels.numpy()
    assert table["error"][2] == f"{100 * wrong.mean():.1f} %"
    app.button(key="delete_layer3").click().run()  # other blocks are not healed before they are asked for
    assert "Healed: " not in texts(app) and [each for each in app.button if each.label.startswith("Heal it")]


def test_healing_is_refused_without_blocks_to_heal_or_images_to_train_on() -> None:
    with pytest.raises(InputError, match="At least one block must be deleted"):
        cut_network.healed(Subject.of(NAME))
    with pytest.raises(InputError, match="must be of Fashion-MNIST"):
        cut_network.healed(Subject.of("cifar10-resnet20", untrained=0, deleted=["layer1.0"]))


def test_what_a_deletion_saves_and_costs_is_counted() -> None:
    found = cut_network.removal(Subject.of(NAME, deleted=DELETED))
    left = cut_network.what_is_left(Subject.of(NAME, deleted=DELETED))
    assert isinstance(found, cut_network.Removal)
    assert found.title in left.title and f"{found.removed_pct:.1f} % fewer" in found.title
    assert left.rows[1]["change"] == f"{-found.removed_pct:+.1f} %"
    assert left.rows[3]["change"].startswith(f"{found.rise:+.1f} points (")
    with pytest.raises(InputError, match="At least one block must be deleted"):
        cut_network.removal(Subject.of(NAME))
