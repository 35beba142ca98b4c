"""Several servers behind one address: who has a cookie stays, a code leads to its server, and one that dies takes nobody else along."""

import http.client
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zlib import crc32

import pytest

from resnet_viz import replica, replicas
from resnet_viz.opening import free_port
from resnet_viz.web.classes import Classes
from resnet_viz.web.contests import Contests
from resnet_viz.web.lesson import Lesson

HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
COUNT = 3


@pytest.mark.parametrize("number", range(COUNT))
def test_what_a_server_gives_a_code_to_leads_back_to_it(number: int, monkeypatch) -> None:
    monkeypatch.setenv(replica.VARIABLE, f"{number}/{COUNT}")
    classes, contests = Classes(lambda _: True), Contests(lambda _: True)
    opened = [classes.open(f"teacher {each}", Lesson("A lesson", []), "own") for each in range(8)]
    codes = [code for each in opened for code in (each.code, each.secret)]
    codes += [contests.open(f"teacher {each}", "fashion-resnet20", 2.0).code for each in range(8)]
    assert {crc32(code.encode()) % COUNT for code in codes} == {number}
    assert not any(map(replica.is_elsewhere, codes))
    monkeypatch.setenv(replica.VARIABLE, f"{(number + 1) % COUNT}/{COUNT}")
    assert all(map(replica.is_elsewhere, codes))


def test_a_server_by_itself_has_every_code() -> None:
    assert not replica.is_elsewhere("K7Q2M")


@dataclass
class Proxy:
    """HAProxy before servers that say who they are."""

    port: int
    servers: list[ThreadingHTTPServer]

    def ask(self, path: str, cookie: str = "", method: str = "GET", length: int = 0) -> tuple[int, str, str | None]:
        """Status, what is said, and the number in the cookie that is set."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {"Cookie": f"a=b; {replicas.COOKIE}={cookie}"} if cookie else {}
        connection.request(method, path, headers=headers | ({"Content-Length": str(length)} if length else {}))
        answer = connection.getresponse()
        found = re.search(rf"{replicas.COOKIE}=(\d+)", answer.getheader("Set-Cookie") or "")
        return answer.status, answer.read().decode(), found and found[1]


def who(number: int) -> ThreadingHTTPServer:
    class Says(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(str(number).encode())

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Says)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    if HAPROXY is None:
        assert os.environ.get("CI") != "true", "apt-get install haproxy"
        pytest.skip("no HAProxy: apt-get install haproxy")
    servers = [who(number) for number in range(COUNT)]
    port, file = free_port(), tmp_path / "haproxy.cfg"
    file.write_text(replicas.configuration([each.server_port for each in servers], "127.0.0.1", port))
    process = subprocess.Popen([HAPROXY, "-db", "-f", str(file)], stderr=subprocess.DEVNULL)
    started = Proxy(port, servers)
    try:
        for _ in range(100):
            try:
                if started.ask("/health")[0] == 200:
                    break
            except OSError:
                time.sleep(0.1)
        yield started
    finally:
        process.kill()
        process.wait()
        for each in servers:
            each.shutdown()
            each.server_close()


def test_who_has_a_cookie_stays_and_a_code_leads_to_its_server(proxy: Proxy) -> None:
    _, said, cookie = proxy.ask("/")
    assert cookie == said
    for number in map(str, range(COUNT)):
        assert proxy.ask("/layer_deletion?network=fashion-resnet56", number) == (200, number, None)
        for name, code in (("class", "K7Q2M"), ("contest", "K7Q2MA"), ("training", "0a1b2c3d"), ("teach", "aB-_9")):
            wanted = str(crc32(code.encode()) % COUNT)
            assert proxy.ask(f"/lessons?step=2&{name}={code}", number) == (200, wanted, wanted), "and stays from now on"
        assert proxy.ask("/lessons?class=k7q2m", number)[1] == str(crc32(b"K7Q2M") % COUNT), "typed in small letters"
    assert proxy.ask("/x", method="POST", length=replicas.LARGEST_UPLOAD + 1)[0] == 413


def test_one_that_dies_takes_nobody_else_along(proxy: Proxy) -> None:
    first = proxy.servers[0]
    first.shutdown()
    first.server_close()
    until = time.monotonic() + 20
    while proxy.ask("/", "0")[0] != 200 and time.monotonic() < until:
        time.sleep(0.1)
    status, said, cookie = proxy.ask("/", "0")
    assert status == 200 and said in ("1", "2") and cookie == said, "its visitors go on at another"
    assert proxy.ask("/", "1") == (200, "1", None)
    assert proxy.ask("/health")[:2] == (200, "ok")
