"""Granian's RSGI protocol as the framework's `receive` and `send`."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from hansa.platform.http.headers import FoundHeaders

LARGEST_AT_ONCE = 64 * 1024
"""A body that says it is no larger is handed over whole: each piece is a trip to another thread."""


class BrokenOff(Exception):
    """The connection ended in the middle of a body."""


class Body:
    """Hands out a request's body as it arrives; afterwards, that the client has gone, when it has."""

    def __init__(self, proto: Any, *, length: str | None) -> None:
        self._proto = proto
        self.is_small = length is not None and length.isdigit() and int(length) <= LARGEST_AT_ONCE
        """Whether it can be had `whole`."""
        self._chunks: AsyncIterator[bytes] | None = None
        self._is_over = False

    async def __call__(self) -> Message:
        if self._is_over:
            await self._proto.client_disconnect()
            return {"type": "http.disconnect"}
        if self.is_small:
            self._is_over = True
            try:
                return {"type": "http.request", "body": await self._proto(), "more_body": False}
            except Exception:
                return {"type": "http.disconnect"}
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

    async def whole(self, *, timeout_s: float) -> bytes:
        """A small body, once. Raises BrokenOff, and TimeoutError if it does not come in time."""
        self._is_over = True
        try:
            coming = self._proto()
            # Nearly every body is there already, and a timer is all that is spent on one that is not.
            timer = asyncio.get_running_loop().call_later(timeout_s, coming.cancel, _TOO_LATE)
            try:
                body: bytes = await coming
            finally:
                timer.cancel()
        except asyncio.CancelledError as error:
            if error.args == (_TOO_LATE,):
                raise TimeoutError from None
            raise
        except Exception as error:
            raise BrokenOff from error
        return body


_TOO_LATE = "the body did not arrive in time"


class RsgiRequest(Request):
    """The framework's request, whose headers the server looks up."""

    def __init__(self, scope: Scope, body: Body, send: Send, headers: Any) -> None:
        super().__init__(scope, body, send)
        self._headers = FoundHeaders(raw=scope["headers"], find=headers.get)


async def answer(proto: Any, response: Response, scope: Scope, receive: Receive) -> None:
    """Send a response: at once if it is whole, else as it sends itself."""
    if type(response).__call__ is Response.__call__ and response.background is None:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers]
        proto.response_bytes(response.status_code, headers, bytes(response.body))
    else:
        await response(scope, receive, sending(proto))


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
