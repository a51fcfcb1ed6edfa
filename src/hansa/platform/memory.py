"""Keeping the process small where the C library is GNU's: elsewhere these do nothing.

Each thread is given a heap of its own there, and heaps keep what they once had. A process with Rust libraries has many
threads: an import left 440 MB behind, and 250 MB with two heaps.
"""

import ctypes
import gc
import sys

HEAPS = 2
YOUNG_OBJECTS = 20_000
"""Containers made, and not freed, until the youngest are gone through; Python itself does so after 700."""
_M_ARENA_MAX = -8


def use_few_heaps() -> None:
    """To be called before there are threads."""
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(_M_ARENA_MAX, HEAPS)


def give_back() -> None:
    """Return to the system what is free: after work that needed much for a while. Takes milliseconds."""
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)


def leave_what_stays() -> None:
    """Keep the collector of cycles away from what was made until now and lives as long as the process: modules, tables,
    statements, routes. Going through it again and again took a quarter of the time of an order."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 50)
