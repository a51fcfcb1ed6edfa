"""Clients of contracts that another process serves, in the form that `served` has."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import aiohttp
import msgspec

from hansa.kernel.contract import Method
from hansa.kernel.errors import Fault, revive_error
from hansa.platform.rpc.local import client_of
from hansa.platform.rpc.served import MEDIA_TYPE, Answer

C = TypeVar("C")


@asynccontextmanager
async def connected(*, address: str, token: str) -> AsyncIterator[Callable[[type], Any]]:
    """Clients, by contract, of a process whose token one has. A call may take as long as it likes."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        yield partial(remote, session=session, address=address, token=token)


def remote(contract: type[C], *, session: aiohttp.ClientSession, address: str, token: str) -> C:
    """A client that calls a service in another process; whatever is not an answer is a Fault."""
    headers = {"authorization": f"Bearer {token}", "content-type": MEDIA_TYPE}

    async def invoke(method: Method, arguments: dict[str, Any]) -> Any:
        url = f"{address}/rpc/{contract.__name__}/{method.name}"
        body = msgspec.msgpack.encode(method.arguments(**arguments))
        try:
            async with session.post(url, data=body, headers=headers) as response:
                raw = await response.read()
                if response.status != 200:
                    raise Fault(f"{method.name}: status {response.status} {raw[:500].decode(errors='replace')}")
        except aiohttp.ClientError as error:
            raise Fault(f"{method.name}: {error}") from error
        answer = msgspec.msgpack.decode(raw, type=Answer)
        if answer.error is not None:
            raise revive_error(answer.error, method.errors)
        return msgspec.msgpack.decode(answer.value, type=method.answer)

    return client_of(contract, invoke)
