"""The dead letters of a whole shop: an event that nobody can read is parked by each consumer that hears it."""

from pathlib import Path
from typing import ClassVar

from hansa.kernel.event import Event
from hansa.platform.outbox.dead_letters import Wanted
from hansa.services.orders.events import OrderPlaced
from tests.shops import opened_shop


class Garbled(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = OrderPlaced.type
    order_id: int


MAILED = Wanted(service="notifications", consumer="notifications.order_placed")


async def test_an_event_that_nobody_can_read_is_found_by_service_and_can_be_discarded(tmp_path: Path) -> None:
    async with opened_shop(folder=tmp_path / "data") as opened:
        shop = opened.shop
        async with shop.databases["orders"].write(5) as tx:
            tx.emit(Garbled(order_id=7), slot=5, aggregate="7")
        await shop.settle()

        letters = (await shop.dead_letters.list(limit=100)).items
        [letter] = (await shop.dead_letters.list(wanted=MAILED)).items
        named = {"service": letter.service, "consumer": letter.consumer, "event_id": letter.event_id}
        again = await shop.dead_letters.replay(key="1", **named, actor="user:1")
        await shop.dead_letters.discard(key="1", **named, actor="user:1")

        assert {(found.service, found.consumer) for found in letters} <= set(shop.inboxes)
        assert {found.type for found in letters} == {OrderPlaced.type}
        assert again is not None
        assert again.attempts == letter.attempts + 1
        assert (await shop.dead_letters.list(wanted=MAILED)).items == ()
        assert len((await shop.dead_letters.list(limit=100)).items) == len(letters) - 1
