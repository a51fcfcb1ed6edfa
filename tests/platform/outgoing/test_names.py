"""A name whose servers are silent holds up nobody but whoever asks for it, and not for long."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from hansa.platform.outgoing import names
from hansa.platform.outgoing.guarded import Guarded
from hansa.platform.outgoing.names import Names
from hansa.platform.outgoing.port import NotAnswered
from tests.platform.outgoing.receiver import receiving

ADDRESS = "93.184.216.34"


@dataclass
class System:
    """Answers for every name, but for the silent one only when it is let go, and for the unknown one never."""

    asked: list[str] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)

    def ask(self, name: str) -> list[str]:
        self.asked.append(name)
        if name.startswith("silent"):
            self.let_go.wait()
        if name == "unknown":
            raise socket.gaierror("no such name")
        if name == "malformed":
            raise UnicodeError("label too long")
        return [ADDRESS]


@pytest.fixture
def system() -> Iterator[System]:
    opened = System()
    yield opened
    opened.let_go.set()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long."""
    monkeypatch.setattr(names, "TIMEOUT_S", 0.02)


async def has_none(opened: Names, name: str) -> bool:
    try:
        return not await opened.addresses(name, 443)
    except OSError:
        return True


async def forgotten(opened: Names) -> None:
    while opened._silent:
        await asyncio.sleep(0.001)


@pytest.mark.usefixtures("hasty")
async def test_a_silent_name_holds_up_no_other_and_is_not_asked_for_again(system: System):
    opened = Names(ask=system.ask)
    assert all(await asyncio.gather(*(has_none(opened, "silent") for _ in range(names.AT_ONCE * 2))))
    assert await opened.addresses("other", 443) == [ADDRESS]
    assert await has_none(opened, "silent")
    opened.close()

    assert system.asked == ["silent", "other"]


@pytest.mark.usefixtures("hasty")
async def test_a_name_that_is_still_asked_for_has_no_second_thread(system: System, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(names, "REMEMBERED_S", 0)
    opened = Names(ask=system.ask)
    assert await has_none(opened, "silent")
    await forgotten(opened)
    assert await has_none(opened, "silent")
    await forgotten(opened)
    system.let_go.set()
    monkeypatch.setattr(names, "TIMEOUT_S", 30)

    assert await opened.addresses("silent", 443) == [ADDRESS]
    assert system.asked == ["silent"]
    opened.close()


@pytest.mark.parametrize("name", ["unknown", "malformed"])
async def test_a_name_without_addresses_is_asked_for_again_after_a_while(
    system: System, monkeypatch: pytest.MonkeyPatch, name: str
):
    opened = Names(ask=system.ask)
    assert await has_none(opened, name)
    assert await has_none(opened, name)
    assert system.asked == [name]
    opened.close()

    monkeypatch.setattr(names, "REMEMBERED_S", 0)
    opened = Names(ask=system.ask)
    assert await has_none(opened, name)
    await forgotten(opened)
    assert await has_none(opened, name)
    assert system.asked == [name] * 3
    opened.close()


@pytest.mark.usefixtures("hasty")
async def test_a_name_that_only_waited_for_a_thread_is_not_to_blame(system: System, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(names, "AT_ONCE", 1)
    opened = Names(ask=system.ask)
    assert await has_none(opened, "silent")
    assert await has_none(opened, "other")
    system.let_go.set()
    monkeypatch.setattr(names, "TIMEOUT_S", 30)

    assert await opened.addresses("other", 443) == [ADDRESS]
    opened.close()


@pytest.mark.usefixtures("hasty")
async def test_names_that_wait_are_never_more_than_that(system: System, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(names, "MOST_ASKED", 2)
    opened = Names(ask=system.ask)
    assert await has_none(opened, "silent")
    assert await has_none(opened, "silent too")
    assert await has_none(opened, "other")
    opened.close()

    assert system.asked == ["silent", "silent too"]


async def test_closing_waits_for_no_name(system: System):
    opened = Names(ask=system.ask)
    asking = asyncio.create_task(opened.addresses("silent", 443))
    while not system.asked:
        await asyncio.sleep(0.001)
    opened.close()

    await asyncio.gather(asking, return_exceptions=True)
    assert asking.cancelled()


@pytest.mark.usefixtures("hasty")
async def test_who_is_behind_a_silent_name_holds_up_no_other_receiver(system: System, monkeypatch: pytest.MonkeyPatch):
    def getaddrinfo(name: str, *anything: Any, **more: Any) -> list[Any]:
        system.ask(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 0))]

    async with receiving() as receiver:
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        poster = Guarded(may_be_private=True)
        port = receiver.port
        silent, other = await asyncio.gather(
            *(
                poster.post(url=f"http://{name}.example.com:{port}/", headers={}, body=b"{}")
                for name in ("silent", "other")
            ),
            return_exceptions=True,
        )
        await poster.close()

    assert isinstance(silent, NotAnswered)
    assert silent.reason == "name_unknown"
    assert [got.headers["host"] for got in receiver.got] == [f"other.example.com:{port}"]
    assert not isinstance(other, BaseException)
