"""Where the app computes: what happens to visitors when a process dies, and to a process when its visitor leaves."""

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from benchmarks.load import processes_of
from benchmarks.rerun import cpu_seconds

from .conftest import SOON, Server, block, finished

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there the app forks no workers")


def computing(server: Server) -> list[int]:
    """What the nursery has forked, to compute and to train; it has the same command line."""
    found = [
        each
        for each in processes_of(server.process.pid)
        if b"resnet_viz.engine.worker" in Path(f"/proc/{each}/cmdline").read_bytes()
    ]
    return [each for each in found if parent(each) in found]


def parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def test_workers_that_are_killed_cost_no_session(server: Server, page: Page) -> None:
    page.goto(f"{server.address}/layer_deletion?network=fashion-resnet20")
    finished(page)
    before = computing(server)
    assert len(before) >= 2
    block(page, "layer1.1").click()
    for each in before:
        os.kill(each, signal.SIGKILL)
    finished(page)
    expect(page.get_by_text("deleted: layer1.1", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("1,000 images: .* error"))).to_be_visible(timeout=SOON)
    block(page, "layer2.1").click()
    finished(page)
    expect(page.get_by_text("deleted: layer1.1, layer2.1", exact=True)).to_be_visible()
    assert not set(before) & set(computing(server)) and len(computing(server)) == len(before)


def test_whoever_leaves_in_the_middle_of_a_study_frees_the_workers(server: Server, page: Page) -> None:
    page.goto(f"{server.address}/lesion_studies?network=fashion-preact110&draw_seed=2")
    expect(page.get_by_text(re.compile("Run the study: .* left"))).to_be_visible(timeout=SOON)
    page.goto("about:blank")
    time.sleep(1.5)  # a second, and the browser's own time to say goodbye
    spent = sum(map(cpu_seconds, computing(server)))
    time.sleep(1.0)
    assert sum(map(cpu_seconds, computing(server))) - spent < 0.1
