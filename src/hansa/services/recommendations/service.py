"""What recommendations do: take down what visitors do, quickly and bounded, and forget it in time."""

from collections import Counter, deque
from collections.abc import Mapping
from datetime import timedelta

import structlog

from hansa.kernel.clock import Clock, to_micros
from hansa.platform.database.port import Database
from hansa.platform.jobs.soon import Soon
from hansa.platform.security.sealing import Keyring
from hansa.platform.security.throttle import Throttle, TooManyAttempts
from hansa.services.recommendations import rules, store
from hansa.services.recommendations.contract import Behaviour, TooManyEvents
from hansa.services.recommendations.store import Deed

MOST_WAITING = 10_000
"""Deeds in memory that are not written yet; more are dropped."""
WRITTEN_AT_ONCE = 200
"""So many are written without waiting for the second to end."""
LARGEST_WRITE = 1_000
"""Deeds in one commit."""
KEPT = timedelta(days=90)
FORGOTTEN_AT_ONCE = 2_000
MOST_BATCHES = 100
"""Of one run of the job that forgets; what is left waits for the next."""

WINDOW_S = 10.0
BATCHES_PER_VISITOR = 10
"""In a window. A page sends one when it is left, and one for each screen of products at the most."""
BATCHES_PER_ADDRESS = 100
"""In a window: many may share an address."""
LARGEST_THROTTLE = 4_096
"""Visitors, and addresses, that are counted at once."""

log = structlog.get_logger()


class RecommendationsService:
    """See the contract. What is taken waits in memory until `write`; what became of it is `counted`."""

    def __init__(self, *, database: Database, clock: Clock, keyring: Keyring) -> None:
        self._database = database
        self._clock = clock
        self._keyring = keyring
        self._waiting: deque[Deed] = deque()
        self._counted: Counter[str] = Counter()
        self._by_visitor = self._throttle(BATCHES_PER_VISITOR)
        self._by_address = self._throttle(BATCHES_PER_ADDRESS)
        self.writing = Soon(self.write, name="recommendations.write")

    @property
    def counted(self) -> Mapping[str, float]:
        """What became of behaviour since the start: taken, or why it was not."""
        return dict(self._counted)

    @property
    def waiting(self) -> int:
        """Deeds that are not written yet."""
        return len(self._waiting)

    async def record(
        self, *, key: str, consent: bool, visitor: str, behaviours: tuple[Behaviour, ...], remote: str
    ) -> None:
        if not consent:
            self._counted["without_consent"] += len(behaviours)
            return
        now = self._clock.now()
        secret = self._keyring.derive(label=rules.pseudonym_label(now=now))
        visitor_hash = rules.visitor_hash(visitor=visitor, secret=secret)
        self._admit(visitor_hash, rules.place(remote), number=len(behaviours))
        batch = rules.batch_name(key)
        for number, behaviour in enumerate(behaviours):
            query = rules.safe_query(behaviour.query)
            if not rules.says_enough(behaviour, query=query):
                self._counted["meaningless"] += 1
                continue
            deed = Deed(
                visitor_hash=visitor_hash,
                batch=batch,
                number=number,
                kind=behaviour.kind,
                product_id=behaviour.product_id,
                slug=behaviour.slug,
                sku=behaviour.sku,
                query=query,
                position=behaviour.position,
                page=behaviour.page,
                locale=behaviour.locale,
                seen_at=to_micros(now - timedelta(milliseconds=behaviour.age_ms)),
            )
            self._counted["taken" if self._wait(deed) else "dropped"] += 1
        if len(self._waiting) >= WRITTEN_AT_ONCE:
            await self.writing.kick()

    async def write(self) -> None:
        """Write what waits, in a few large commits; harmless when several do it at once."""
        for _ in range(MOST_WAITING // LARGEST_WRITE):
            deeds = [self._waiting.popleft() for _ in range(min(len(self._waiting), LARGEST_WRITE))]
            if not deeds:
                return
            try:
                async with self._database.write(*{deed.slot for deed in deeds}) as tx:
                    await store.add(tx, deeds)
            except BaseException:
                # They may be written after all; written again, they are the same rows.
                lost = sum(not self._wait(deed) for deed in deeds)
                self._counted["dropped"] += lost
                raise

    async def forget(self) -> None:
        """Drop what is older than it may be kept."""
        before = self._clock.now() - KEPT
        for _ in range(MOST_BATCHES):
            async with self._database.write() as tx:
                if await store.drop(tx, before=before, most=FORGOTTEN_AT_ONCE) < FORGOTTEN_AT_ONCE:
                    return

    async def close(self) -> None:
        """Write what waits; where that fails it is lost, as behaviour may be."""
        await self.writing.close()
        try:
            await self.write()
        except Exception:
            log.warning("behaviour was lost at the end", number=len(self._waiting), exc_info=True)

    def _admit(self, visitor_hash: str, place: str, *, number: int) -> None:
        try:
            self._by_address.check(place)
            self._by_visitor.check(visitor_hash)
        except TooManyAttempts as error:
            self._counted["refused"] += number
            raise TooManyEvents(retry_after_s=error.retry_after_s) from None
        self._by_address.failed(place)
        self._by_visitor.failed(visitor_hash)

    def _wait(self, deed: Deed) -> bool:
        """Whether there was room."""
        if len(self._waiting) >= MOST_WAITING:
            return False
        self._waiting.append(deed)
        return True

    def _throttle(self, limit: int) -> Throttle:
        return Throttle(clock=self._clock, limit=limit, window_s=WINDOW_S, largest=LARGEST_THROTTLE)
