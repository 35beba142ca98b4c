"""Networks of one's own under a name: as they were handed over, exactly, for as long as somebody has the name."""

import gc
import io

import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import resnet18

from resnet_viz.errors import InputError
from resnet_viz.networks.adapt import adapt
from resnet_viz.networks.images import AsGiven, Preprocessing
from resnet_viz.networks.zoo import counterpart, hand_over, load
from resnet_viz.recipes import layer_deletion, measures
from resnet_viz.recipes.subject import Subject

IMAGES = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def small(classes: int = 7) -> nn.Module:
    torch.manual_seed(0)
    return resnet18(num_classes=classes).eval()


def test_it_stays_as_it_was_handed_over() -> None:
    model = small()
    named = hand_over(model, IMAGES, torch.arange(6))
    loaded, expected = measures.loaded(named), model(IMAGES)
    with torch.no_grad():
        model.fc.weight.add_(1)
    model.train()
    assert torch.equal(loaded.network(loaded.inputs(measures.images(named.entry))), expected)
    assert not loaded.network.training
    assert named.entry.classes[6] == "class 6" and named.entry.name == "ResNet"
    assert list(named.entry.blocks) == named.blocks and named.blocks[-1] == "layer4.1"
    assert counterpart(named.entry) is None


def test_one_that_was_trained_on_is_another() -> None:
    model = small()
    first, second = (hand_over(model, IMAGES, name="mine") for _ in range(2))
    assert first.digest[:12] == second.digest[:12] and first.digest != second.digest  # its forward may have been edited
    with torch.no_grad():
        model.fc.weight.add_(1)
    assert hand_over(model, IMAGES, name="mine").digest[:12] != first.digest[:12]


def test_it_is_forgotten_with_its_name() -> None:
    named = hand_over(small(), IMAGES)
    entry = named.entry
    assert load(entry)
    for untrained in ({"untrained": 0}, {"batch_norm": False}):
        with pytest.raises(InputError, match="ResNet is only there as it was handed over"):
            load(entry, **untrained)
    del named
    gc.collect()
    with pytest.raises(InputError, match="ResNet is only there as it was handed over"):
        load(entry)
    with pytest.raises(InputError, match="ResNet was handed over; it cannot be built anew"):
        entry.build(seed=0)


def test_pixels_go_through_their_preprocessing() -> None:
    how = Preprocessing(36, 32, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    pixels = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8)
    named = hand_over(small(), pixels, preprocessing=how, classes=list("abcdefg"))
    loaded = measures.loaded(named)
    inputs = loaded.inputs(measures.images(named.entry))
    assert torch.equal(inputs, how.normalise(pixels)) and named.entry.classes == tuple("abcdefg")


def test_recipes_take_it() -> None:
    """Deleting a block for one image, as a hook on the model's own layer does it."""
    model = small()
    subject = Subject.of(hand_over(model, IMAGES), image=2, deleted=["layer3.1"])
    shown = layer_deletion.prediction(subject)
    model.layer3[1].bn2.register_forward_hook(lambda _, __, output: torch.zeros_like(output))
    probabilities = model(IMAGES[2:3]).softmax(1)[0]
    assert subject.probabilities[1] == pytest.approx(probabilities.detach().numpy(), rel=1e-5)
    assert f"{probabilities.max():.2f}" in shown.title
    assert "resnet_viz.hand_over(model, images)" in shown.python


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": "fashion-resnet56"}, "be none of the bundled networks'; got 'fashion-resnet56'"),
        ({"name": "a/b"}, "letters, digits and '_.-'"),
        ({"images": IMAGES.to(torch.uint8)}, "Images of uint8 need a preprocessing"),
        ({"images": IMAGES.long()}, "got int64: normalise them"),
        ({"images": IMAGES[0, 0]}, r"got the shape \(32, 32\): write images\[None\]"),
        ({"images": torch.where(torch.arange(6).view(6, 1, 1, 1) == 1, torch.nan, IMAGES)}, "infinity in 1 of 6"),
        ({"images": torch.zeros(1, 3, 1, 1).expand(100, 3, 256, 256)}, "got 75 MiB: give the first 85"),
        ({"labels": torch.arange(6) + 5}, "Labels must be 0 to 6, one of the network's classes; got 10"),
        ({"labels": torch.arange(5)}, r"Labels must be int64 of the shape \(6,\)"),
        ({"classes": ["cat", "dog"]}, "Classes must be 7, one for each output of the network; got 2 names"),
        ({"classes": "abcdefg"}, "Classes must be a list of names, each of them once; got 'abcdefg'"),
        ({"images": IMAGES.movedim(1, -1)}, r"write images\.movedim\(-1, 1\), since the channels come last"),
        ({"images": IMAGES[0]}, r"write images\[None\] for a single one"),
        ({"images": IMAGES[:0]}, r"got none: their shape is \(0, 3, 32, 32\)"),
        ({"images": "photos"}, "got a str: make one by torch.stack"),
    ],
)
def test_what_cannot_be_is_refused(given, told) -> None:
    with pytest.raises(InputError, match=told):
        hand_over(small(), **{"images": IMAGES} | given)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (resnet18, "got function: give the network itself"),
        (nn.Linear, r"got type: call it: Linear\(\)"),
        (nn.Linear(2, 2).state_dict(), r"got OrderedDict: build the network, and load this into it"),
        (IMAGES, "got Tensor: the model comes first, then the images"),
    ],
)
def test_what_is_no_model_is_told(model, told) -> None:
    with pytest.raises(TypeError, match=told):
        hand_over(model, IMAGES)
    with pytest.raises(TypeError, match=told):
        adapt(model)


def test_a_subject_says_what_it_does_not_have() -> None:
    named = hand_over(small(), IMAGES)
    with pytest.raises(InputError, match="Image must be 0 to 5, a position in 6 images given with ResNet; got 99"):
        Subject.of(named, image=99)
    with pytest.raises(InputError, match=r"Block must be one of layer1\.0 .*; got 'layer9\.1'"):
        Subject.of(named, deleted="layer9.1")
    assert Subject.of(named, deleted="layer3.1").lesioned == ["layer3.1"]
    with pytest.raises(
        InputError, match="A network beside ResNet must look at the same images; fashion-plain20 looks at others"
    ):
        Subject.of(named).beside("fashion-plain20")


def test_no_photo_becomes_an_input_that_nobody_described() -> None:
    how = AsGiven((3, 8, 8))
    with pytest.raises(InputError, match=r"must have the shape \(images, 3, 8, 8\); got \(6, 3, 32, 32\)"):
        how.normalise(IMAGES)
    with pytest.raises(InputError, match="a photo cannot be made one of them"):
        measures.own_photo(hand_over(small(), IMAGES).entry, "photo.png", png())


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40)).save(buffer, "PNG")
    return buffer.getvalue()
