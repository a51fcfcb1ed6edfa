"""A merchant's server on this machine, which answers as it is told: also not at all, too slowly, or with rubbish."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.ports import HOST, free_port

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def answer(status: int, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status} As Told", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True, kw_only=True)
class Got:
    """A request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


Say = Callable[[Got], Awaitable[bytes]]
"""What is written in answer; nothing ends the connection."""


async def _fine(got: Got) -> bytes:
    return OK


@dataclass
class Receiver:
    """What has come, and what is said to it."""

    port: int
    say: Say = _fine
    got: list[Got] = field(default_factory=list)
    connections: int = 0
    at_once: int = 0
    most_at_once: int = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/hook"

    def always(self, *answers: bytes) -> None:
        """Give these answers in turn, the last one again and again."""
        left = list(answers)

        async def say(got: Got) -> bytes:
            return left.pop(0) if len(left) > 1 else left[0]

        self.say = say

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                line, *lines = head.split("\r\n")
                headers = {
                    name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines if each)
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                got = Got(line=line, headers=headers, body=body)
                self.got.append(got)
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                try:
                    said = await self.say(got)
                finally:
                    self.at_once -= 1
                if not said:
                    break
                writer.write(said)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving(*, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver(port=free_port())
    server = await asyncio.start_server(receiver.serve, HOST, receiver.port, ssl=tls)
    try:
        yield receiver
    finally:
        server.close()
