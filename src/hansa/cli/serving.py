"""`hansa demo`, `serve`, `migrate` and `maintenance`: the shop's own process, and what is done around it."""

import argparse
import asyncio
import os
import secrets
from typing import Any

import msgspec

from hansa import demo
from hansa.cli.answers import Refusal, say
from hansa.cli.opening import owned_shop
from hansa.compose import MAINTENANCE_NOTE
from hansa.compose.shop import Shop
from hansa.demo.banners import announce
from hansa.kernel.address import Email
from hansa.platform.http.serve import HttpServer, check_free, free_port, told_to_stop
from hansa.platform.leases.folder import OwnedFolder, Owner
from hansa.platform.memory import giving_back, leave_what_stays
from hansa.platform.rpc.served import create_rpc_app
from hansa.services.home.contract import Home
from hansa.services.inventory.contract import Inventory
from hansa.services.products.contract import Products
from hansa.services.users.contract import PasswordUnfit, Users
from hansa.settings import Settings

STAFF_EMAIL = "staff@example.com"
DEMO_NOTE = "demo.json"


class DemoNote(msgspec.Struct, frozen=True, kw_only=True):
    """What the demo has set up already: kept in the data folder."""

    staff_email: str
    catalogue: bool


def add_to(commands: Any) -> None:
    demo = commands.add_parser("demo", help="serve a shop with demo data")
    demo.set_defaults(act=_demo)
    serve = commands.add_parser("serve", help="serve the shop in the data folder")
    serve.set_defaults(act=_serve)
    migrate = commands.add_parser("migrate", help="bring the databases up to this version")
    migrate.set_defaults(act=_migrate)
    maintenance = commands.add_parser("maintenance", help="let the pages say that the shop is closed for a moment")
    maintenance.add_argument("state", choices=("on", "off"))
    maintenance.set_defaults(act=_maintenance)


async def _demo(settings: Settings, options: argparse.Namespace) -> int:
    settings = _dressed(settings)
    told = told_to_stop()
    check_free(settings.host, settings.port)
    say("Hansa is setting up its databases …" if not settings.folder.exists() else "Hansa is starting …")
    async with owned_shop(settings) as (shop, owned):
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
    async with owned_shop(settings) as (shop, owned):
        if settings.staff_email and settings.staff_password:
            await _put_staff(shop, settings.staff_email, settings.staff_password)
        elif is_new:
            say("No staff account yet: set HANSA_STAFF_EMAIL and HANSA_STAFF_PASSWORD and start again")
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
        say(f"Staff login: {email} (password from HANSA_STAFF_PASSWORD)")
    elif note is None or note.staff_email != email:
        password = secrets.token_urlsafe(12)
        say(f"Staff login: {email}  password: {password}  (shown this once)")
    else:
        say(f"Staff login: {email} (password as printed at the first start)")
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
    await shop.warm()
    for server in servers:
        await server.start()
    await shop.join()
    shop.start()
    shop.jobs.start([giving_back(shop.databases.values())])
    leave_what_stays()
    owned.announce(control)
    say(f"Hansa is open at http://{settings.host}:{settings.port}  (API: /docs, stop with Ctrl-C)")
    await told.wait()
    say("Hansa is closing …")
    for server in servers:
        await server.close()
    return 0


async def _migrate(settings: Settings, options: argparse.Namespace) -> int:
    async with owned_shop(settings):
        say("All databases are up to date.")
    return 0


async def _maintenance(settings: Settings, options: argparse.Namespace) -> int:
    """A note in the data folder, which a serving process looks at with every page."""
    note = settings.folder / MAINTENANCE_NOTE
    if options.state == "off":
        note.unlink(missing_ok=True)
        say("The pages are open.")
        return 0
    if not settings.folder.is_dir():
        raise Refusal(f"there is no shop in {settings.folder}")
    note.touch()
    say("The pages say that the shop is closed for a moment; staff pages and the API go on.")
    return 0
