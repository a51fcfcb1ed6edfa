"""The network under the simulator: calls between services and requests of clients are lost, late, doubled, cut off.

Whatever travels is encoded, and carried out in the process that receives it; if that dies, nobody answers.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from hansa.kernel.contract import Method
from hansa.kernel.errors import BusinessError, ErrorRecord, Fault, record_error, revive_error
from hansa.kernel.ids import slot_of_value
from hansa.platform.rpc.local import client_of
from tests.simulation.loop import WHOSE
from tests.simulation.workload.door import NoReply, Reply

if TYPE_CHECKING:
    from tests.simulation.world import Process, World

CLIENT_TIMEOUT_S = 25.0
"""How long a client waits for a reply."""
REFUSED_AFTER_S = 0.002
CLIENTS = "clients"
_DECODER = msgspec.msgpack.Decoder(tuple[msgspec.Raw, ErrorRecord | None])


class Network:
    """See the module."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._cuts: dict[frozenset[str], float] = {}

    def cut(self, one: str, other: str, *, until: float) -> None:
        self._cuts[frozenset((one, other))] = until

    def is_cut(self, one: str, other: str) -> bool:
        """Whether nothing gets through between two parties now."""
        return bool(self._cuts) and self._cuts.get(frozenset((one, other)), -1.0) > self._world.loop.time()

    def heal(self) -> None:
        self._cuts.clear()

    # Calls between services

    def wire(self, process: "Process") -> Callable[[type, Any], Any]:
        """For `compose`: the service is to be reached through the process, and its clients go over the network."""

        def wired(contract: type, service: Any) -> Any:
            process.services[contract.__name__] = service

            async def invoke(method: Method, arguments: dict[str, Any]) -> Any:
                return await self._call(process, method, arguments)

            return client_of(contract, invoke)

        return wired

    async def _call(self, source: "Process", method: Method, arguments: dict[str, Any]) -> Any:
        world, faults = self._world, self._world.faults
        packed = msgspec.msgpack.encode(method.arguments(**arguments))
        target = self._target(source, arguments)
        what = f"{source.name} asks {target.name if target else 'nobody'}: {method.contract.__name__}.{method.name}"
        world.note("call", what, arguments)
        if target is None:
            raise Fault("nobody there")
        answered: asyncio.Future[bytes] = world.loop.create_future()
        is_far = target is not source
        if is_far and (self.is_cut(source.machine, target.machine) or faults.strikes("call lost")):
            world.note("call lost", what, arguments)
            await answered  # nobody will: the deadline of the call ends this

        async def serve(*, is_late: bool = False) -> None:
            if is_far:
                await world.travel(is_late=is_late or faults.strikes("call late"))
            packed_answer = await _served(target, method, packed)
            if is_far:
                if self.is_cut(source.machine, target.machine) or faults.strikes("answer lost"):
                    return world.note("answer lost", what, packed_answer)
                if faults.strikes("answer after the deadline"):
                    world.note("answer after the deadline", what, packed_answer)
                    await asyncio.sleep(method.timeout_ms / 1000)
                await world.travel()
            if not answered.done():
                answered.set_result(packed_answer)

        self.carry_out(target, serve(), answered)
        if is_far and faults.strikes("call doubled"):
            self.carry_out(target, serve(is_late=self._is_late()), answered)
        raw, record = _DECODER.decode(await answered)
        world.note("answer", what, record or raw)
        if record is not None:
            raise revive_error(record, method.errors)
        return msgspec.msgpack.decode(raw, type=method.answer)

    def carry_out(
        self, target: "Process", work: Coroutine[Any, Any, Any], waiting: "asyncio.Future[Any] | None" = None
    ) -> None:
        """Run it in a process. If that is dead or dies, whoever waits may be told: its connection breaks."""
        if target.is_dead:
            work.close()
            if waiting is not None and not waiting.done():
                self._world.loop.call_later(REFUSED_AFTER_S, _refuse, waiting)
            return
        context = target.context.copy()
        context.run(WHOSE.set, target)
        self._world.loop.create_task(work, context=context)
        if waiting is not None:
            target.clients.append(waiting)

    def _is_late(self) -> bool:
        """Whether the second copy of a message comes when the first is long answered."""
        return self._world.chances["copies"].random() < 0.5

    def _target(self, source: "Process", arguments: dict[str, Any]) -> "Process | None":
        """Who is asked: any process that is up, or the one that the first argument hashes to."""
        processes = self._world.up
        if not processes:
            return None
        if self._world.plan.routing == "random":
            return processes[int(self._world.chances["routing"].random() * len(processes))]
        key = next((value for value in arguments.values() if isinstance(value, str)), "")
        return max(processes, key=lambda process: slot_of_value(key, process.machine))

    # Requests of clients

    async def request(self, verb: str, path: str, body: Any, *, token: str, key: str, version: int | None) -> Reply:
        """One HTTP request to any process that is up. Raises NoReply."""
        world, faults = self._world, self._world.faults
        await world.travel()
        processes = [process for process in world.up if not self.is_cut(CLIENTS, process.machine)]
        if not processes:
            await asyncio.sleep(REFUSED_AFTER_S)
            raise NoReply("nobody there")
        target = processes[int(world.chances["routing"].random() * len(processes))]
        if faults.strikes("request lost"):
            await asyncio.sleep(CLIENT_TIMEOUT_S)
            raise NoReply("lost")
        waiting: asyncio.Future[Reply] = world.loop.create_future()

        async def serve(*, is_late: bool = False) -> None:
            if is_late:
                await world.travel(is_late=True)
            reply = await target.front.request(verb, path, body, token, key, version)
            if self.is_cut(CLIENTS, target.machine) or faults.strikes("reply lost"):
                return world.note("reply lost", f"{verb} {path}", reply)
            await world.travel()
            if not waiting.done():
                waiting.set_result(reply)

        self.carry_out(target, serve(), waiting)
        if faults.strikes("request doubled"):
            self.carry_out(target, serve(is_late=self._is_late()), waiting)
        try:
            async with asyncio.timeout(CLIENT_TIMEOUT_S):
                return await waiting
        except (TimeoutError, Fault) as error:
            raise NoReply(str(error)) from error


async def _served(target: "Process", method: Method, packed: bytes) -> bytes:
    """What the receiving process answers; as over a real wire, a fault there is a fault here."""
    arguments = msgspec.msgpack.decode(packed, type=method.arguments)
    values = {name: getattr(arguments, name) for name in method.arguments.__struct_fields__}
    try:
        answer = await getattr(target.services[method.contract.__name__], method.name)(**values)
    except BusinessError as error:
        return msgspec.msgpack.encode([None, record_error(error)])
    except Exception as error:
        target.world.surprised_by(error, f"{method.contract.__name__}.{method.name}")
        return msgspec.msgpack.encode([None, ErrorRecord(code="fault", fields={"of": type(error).__name__})])
    return msgspec.msgpack.encode([answer, None])


def _refuse(waiting: "asyncio.Future[Any]") -> None:
    if not waiting.done():
        waiting.set_exception(Fault("connection refused"))
