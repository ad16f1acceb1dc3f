"""A length in a head: decimal digits, read where they stand.

To find, cut out, check and convert them by the methods of ``bytes`` takes ten times as long.
"""

from typing import Final

_ZERO: Final = ord("0")
_NINE: Final = ord("9")


def digits_at(data: bytes, start: int, most: int) -> tuple[int, int]:
    """The number whose digits begin at ``start``, and where they stop: after ``most`` of them at the latest.

    Where there are none it is 0 and stops where it starts.
    """
    number, at = 0, start
    end = min(start + most, len(data))
    while at < end:
        byte = data[at]
        if byte < _ZERO or byte > _NINE:
            break
        number = number * 10 + byte - _ZERO
        at += 1
    return number, at
