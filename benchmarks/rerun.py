"""What an unchanged rerun of each page costs the server: ``python -m benchmarks.rerun`` (Linux only)."""

import os
from pathlib import Path
from statistics import mean

from .visitor import ROOT, Visitor, serving

RUNS, WARM_UP = 40, 3


def cpu_seconds(process: int) -> float:
    """Of all threads of a process, in user and kernel mode."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rerun(visitor: Visitor, server: int, page: str) -> tuple[float, float]:
    """CPU seconds of one rerun of a page after which nothing is left to compute, and the kB that it sends."""
    for _ in range(WARM_UP):
        list(visitor.open(page))
    before = cpu_seconds(server)
    for _ in range(RUNS):
        messages = list(visitor.open(page))
    return (cpu_seconds(server) - before) / RUNS, sum(message.ByteSize() for message in messages) / 1000


def main() -> None:
    print("| page | CPU, ms | sent, kB |\n|---|---|---|")
    with serving() as (port, server):
        rows = {}
        for page in sorted(path.stem for path in (ROOT / "pages").glob("*.py")):
            with Visitor(port) as visitor:
                rows[page] = seconds, kilobytes = rerun(visitor, server, "" if page == "start" else page)
            print(f"| {page} | {1000 * seconds:.0f} | {kilobytes:.0f} |", flush=True)
        print(f"| mean | {1000 * mean(seconds for seconds, _ in rows.values()):.0f} | |")


if __name__ == "__main__":
    main()
