"""A class at several servers: as many apps as the machine carries, behind one address (HAProxy)."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .errors import InputError
from .opening import LONGEST_START, free_port, is_ready, start
from .replica import VARIABLE

__all__ = ["configuration", "serve"]

# The parameters of an address whose value leads to one of the servers, and what is done to it before; see replica.py.
CODES = {"class": ",upper", "contest": ",upper", "training": "", "teach": ""}
LARGEST_UPLOAD = 21 * 2**20  # bytes; the app itself says so from 20 MB on
COOKIE = "resnet_viz_server"
LOOK = 1.0  # seconds between two looks at the servers
FEWEST_SECONDS = 10.0  # that a server has to run before it is started again at once

CONFIGURATION = """\
# Written by resnet_viz: {count} servers of the app behind one address. A browser stays with the server whose cookie it has, since
# that holds its session; a link to a class, a contest or a training leads to the server that holds it.
global
    maxconn 4000

defaults
    mode http
    timeout connect 5s
    timeout client 65s
    timeout server 65s
    timeout tunnel 12h
    timeout http-request 10s
    timeout http-keep-alive 10s
    option redispatch 1
    retries 3

frontend class
    bind {host}:{port}
    http-request return status 200 content-type text/plain string "ok" if {{ path /health }} {{ nbsrv(servers) gt 0 }}
    http-request return status 503 content-type text/plain string "no server is up" if {{ path /health }}
    http-request deny deny_status 413 if {{ req.hdr_val(content-length) gt {largest} }}
    compression algo gzip
    compression type text/html text/plain text/css text/javascript application/javascript application/json image/svg+xml
{wanted}
    http-response add-header Set-Cookie "{cookie}=%[var(txn.server)]; path=/; HttpOnly; SameSite=Lax" if {{ var(txn.server) -m found }}
    default_backend servers

backend servers
    balance leastconn
    cookie {cookie} insert indirect nocache httponly attr "SameSite=Lax"
    option httpchk GET /_stcore/health
    http-check expect status 200
    ignore-persist if {{ var(txn.server) -m found }}
{rules}
    default-server check inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
{servers}
"""


def configuration(ports: Sequence[int], host: str, port: int) -> str:
    """What HAProxy is told: the servers' ports, and where all of them together are reached."""
    count = len(ports)
    wanted = [
        f"    http-request set-var(txn.server) url_param({name}){change},crc32,mod({count}) if {{ url_param({name}) -m found }}"
        for name, change in CODES.items()
    ]
    rules = [f"    use-server server{number} if {{ var(txn.server) -m int {number} }}" for number in range(count)]
    servers = [f"    server server{number} 127.0.0.1:{each} cookie {number}" for number, each in enumerate(ports)]
    return CONFIGURATION.format(
        count=count,
        host=host,
        port=port,
        largest=LARGEST_UPLOAD,
        cookie=COOKIE,
        wanted="\n".join(wanted),
        rules="\n".join(rules),
        servers="\n".join(servers),
    )


def serve(count: int, host: str, port: int, folder: Path, told_address: str) -> None:
    """Serve until Ctrl-C or SIGTERM; a server that ends is started again. The configuration is written into a folder.

    ``host``: '*' for all of a network, else the address to listen at; ``told_address``: the one that links name. Raises InputError
    where there is no HAProxy, or it does not take the address.
    """
    haproxy = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if haproxy is None:
        raise InputError("Several servers need HAProxy: apt-get install haproxy (or brew install haproxy).")
    folder.mkdir(parents=True, exist_ok=True)
    ports = [free_port() for _ in range(count)]
    file = folder / "haproxy.cfg"
    file.write_text(configuration(ports, host, port))
    threads = max(1, (os.cpu_count() or 1) // count)
    told = ["--server.headless=true", f"--browser.serverAddress={told_address}"]

    def started(number: int) -> subprocess.Popen[bytes]:
        environment = {
            VARIABLE: f"{number}/{count}",
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
        }
        return start(ports[number], "127.0.0.1", environment, told)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that nobody stays behind
    servers = {number: started(number) for number in range(count)}
    since = dict.fromkeys(servers, time.monotonic())
    proxy = None
    try:
        wait_until_one_answers(ports)
        proxy = subprocess.Popen([haproxy, "-db", "-f", str(file)])
        while proxy.poll() is None:
            for number, server in servers.items():
                if server.poll() is not None and time.monotonic() - since[number] > FEWEST_SECONDS:
                    print(
                        f"  Server {number + 1} of {count} has ended ({server.returncode}); it is started again.",
                        flush=True,
                    )
                    servers[number], since[number] = started(number), time.monotonic()
            time.sleep(LOOK)
        raise InputError(
            f"HAProxy has ended ({proxy.returncode}): see what it said above; {host}:{port} may be in use."
        )
    finally:
        for process in [*([proxy] if proxy else []), *servers.values()]:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in [*([proxy] if proxy else []), *servers.values()]:
            process.wait()


def wait_until_one_answers(ports: Sequence[int]) -> None:
    """Wait until a server is ready: what comes before that would find nobody. Raises InputError where that takes too long."""
    until = time.monotonic() + LONGEST_START
    while time.monotonic() < until:
        if any(map(is_ready, ports)):
            return
        time.sleep(0.2)
    raise InputError("No server got ready; see what they said above.")
