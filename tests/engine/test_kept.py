"""Results that all visitors share: computed once, told apart by content, bounded by bytes, and never changed."""

import json
import threading
import time
from collections.abc import Generator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from streamlit.testing.v1 import AppTest

from resnet_viz.engine.kept import RESULTS, Store, digest_of, kept, kept_in_steps, size_of, timed
from resnet_viz.engine.turns import TURNS, Waiting
from resnet_viz.experiments import deletion
from resnet_viz.figures.plot import Plot
from resnet_viz.networks.images import ImageSet
from resnet_viz.networks.zoo import NETWORKS, load, local_entries
from resnet_viz.places import CHECKPOINTS
from resnet_viz.recipes import measures
from resnet_viz.web.kit.drawing import drawn


def test_what_eight_ask_for_at_once_is_computed_once() -> None:
    store, computed, together = Store(1000), [], threading.Barrier(8)
    release, answers = threading.Event(), []

    def compute() -> str:
        computed.append(1)
        release.wait(10)
        return "answer"

    def ask() -> None:
        together.wait(10)
        answers.append(store.get(("f", b"1"), compute))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    while not computed:
        pass
    release.set()
    for thread in threads:
        thread.join(10)
    assert answers == ["answer"] * 8 and len(computed) == 1


@pytest.mark.parametrize(("error", "again"), [(ValueError("no"), False), (KeyboardInterrupt(), True)])
def test_a_failure_is_told_to_all_who_wait_but_an_interruption_is_nobody_elses(
    error: BaseException, again: bool
) -> None:
    store, begun, fail = Store(1000), threading.Event(), threading.Event()
    first: list[BaseException] = []
    second: list[object] = []

    def broken() -> str:
        begun.set()
        fail.wait(10)
        raise error

    def ask_first() -> None:
        try:
            store.get(("f", b"1"), broken)
        except BaseException as raised:
            first.append(raised)

    def ask_second() -> None:
        try:
            second.append(store.get(("f", b"1"), lambda: "answer"))
        except ValueError as raised:
            second.append(raised)

    threads = [threading.Thread(target=ask_first), threading.Thread(target=ask_second)]
    threads[0].start()
    assert begun.wait(10)
    threads[1].start()
    threads[1].join(0.2)  # it waits for the first
    assert threads[1].is_alive()
    fail.set()
    for thread in threads:
        thread.join(10)
    assert first == [error] and second == (["answer"] if again else [error])
    assert store.get(("f", b"1"), lambda: "answer") == "answer"  # a failure is not kept


def test_a_visitor_who_goes_need_not_wait_for_what_another_computes(monkeypatch) -> None:
    store, begun, release, left = Store(1000), threading.Event(), threading.Event(), threading.Event()

    class Gone(BaseException):
        pass

    def leave_if_asked() -> None:
        raise Gone

    monkeypatch.setattr(Waiting, "leave_if_asked", staticmethod(leave_if_asked))

    def compute() -> str:
        begun.set()
        release.wait(10)
        return "answer"

    def go() -> None:
        try:
            store.get(("f", b"1"), compute)
        except Gone:
            left.set()

    computing = threading.Thread(target=store.get, args=(("f", b"1"), compute))
    computing.start()
    assert begun.wait(10)
    threading.Thread(target=go).start()
    assert left.wait(10) and computing.is_alive()
    release.set()
    computing.join(10)
    assert store.find(("f", b"1")) == "answer"


def test_the_store_holds_as_many_bytes_as_it_may() -> None:
    store = Store(3500)
    for number in range(3):
        store.get(("f", bytes([number])), partial(np.zeros, 125))
    store.find(("f", b"\0"))  # used again: the second is now the oldest
    store.get(("f", b"\3"), partial(np.zeros, 125))
    assert [store.find(("f", bytes([number]))) is not None for number in range(4)] == [True, False, True, True]
    assert 3000 < store.bytes <= 3500
    store.forget()
    assert store.bytes == 0 and store.find(("f", b"\0")) is None


def test_results_cannot_be_written_to() -> None:
    result = {"norms": [np.ones(3)]}
    assert size_of(result) > 24
    with pytest.raises(ValueError, match="read-only"):
        result["norms"][0][0] = 2


def test_content_tells_things_apart(image_set) -> None:
    entry = NETWORKS["fashion-resnet20"]
    trained, untrained = load(entry), load(entry, untrained=0)
    same_pixels = ImageSet("other title", image_set.pixels.clone(), image_set.labels, image_set.names)
    assert digest_of(trained, image_set, (1.0, 0.0)) == digest_of(load(entry), same_pixels, (1.0, 0.0))
    different = [
        (trained, image_set, (1.0, 0.0)),
        (untrained, image_set, (1.0, 0.0)),
        (load(entry, untrained=1), image_set, (1.0, 0.0)),
        (load(entry, untrained=0, batch_norm=False), image_set, (1.0, 0.0)),
        (trained, image_set.limit(3), (1.0, 0.0)),
        (trained, image_set, (0.0, 1.0)),
        (entry, image_set, (1.0, 0.0)),
        (replace(entry, weights="another file"), image_set, (1.0, 0.0)),
        (np.zeros(3),),
        (np.zeros(3, np.float32),),
        (np.zeros((3, 1)),),
    ]
    assert len({digest_of(*each) for each in different}) == len(different)


def test_files_of_one_name_are_two_networks(tmp_path) -> None:
    """Two visitors may upload weights under the same name."""
    state = load_file(CHECKPOINTS / "fashion-resnet20.safetensors")
    for place, shift in (("one", 0), ("two", 0.5)):
        (tmp_path / place).mkdir()
        shifted = {name: tensor + shift for name, tensor in state.items()}
        save_file(shifted, tmp_path / place / "mine.safetensors", {"network": "fashion-resnet20"})
    (one,), (two,) = (local_entries(tmp_path / place)[0] for place in ("one", "two"))
    assert one.name == two.name
    weights = [measures.network(each).network.head.fc.weight for each in (one, two)]
    assert not torch.equal(*weights)


def plot_of(values: np.ndarray) -> Plot:
    plot = Plot()
    plot.add("scatter", y=values, name="</script>")
    return plot.update(height=230)


def test_streamlit_sends_a_kept_figure_as_it_stands() -> None:
    text, height = drawn(partial(plot_of, np.arange(3.0)))
    assert text == plot_of(np.arange(3.0)).json() and height == 230
    app = AppTest.from_string(
        """
import numpy as np, streamlit as st
from functools import partial
from resnet_viz.web.kit.drawing import Drawing, drawn
from tests.engine.test_kept import plot_of
st.plotly_chart(Drawing(drawn(partial(plot_of, np.arange(3.0)))[0]))
"""
    ).run()
    assert not app.exception
    (chart,) = app.get("plotly_chart")
    assert json.loads(chart.proto.spec) == json.loads(text)


def test_a_figure_is_drawn_again_only_for_other_values() -> None:
    texts = [drawn(partial(plot_of, np.array(values))) for values in ([1.0, 2.0], [1.0, 2.0], [1.0, 3.0])]
    assert texts[0] is texts[1] and texts[1] != texts[2]


def test_the_logits_of_a_set_are_those_of_one_pass_and_begin_with_the_first_images() -> None:
    entry = NETWORKS["fashion-resnet20"]
    loaded, images = measures.network(entry), measures.images(entry).limit(250)
    gates = tuple(loaded.network.gates_without(["layer2.1"]))
    first = images.limit(measures.FIRST_IMAGES)
    expected = deletion.logits_of_each(loaded.network, entry.preprocessing, images, [gates])[0]
    of_first = measures.logits(loaded, first, gates)
    before = len(RESULTS._results)
    assert np.allclose(measures.logits(loaded, images, gates), expected, atol=1e-4)
    assert len(RESULTS._results) == before + 1, "of the first images they were known"
    assert np.allclose(expected[images.spread(measures.FIRST_IMAGES)], of_first, atol=1e-4)


def slow(value: int) -> int:
    return value


def test_whoever_has_the_turn_does_not_wait_for_who_waits_for_it() -> None:
    begun, asked = threading.Event(), threading.Event()
    store, answers = Store(1000), []

    def outside() -> None:  # computes something that needs the turn, which another thread has
        def compute() -> str:
            begun.set()
            with TURNS.turn(0):
                return "answer"

        answers.append(store.get(("f", b"1"), compute))

    with TURNS.turn(0):
        thread = threading.Thread(target=outside)
        thread.start()
        assert begun.wait(10)
        answers.append(store.get(("f", b"1"), lambda: "answer"))
        asked.set()
    thread.join(10)
    assert answers == ["answer"] * 2 and asked.is_set()


def test_what_is_computed_in_steps_is_kept_with_its_time() -> None:
    def double(number: int) -> Generator[float, None, int]:
        time.sleep(0.02)
        yield 0.5
        return 2 * number

    for steps in ([0.5], []):
        with timed() as seconds:
            assert list(kept_in_steps(double, 21)) == steps
        assert sum(seconds) >= 0.02
    with pytest.raises(StopIteration, match="42"):
        next(kept_in_steps(double, 21))


def test_what_was_kept_needs_no_turn() -> None:
    assert kept(slow, 41) == 41
    found: list[int] = []
    with TURNS.turn(0):
        thread = threading.Thread(target=lambda: found.append(kept(slow, 41)))
        thread.start()
        thread.join(10)
    assert found == [41]
