"""`hansa import` and `hansa export`: files in and out, also while the shop is serving."""

import argparse
import os
from pathlib import Path
from typing import Any

from hansa.cli.answers import Refusal, complain, say
from hansa.cli.opening import clients
from hansa.imports import NotImportable, import_products
from hansa.imports.exporting import export_orders, export_products
from hansa.imports.report import report_beside
from hansa.services.inventory.contract import Inventory
from hansa.services.orders.contract import Orders
from hansa.services.products.contract import Products
from hansa.settings import Settings


def add_to(commands: Any) -> None:
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


async def _import_products(settings: Settings, options: argparse.Namespace) -> int:
    if not options.file.is_file():
        raise Refusal(f"{options.file} is not a file")
    async with clients(settings) as client:
        return await _import(client(Products), client(Inventory), options)


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
    say(summary.text)
    if summary.first_refusals:
        say(f"What was refused, and why: {report}")
    if summary.first_refusals and not summary.rows:
        return complain(summary.first_refusals[0].reason)  # of the header, which lets nothing in
    return 0 if summary.rows > summary.refused or not summary.rows else 1


async def _export(settings: Settings, options: argparse.Namespace) -> int:
    suffix = options.file.suffix.lower()
    if suffix not in (".csv", ".jsonl"):
        raise Refusal(f"{options.file.name}: the name must end in .csv or .jsonl")
    folder = options.file.absolute().parent
    if not (folder.is_dir() and os.access(folder, os.W_OK)) or options.file.is_dir():
        raise Refusal(f"{options.file} cannot be written")
    common: dict[str, Any] = {"file": options.file, "format": suffix[1:]}
    async with clients(settings) as client:
        if options.kind == "products":
            exported = await export_products(
                products=client(Products), inventory=client(Inventory), with_stock=options.with_stock, **common
            )
        else:
            exported = await export_orders(orders=client(Orders), **common)
    say(exported.text)
    return 0
