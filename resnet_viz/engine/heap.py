"""The C library's heap: what a process has freed is of no use to others until it is given back. On Linux; others have no such calls."""

import ctypes
import sys
from collections.abc import Callable

__all__ = ["give_back", "share"]

M_ARENA_MAX = -8  # of glibc's malloc.h


def share() -> None:
    """Let all threads allocate from two heaps: with glibc's eight a core, what one visitor's run has freed is no use to the
    next one's, and memory grows."""
    if mallopt := of_glibc("mallopt"):
        mallopt(M_ARENA_MAX, 2)


def give_back() -> None:
    """Give the system all whole pages that are free. After a sweep these are 100 MB and more, scattered between small things that
    are kept, where they would stay."""
    if malloc_trim := of_glibc("malloc_trim"):
        malloc_trim(0)


def of_glibc(name: str) -> Callable[..., int] | None:
    """A function of the C library, if it is glibc."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
