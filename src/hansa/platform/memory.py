"""Keeping the process small where the C library is GNU's: elsewhere these do nothing.

Each thread is given a heap of its own there, and heaps keep what they once had. A process with Rust libraries has many
threads: an import left 440 MB behind, and 250 MB with two heaps.
"""

import ctypes
import gc
import sys
import time
from collections.abc import Collection

from hansa.platform.database.port import Database
from hansa.platform.jobs.periodic import Job

HEAPS = 2
MAPPED_BYTES = 256 * 1024
"""What is larger comes from the system and goes back to it at once. The library would raise this to the size of what
was freed, up to 32 MB: then what a password's hash needs (19 MB) stays in every heap, between things that stay."""
KEPT_BYTES = 1024 * 1024
"""Of what is free at a heap's end."""
LOOK_EVERY_S = 10.0
BUSY_SHARE = 0.1
"""Of a core. A process that does more than that needs what it has, and its callers do not want to wait."""
MOST_BUSY_LOOKS = 60
"""In a row, until memory is given back all the same."""
YOUNG_OBJECTS = 20_000
"""Containers made, and not freed, until the youngest are gone through; Python itself does so after 700."""
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def use_few_heaps() -> None:
    """Few heaps, which keep little of what they once had. To be called before there are threads."""
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(_M_ARENA_MAX, HEAPS)
        library.mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)


def give_back() -> None:
    """Return to the system what is free: after work that needed much for a while. Takes milliseconds."""
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)


def giving_back(databases: Collection[Database]) -> Job:
    """Has a process that serves give back what it can do without, whenever it is quiet: bursts of orders and imports
    fill caches, and leave holes all over the heaps."""
    spent, busy_looks = time.process_time(), 0

    async def look() -> None:
        nonlocal spent, busy_looks
        before, spent = spent, time.process_time()
        if spent - before > BUSY_SHARE * LOOK_EVERY_S and busy_looks < MOST_BUSY_LOOKS:
            busy_looks += 1
            return
        busy_looks = 0
        for database in databases:
            await database.give_back()
        give_back()

    return Job(name="memory.give_back", every_s=LOOK_EVERY_S, run=look)


def leave_what_stays() -> None:
    """Keep the collector of cycles away from what was made until now and lives as long as the process: modules, tables,
    statements, routes. Going through it again and again took a quarter of the time of an order."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 50)
