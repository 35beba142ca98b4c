"""The card of a training of one's own: the visitor's file as a figure, and what is no such file as a sentence."""

import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from resnet_viz.errors import InputError
from resnet_viz.experiments.norms import LAYERS, QUANTITIES, SUMS, Norms, first_line, step_line
from resnet_viz.places import CHECKPOINTS
from resnet_viz.recipes import gradient_flow
from resnet_viz.recipes.shown import PRECOMPUTED

from .conftest import traces_of
from .test_pages import opened, texts

pytestmark = pytest.mark.usefixtures("few_images")


def file_of(count: int, known: tuple[str, ...] = QUANTITIES, found: str = SUMS) -> str:
    """A file of that many steps."""
    first = first_line("mine.Net", found, 5, ["layer1.0", "layer2.0"], ["a", "b"])
    values = {name: [1.0, 2.0] if name in known else [float("nan")] * 2 for name in QUANTITIES}
    return first + "".join(step_line(5 * number, 8, values) for number in range(count))


def with_file(app: AppTest, content: str) -> AppTest:
    app.file_uploader(key="norms_file").set_value(("mine.jsonl", content.encode(), "application/jsonl")).run()
    assert not app.exception
    return app


def test_a_file_is_drawn_and_stays_and_another_quantity_can_be_chosen(tmp_path, monkeypatch) -> None:
    app = opened("gradient_flow", {"network": "fashion-resnet20"})
    card = app.session_state["state"].cards["norms_by_step"]
    assert card.facts[0] == PRECOMPUTED and card.title == "One epoch of fashion-resnet56, step by step"
    assert "**1 and 2** at step 10" in texts(with_file(app, file_of(3)))
    card = app.session_state["state"].cards["norms_by_step"]
    assert (
        card.facts == ("recorded in your training", "3 recorded steps, 0 to 10")
        and card.title == "Your training, step by step"
    )
    app.segmented_control(key="/norm").set_value("stream").run()
    card = app.session_state["state"].cards["norms_by_step"]
    assert card.alt.startswith("Stream at each block")
    (tmp_path / "mine.jsonl").write_text(file_of(3))
    monkeypatch.chdir(tmp_path)
    made: dict = {}
    exec(compile(card.python, "python", "exec"), made)
    assert made["shown"].plot().json() == card.plot().json()
    with_file(app, file_of(3, ("stream_gradient_norm",), LAYERS))  # without the quantity that was chosen
    assert "could not be followed" in texts(app) and not app.error
    app.file_uploader(key="norms_file").set_value(None).run()
    assert app.session_state["state"].cards["norms_by_step"].facts[0] == PRECOMPUTED


@pytest.mark.parametrize("content", ["", "{}", json.dumps({"title": "a lesson"}), file_of(1)[:-30]])
def test_a_file_of_something_else_is_told_in_a_sentence(content: str) -> None:
    app = with_file(opened("gradient_flow", {"network": "fashion-resnet20"}), content)
    (told,) = [each.value for each in app.error]
    assert told.startswith("mine.jsonl was not opened. ") and told.count("\n") == 0
    assert app.session_state["state"].cards["norms_by_step"].facts[0] == PRECOMPUTED


def test_of_many_steps_not_all_are_drawn() -> None:
    shown = gradient_flow.norms_by_step(norms=Norms.parse("f", file_of(1001).encode()))
    (drawn,) = traces_of(shown)
    assert list(drawn["x"][:3]) == [0, 15, 30] and len(drawn["x"]) == 334 and drawn["z"].shape == (2, 334)
    assert "Of 3 recorded steps one is drawn." in shown.caption
    assert np.all(drawn["x"] % 15 == 0)


def test_a_quantity_that_was_not_recorded_is_refused() -> None:
    norms = Norms.parse("f", file_of(1, ("stream_norm",)).encode())
    with pytest.raises(InputError, match="quantity must be one of stream_norm; got stream_gradient_norm"):
        gradient_flow.norms_by_step(norms=norms)


def test_every_number_of_the_example_is_there() -> None:
    norms = Norms.read(CHECKPOINTS / "norms-resnet56.jsonl")
    assert len(norms.steps) == 47 and len(norms.blocks) == 27 and norms.values.keys() == set(QUANTITIES)
    assert all(np.isfinite(each).all() for each in norms.values.values())
