"""What tests of pages share."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from resnet_viz.networks import zoo
from resnet_viz.recipes import measures
from resnet_viz.recipes.shown import Shown

FEW = 30  # three of each class


@pytest.fixture
def few_images(monkeypatch) -> Iterator[None]:
    """The pages measure errors on so few images, of which a link that names none shows the last."""
    whole = zoo.images_of
    monkeypatch.setattr(zoo, "images_of", lambda entry, limit=FEW: whole(entry).limit(FEW).limit(limit))
    measures.images_at.cache_clear()
    yield
    measures.images_at.cache_clear()


def traces_of(shown: Shown) -> list[dict[str, Any]]:
    """The traces of an answer's figure."""
    return data_of(shown.plot().json())


def data_of(figure: str) -> list[dict[str, Any]]:
    """The traces of a figure that a page keeps as JSON, their arrays as numpy's."""

    def decoded(part: dict[str, Any]) -> Any:
        if "bdata" not in part:
            return part
        array = np.frombuffer(base64.b64decode(part["bdata"]), part["dtype"])
        return array.reshape([int(size) for size in str(part.get("shape", len(array))).split(",")])

    return json.loads(figure, object_hook=decoded)["data"]
