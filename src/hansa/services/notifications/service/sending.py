"""Sends what is due at webhooks: each has a lane of its own, so that a slow one holds up nobody else."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta

import msgspec
import structlog

from hansa.kernel.clock import Clock
from hansa.kernel.ids import slot_of
from hansa.platform.database.batcher import Batcher
from hansa.platform.database.port import Database, Transaction
from hansa.platform.jobs.soon import Soon
from hansa.platform.outgoing.port import Answered, NotAnswered, Poster
from hansa.platform.security.webhooks import sign_webhook
from hansa.services.notifications.rules import webhooks as rules
from hansa.services.notifications.service.hearing import Roster
from hansa.services.notifications.service.secrets import Secrets
from hansa.services.notifications.store import deliveries
from hansa.services.notifications.store import webhooks as store
from hansa.services.notifications.store.deliveries import Due, Outcome
from hansa.services.notifications.store.webhooks import Hook

MOST_AT_ONCE = 8
"""Requests under way at one webhook. There are at most 50 webhooks, so at most 400 at once in a process, and those of
slow ones never take the places of others."""
BATCH = 16
"""Deliveries begun by one commit."""
TAKEN_FOR = timedelta(seconds=60)
"""How long a delivery that was begun is nobody else's: more than two requests, one after the other, can take. If the
process dies meanwhile, it is due again."""
HEADERS = {"content-type": "application/json"}

log = structlog.get_logger()


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that was made, at a webhook as it was then."""

    hook: Hook
    outcome: Outcome
    is_gone: bool


class Lane:
    """What is sent to one webhook, and the bell for whoever serves it: there may be more."""

    def __init__(self, serve: Callable[["Lane"], Awaitable[None]], *, webhook_id: str) -> None:
        self.webhook_id = webhook_id
        self.work = Soon(lambda: serve(self), name=f"notifications.webhook.{webhook_id}")
        self._bell: asyncio.Future[None] | None = None

    async def kick(self) -> None:
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)
        await self.work.kick()

    def bell(self) -> asyncio.Future[None]:
        """A new bell, which the next kick rings."""
        self._bell = asyncio.get_running_loop().create_future()
        return self._bell


class Sending:
    """See the module. `TAKEN_FOR` in all processes holds who sends what; a repetition has the same `webhook-id`."""

    def __init__(self, *, database: Database, clock: Clock, poster: Poster, secrets: Secrets, roster: Roster) -> None:
        self._database = database
        self._clock = clock
        self._poster = poster
        self._secrets = secrets
        self._roster = roster
        self._lanes: dict[str, Lane] = {}
        self._is_closed = False
        self._noting: Batcher[Attempt, None] = Batcher(
            database=database,
            act=self._note_all,
            slots=lambda attempt: (slot_of(attempt.outcome.delivery.event_id), store.SLOT),
        )

    async def look(self) -> None:
        """Have each active webhook sent what is due there; harmless when several do it at once."""
        active = [hook.id for hook in await self._roster.read() if hook.state == rules.ACTIVE]
        for webhook_id in active:
            await self.kick(webhook_id)
        for webhook_id in [each for each, lane in self._lanes.items() if each not in active and lane.work.is_idle]:
            del self._lanes[webhook_id]

    async def kick(self, webhook_id: str) -> None:
        if self._is_closed:
            return
        lane = self._lanes.get(webhook_id)
        if lane is None:
            lane = self._lanes[webhook_id] = Lane(self._serve, webhook_id=webhook_id)
        await lane.kick()

    async def quiet(self) -> None:
        for lane in list(self._lanes.values()):
            await lane.work.quiet()

    async def close(self) -> None:
        """Break off what is being sent; it is due again when nobody holds it any more."""
        self._is_closed = True
        for lane in self._lanes.values():
            await lane.work.close()
        await self._noting.close()

    async def _serve(self, lane: Lane) -> None:
        """Send until nothing is due: the longest due first, some at once, so that one that fails or hangs stands in no
        way, neither of what is due with it nor of what is noted later."""
        waiting: deque[tuple[Hook, Due]] = deque()
        # A dictionary for its order: that of a set of tasks is the order of their addresses.
        running: dict[asyncio.Task[None], None] = {}
        try:
            while True:
                bell = lane.bell()  # before the look, so that what it does not see rings
                if not waiting and len(running) < MOST_AT_ONCE:
                    waiting.extend(await self._take(lane.webhook_id))
                while waiting and len(running) < MOST_AT_ONCE:
                    running[asyncio.create_task(self._attempt(*waiting.popleft()))] = None
                if not running:
                    return
                await asyncio.wait([*running, bell], return_when=asyncio.FIRST_COMPLETED)
                for task in [task for task in running if task.done()]:
                    del running[task]
                    task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _take(self, webhook_id: str) -> Iterable[tuple[Hook, Due]]:
        now = self._clock.now()
        rows = await deliveries.due(self._database, webhook_id=webhook_id, at=now, limit=BATCH)
        if not rows:
            return ()
        hook = await store.find(self._database, webhook_id=webhook_id)
        if hook is None or hook.state != rules.ACTIVE:
            return ()
        async with self._database.write(*{row["slot"] for row in rows}) as tx:
            taken = await deliveries.take(tx, rows, until=now + TAKEN_FOR)
        return [(hook, each) for each in taken]

    async def _attempt(self, hook: Hook, due: Due) -> None:
        """One attempt, and the note of what became of it. It raises nothing: what was not noted is due again."""
        try:
            await self._noting.submit(await self._tried(hook, due))
        except Exception as error:
            log.warning("webhook not noted", webhook_id=hook.id, event_id=due.event_id, error=type(error).__name__)

    async def _tried(self, hook: Hook, due: Due) -> Attempt:
        if not due.body:  # forgotten meanwhile
            outcome = Outcome(
                delivery=due, state=rules.DROPPED, next_at=None, status=None, error="forgotten", took_ms=0
            )
            return Attempt(hook=hook, outcome=outcome, is_gone=False)
        began = self._clock.monotonic()
        answered, error = await self._answered(hook, due)
        took_ms = round((self._clock.monotonic() - began) * 1000)
        now = self._clock.now()
        status = answered.status if answered else None
        said = "again" if status is None else rules.verdict(status)
        next_at = None
        if said == "again":
            asked_s = 0.0
            if answered is not None:
                asked_s = rules.asked_delay_s(status=answered.status, retry_after=answered.retry_after, now=now)
            name = f"{due.event_id} {due.webhook_id}"
            next_at = rules.next_attempt(attempts=due.attempts, at=now, name=name, asked_s=asked_s)
        state = rules.DELIVERED if said == "delivered" else rules.DUE if next_at else rules.FAILED
        outcome = Outcome(delivery=due, state=state, next_at=next_at, status=status, error=error, took_ms=took_ms)
        return Attempt(hook=hook, outcome=outcome, is_gone=said == "gone")

    async def _answered(self, hook: Hook, due: Due) -> tuple[Answered | None, str]:
        """What the receiver has answered, if anything, and what was wrong with it, in a word."""
        body, now = due.body.encode(), self._clock.now()
        try:
            signed = sign_webhook(
                secrets=self._secrets.in_use(hook, at=now), message_id=due.event_id, at=now, body=body
            )
            answered = await self._poster.post(url=hook.url, headers={**HEADERS, **signed}, body=body)
        except NotAnswered as error:
            return None, error.reason
        except Exception as error:  # the error's type only: its text may hold the address, and whatever that holds
            log.warning("webhook not sent", webhook_id=hook.id, event_id=due.event_id, error=type(error).__name__)
            return None, "broken_off"
        return answered, "" if rules.verdict(answered.status) == "delivered" else f"status {answered.status}"

    async def _note_all(self, tx: Transaction, attempts: Sequence[Attempt]) -> Sequence[None]:
        now = self._clock.now()
        await deliveries.note(tx, [attempt.outcome for attempt in attempts], at=now)
        by_webhook: dict[str, list[Attempt]] = {}
        for attempt in attempts:
            by_webhook.setdefault(attempt.hook.id, []).append(attempt)
        for webhook_id in sorted(by_webhook, key=int):
            await self._judge(tx, by_webhook[webhook_id])
        return [None] * len(attempts)

    async def _judge(self, tx: Transaction, attempts: Sequence[Attempt]) -> None:
        """What attempts say of their webhook: that it is well, that it fails, for how long, or that it is gone."""
        now, webhook_id = self._clock.now(), attempts[0].hook.id
        if any(attempt.is_gone for attempt in attempts):
            if await store.stop(tx, webhook_id=webhook_id, state=rules.GONE, reason="status 410", at=now):
                log.warning("webhook is gone", webhook_id=webhook_id)
        elif any(attempt.outcome.state == rules.DELIVERED for attempt in attempts):
            await store.recovered(tx, webhook_id=webhook_id)
        elif reasons := [attempt.outcome.error for attempt in attempts if attempt.outcome.error != "forgotten"]:
            await store.failing(tx, webhook_id=webhook_id, silent_since=now - rules.SILENT_AFTER, at=now)
            # By the row as it is now: what the attempts knew of it when they began may have become untrue since.
            since = now - rules.GIVEN_UP_AFTER
            if await store.stop_failing(tx, webhook_id=webhook_id, reason=reasons[-1], since=since, at=now):
                log.warning("webhook paused: nothing has arrived for days", webhook_id=webhook_id)
