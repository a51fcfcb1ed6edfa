"""A process that commits one row after the other and says so after each commit, until it is killed."""

import asyncio
import itertools
import sys
from pathlib import Path

from tests import databases
from tests.platform.database.things import ADD, METADATA, NAME


async def main(engine: str, folder: str, dsn: str) -> None:
    async with databases.opened(engine=engine, name=NAME, metadata=METADATA, folder=Path(folder), dsn=dsn) as database:
        for number in itertools.count():
            async with database.write(7) as tx:
                await tx.run(ADD, lines=[(7, f"sku-{number}", 1)])
            print(number, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
