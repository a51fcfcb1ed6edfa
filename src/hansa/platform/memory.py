"""Keeping the process small where the C library is GNU's: elsewhere these do nothing.

Each thread is given a heap of its own there, and heaps keep what they once had. A process with Rust libraries has many
threads: an import left 440 MB behind, and 250 MB with two heaps.
"""

import ctypes
import sys

HEAPS = 2
_M_ARENA_MAX = -8


def use_few_heaps() -> None:
    """To be called before there are threads."""
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(_M_ARENA_MAX, HEAPS)


def give_back() -> None:
    """Return to the system what is free: after work that needed much for a while. Takes milliseconds."""
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)
