"""Values that processes share as files: whole or not at all, and so many bytes."""

import os
import pickle
from pathlib import Path

import pytest

from resnet_viz.engine.folder import Folder


def test_a_value_is_found_by_whoever_has_the_folder(tmp_path) -> None:
    Folder(tmp_path, 1000).put("a", {"b": [1, 2]})
    other = Folder(tmp_path, 1000)
    assert other.has("a") and other.find("a") == {"b": [1, 2]}
    assert not other.has("b") and other.find("b") is None


def test_beyond_the_limit_what_was_not_used_for_longest_goes(tmp_path) -> None:
    folder = Folder(tmp_path, 3500)
    for number, name in enumerate("abc"):
        folder.put(name, bytes(1000))
        os.utime(tmp_path / name, (number, number))
    assert folder.has("a")  # used now: b is the oldest
    folder.put("d", bytes(1000))
    assert [name for name in "abcd" if folder.find(name) is not None] == ["a", "c", "d"]
    folder.put("larger than the limit", bytes(5000))
    assert [path.name for path in tmp_path.iterdir()] == ["larger than the limit"]


def test_a_value_that_cannot_be_written_leaves_nothing(tmp_path) -> None:
    with pytest.raises((pickle.PicklingError, AttributeError)):
        Folder(tmp_path, 1000).put("a", lambda: None)
    assert not list(tmp_path.iterdir())


def test_where_the_disk_is_full_nothing_is_kept(tmp_path) -> None:
    folder = Folder(tmp_path / "is not there", 1000)
    folder.put("a", 1)
    assert not Path(tmp_path / "is not there").exists()
