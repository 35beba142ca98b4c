"""How a long computation tells how far it is: it calls ``progress(done, total)``."""

from collections.abc import Callable

Progress = Callable[[int, int], None]


def no_progress(done: int, total: int) -> None:
    """Tell nobody."""
