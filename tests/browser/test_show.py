"""A program opens the app with a network of its own: it computes, the app draws, and neither outlives the other's end."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, expect

from resnet_viz.errors import InputError
from resnet_viz.opening import show
from tests.browser.conftest import DESK, SOON

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.browser
MODEL = """
import torch
from torchvision.models import VisionTransformer
torch.manual_seed(0)
model = VisionTransformer(16, 4, num_layers=3, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=5).eval()
torch.nn.init.normal_(model.heads.head.weight, std=0.5)
images = torch.randn(12, 3, 16, 16)
"""
PROGRAM = f"{MODEL}\nimport resnet_viz\nresnet_viz.show(model, images, torch.arange(12) % 5, name='my-vit')\n"
ENDS_WITHIN = 20.0  # seconds


@contextmanager
def program(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A program that shows its network; with the address that it prints."""
    script, said = folder / "program.py", folder / "said.txt"
    script.write_text(PROGRAM)
    environment = os.environ | {"BROWSER": "true", "PYTHONPATH": str(ROOT)}  # the command 'true' in place of a browser
    with said.open("w") as output:
        running = subprocess.Popen(
            [sys.executable, str(script)], env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            for _ in range(600):
                if found := re.search(r"is shown at (\S+)", said.read_text()):
                    break
                assert running.poll() is None, said.read_text()
                time.sleep(0.2)
            assert found
            yield running, found[1]
        finally:
            running.kill()
            running.wait()


def answers(address: str) -> bool:
    port = int(re.search(r":(\d+)/", address)[1])
    with socket.socket() as probe:
        return probe.connect_ex(("localhost", port)) == 0


def has_ended(address: str) -> bool:
    until = time.monotonic() + ENDS_WITHIN
    while answers(address) and time.monotonic() < until:
        time.sleep(0.1)
    return not answers(address)


def test_a_branch_of_the_programs_network_is_deleted_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    """The MLP of the second of three layers, by the strip; as a hook on the model deletes it."""
    made: dict[str, torch.Tensor] = {}
    exec(MODEL, made)
    model, images = made["model"], made["images"]
    intact = model(images[5:6]).softmax(1)[0]
    model.encoder.layers.encoder_layer_1.mlp.register_forward_hook(lambda _, __, output: torch.zeros_like(output))
    deleted = model(images[5:6]).softmax(1)[0]
    with program(tmp_path) as (running, address):
        page = browser.new_page(viewport=DESK)
        page.goto(address)
        expect(page.get_by_text("my-vit: 6 blocks in 1 stage")).to_be_visible(timeout=SOON)
        page.goto(address.replace("stage_diagram", "layer_deletion") + "&image=5")
        told = f"class {int(intact.argmax())} (probability {intact.max():.2f})"
        expect(page.get_by_text(f"This image: {told}").first).to_be_visible(timeout=SOON)
        page.get_by_role("button", name="layer1.3").click()
        expect(page.get_by_text(f"{deleted.max():.2f})").first).to_be_visible(timeout=SOON)
        assert "deleted=3" in page.url and "network=my-vit" in page.url
        running.send_signal(signal.SIGINT)
        assert running.wait(ENDS_WITHIN) == 0
        assert has_ended(address)
        page.close()


def test_the_app_ends_with_a_program_that_is_killed(tmp_path: Path) -> None:
    with program(tmp_path) as (running, address):
        assert answers(address)
        taken = int(re.search(r":(\d+)/", address)[1])
        with pytest.raises(InputError, match=f"Port {taken} is in use; give another one, or leave it out"):
            show(torch.nn.Identity(), torch.zeros(1, 3, 8, 8), port=taken)
        running.kill()
        assert has_ended(address)
