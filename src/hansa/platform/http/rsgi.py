"""Granian's RSGI protocol as the framework's `receive` and `send`."""

from collections.abc import AsyncIterator
from typing import Any

from starlette.types import Message, Send

LARGEST_AT_ONCE = 64 * 1024
"""A body that says it is no larger is handed over whole: each piece is a trip to another thread."""


class Body:
    """Hands out a request's body as it arrives; afterwards, that the client has gone, when it has."""

    def __init__(self, proto: Any, *, length: str | None) -> None:
        self._proto = proto
        self._is_small = length is not None and length.isdigit() and int(length) <= LARGEST_AT_ONCE
        self._chunks: AsyncIterator[bytes] | None = None
        self._is_over = False

    async def __call__(self) -> Message:
        if self._is_over:
            await self._proto.client_disconnect()
            return {"type": "http.disconnect"}
        if self._is_small:
            return await self._whole()
        if self._chunks is None:
            self._chunks = aiter(self._proto)
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            self._is_over = True
            return {"type": "http.request", "body": b"", "more_body": False}
        except Exception:
            # The connection broke off in the middle of the body; Granian has several words for it.
            self._is_over = True
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": True}

    async def _whole(self) -> Message:
        self._is_over = True
        try:
            return {"type": "http.request", "body": await self._proto(), "more_body": False}
        except Exception:
            return {"type": "http.disconnect"}


def sending(proto: Any) -> Send:
    """What sends an answer: whole if it comes whole, else piece by piece."""
    start: Message = {}
    stream: Any = None

    async def send(message: Message) -> None:
        nonlocal start, stream
        if message["type"] == "http.response.start":
            start = message
            return
        if message["type"] != "http.response.body":
            raise RuntimeError(f"an answer has no {message['type']}")
        body, is_last = bytes(message.get("body", b"")), not message.get("more_body", False)
        if stream is None:
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
            if is_last:
                proto.response_bytes(start["status"], headers, body)
                return
            stream = proto.response_stream(start["status"], headers)
        if body:
            await stream.send_bytes(body)

    return send
