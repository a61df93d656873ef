"""Small pieces that several networks share."""

from genbench.errors import InputError


def halvings(size: int, smallest: int) -> int:
    """How often an image's side is halved while it is even and above `smallest`; InputError when never."""
    count = 0
    while size % 2 == 0 and size > smallest:
        size, count = size // 2, count + 1
    if count == 0 or size > 2 * smallest:
        raise InputError(
            f"image size: found a side that halves {count} times down to {size}, expected one such as 28, 32 or 64"
        )
    return count
