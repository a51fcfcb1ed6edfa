"""The topics of the shop: what they are called, how they are made, and whether those that are there will do."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    BrokerResponseError,
    IncompatibleBrokerVersion,
    KafkaTimeoutError,
    TopicAlreadyExistsError,
    for_code,
)

from hansa.kernel.clock import Clock
from hansa.platform.messaging.digesting import Patience
from hansa.platform.messaging.groups import LARGEST_MESSAGE
from hansa.platform.messaging.kafka.servers import Servers, Timing
from hansa.platform.messaging.names import address_of
from hansa.platform.messaging.port import BusUnusable

LARGEST_WITH_NOTES = LARGEST_MESSAGE + 1024 * 1024
"""Bytes of what is put off or dead: a message, its headers, and what is noted about it."""
KEPT = timedelta(days=7)
SHORTEST_KEPT = timedelta(days=1)
LONGEST_KEPT = timedelta(days=28)
"""Less than the inbox remembers what it has handled: a group that has lost its place begins at the oldest record."""
COPIES = 3
RETRY_PARTITIONS = 3
"""Of each topic of what is put off: so many processes of a service can share that work."""
LEADERS_WITHIN_S = 10.0
LOOK_AGAIN_S = 0.05
MILLISECOND = timedelta(milliseconds=1)

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a topic must be like."""

    partitions: int
    largest: int = LARGEST_MESSAGE
    kept: timedelta = KEPT

    def settings(self, *, copies: int) -> dict[str, str]:
        return {
            "cleanup.policy": "delete",
            "max.message.bytes": str(self.largest),
            "min.insync.replicas": str(fewest_in_sync(copies)),
            "retention.bytes": "-1",
            "retention.ms": str(self.kept // MILLISECOND),
            "unclean.leader.election.enable": "false",
        }

    def objections(self, settings: Mapping[str, str], *, copies: int) -> list[str]:
        """What is wrong with a topic that is there, each with what it should be."""
        wrong: list[str] = []

        def must(name: str, is_good: bool, wish: str) -> None:
            if not is_good:
                wrong.append(f"{name} is {settings.get(name, 'unknown')} and must be {wish}")

        kept_ms, in_sync = _number(settings, "retention.ms"), _number(settings, "min.insync.replicas")
        must("cleanup.policy", settings.get("cleanup.policy") == "delete", "delete, since many events share a key")
        must("max.message.bytes", _number(settings, "max.message.bytes") >= self.largest, f"at least {self.largest}")
        must(
            "retention.ms",
            SHORTEST_KEPT // MILLISECOND <= kept_ms <= LONGEST_KEPT // MILLISECOND,
            f"between {SHORTEST_KEPT.days} and {LONGEST_KEPT.days} days, such as {self.kept // MILLISECOND}",
        )
        must("retention.bytes", settings.get("retention.bytes") == "-1", "-1: what is unheard is not to be deleted")
        must(
            "min.insync.replicas",
            fewest_in_sync(copies) <= in_sync <= copies,
            f"{fewest_in_sync(copies)} with {copies} replicas",
        )
        must("unclean.leader.election.enable", settings.get("unclean.leader.election.enable") == "false", "false")
        return wrong


def fewest_in_sync(copies: int) -> int:
    """So many brokers have an event before it counts as published, and one may be away."""
    return 2 if copies >= COPIES else 1


class Topics:
    """Names for everything, and a check that it is there, once for each."""

    def __init__(
        self, *, servers: Servers, timing: Timing, clock: Clock, patience: Patience, namespace: str, partitions: int
    ) -> None:
        self._servers = servers
        self._timing = timing
        self._clock = clock
        self._prefix = f"{namespace}." if namespace else ""
        self._partitions = partitions
        self.dead = f"{self._prefix}dead"
        self.retry = tuple(f"{self._prefix}retry.{_text(delay_s)}" for delay_s in patience.delays_s)
        """Topics of what is put off, by the index of their delay."""
        self.delays = dict(zip(self.retry, patience.delays_s, strict=True))
        self._there: set[str] = set()
        self._approved: set[str] = set()
        self._ensuring = asyncio.Lock()

    def of(self, event_type: str) -> str:
        return self._prefix + address_of(event_type)

    def group_of(self, service: str) -> str:
        return self._prefix + service

    async def ensure(self, names: Iterable[str]) -> None:
        """Return when all of them are there and will do. Raises BusUnusable if they will not, KafkaError and the like
        where that cannot be found out now."""
        if self._there.issuperset(names):
            return
        async with self._ensuring:
            missing = sorted({*names} - self._there)
            if not missing:
                return
            await self._servers.try_out(request_s=self._timing.request_s)
            admin = AIOKafkaAdminClient(**self._servers.options(self._timing))
            try:
                await admin.start()
                await self._declare(admin, missing)
            except IncompatibleBrokerVersion as error:
                raise BusUnusable(f"Kafka is too old: {error}") from error
            finally:
                await admin.close()
            self._there.update(missing)

    def forget(self) -> None:
        """Something is wrong: see whether they are still there before they are used again. A setting that somebody has
        changed meanwhile is no reason to stop; the next start tells of it."""
        self._there.clear()

    async def _declare(self, admin: Any, names: Sequence[str]) -> None:
        copies = min(COPIES, len((await admin.describe_cluster())["brokers"]))
        found = await self._described(admin)
        made = await self._create(admin, [name for name in names if name not in found], copies)
        deadline = self._clock.monotonic() + LEADERS_WITHIN_S
        while any(not _has_leaders(found.get(name)) for name in names):
            if self._clock.monotonic() > deadline:
                raise KafkaTimeoutError("new topics have no leaders")
            await self._clock.sleep(LOOK_AGAIN_S)
            found = await self._described(admin)
        good = made | self._approved
        await self._check(admin, {name: _copies(found[name]) for name in names if name not in good}, copies)
        self._approved.update(names)

    async def _described(self, admin: Any) -> dict[str, Any]:
        """Every topic there is: to ask for one by name makes it, where brokers are set up so."""
        return {topic["topic"]: topic for topic in await admin.describe_topics(None)}

    async def _create(self, admin: Any, names: Sequence[str], copies: int) -> set[str]:
        """Answers those that were made now, and not by another process at the same time."""
        if not names:
            return set()
        wanted = [
            NewTopic(name, plan.partitions, copies, topic_configs=plan.settings(copies=copies))
            for name, plan in ((name, self._plan(name)) for name in names)
        ]
        made: set[str] = set()
        for topic, code, *reason in (await admin.create_topics(wanted)).topic_errors:
            error = for_code(code)
            if code == 0:
                made.add(topic)
            elif error is not TopicAlreadyExistsError:
                _raise(error, f"topic {topic} cannot be made: {reason[0] if reason and reason[0] else error.__name__}")
        return made

    async def _check(self, admin: Any, found: Mapping[str, int], usual_copies: int) -> None:
        if not found:
            return
        asked = dict.fromkeys(Plan(partitions=1).settings(copies=1))
        resources = [ConfigResource(ConfigResourceType.TOPIC, name, asked) for name in found]
        objections: list[str] = []
        for answer in await admin.describe_configs(resources):
            for code, reason, _, topic, entries in answer.resources:
                if code:
                    error = for_code(code)
                    _raise(error, f"the settings of topic {topic} are not told: {reason or error.__name__}")
                settings = {entry[0]: entry[1] for entry in entries}
                wrong = self._plan(topic).objections(settings, copies=found[topic])
                objections += [f"topic {topic}: {each}" for each in wrong]
        if objections:
            raise BusUnusable(
                "Kafka has topics with other settings than the shop needs, which are left as they are; change them "
                "with kafka-configs.sh, or name another namespace. " + "; ".join(objections)
            )
        few = sorted(name for name, copies in found.items() if copies < usual_copies)
        if few:
            log.warning("Kafka keeps fewer copies of topics than there could be", topics=few, wanted=usual_copies)

    def _plan(self, name: str) -> Plan:
        if name == self.dead:
            return Plan(partitions=1, largest=LARGEST_WITH_NOTES, kept=LONGEST_KEPT)
        if name in self.delays:
            return Plan(partitions=min(self._partitions, RETRY_PARTITIONS), largest=LARGEST_WITH_NOTES)
        return Plan(partitions=self._partitions)


def _raise(error: type[BrokerResponseError], text: str) -> None:
    """What may pass by itself is raised as it is; the rest is for people."""
    if error.retriable:
        raise error(text)
    raise BusUnusable(text)


def _has_leaders(topic: Any) -> bool:
    return topic is not None and bool(topic["partitions"]) and all(each["leader"] >= 0 for each in topic["partitions"])


def _copies(topic: Any) -> int:
    return min(len(partition["replicas"]) for partition in topic["partitions"])


def _number(settings: Mapping[str, str], name: str) -> int:
    text = settings.get(name, "")
    return int(text) if text.lstrip("-").isdigit() else -1


def _text(delay_s: float) -> str:
    """`10m`, `60s` or `200ms`."""
    if delay_s >= 120 and delay_s % 60 == 0:
        return f"{delay_s / 60:.0f}m"
    return f"{delay_s:.0f}s" if delay_s % 1 == 0 else f"{delay_s * 1000:.0f}ms"
