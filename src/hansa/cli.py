"""The `hansa` command."""

import argparse
import asyncio
import os
import secrets
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from tqdm import tqdm

from hansa import demo
from hansa.compose import MAINTENANCE_NOTE, compose
from hansa.compose.shop import Shop
from hansa.compose.stored import STORED, migrate_all
from hansa.demo.banners import announce
from hansa.imports import NotImportable, import_products
from hansa.imports.exporting import export_orders, export_products
from hansa.imports.report import report_beside
from hansa.kernel.address import Email
from hansa.kernel.errors import Fault, StorageFull
from hansa.platform.database.migrations import NewerData
from hansa.platform.http.serve import AddressInUse, HttpServer, check_free, free_port, told_to_stop
from hansa.platform.leases.folder import FolderOwned, OwnedFolder, Owner, find_owner, own
from hansa.platform.memory import giving_back, leave_what_stays, use_few_heaps
from hansa.platform.messaging.port import BusUnusable
from hansa.platform.rpc.served import create_rpc_app
from hansa.platform.security.key_file import MasterKeyInvalid
from hansa.platform.telemetry import logs
from hansa.services.home.contract import Home
from hansa.services.inventory.contract import Inventory
from hansa.services.orders.contract import Orders
from hansa.services.products.contract import Products
from hansa.services.search.contract import Search
from hansa.services.shipping.contract import Shipping
from hansa.services.users.contract import PasswordUnfit, Users
from hansa.settings import Settings, SettingsInvalid, read_settings, unknown_variables
from hansa.settings_reference import reference
from hansa.web.wording import WordingInvalid

STAFF_EMAIL = "staff@example.com"
DEMO_NOTE = "demo.json"
OWNER_LOOKS = 20
OWNER_LOOK_S = 0.25
REBUILD_LOOK_S = 0.2


class DemoNote(msgspec.Struct, frozen=True, kw_only=True):
    """What the demo has set up already: kept in the data folder."""

    staff_email: str
    catalogue: bool


def main(arguments: Sequence[str] | None = None) -> int:
    use_few_heaps()
    options = _parser().parse_args(arguments)
    try:
        settings = read_settings()
        logs.configure(level=settings.log_level, as_json=settings.log_json)
        for name in unknown_variables():
            print(f"hansa: {name} is not a setting", file=sys.stderr, flush=True)
        return int(_run(options.act(settings, options)))
    except (SettingsInvalid, AddressInUse, FolderOwned, NewerData, MasterKeyInvalid, BusUnusable, Refusal) as error:
        return _complain(str(error))
    except WordingInvalid as error:
        return _complain(f"shop_texts (HANSA_SHOP_TEXTS) is wrong: {error}")
    except StorageFull as error:
        return _complain(f"there is no room left for the shop's data ({error}); nothing was lost")
    except sqlite3.Error as error:
        return _complain(f"a database in the data folder cannot be used: {error}")
    except (Fault, OSError) as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return 130


class Refusal(Exception):
    """A command cannot do what it was asked to; the text says why, for people."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hansa", description="An online shop, from a laptop to a cluster.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="serve a shop with demo data")
    demo.set_defaults(act=_demo)
    serve = commands.add_parser("serve", help="serve the shop in the data folder")
    serve.set_defaults(act=_serve)
    migrate = commands.add_parser("migrate", help="bring the databases up to this version")
    migrate.set_defaults(act=_migrate)
    imports = commands.add_parser("import", help="import data, also while the shop is serving")
    kinds = imports.add_subparsers(required=True, metavar="KIND")
    products = kinds.add_parser("products", help="products from CSV, JSON Lines or Icecat (see docs/import.md)")
    products.add_argument("file", type=Path)
    products.add_argument("--format", choices=("auto", "icecat"), default="auto")
    products.add_argument("--report", type=Path, default=None, help="where bad rows are reported (CSV)")
    products.add_argument("--stock", type=int, default=100, help="pieces per sku for Icecat, which has no stock")
    products.set_defaults(act=_import_products)
    exports = commands.add_parser("export", help="export data, also while the shop is serving")
    kinds = exports.add_subparsers(required=True, metavar="KIND")
    for kind, words in (("products", "products as they are imported"), ("orders", "orders without personal data")):
        export = kinds.add_parser(kind, help=f"{words}, as CSV or JSON Lines (see docs/import.md)")
        export.add_argument("file", type=Path, help="its name ends in .csv or .jsonl")
        export.set_defaults(act=_export, kind=kind, with_stock=True)
        if kind == "products":
            export.add_argument("--no-stock", dest="with_stock", action="store_false", help="leave the pieces out")
    maintenance = commands.add_parser("maintenance", help="let the pages say that the shop is closed for a moment")
    maintenance.add_argument("state", choices=("on", "off"))
    maintenance.set_defaults(act=_maintenance)
    search = commands.add_parser("search", help="keep the search index")
    acts = search.add_subparsers(required=True, metavar="ACT")
    rebuild = acts.add_parser("rebuild", help="build the index anew from all products, also while the shop is serving")
    rebuild.set_defaults(act=_rebuild_search)
    home = commands.add_parser("home", help="keep the front page")
    acts = home.add_subparsers(required=True, metavar="ACT")
    rebuild = acts.add_parser("rebuild", help="build what it knows of products anew, also while the shop is serving")
    rebuild.set_defaults(act=_rebuild_home)
    listing = commands.add_parser("settings", help="print what can be set, as Markdown (docs/configuration.md)")
    listing.set_defaults(act=_settings)
    migration = commands.add_parser("migration", help="write the next migration of a service (for developers)")
    migration.add_argument("service")
    migration.add_argument("words", help="what it does, such as `add gift wrap`")
    migration.set_defaults(act=_migration)
    return parser


def _run(act: Coroutine[Any, Any, int]) -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(act)


def _say(text: str) -> None:
    print(text, flush=True)


def _complain(text: str) -> int:
    print(f"hansa: {text}", file=sys.stderr, flush=True)
    return 2


@asynccontextmanager
async def _owned_shop(settings: Settings) -> AsyncIterator[tuple[Shop, OwnedFolder]]:
    """The shop on the data folder, which nobody else owns meanwhile; its databases are up to date."""
    try:
        owned = own(settings.folder)
    except OSError as error:
        raise Refusal(f"the data folder {settings.folder} cannot be used: {error.strerror}") from None
    try:
        await migrate_all(settings, is_apart=True)
        shop = await compose(settings)
        try:
            if nowhere := set(settings.countries) - set(await shop.client(Shipping).countries()):
                raise SettingsInvalid(f"countries (HANSA_COUNTRIES) is wrong: nothing is delivered to {min(nowhere)}")
            yield shop, owned
        finally:
            await shop.close()
    finally:
        owned.release()


async def _demo(settings: Settings, options: argparse.Namespace) -> int:
    settings = _dressed(settings)
    told = told_to_stop()
    check_free(settings.host, settings.port)
    _say("Hansa is setting up its databases …" if not settings.folder.exists() else "Hansa is starting …")
    async with _owned_shop(settings) as (shop, owned):
        await _prepare_demo(shop)
        return await _serve_until(told, shop, owned)


def _dressed(settings: Settings) -> Settings:
    """The settings with the demo shop's name and words where the merchant has set none."""
    own = Settings()
    if settings.shop_name == own.shop_name:
        settings = msgspec.structs.replace(settings, shop_name=demo.NAME)
    if settings.shop_texts == own.shop_texts:
        settings = msgspec.structs.replace(settings, shop_texts=str(demo.TEXTS))
    return settings


async def _serve(settings: Settings, options: argparse.Namespace) -> int:
    told = told_to_stop()
    check_free(settings.host, settings.port)
    is_new = not (settings.folder / "master.key").exists()
    async with _owned_shop(settings) as (shop, owned):
        if settings.staff_email and settings.staff_password:
            await _put_staff(shop, settings.staff_email, settings.staff_password)
        elif is_new:
            _say("No staff account yet: set HANSA_STAFF_EMAIL and HANSA_STAFF_PASSWORD and start again")
        return await _serve_until(told, shop, owned)


async def _prepare_demo(shop: Shop) -> None:
    """A staff account and a small catalogue, made once; what was done is noted after it was done."""
    note_file = shop.settings.folder / DEMO_NOTE
    note = msgspec.json.decode(note_file.read_bytes(), type=DemoNote) if note_file.exists() else None
    if note is None or not note.catalogue:
        await demo.load(products=shop.client(Products), inventory=shop.client(Inventory), files=shop.files)
        await announce(home=shop.client(Home))
        await shop.settle()  # so that the first page shows what is in stock
    email = shop.settings.staff_email or (note.staff_email if note else STAFF_EMAIL)
    password = shop.settings.staff_password
    if password:
        _say(f"Staff login: {email} (password from HANSA_STAFF_PASSWORD)")
    elif note is None or note.staff_email != email:
        password = secrets.token_urlsafe(12)
        _say(f"Staff login: {email}  password: {password}  (shown this once)")
    else:
        _say(f"Staff login: {email} (password as printed at the first start)")
    if password:
        await _put_staff(shop, email, password)
    done = DemoNote(staff_email=email, catalogue=True)
    if done != note:
        note_file.write_bytes(msgspec.json.encode(done))


async def _put_staff(shop: Shop, email: str, password: str) -> None:
    try:
        await shop.client(Users).put_staff(
            key=f"staff {shop.ids.token()}", email=msgspec.convert(email, Email), password=password
        )
    except msgspec.ValidationError:
        raise Refusal(f"staff_email is wrong: {email} is no e-mail address") from None
    except PasswordUnfit as error:
        raise Refusal(f"staff_password is wrong: {error.title()}") from None


async def _serve_until(told: asyncio.Event, shop: Shop, owned: OwnedFolder) -> int:
    settings = shop.settings
    control = Owner(process=os.getpid(), address=f"http://127.0.0.1:{free_port()}", token=shop.ids.token())
    servers = [
        HttpServer(
            create_rpc_app(shop.clients, token=control.token),
            host="127.0.0.1",
            port=int(control.address.rpartition(":")[2]),
        ),
        HttpServer(shop.app, host=settings.host, port=settings.port),
    ]
    for server in servers:
        await server.start()
    await shop.join()
    shop.start()
    shop.jobs.start([giving_back(shop.databases.values())])
    leave_what_stays()
    owned.announce(control)
    _say(f"Hansa is open at http://{settings.host}:{settings.port}  (API: /docs, stop with Ctrl-C)")
    await told.wait()
    _say("Hansa is closing …")
    for server in servers:
        await server.close()
    return 0


async def _migrate(settings: Settings, options: argparse.Namespace) -> int:
    async with _owned_shop(settings):
        _say("All databases are up to date.")
    return 0


async def _import_products(settings: Settings, options: argparse.Namespace) -> int:
    if not options.file.is_file():
        raise Refusal(f"{options.file} is not a file")
    async with _clients(settings) as client:
        return await _import(client(Products), client(Inventory), options)


@asynccontextmanager
async def _clients(settings: Settings) -> AsyncIterator[Callable[[type], Any]]:
    """Clients through the process that owns the data folder, or on the folder itself when nobody does."""
    async with AsyncExitStack() as stack:
        try:
            shop, _ = await stack.enter_async_context(_owned_shop(settings))
        except FolderOwned:
            owner = await _reachable_owner(settings)
            # A shop that serves can do without the 11 MB of what it takes to call another.
            from hansa.platform.rpc.remote import connected

            yield await stack.enter_async_context(connected(address=owner.address, token=owner.token))
        else:
            yield shop.client
            await shop.settle()


async def _import(products: Products, inventory: Inventory, options: argparse.Namespace) -> int:
    """0, or 1 when not a single row was good."""
    report = options.report or report_beside(options.file)
    try:
        summary = await import_products(
            file=options.file,
            products=products,
            inventory=inventory,
            format=options.format,
            stock=options.stock,
            report=report,
        )
    except NotImportable as error:
        raise Refusal(str(error)) from None
    _say(summary.text)
    if summary.first_refusals:
        _say(f"What was refused, and why: {report}")
    if summary.first_refusals and not summary.rows:
        return _complain(summary.first_refusals[0].reason)  # of the header, which lets nothing in
    return 0 if summary.rows > summary.refused or not summary.rows else 1


async def _export(settings: Settings, options: argparse.Namespace) -> int:
    suffix = options.file.suffix.lower()
    if suffix not in (".csv", ".jsonl"):
        raise Refusal(f"{options.file.name}: the name must end in .csv or .jsonl")
    folder = options.file.absolute().parent
    if not (folder.is_dir() and os.access(folder, os.W_OK)) or options.file.is_dir():
        raise Refusal(f"{options.file} cannot be written")
    common: dict[str, Any] = {"file": options.file, "format": suffix[1:]}
    async with _clients(settings) as client:
        if options.kind == "products":
            exported = await export_products(
                products=client(Products), inventory=client(Inventory), with_stock=options.with_stock, **common
            )
        else:
            exported = await export_orders(orders=client(Orders), **common)
    _say(exported.text)
    return 0


async def _rebuild_home(settings: Settings, options: argparse.Namespace) -> int:
    async with _clients(settings) as client:
        _say("Building the front page anew …")
        rebuilt = await client(Home).rebuild(key=f"home rebuild {secrets.token_hex(8)}")
    _say(f"The front page knows {rebuilt.products:,} products.")
    return 0


async def _rebuild_search(settings: Settings, options: argparse.Namespace) -> int:
    """Begin it, and watch it until it ends."""
    async with _clients(settings) as client:
        search = client(Search)
        await search.rebuild(key=f"search rebuild {secrets.token_hex(8)}")
        with tqdm(unit=" products", desc="search index", file=sys.stderr, disable=None) as bar:
            while (building := await search.building()).is_running:
                bar.total = building.total or None
                bar.update(building.done - bar.n)
                await asyncio.sleep(REBUILD_LOOK_S)
    if building.failure:
        return _complain(f"the search index was not rebuilt, the old one goes on: {building.failure}")
    _say(f"The search index is rebuilt: {building.products:,} products can be found.")
    return 0


async def _settings(settings: Settings, options: argparse.Namespace) -> int:
    print(reference(), end="")
    return 0


async def _reachable_owner(settings: Settings) -> Owner:
    """Who owns the folder, when it has just begun to serve and not yet said where."""
    for _ in range(OWNER_LOOKS):
        if (owner := find_owner(settings.folder)) is not None:
            return owner
        await asyncio.sleep(OWNER_LOOK_S)
    raise Refusal(f"{settings.folder} is in use by a Hansa process that cannot be reached; try again in a moment")


async def _maintenance(settings: Settings, options: argparse.Namespace) -> int:
    """A note in the data folder, which a serving process looks at with every page."""
    note = settings.folder / MAINTENANCE_NOTE
    if options.state == "off":
        note.unlink(missing_ok=True)
        _say("The pages are open.")
        return 0
    if not settings.folder.is_dir():
        raise Refusal(f"there is no shop in {settings.folder}")
    note.touch()
    _say("The pages say that the shop is closed for a moment; staff pages and the API go on.")
    return 0


async def _migration(settings: Settings, options: argparse.Namespace) -> int:
    from hansa.platform.database.autogeneration import generate

    stored = {stored.name: stored for stored in STORED}.get(options.service)
    if stored is None:
        raise Refusal(f"there is no service {options.service}")
    written = generate(
        name=stored.name, folder=stored.folder / "migrations", metadata=stored.metadata, words=options.words
    )
    _say(str(written) if written else "Tables and migrations agree: nothing to write.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
