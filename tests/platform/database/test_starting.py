"""A start that meets a database which falls silent or goes away ends with a sentence, and does not wait for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest

from hansa.kernel.errors import Fault
from hansa.platform.database import postgres_schema
from hansa.platform.database.postgres_schema import version_in_schema

QUESTION = b"pg_class"
"""Stands in what the start asks first."""


@asynccontextmanager
async def forwarded(dsn: str, *, hangs_up: bool) -> AsyncIterator[str]:
    """The database behind a line that dies when the question comes."""
    address = urlsplit(dsn)
    tasks: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if QUESTION in data:
                if hangs_up:
                    for each in writers:
                        each.close()
                return
            writer.write(data)

    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(address.hostname, address.port)
        writers.extend((writer, far_writer))
        for task in (
            asyncio.create_task(carry(reader, far_writer)),
            asyncio.create_task(carry(far_reader, writer)),
        ):
            tasks.add(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    user = f"{address.username}@" if address.username else ""
    try:
        yield urlunsplit(address._replace(netloc=f"{user}127.0.0.1:{port}"))
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        for each in writers:
            each.close()


@pytest.mark.parametrize("hangs_up", [False, True], ids=["silent", "hung up"])
async def test_a_line_that_dies_in_the_middle_of_a_start_is_a_fault_in_words(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch, hangs_up: bool
) -> None:
    monkeypatch.setattr(postgres_schema, "CLOSE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(postgres_schema, "ANSWER_TIMEOUT_S", 0.3)

    async with forwarded(postgres_dsn, hangs_up=hangs_up) as dsn, asyncio.timeout(20):
        with pytest.raises(Fault, match="PostgreSQL"):
            await version_in_schema(dsn=dsn, name="things", version_table="versions")
