"""Which of several servers behind one address this is: what it gives a code to lives here alone, and the code says where."""

import os
from collections.abc import Callable
from zlib import crc32

__all__ = ["VARIABLE", "drawn_here", "is_elsewhere"]

VARIABLE = "RESNET_VIZ_REPLICA"  # '0/2': the first of two


def of_this_server() -> tuple[int, int]:
    """The number of this server, and how many there are."""
    number, _, count = os.environ.get(VARIABLE, "0/1").partition("/")
    return int(number), int(count)


def is_elsewhere(code: str) -> bool:
    """Whether what has this code would live on another server: CRC-32 modulo their number, which a proxy can work out, too."""
    number, count = of_this_server()
    return crc32(code.encode()) % count != number


def drawn_here(draw: Callable[[], str]) -> str:
    """A random code that leads to this server."""
    while is_elsewhere(code := draw()):
        pass
    return code
