"""What tests of pages share."""

from collections.abc import Iterator

import pytest

from resnet_viz.networks import zoo
from resnet_viz.web import cached


@pytest.fixture
def few_images(monkeypatch) -> Iterator[None]:
    """The pages measure errors on 250 images (position 200 is that of a link that names none), where a test does not ask what they measure."""
    whole = zoo.images_of
    monkeypatch.setattr(zoo, "images_of", lambda entry: whole(entry).limit(250))
    cached.images.clear()
    yield
    cached.images.clear()
