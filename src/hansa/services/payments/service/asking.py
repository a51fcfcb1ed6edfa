"""Asking providers: bounded in time and number, and with an honest answer where nobody knows what happened."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import structlog

from hansa.platform.database.port import forbid_open_transaction
from hansa.platform.providers.payments import PaymentProvider
from hansa.services.payments.contract import NoSuchProvider

DEADLINE_S = 5.0
"""How long a provider may take; what it says later is heard by its webhook or when the sweeper asks."""
MOST_AT_ONCE = 32
"""Calls that one run of a job has under way."""

T = TypeVar("T")
S = TypeVar("S")

log = structlog.get_logger()


class Providers:
    """The providers of the shop by name."""

    def __init__(self, providers: Mapping[str, PaymentProvider]) -> None:
        self._providers = providers

    def __contains__(self, name: str) -> bool:
        return name in self._providers

    def __getitem__(self, name: str) -> PaymentProvider:
        """Raises NoSuchProvider."""
        try:
            return self._providers[name]
        except KeyError:
            raise NoSuchProvider(provider=name) from None

    def all(self) -> Sequence[PaymentProvider]:
        return tuple(self._providers.values())


async def asked(call: Awaitable[T], *, what: str, order_id: str) -> T | None:
    """The provider's answer; None if there was none, whatever the cause: then nobody knows whether it acted."""
    forbid_open_transaction("a payment provider was asked")
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await call
    except Exception as error:
        log.warning("provider did not answer", what=what, order=order_id, error=type(error).__name__)
        return None


async def each(items: Sequence[S], act: Callable[[S], Awaitable[T]], *, what: str) -> list[T]:
    """Act on every item, a bounded number of them at once. One that fails is logged and left out: it hurts no other."""
    turn = asyncio.Semaphore(MOST_AT_ONCE)
    results: list[T] = []

    async def take_turn(item: S) -> None:
        async with turn:
            try:
                results.append(await act(item))
            except Exception:
                log.exception("one of many failed", what=what)

    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(take_turn(item))
    return results
