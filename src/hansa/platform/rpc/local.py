"""Clients in the same process, under the rules of every wire: no open transaction, deadlines, declared errors.

Two wires: `local` passes the call on; `twice` encodes everything and delivers it twice, and so finds what would break
between processes or is not idempotent.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar, cast

import msgspec

from hansa.kernel.contract import Method, methods_of
from hansa.kernel.errors import BusinessError, DeadlineExceeded, ErrorRecord, record_error, revive_error
from hansa.platform.database.port import forbid_open_transaction

C = TypeVar("C")
Invoke = Callable[[Method, dict[str, Any]], Awaitable[Any]]


class UndeclaredError(RuntimeError):
    """A service raised a business error that its contract does not declare: a mistake of its author."""


def local(contract: type[C], service: object) -> C:
    """A client that calls the service directly."""

    def invoke(method: Method, arguments: dict[str, Any]) -> Awaitable[Any]:
        call: Awaitable[Any] = getattr(service, method.name)(**arguments)
        return call

    return client_of(contract, invoke)


def twice(contract: type[C], service: object) -> C:
    """A client that sends every call through MessagePack, twice, and gives the second answer.

    Both answers of a command must be equal: the same key, the same answer.
    """

    async def deliver(method: Method, packed: bytes) -> bytes:
        arguments = msgspec.msgpack.decode(packed, type=method.arguments)
        values = {name: getattr(arguments, name) for name in method.arguments.__struct_fields__}
        try:
            answer = await getattr(service, method.name)(**values)
        except BusinessError as error:
            return msgspec.msgpack.encode([None, record_error(error)])
        return msgspec.msgpack.encode([answer, None])

    async def invoke(method: Method, arguments: dict[str, Any]) -> Any:
        packed = msgspec.msgpack.encode(method.arguments(**arguments))
        first = await deliver(method, packed)
        second = await deliver(method, packed)
        if method.is_command and first != second:
            raise UndeclaredError(f"{method.name}: the same key had two answers: {first!r}, {second!r}")
        answer, record = msgspec.msgpack.decode(second, type=tuple[msgspec.Raw, ErrorRecord | None])
        if record is not None:
            raise revive_error(record, method.errors)
        return msgspec.msgpack.decode(answer, type=method.answer)

    return client_of(contract, invoke)


def client_of(contract: type[C], invoke: Invoke) -> C:
    """An object with the contract's methods, each under the rules every wire obeys."""
    name = f"{contract.__name__}Client"
    members = {method.name: _member(method, invoke) for method in methods_of(cast(Any, contract)).values()}
    return cast(C, type(name, (), members)())


def _member(method: Method, invoke: Invoke) -> Callable[..., Awaitable[Any]]:
    call_name = f"{method.contract.__name__}.{method.name}"
    what, timeout_s = f"a call of {call_name}", method.timeout_ms / 1000

    async def member(self: object, **arguments: Any) -> Any:
        forbid_open_transaction(what)
        try:
            return await _Deadline(invoke(method, arguments), timeout_s)
        except TimeoutError as error:
            raise DeadlineExceeded(call_name) from error
        except BusinessError as error:
            if not isinstance(error, method.errors):
                raise UndeclaredError(f"{call_name} raised undeclared {error}") from error
            raise

    member.__name__ = method.name
    member.__doc__ = method.function.__doc__
    return member


class _Deadline:
    """Waits for a call, but only so long: then it is cancelled, and a TimeoutError raised.

    A call that is answered without any waiting, as most questions to a database in the same process are, gets no timer.
    """

    __slots__ = ("_call", "_timeout_s")

    def __init__(self, call: Awaitable[Any], timeout_s: float) -> None:
        self._call = call
        self._timeout_s = timeout_s

    def __await__(self) -> Generator[Any, Any, Any]:
        call: Any = self._call.__await__()
        try:
            waiting = next(call)
        except StopIteration as answered:
            return answered.value
        return (yield from self._limited(call, waiting))

    def _limited(self, call: Any, waiting: Any) -> Generator[Any, Any, Any]:
        """The rest of a call that waits for something; a cancellation of others' is not taken for the deadline's."""
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        cancelled_before, is_late = task.cancelling(), False

        def end() -> None:
            nonlocal is_late
            is_late = True
            task.cancel()

        timer = asyncio.get_running_loop().call_later(self._timeout_s, end)
        try:
            while True:
                try:
                    yield waiting
                except BaseException as error:
                    waiting = call.throw(error)
                else:
                    return (yield from call)
        except StopIteration as answered:
            return answered.value
        except asyncio.CancelledError as error:
            if is_late and task.cancelling() - 1 <= cancelled_before:
                raise TimeoutError from error
            raise
        finally:
            timer.cancel()
            if is_late:
                task.uncancel()
