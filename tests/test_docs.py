"""What the documents say can be done, can be done."""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import plotly.graph_objects as go
import pytest
import torch

from resnet_viz.experiments.norms import Norms
from resnet_viz.networks import zoo
from resnet_viz.recipes import measures

ROOT = Path(__file__).parents[1]


@pytest.fixture
def few_images(monkeypatch) -> Iterator[None]:
    """Only these are looked for, and not found by tests that come after."""
    monkeypatch.setattr(zoo, "images_of", partial(zoo.images_of, limit=100))
    measures.images_at.cache_clear()
    yield
    measures.images_at.cache_clear()


def test_the_notebook_runs() -> None:
    cells = json.loads((ROOT / "docs" / "example.ipynb").read_text())["cells"]
    names: dict = {}
    figures = 0
    for cell in cells:
        if cell["cell_type"] == "code":
            *lines, last = "".join(cell["source"]).rsplit("\n", 1)
            exec("\n".join(lines), names)
            shown = eval(last, names)  # what the notebook shows under the cell
            figures += isinstance(shown, go.Figure)
    assert figures == 2
    assert names["intact"].shape == (2, 1000) and float((names["intact"] - names["without"]).abs().max()) > 0


@pytest.mark.usefixtures("few_images")
def test_the_python_of_the_readme_runs(monkeypatch, tmp_path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 8
    names: dict = {}
    for block in blocks[:2]:
        exec(block, names)
    assert names["logits"].shape == (100, 10)
    timm, _, show, own, watch, figure = blocks[
        2:
    ]  # the one between is a pattern to fill in; tests/networks/test_adapt.py does
    exec(figure, names)
    assert names["shown"].title.startswith("This image: ") and names["figure"].data
    monkeypatch.chdir(tmp_path)
    exec(watch, names | {"batches": [(torch.randn(2, 3, 32, 32), torch.tensor([0, 1]))]})
    assert len(Norms.read("norms.jsonl").blocks) == 8
    exec(timm.replace("pretrained=True", "pretrained=False").replace("224", "64"), names)
    small = show.replace("pretrained=True", "pretrained=False").replace("vit_small", "vit_tiny").replace("(20,", "(4,")
    exec(small.replace("resnet_viz.show", "resnet_viz.hand_over"), names)  # tests/browser/test_show.py opens the app
    exec(own, names)


def test_the_readme_names_every_command_and_page() -> None:
    text = (ROOT / "README.md").read_text()
    for target in ("make run", "make test", "make setup", "make bench", "make screenshots"):
        assert target in text, target
    for page in (ROOT / "pages").glob("*.py"):
        assert (ROOT / "docs" / f"{page.stem}.png").is_file(), page.stem
