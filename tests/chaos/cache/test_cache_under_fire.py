"""The cache under fire: its store is killed, frozen, emptied, failed over, and no read fails or goes back in time.

`python -m tests.chaos.cache` does the same for longer.
"""

import pytest

from tests.chaos.cache.run import run
from tests.servers import ServerMissing

SEED = 7


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("kind", "rounds"), [("redis", 3), ("sentinels", 1), ("memcached", 2)])
async def test_no_read_fails_or_goes_back_whatever_becomes_of_the_store(kind: str, rounds: int) -> None:
    try:
        report = await run(kind, seed=SEED, rounds=rounds)
    except ServerMissing as missing:
        pytest.skip(str(missing))

    print(report.text())
    assert report.violations == []
    assert report.trouble > 0
