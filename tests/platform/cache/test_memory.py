"""The memory of a process: bounded in bytes, counted by family."""

from hansa.platform.cache.memory import WEIGHT_OF_A_BYTE, WEIGHT_OF_AN_ENTRY, Held, Memory

MEGABYTE = 1024 * 1024
SIZE = 1_000
WEIGHT = WEIGHT_OF_AN_ENTRY + WEIGHT_OF_A_BYTE * SIZE


def held() -> Held:
    return Held("value", fresh_until=60.0, good_until=600.0, size=SIZE)


def test_what_is_there_is_counted_by_family():
    memory = Memory(capacity_bytes=MEGABYTE)
    for key in ("hats:{1}", "hats:{2}", "hats:{2}", "shoes:{1}"):
        memory.keep(key, held())
    assert memory.by_family() == {"hats": 2 * WEIGHT, "shoes": WEIGHT}
    memory.forget("hats:{1}")
    assert memory.by_family() == {"hats": WEIGHT, "shoes": WEIGHT}
    memory.forget_everything()

    assert memory.by_family() == {"hats": 0, "shoes": 0}
    assert memory.figures() == (0, 0)


def test_it_never_holds_more_than_it_may():
    memory = Memory(capacity_bytes=MEGABYTE)
    for number in range(5_000):
        memory.keep(f"hats:{{{number}}}", held())
    keys, size = memory.figures()

    assert size <= MEGABYTE
    assert memory.by_family() == {"hats": size}
    assert keys * WEIGHT == size


def test_what_is_read_often_stays_when_a_crowd_passes_by():
    memory = Memory(capacity_bytes=100 * WEIGHT)
    for key in ("hats:{hot}", "hats:{warm}"):
        memory.keep(key, held())
        for _ in range(20):
            memory.get(key)
    for number in range(5_000):
        memory.keep(f"hats:{{{number}}}", held())
        memory.get("hats:{hot}")

    assert memory.get("hats:{hot}") is not None
