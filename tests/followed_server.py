"""A RabbitMQ that lets orders be followed, as docs/following.md says, and tiny clients of its doors."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

import aiohttp
import aiomqtt

from hansa.platform.messaging.following import MqttDoor, StompDoor
from hansa.platform.messaging.rabbitmq.following import FollowKey
from hansa.platform.security.key_file import master_key
from tests.ports import HOST, free_port
from tests.rabbitmq_server import RabbitServer

PLUGINS = (
    "rabbitmq_mqtt",
    "rabbitmq_stomp",
    "rabbitmq_web_mqtt",
    "rabbitmq_web_stomp",
    "rabbitmq_auth_backend_oauth2",
)
KEY_FILE = "hansa-follow.pem"
PATIENCE_S = 30.0


class FollowedServer:
    """The server, where its doors are, and the master key of the shops whose passes it takes."""

    def __init__(self, folder: Path) -> None:
        self._master_file = folder / "master.key"
        self.master = master_key(self._master_file)
        self.mqtt_port, self.stomp_port = free_port(), free_port()
        self.web_mqtt_port, self.web_stomp_port = free_port(), free_port()
        key = FollowKey(master=self.master)
        self.rabbit = RabbitServer(
            plugins=PLUGINS,
            settings=[
                *key.settings(f"{{folder}}/{KEY_FILE}"),
                "mqtt.allow_anonymous = false",
                f"mqtt.listeners.tcp.1 = {HOST}:{self.mqtt_port}",
                f"stomp.listeners.tcp.1 = {HOST}:{self.stomp_port}",
                f"web_mqtt.tcp.ip = {HOST}",
                f"web_mqtt.tcp.port = {self.web_mqtt_port}",
                f"web_stomp.tcp.ip = {HOST}",
                f"web_stomp.tcp.port = {self.web_stomp_port}",
            ],
            files={KEY_FILE: key.public_pem},
        )

    @property
    def mqtt_url(self) -> str:
        return f"mqtt://{HOST}:{self.mqtt_port}"

    @property
    def stomp_url(self) -> str:
        return f"ws://{HOST}:{self.web_stomp_port}/ws"

    def give_key_to(self, folder: Path) -> None:
        """Have a shop begin with the master key whose passes are taken here."""
        folder.mkdir(parents=True)
        shutil.copy(self._master_file, folder / "master.key")


class Refused(Exception):
    """The broker has said no, or has closed the door."""


# MQTT


@asynccontextmanager
async def mqtt_client(
    server: FollowedServer,
    door: MqttDoor,
    token: str,
    *,
    client_id: str | None = None,
    username: str | None = None,
    clean_session: bool = True,
    by_websocket: bool = False,
) -> AsyncIterator[aiomqtt.Client]:
    """Raises Refused."""
    client = aiomqtt.Client(
        HOST,
        server.web_mqtt_port if by_websocket else server.mqtt_port,
        username=username or door.username,
        password=token,
        identifier=client_id or door.client_id,
        protocol=aiomqtt.ProtocolVersion.V311,
        clean_session=clean_session,
        transport="websockets" if by_websocket else "tcp",
        websocket_path="/ws" if by_websocket else None,
        timeout=PATIENCE_S,
    )
    try:
        await client.__aenter__()
    except aiomqtt.MqttError as error:
        raise Refused(str(error)) from error
    try:
        yield client
    finally:
        with suppress(aiomqtt.MqttError):  # the broker may have been faster
            await client.__aexit__(None, None, None)


async def mqtt_closed(client: aiomqtt.Client, act: asyncio.Task[object] | None = None) -> None:
    """Return when the broker has closed the connection, which is how it refuses; whatever comes before is an error."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for message in client.messages:
                raise AssertionError(f"something was read: {message.topic}")
    except aiomqtt.MqttError:
        return
    finally:
        if act is not None:
            act.cancel()
            await asyncio.gather(act, return_exceptions=True)


# STOMP


class Wire(Protocol):
    async def send(self, frame: bytes) -> None: ...

    async def receive(self) -> bytes: ...


class _Tcp:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, frame: bytes) -> None:
        self._writer.write(frame)
        await self._writer.drain()

    async def receive(self) -> bytes:
        return await self._reader.readuntil(b"\0")


class _WebSocket:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, frame: bytes) -> None:
        await self._socket.send_bytes(frame)

    async def receive(self) -> bytes:
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            return str(message.data).encode()
        if message.type is aiohttp.WSMsgType.BINARY:
            return bytes(message.data)
        raise ConnectionError(f"the socket is closed: {message.type}")


class StompClient:
    """Just enough of STOMP 1.2."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._receipts = 0

    async def connect(self, *, host: str, login: str, token: str) -> None:
        """Raises Refused."""
        await self._send("CONNECT", {"accept-version": "1.2", "host": host, "login": login, "passcode": token})
        await self._expect("CONNECTED")

    async def subscribe(self, destination: str, headers: Mapping[str, str]) -> None:
        """Return when it is in force. Raises Refused."""
        await self._acted("SUBSCRIBE", {"id": "0", "destination": destination, **headers})

    async def say(self, destination: str, body: str = "hello") -> None:
        """Return when it is sent. Raises Refused."""
        await self._acted("SEND", {"destination": destination}, body)

    async def hear(self) -> tuple[str, str]:
        """Where the next message comes from, and what it says."""
        headers, body = await self._expect("MESSAGE")
        return headers["destination"], body

    async def _acted(self, command: str, headers: Mapping[str, str], body: str = "") -> None:
        self._receipts += 1
        await self._send(command, {**headers, "receipt": str(self._receipts)}, body)
        await self._expect("RECEIPT")

    async def _send(self, command: str, headers: Mapping[str, str], body: str = "") -> None:
        lines = [command, *(f"{name}:{_escaped(value)}" for name, value in headers.items()), "", body]
        if command == "CONNECT":  # has no escapes
            lines = [command, *(f"{name}:{value}" for name, value in headers.items()), "", body]
        await self._wire.send("\n".join(lines).encode() + b"\0")

    async def _expect(self, command: str) -> tuple[dict[str, str], str]:
        try:
            async with asyncio.timeout(PATIENCE_S):
                frame = (await self._wire.receive()).lstrip(b"\n").decode()
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Refused("the connection is closed") from error
        head, _, body = frame.rstrip("\0\n").partition("\n\n")
        said, *lines = head.split("\n")
        if said != command:
            raise Refused(f"{said}: {body}")
        return dict(line.split(":", 1) for line in lines), body


@asynccontextmanager
async def stomp_client(
    server: FollowedServer, door: StompDoor, token: str, *, host: str | None = None, by_websocket: bool = False
) -> AsyncIterator[StompClient]:
    """Raises Refused."""
    async with _wire(server, by_websocket=by_websocket) as wire:
        client = StompClient(wire)
        await client.connect(host=host or door.host, login=door.login, token=token)
        yield client


@asynccontextmanager
async def _wire(server: FollowedServer, *, by_websocket: bool) -> AsyncIterator[Wire]:
    if by_websocket:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(server.stomp_url, protocols=["v12.stomp"]) as socket,
        ):
            yield _WebSocket(socket)
        return
    reader, writer = await asyncio.open_connection(HOST, server.stomp_port)
    try:
        yield _Tcp(reader, writer)
    finally:
        writer.close()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(":", "\\c")
