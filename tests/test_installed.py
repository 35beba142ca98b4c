"""The package as a wheel lays it out: the app is in it, and the library loads no Streamlit."""

import os
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WITHOUT_STREAMLIT = """
import pkgutil, sys
sys.modules["streamlit"] = sys.modules["segno"] = sys.modules["pandas"] = None
import resnet_viz
for module in pkgutil.walk_packages(resnet_viz.__path__, "resnet_viz."):
    if not module.name.startswith("resnet_viz.web.") and module.name != "resnet_viz.__main__":
        __import__(module.name)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with what a wheel holds, by the project's own list."""
    place = tmp_path_factory.mktemp("site-packages")
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for source, target in [*((name, name) for name in wheel["packages"]), *wheel["force-include"].items()]:
        (place / target).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copyfile
        copy(ROOT / source, place / target)
    return place


def test_it_serves_the_app_from_anywhere(installed, tmp_path) -> None:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "resnet_viz", "app", f"--port={port}"]
    environment = os.environ | {"PYTHONPATH": str(installed)}
    log = tmp_path / "log"
    with log.open("w") as output:
        server = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        for _ in range(600):
            assert server.poll() is None, log.read_text()
            try:
                answer = urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=5)
                break
            except OSError:
                time.sleep(0.2)
        assert answer.status == 200
        assert "Ready after" in log.read_text(), "the first page was drawn, from the pages in the package"
    finally:
        os.killpg(server.pid, 15)
        server.wait(20)


def test_the_library_loads_no_streamlit(installed, tmp_path) -> None:
    environment = os.environ | {"PYTHONPATH": str(installed)}
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_STREAMLIT],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
