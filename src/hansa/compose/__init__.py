"""The only package that knows every service and every adapter: from settings to a running shop."""

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from hansa import web
from hansa.adapters import bus_of, cache_of, database_of, following_of, mailer_of, poster_of, providers_of
from hansa.compose.services import MANIFESTS
from hansa.compose.shop import Shop
from hansa.compose.stored import KEYRING, STORED
from hansa.imports.transfers import FolderTransfers
from hansa.kernel.clock import Clock, SystemClock
from hansa.kernel.contract import methods_of
from hansa.kernel.ids import Ids
from hansa.platform.cache.caching import Cache
from hansa.platform.cache.desk import CacheDesk
from hansa.platform.cache.freshness import Freshness
from hansa.platform.cache.hottest import Hottest
from hansa.platform.cache.metrics import CacheMetrics
from hansa.platform.cache.office import CacheOffice
from hansa.platform.cache.port import Store
from hansa.platform.database.platform_tables import OUTBOX_AGE
from hansa.platform.database.port import Database
from hansa.platform.files.folder import FolderFiles
from hansa.platform.files.serving import media_routes
from hansa.platform.http.app import Surroundings, create_app
from hansa.platform.http.early import EarlyHook
from hansa.platform.http.front import FrontDoor
from hansa.platform.http.observing import observing
from hansa.platform.http.page_cache import PageCache
from hansa.platform.http.tokens import KnownTokens
from hansa.platform.jobs.periodic import Job, Jobs
from hansa.platform.leases import blocks
from hansa.platform.leases.blocks import SequenceBlock
from hansa.platform.leases.ranges import RENEW_EVERY_S, SlotRanges
from hansa.platform.mail.port import Mailer
from hansa.platform.manifest import Manifest, Parts
from hansa.platform.messaging.following import tell_of
from hansa.platform.messaging.local import Mischief
from hansa.platform.messaging.port import Bus
from hansa.platform.outbox.backlog import LOOK_EVERY_S, Backlog
from hansa.platform.outbox.dead_letter_office import DeadLetterOffice
from hansa.platform.outbox.dead_letters import DeadLetters
from hansa.platform.outbox.inbox import Inbox, forget
from hansa.platform.outbox.relay import Relay
from hansa.platform.outbox.tracing import Tracer, Traces
from hansa.platform.outgoing.port import Poster
from hansa.platform.providers.payments import PaymentProvider
from hansa.platform.rpc.local import local
from hansa.platform.security.key_file import master_key
from hansa.platform.security.passwords import Passwords
from hansa.platform.security.sealing import Keyring
from hansa.platform.telemetry.metrics import Gauges, RequestMetrics
from hansa.services.inventory.contract import Inventory
from hansa.services.orders.contract import Orders
from hansa.services.products.contract import Products
from hansa.services.recommendations.manifest import MANIFEST as RECOMMENDATIONS
from hansa.services.users.contract import Users
from hansa.settings import Settings
from hansa.web.pages import not_found
from hansa.web.site import Site
from hansa.web.wording import Wording

FORGET_EVERY_S = 3600.0
MEGABYTE = 1024 * 1024
MAINTENANCE_NOTE = "maintenance"
"""A file in the data folder: while it is there, the shop's pages say that it is closed for a moment."""
Wire = Callable[[type, Any], Any]
Databases = Callable[[Settings, str, Clock, Ids], Database]


async def compose(
    settings: Settings,
    *,
    clock: Clock | None = None,
    chance: random.Random | None = None,
    entropy: random.Random | None = None,
    ids: Ids | None = None,
    wire: Wire = local,
    database: Databases = database_of,
    bus: Bus | None = None,
    store: Store | None = None,
    mischief: Mischief | None = None,
    mailer: Mailer | None = None,
    poster: Poster | None = None,
    providers: Mapping[str, PaymentProvider] | None = None,
    passwords: Passwords | None = None,
    has_pages: bool = True,
) -> Shop:
    """Build the shop on its migrated databases. What is given replaces what the settings would choose.

    A process that owns its databases alone knows of every order, so that it may turn the hopeless away at the door.

    `chance` spreads retries and jobs; `entropy` makes keys, salts and tokens, and is the operating system's unless a
    simulator must be able to repeat a run.
    """
    clock = clock or SystemClock()
    chance = chance or random.SystemRandom()
    is_shared = ids is None and settings.database != "sqlite:"
    ids = ids or Ids(clock=clock, chance=entropy)
    master = master_key(settings.folder / "master.key")
    databases = {stored.name: database(settings, stored.name, clock, ids) for stored in STORED}
    for opened in databases.values():
        await opened.open()
    shop = Shop(
        settings=settings,
        clock=clock,
        ids=ids,
        databases=databases,
        jobs=Jobs(clock=clock, chance=chance),
        providers=providers_of(settings, master, clock) if providers is None else providers,
        files=FolderFiles(folder=settings.folder / "media"),
        metrics=RequestMetrics(clock=clock, registry=(registry := CollectorRegistry())),
    )
    if is_shared:
        block = SequenceBlock(database=databases[KEYRING.name], holder=ids.token(), ids=ids, clock=clock)
        await block.take()
        shop.jobs.start([Job(name="ids.block", every_s=blocks.RENEW_EVERY_S, run=block.renew)])
        shop.closing.append(block.leave)
    is_alone = database is database_of and settings.database == "sqlite:"
    shop.cache = Cache(
        clock=clock,
        chance=chance,
        store=store or cache_of(settings, clock, entropy or random.SystemRandom()),
        is_alone=is_alone,
        memory_bytes=settings.cache_memory_mb * MEGABYTE,
    )
    shop.freshness = Freshness(changes=shop.changes, cache=shop.cache)
    keyring = Keyring(database=databases[KEYRING.name], master=master, clock=clock, chance=entropy)
    passwords = passwords or Passwords(chance=entropy)
    mailer = mailer or mailer_of(settings, clock)
    poster = poster or poster_of(settings)
    following = following_of(settings, master, clock, ids)
    for shows in (shows for manifest in MANIFESTS for shows in manifest.effects.shows):
        shop.freshness.show(shows)
    bus = shop.bus = shop.freshness.bus(bus or bus_of(settings, clock, chance, mischief))
    for manifest in MANIFESTS:
        parts = Parts(
            database=databases[manifest.name],
            clock=clock,
            ids=ids,
            channel=settings.channel,
            keyring=keyring,
            passwords=passwords,
            mailer=mailer,
            public_url=settings.public_address,
            shop_name=settings.shop_name,
            clients={contract: shop.clients[contract] for contract in manifest.uses},
            following=following,
            adapters={
                "payment_providers": shop.providers,
                "poster": poster,
                "files": shop.files,
                "search_folder": settings.folder / "search",
            },
            cache=shop.cache,
            changes=shop.changes,
        )
        _add(shop, manifest, parts, wire, bus)
    _keep_watch(shop, wire, bus)
    transfers = FolderTransfers(
        folder=settings.folder / "transfers",
        products=shop.client(Products),
        inventory=shop.client(Inventory),
        orders=shop.client(Orders),
        clock=clock,
        ids=ids,
    )
    shop.transfers = transfers
    shop.starting.append(transfers.start)
    _observe(shop, registry)
    shop.app = _app(shop, has_pages=has_pages, is_alone=is_alone)
    shop.closing += [passwords.close, poster.close]
    shop.closing += [following.close] if following is not None else []
    shop.closing += [provider.close for provider in shop.providers.values()]
    return shop


def _add(shop: Shop, manifest: Manifest, parts: Parts, wire: Wire, bus: Bus) -> None:
    service = manifest.build(parts)
    shop.services[manifest.name] = service
    if manifest.contract is not None:
        client = wire(manifest.contract, service)
        shop.clients[manifest.contract] = shop.freshness.client(manifest.contract, client, manifest.effects)
    if manifest.settling is not None:
        shop.freshness.follow(manifest.settling(service))
    parts.database.on_commit(shop.freshness.committed)
    for consumer in manifest.consumers(service):
        inbox = Inbox(database=parts.database, consumer=consumer, clock=shop.clock)
        shop.inboxes[manifest.name, consumer.name] = inbox
        subscriber = shop.freshness.subscriber(inbox, consumer.changes)
        bus.subscribe(consumer=consumer.name, type=consumer.hears.type, subscriber=subscriber)
    if parts.following is not None and manifest.followed is not None:
        tell_of(manifest.followed, service=manifest.name, bus=bus, following=parts.following, clock=shop.clock)
    ranges = None
    jobs = [*manifest.jobs(service)]
    if bus.has_broker and shop.settings.database != "sqlite:":  # other processes may be at the same database
        ranges = SlotRanges(database=parts.database, name="relay", holder=shop.ids.token(), clock=shop.clock)
        jobs.append(Job(name=f"{manifest.name}.relay", every_s=RENEW_EVERY_S, run=ranges.renew))
        shop.ranges.append(ranges)
    shop.relays.append(Relay(database=parts.database, bus=bus, clock=shop.clock, ranges=ranges))
    tidy = Job(name=f"{manifest.name}.forget", every_s=FORGET_EVERY_S, run=lambda: forget(parts.database, shop.clock))
    shop.jobs_of[manifest.name] = [*jobs, tidy]


def _app(shop: Shop, *, has_pages: bool, is_alone: bool) -> FrontDoor:
    early: dict[str, EarlyHook] = {}
    for manifest in MANIFESTS if is_alone else ():
        early |= manifest.early(shop.services[manifest.name])
    routes = [
        replace(route, early=early.get(route.name, route.early))
        for manifest in MANIFESTS
        for route in manifest.routes(shop.clients.get(manifest.contract, shop.services[manifest.name]))  # type: ignore[arg-type]
    ]
    users = shop.client(Users)
    cache = PageCache(
        clock=shop.clock, changes=shop.changes, channel=shop.settings.channel, is_closed=_is_closed(shop.settings)
    )

    async def ready() -> Mapping[str, str]:
        missing = {}
        for name, database in shop.databases.items():
            try:
                await database.one(OUTBOX_AGE)
            except Exception as error:
                missing[name] = type(error).__name__
        return missing

    around = Surroundings(
        channel=shop.settings.channel,
        ids=shop.ids,
        authenticate=lambda token: users.authenticate(token=token),
        session_errors=methods_of(Users)["authenticate"].errors,
        metrics=shop.metrics,
        ready=ready,
        version=version("hansa"),
        trusted_proxies=shop.settings.trusted_proxies,
        cache=cache,
        tokens=KnownTokens(clock=shop.clock, changes=shop.changes),
        events=_events,
    )
    shop.closing.append(cache.close)
    if not has_pages:
        return create_app(routes, around)
    site = _site(shop)
    observed = observing(metrics=shop.metrics, ids=shop.ids, cache=cache)
    pages = [*media_routes(shop.files), *web.routes(site, observed)]
    return create_app(routes, replace(around, pages=pages, lost=partial(not_found, site)))


def _events() -> bytes:
    # Reads the source of events, which nobody waits for who does not ask for it.
    from hansa.compose.events import events_json

    return events_json()


def _is_closed(settings: Settings) -> Callable[[], bool]:
    return partial(os.path.exists, str(settings.folder / MAINTENANCE_NOTE))


def _site(shop: Shop) -> Site:
    settings = shop.settings
    return Site(
        name=settings.shop_name,
        public_url=settings.public_address,
        is_address_fixed=bool(settings.public_url),
        channel=settings.channel,
        clients=shop.clients,
        clock=shop.clock,
        ids=shop.ids,
        is_closed=_is_closed(settings),
        picture_hosts=settings.picture_hosts,
        tools={"dead_letters": shop.dead_letters, "transfers": shop.transfers},
        wording=Wording(Path(settings.shop_texts) if settings.shop_texts else None),
    )


def _keep_watch(shop: Shop, wire: Wire, bus: Bus) -> None:
    """What operators may ask: which events nobody could digest, what became of one; and how the cache does."""
    office = DeadLetterOffice(
        databases=shop.databases, inboxes=shop.inboxes, clock=shop.clock, ids=shop.ids, changes=shop.changes
    )
    tracer = Tracer(
        databases=shop.databases,
        consumers={name: inbox.consumer for name, inbox in shop.inboxes.items()},
        emits={manifest.name: [event.type for event in manifest.emits] for manifest in MANIFESTS},
        has_broker=bus.has_broker,
        clock=shop.clock,
    )
    shop.hottest = Hottest(cache=shop.cache, file=shop.settings.folder / "cache-hottest.json")
    shop.jobs_of["cache"] = shop.hottest.jobs()
    shop.clients[CacheDesk] = wire(CacheDesk, CacheOffice(cache=shop.cache, hottest=shop.hottest))
    shop.dead_letters = shop.clients[DeadLetters] = wire(DeadLetters, office)
    shop.clients[Traces] = wire(Traces, tracer)


def _observe(shop: Shop, registry: CollectorRegistry) -> None:
    """What operators must see of the messages: how far publishing is behind, and how many events are parked."""
    backlog = Backlog(databases=shop.databases, clock=shop.clock)
    gauges = Gauges(registry=registry)
    registry.register(CacheMetrics(shop.cache))
    gauges.observe("hansa_outbox_unsent_events", "Events not yet published.", lambda: backlog.unsent, label="service")
    gauges.observe(
        "hansa_outbox_oldest_seconds", "Age of the oldest unpublished event.", lambda: backlog.oldest_s, label="service"
    )
    gauges.observe(
        "hansa_dead_letters", "Events that a consumer could not digest.", lambda: backlog.parked, label="service"
    )
    behaviour = shop.services[RECOMMENDATIONS.name]
    gauges.observe(
        "hansa_behaviour_events",
        "Events of the beacon since the start, by what became of them.",
        lambda: behaviour.counted,
        label="outcome",
    )
    shop.jobs_of["backlog"] = [Job(name="backlog.look", every_s=LOOK_EVERY_S, run=backlog.look)]
