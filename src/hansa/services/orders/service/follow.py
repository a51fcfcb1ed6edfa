"""Letting a buyer follow an order."""

from hansa.platform.messaging.following import Following, Pass
from hansa.services.orders.contract import FollowPass, NotFollowable
from hansa.services.orders.contract.following import FollowByMqtt, FollowByStomp
from hansa.services.orders.service.books import Books

FOLLOWED_AS = "order"
"""What an order is called in topics."""


class Admitting:
    """Asks whose order it is, as whoever reads it is asked; what the pass opens is the affair of whoever makes it."""

    def __init__(self, *, books: Books, following: Following | None) -> None:
        self._books = books
        self._following = following

    async def follow(self, *, order: str, member: str | None) -> FollowPass:
        record, _ = await self._books.owned(order=order, member=member)
        if self._following is None:
            raise NotFollowable()
        return _shown(self._following.admit(kind=FOLLOWED_AS, id=record.order.id))


def _shown(made: Pass) -> FollowPass:
    mqtt, stomp = made.mqtt, made.stomp
    return FollowPass(
        token=made.token,
        expires_at=made.expires_at,
        mqtt=None
        if mqtt is None
        else FollowByMqtt(url=mqtt.url, username=mqtt.username, client_id=mqtt.client_id, topic=mqtt.topic),
        stomp=None
        if stomp is None
        else FollowByStomp(
            url=stomp.url, host=stomp.host, login=stomp.login, destination=stomp.destination, queue=stomp.queue
        ),
    )
