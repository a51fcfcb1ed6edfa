"""The only module that knows every service and every adapter: from settings to a running shop."""

import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import MetaData

from hansa import web
from hansa.adapters import database_of, database_target, mailer_of, providers_of
from hansa.imports.transfers import FolderTransfers
from hansa.kernel.clock import Clock, SystemClock
from hansa.kernel.contract import methods_of
from hansa.kernel.ids import Ids
from hansa.platform.cache.changes import Changes
from hansa.platform.cache.freshness import Freshness
from hansa.platform.database.migrations import check_version, migrate
from hansa.platform.database.platform_tables import OUTBOX_AGE
from hansa.platform.database.port import Database
from hansa.platform.database.upgrading_process import Upgrade, upgrade_apart
from hansa.platform.files.folder import FolderFiles
from hansa.platform.files.port import Files
from hansa.platform.files.serving import media_routes
from hansa.platform.http.app import Surroundings, create_app
from hansa.platform.http.early import EarlyHook
from hansa.platform.http.front import FrontDoor
from hansa.platform.http.observing import observing
from hansa.platform.http.page_cache import PageCache
from hansa.platform.http.tokens import KnownTokens
from hansa.platform.jobs.periodic import Job, Jobs
from hansa.platform.jobs.transfers import Transfers
from hansa.platform.mail.port import Mailer
from hansa.platform.manifest import Manifest, Parts
from hansa.platform.messaging.local import LocalBus, Mischief
from hansa.platform.messaging.port import Bus
from hansa.platform.outbox.backlog import LOOK_EVERY_S, Backlog
from hansa.platform.outbox.dead_letter_office import DeadLetterOffice
from hansa.platform.outbox.dead_letters import DeadLetters
from hansa.platform.outbox.inbox import Inbox, forget
from hansa.platform.outbox.relay import Relay
from hansa.platform.providers.payments import PaymentProvider
from hansa.platform.rpc.local import local
from hansa.platform.security import sealing
from hansa.platform.security.key_file import master_key
from hansa.platform.security.passwords import Passwords
from hansa.platform.security.sealing import Keyring
from hansa.platform.telemetry.metrics import Gauges, RequestMetrics
from hansa.services.carts.manifest import MANIFEST as CARTS
from hansa.services.home.manifest import MANIFEST as HOME
from hansa.services.inventory.contract import Inventory
from hansa.services.inventory.manifest import MANIFEST as INVENTORY
from hansa.services.notifications.manifest import MANIFEST as NOTIFICATIONS
from hansa.services.orders.contract import Orders
from hansa.services.orders.manifest import MANIFEST as ORDERS
from hansa.services.payments.manifest import MANIFEST as PAYMENTS
from hansa.services.products.contract import Products
from hansa.services.products.manifest import MANIFEST as PRODUCTS
from hansa.services.promotions.manifest import MANIFEST as PROMOTIONS
from hansa.services.recommendations.manifest import MANIFEST as RECOMMENDATIONS
from hansa.services.search.manifest import MANIFEST as SEARCH
from hansa.services.shipping.manifest import MANIFEST as SHIPPING
from hansa.services.users.contract import Users
from hansa.services.users.manifest import MANIFEST as USERS
from hansa.settings import Settings
from hansa.web.pages import not_found
from hansa.web.site import Site
from hansa.web.wording import Wording

MANIFESTS: tuple[Manifest, ...] = (
    PRODUCTS,
    USERS,
    INVENTORY,
    SHIPPING,
    PAYMENTS,
    PROMOTIONS,
    CARTS,
    ORDERS,
    NOTIFICATIONS,
    HOME,
    RECOMMENDATIONS,
    SEARCH,
)
"""In the order of dependence: whoever is asked stands before who asks."""
FORGET_EVERY_S = 3600.0
MAINTENANCE_NOTE = "maintenance"
"""A file in the data folder: while it is there, the shop's pages say that it is closed for a moment."""
Wire = Callable[[type, Any], Any]
Databases = Callable[[Settings, str, Clock, Ids], Database]


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Something that keeps tables: a service, or the keyring."""

    name: str
    metadata: MetaData
    folder: Path


KEYRING = Stored(name="keyring", metadata=sealing.METADATA, folder=Path(sealing.__file__).parent)
STORED: tuple[Stored, ...] = (
    KEYRING,
    *(Stored(name=manifest.name, metadata=manifest.metadata, folder=manifest.folder) for manifest in MANIFESTS),
)


@dataclass(kw_only=True)
class Shop:
    """A composed shop. Opened, its relays and jobs run; `app` answers HTTP."""

    settings: Settings
    clock: Clock
    ids: Ids
    databases: dict[str, Database]
    services: dict[str, Any] = field(default_factory=dict)
    clients: dict[type, Any] = field(default_factory=dict)
    relays: list[Relay] = field(default_factory=list)
    inboxes: dict[tuple[str, str], Inbox] = field(default_factory=dict)
    """By service and consumer."""
    dead_letters: DeadLetters = field(init=False)
    transfers: Transfers = field(init=False)
    jobs: Jobs
    jobs_of: dict[str, Sequence[Job]] = field(default_factory=dict)
    providers: Mapping[str, PaymentProvider]
    files: Files
    metrics: RequestMetrics
    changes: Changes = field(default_factory=Changes)
    freshness: Freshness = field(init=False)
    app: FrontDoor = field(init=False)
    starting: list[Callable[[], None]] = field(default_factory=list)
    closing: list[Callable[[], Any]] = field(default_factory=list)

    def client(self, contract: type) -> Any:
        return self.clients[contract]

    def start(self) -> None:
        """Let the relays and jobs work by themselves."""
        for relay in self.relays:
            relay.start()
        for jobs in self.jobs_of.values():
            self.jobs.start(jobs)
        for start in self.starting:
            start()

    async def settle(self, *, rounds: int = 10) -> None:
        """Run every job and publish every event until nothing is left to publish: for tests and orderly stops."""
        for _ in range(rounds):
            for jobs in self.jobs_of.values():
                for job in jobs:
                    await job.run()
            sent = 0
            for relay in self.relays:
                sent += await relay.drain()
            for manifest in MANIFESTS:
                await manifest.quiet(self.services[manifest.name])
            if not sent:
                return

    async def close(self) -> None:
        await self.transfers.close()
        await self.jobs.close()
        for relay in self.relays:
            await relay.close()
        for manifest in reversed(MANIFESTS):  # whoever asks stops before whoever is asked
            await manifest.close(self.services[manifest.name])
        for close in self.closing:
            outcome = close()
            if outcome is not None:
                await outcome
        for database in self.databases.values():
            await database.close()


async def migrate_all(settings: Settings, *, is_apart: bool = False) -> None:
    """Bring every database up to this version; `is_apart` in a process of its own, which takes with it what that needs.

    Raises NewerData before any of them is touched, and Fault if a migration fails.
    """
    outdated = []
    for stored in STORED:
        target, folder = database_target(settings, stored.name), stored.folder / "migrations"
        if not await check_version(target=target, name=stored.name, folder=folder):
            outdated.append((stored.name, target, folder))
    if is_apart and outdated:
        await upgrade_apart([_upgrade(*each) for each in outdated])
        return
    for name, target, folder in outdated:
        await migrate(target=target, name=name, folder=folder)


def _upgrade(name: str, target: Path | str, folder: Path) -> Upgrade:
    if isinstance(target, Path):
        return Upgrade(name=name, folder=str(folder), file=str(target.absolute()))
    return Upgrade(name=name, folder=str(folder), dsn=target)


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
    mischief: Mischief | None = None,
    mailer: Mailer | None = None,
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
    shop.freshness = Freshness(changes=shop.changes)
    keyring = Keyring(database=databases[KEYRING.name], master=master, clock=clock, chance=entropy)
    passwords = passwords or Passwords(chance=entropy)
    mailer = mailer or mailer_of(settings, clock)
    bus = shop.freshness.bus(bus or LocalBus(clock=clock, chance=chance, mischief=mischief))
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
            adapters={
                "payment_providers": shop.providers,
                "files": shop.files,
                "search_folder": settings.folder / "search",
            },
            changes=shop.changes,
        )
        _add(shop, manifest, parts, wire, bus)
    shop.dead_letters = DeadLetterOffice(databases=databases, inboxes=shop.inboxes, clock=clock, ids=ids)
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
    is_alone = database is database_of and settings.database == "sqlite:"
    shop.app = _app(shop, has_pages=has_pages, is_alone=is_alone)
    shop.closing += [passwords.close, bus.close, *(provider.close for provider in shop.providers.values())]
    return shop


def _add(shop: Shop, manifest: Manifest, parts: Parts, wire: Wire, bus: Bus) -> None:
    service = manifest.build(parts)
    shop.services[manifest.name] = service
    if manifest.contract is not None:
        client = wire(manifest.contract, service)
        shop.clients[manifest.contract] = shop.freshness.client(manifest.contract, client, manifest.effects)
    for shows in manifest.effects.shows:
        shop.freshness.show(shows)
    if manifest.settling is not None:
        shop.freshness.follow(manifest.settling(service))
    parts.database.on_commit(shop.freshness.committed)
    for consumer in manifest.consumers(service):
        inbox = Inbox(database=parts.database, consumer=consumer, clock=shop.clock)
        shop.inboxes[manifest.name, consumer.name] = inbox
        subscriber = shop.freshness.subscriber(inbox, consumer.changes)
        bus.subscribe(consumer=consumer.name, type=consumer.hears.type, subscriber=subscriber)
    shop.relays.append(Relay(database=parts.database, bus=bus, clock=shop.clock))
    tidy = Job(name=f"{manifest.name}.forget", every_s=FORGET_EVERY_S, run=lambda: forget(parts.database, shop.clock))
    shop.jobs_of[manifest.name] = [*manifest.jobs(service), tidy]


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
    )
    shop.closing.append(cache.close)
    if not has_pages:
        return create_app(routes, around)
    site = _site(shop)
    observed = observing(metrics=shop.metrics, ids=shop.ids, cache=cache)
    pages = [*media_routes(shop.files), *web.routes(site, observed)]
    return create_app(routes, replace(around, pages=pages, lost=partial(not_found, site)))


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


def _observe(shop: Shop, registry: CollectorRegistry) -> None:
    """What operators must see of the messages: how far publishing is behind, and how many events are parked."""
    backlog = Backlog(databases=shop.databases, clock=shop.clock)
    gauges = Gauges(registry=registry)
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
