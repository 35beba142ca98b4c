"""How a link writes blocks and numbers, and what it may mean by them."""

import re
from collections.abc import Collection

READABLE = 24  # characters of ranges that a person may want to read


def blocks_code(positions: Collection[int]) -> str:
    """Positions of blocks as ranges, '0-2.5', or where there are many of them as a hexadecimal mask, 'x27'."""
    ranges: list[list[int]] = []
    for position in sorted(positions):
        if ranges and ranges[-1][1] == position - 1:
            ranges[-1][1] = position
        else:
            ranges.append([position, position])
    as_ranges = ".".join(f"{first}-{last}" if last > first else str(first) for first, last in ranges)
    as_mask = f"x{sum(1 << position for position in positions):x}"
    return as_ranges if len(as_ranges) <= max(READABLE, len(as_mask)) else as_mask


def blocks_of_code(code: str, count: int) -> list[int]:
    """The positions that a code stands for, in order. Raises ValueError for a damaged one, or one with other blocks."""
    if re.fullmatch(r"x[0-9a-f]+", code):
        mask = int(code[1:], 16)
        positions = [position for position in range(mask.bit_length()) if mask >> position & 1]
    else:
        pairs = [[whole_number(end, count - 1) for end in part.split("-")] for part in code.split(".")]
        positions = sorted({position for pair in pairs for position in range(pair[0], pair[-1] + 1)})
    if not positions or positions[-1] >= count:
        raise ValueError(code)
    return positions


def whole_number(text: str, largest: int) -> int:
    """A number from 0 to ``largest``; ValueError for any other text."""
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or int(text) > largest:
        raise ValueError(text)
    return int(text)
