"""The door of a real shop: HTTP to a real process, with a deadline for every request."""

from typing import Any

import aiohttp
import msgspec

from tests.simulation.workload.door import NoReply, Reply

TIMEOUT_S = 10.0


class HttpDoor:
    """`address` is the shop's (`http://127.0.0.1:8000`), unless the session has one of its own. The session should keep
    no limit of connections, else actors wait for each other instead of for the shop."""

    def __init__(self, session: aiohttp.ClientSession, *, address: str = "", timeout_s: float = TIMEOUT_S) -> None:
        self._session = session
        self._address = address
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)

    async def request(
        self, verb: str, path: str, body: Any = None, *, token: str = "", key: str = "", version: int | None = None
    ) -> Reply:
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if key:
            headers["Idempotency-Key"] = key
        if version is not None:
            headers["If-Match"] = f'"{version}"'
        data = None if body is None else msgspec.json.encode(body)
        try:
            async with self._session.request(
                verb, f"{self._address}/api/v1{path}", data=data, headers=headers, timeout=self._timeout
            ) as response:
                raw, status = await response.read(), response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NoReply(repr(error)) from error
        if not raw:
            return Reply(status)
        try:
            return Reply(status, msgspec.json.decode(raw))
        except msgspec.DecodeError:
            return Reply(status, raw.decode(errors="replace"))
