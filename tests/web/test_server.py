"""What the server does before its pages: it sends the browser's scripts compressed, each compressed once."""

import asyncio
import gzip

import pytest

from resnet_viz.web.internals import static_folder
from resnet_viz.web.shell.server import CompressedFiles, Guarded

SCRIPTS = static_folder() / "static/js"


async def not_compressed(_scope, _receive, send) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"as Streamlit sends it"})


def ask(
    files: CompressedFiles, path: str, encoding: str = "gzip, br", method: str = "GET"
) -> tuple[dict[str, str], bytes]:
    """The headers and the body that come back."""
    sent = []

    async def send(message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [(b"accept-encoding", encoding.encode())]}
    asyncio.run(files(scope, None, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return headers, sent[1]["body"]


def test_browsers_are_told_what_other_pages_may_not_do() -> None:
    headers, body = ask(Guarded(not_compressed), "/")
    assert body == b"as Streamlit sends it"
    assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["referrer-policy"] == "same-origin"


def test_scripts_are_sent_compressed_and_may_be_kept() -> None:
    files, script = CompressedFiles(not_compressed), next(SCRIPTS.glob("index.*.js"))
    headers, body = ask(files, f"/static/js/{script.name}")
    assert gzip.decompress(body) == script.read_bytes() and len(body) < script.stat().st_size / 2
    assert headers["content-encoding"] == "gzip" and headers["vary"] == "Accept-Encoding"
    assert "javascript" in headers["content-type"] and "immutable" in headers["cache-control"]
    assert ask(files, f"/static/js/{script.name}")[1] is body  # not compressed again


@pytest.mark.parametrize(
    ("path", "encoding", "method"),
    [
        ("/static/js/{script}", "identity", "GET"),
        ("/static/js/{script}", "gzip", "HEAD"),
        ("/static/js/../../../../__init__.py", "gzip", "GET"),
        ("/static/js/no-such-file.js", "gzip", "GET"),
        ("/", "gzip", "GET"),
    ],
)
def test_all_else_is_left_to_streamlit(path: str, encoding: str, method: str) -> None:
    script = next(SCRIPTS.glob("index.*.js")).name
    headers, body = ask(CompressedFiles(not_compressed), path.format(script=script), encoding, method)
    assert body == b"as Streamlit sends it" and "content-encoding" not in headers
