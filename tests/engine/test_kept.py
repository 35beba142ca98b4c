"""Results that all visitors share: computed once, told apart by content, bounded by bytes, and never changed."""

import json
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from streamlit.testing.v1 import AppTest

from resnet_viz.engine.folder import Archive, Folder
from resnet_viz.engine.kept import RESULTS, Shared, Spent, Store, digest_of, kept, kept_in_steps, key_of, size_of, timed
from resnet_viz.experiments import deletion
from resnet_viz.figures.plot import Plot
from resnet_viz.networks.images import ImageSet
from resnet_viz.networks.zoo import NETWORKS, load, local_entries
from resnet_viz.places import CHECKPOINTS
from resnet_viz.recipes import measures
from resnet_viz.web.kit.drawing import drawn


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
    measures.parts_for(loaded, images, 1)  # what that needs to know is kept, too
    before = len(RESULTS._results)
    assert np.allclose(measures.logits(loaded, images, gates), expected, atol=1e-4)
    assert len(RESULTS._results) == before + 1, "of the first images they were known"
    assert np.allclose(expected[images.spread(measures.FIRST_IMAGES)], of_first, atol=1e-4)


def test_what_is_computed_in_steps_is_kept_with_its_time() -> None:
    def double(number: int) -> Generator[float, None, int]:
        time.sleep(0.02)
        yield 0.5
        return 2 * number

    for steps in ([0.5], []):
        with timed() as spent:
            assert list(kept_in_steps(double, 21)) == steps
        assert sum(each.here for each in spent) >= 0.02
    with pytest.raises(StopIteration, match="42"):
        next(kept_in_steps(double, 21))


def test_what_took_long_is_found_by_the_other_processes(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(Shared, "folder", Folder(tmp_path, 10_000))
    computed: list[int] = []

    def square(number: int, seconds: float) -> int:
        computed.append(number)
        time.sleep(seconds)
        return number**2

    for number, seconds in ((3, 0.06), (4, 0.0)):
        assert kept(square, number, seconds) == number**2
    RESULTS.forget()  # as another process, which has computed nothing
    for number, seconds in ((3, 0.06), (4, 0.0)):
        assert kept(square, number, seconds) == number**2
    assert computed == [3, 4, 4]
    with timed() as spent:
        kept(square, 3, 0.06)
    assert sum(each.here for each in spent) >= 0.06, "the time that it took, not the time that it took to find"


def test_what_comes_with_the_project_is_found_and_told_apart(monkeypatch, tmp_path) -> None:
    computed: list[int] = []

    def square(number: int) -> int:
        computed.append(number)
        return number**2

    def sum_of_squares(*numbers: int) -> int:
        return sum(kept(square, number) for number in numbers)

    folder = tmp_path / "made elsewhere"
    folder.mkdir()
    Folder(folder, 10_000).put(key_of(square, 3)[1].hex(), (9, Spent(here=2.0)))
    Archive.write(tmp_path / "archive.zip", folder.iterdir())
    monkeypatch.setattr(Shared, "archive", Archive(tmp_path / "archive.zip"))
    with timed() as spent:
        assert kept(square, 3) == 9 and computed == []
    assert spent == [Spent(beforehand=2.0)]
    with timed() as spent:
        assert kept(sum_of_squares, 3, 4) == 25 and computed == [4]
    assert spent[0].beforehand == 2.0 and 0 < spent[0].here < 1
    RESULTS.forget()
    monkeypatch.setattr(Shared, "archive", Archive(tmp_path / "is not there.zip"))
    assert kept(square, 3) == 9 and computed == [4, 3]


@dataclass(frozen=True)
class Norms:
    values: tuple[float, ...]

    @cached_property
    def largest(self) -> float:
        return max(self.values)


def test_values_that_are_being_worked_out_have_the_same_name() -> None:
    """Another thread may be asking a value for what it keeps in itself."""

    one, other = Norms((1.0, 2.0)), Norms((1.0, 2.0))
    assert one.largest == 2
    assert digest_of(one) == digest_of(other) != digest_of(Norms((1.0, 3.0)))


def test_an_answer_about_images_is_anothers_if_they_have_other_names(image_set) -> None:
    """The same picture, from two visitors' files."""
    one = image_set.subset([0])
    other = replace(one, names=("my cat.png",))
    assert one.digest == other.digest and digest_of(one) != digest_of(other)
    assert one.name != other.name
