"""Serving: Granian's embedded server in this very process and loop, and an orderly stop."""

import asyncio
import contextlib
import signal
import socket

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server
from starlette.types import ASGIApp

from hansa.platform.http.front import FrontDoor
from hansa.platform.telemetry.logs import SERVER_LOGGING

BACKLOG = 4096
GRACE_S = 5.0
HEADER_TIMEOUT_MS = 10_000
"""How long a connection may take to say what it wants; also how long an idle one is kept."""
LARGEST_HEAD = 64 * 1024
"""Bytes of a request's line and headers; larger ones are refused by the server."""
START_LOOKS = 200
START_LOOK_S = 0.02


class AddressInUse(Exception):
    """Somebody else listens on the address."""


def check_free(host: str, port: int) -> None:
    """Say it before anything is set up, and in plain words."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise AddressInUse(f"cannot listen on {host}:{port}: {error.strerror}") from error


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


class HttpServer:
    """One listening address."""

    def __init__(self, app: FrontDoor | ASGIApp, *, host: str, port: int) -> None:
        self._server = Server(
            app,
            address=host,
            port=port,
            interface=Interfaces.RSGI if hasattr(app, "__rsgi__") else Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            backlog=BACKLOG,
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS, max_buffer_size=LARGEST_HEAD),
            log_level=LogLevels.error,
            log_dictconfig=SERVER_LOGGING,
        )
        self._address = (host, port)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when the address answers. Raises AddressInUse when it never does."""
        self._task = asyncio.create_task(self._server.serve(), name="http")
        for _ in range(START_LOOKS):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(*self._address)
                writer.close()
                return
            await asyncio.sleep(START_LOOK_S)
        raise AddressInUse(f"nothing answers at {self._address[0]}:{self._address[1]}")

    async def close(self) -> None:
        if self._task is None:
            return
        self._server.stop()  # type: ignore[no-untyped-call]
        with contextlib.suppress(asyncio.CancelledError, TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._task), GRACE_S)


def told_to_stop() -> asyncio.Event:
    """Set when SIGINT or SIGTERM comes. To be asked for before anything is started that must be ended in order."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    return told
