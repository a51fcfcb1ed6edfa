"""How many pieces of each variant there are at each location, as counted."""

from collections.abc import Sequence
from typing import Any

from hansa.services.inventory.contract import BelowReserved, Inventory, OnHand, Stock, StockChanged
from hansa.services.products.contract import ProductRecord, Products
from hansa.web.admin.fields import Reader
from hansa.web.admin.products.sheet import name_of
from hansa.web.admin.shell import shown
from hansa.web.forms import Form
from hansa.web.pages import Book, Page, Who
from hansa.web.visit import Moved, Shown, Visit

COUNT, VERSION, SHOWN = "count.", "version.", "shown."


def pages() -> Sequence[Page]:
    book = Book(who=Who.STAFF)

    @book.personal("admin/products/{product_id}/stock")
    async def stock(visit: Visit, *, product_id: str) -> Shown:
        record = await visit.client(Products).record(product_id=product_id)
        return await _show(visit, record)

    @book.act("admin/products/{product_id}/stock")
    async def put_stock(visit: Visit, form: Form, *, product_id: str) -> Shown | Moved:
        """Each count for itself: those that fit are kept, the others are shown again with what is known now."""
        record = await visit.client(Products).record(product_id=product_id)
        reader = Reader(dict(form.items()))
        counts = {
            (sku, location): counted
            for sku, location in _shelves(visit, record, await _stocks(visit, record))
            if form.get(f"{COUNT}{location}.{sku}") != form.get(f"{SHOWN}{location}.{sku}")
            and (counted := reader.whole(f"{COUNT}{location}.{sku}", OnHand)) is not None
        }
        if reader.wrong:
            return await _show(visit, record, form=form, wrong=reader.wrong, status=422)
        wrong, status = await _put(visit, form, counts)
        if wrong:
            return await _show(visit, record, form=form, wrong=wrong, status=status)
        return Moved(to=visit.url(f"admin/products/{record.id}/stock", saved=1))

    return book.pages


async def _put(visit: Visit, form: Form, counts: dict[tuple[str, str], int]) -> tuple[dict[str, str], int]:
    """Which counts were refused and why, by field, and the status of that."""
    wrong: dict[str, str] = {}
    status = 200
    versions: dict[str, int] = {}
    for (sku, location), counted in counts.items():
        known = versions.get(sku, form.number(f"{VERSION}{sku}") or 0)
        try:
            stock = await visit.client(Inventory).set_on_hand(
                key=visit.ids.token(),
                sku=sku,
                on_hand=counted,
                version=known,
                actor=visit.who.actor,
                location=location,
            )
            versions[sku] = stock.version
        except StockChanged:
            if await _is_there(visit, sku, location, counted):
                continue  # sent twice, or counted alike
            wrong[f"{COUNT}{location}.{sku}"], status = "stock_changed", 412
        except BelowReserved:
            wrong[f"{COUNT}{location}.{sku}"], status = "below_reserved", max(status, 409)
    return wrong, status


async def _is_there(visit: Visit, sku: str, location: str, counted: int) -> bool:
    stocks = await visit.client(Inventory).stocks(skus=(sku,))
    return any(level.location == location and level.on_hand == counted for stock in stocks for level in stock.levels)


async def _stocks(visit: Visit, record: ProductRecord) -> dict[str, Stock]:
    skus = tuple(variant.sku for variant in record.draft.variants)
    return {stock.sku: stock for stock in await visit.client(Inventory).stocks(skus=skus)}


def _shelves(visit: Visit, record: ProductRecord, stocks: dict[str, Stock]) -> list[tuple[str, str]]:
    """Every sku at every location of the shop, and wherever else there is some of it."""
    return [
        (variant.sku, location)
        for variant in record.draft.variants
        for location in dict.fromkeys(
            (
                *visit.site.channel.locations,
                *(level.location for level in (stocks[variant.sku].levels if variant.sku in stocks else ())),
            )
        )
    ]


async def _show(
    visit: Visit,
    record: ProductRecord,
    *,
    form: Form | None = None,
    wrong: dict[str, str] | None = None,
    status: int = 200,
) -> Shown:
    """The shelves as they are now; a refused count stays as it was typed."""
    stocks = await _stocks(visit, record)
    rows: list[dict[str, Any]] = []
    for sku, location in _shelves(visit, record, stocks):
        known = stocks.get(sku)
        level = next((level for level in (known.levels if known else ()) if level.location == location), None)
        name = f"{COUNT}{location}.{sku}"
        on_hand = str(level.on_hand) if level else ""
        rows.append(
            {
                "sku": sku,
                "location": location,
                "level": level,
                "name": name,
                "on_hand": on_hand,
                "value": form.get(name) if form and wrong and name in wrong else on_hand,
            }
        )
    return await shown(
        visit,
        "products/stock.html",
        status=status,
        record=record,
        name=name_of(record, visit.locale),
        tab="stock",
        rows=rows,
        versions={
            variant.sku: stocks[variant.sku].version if variant.sku in stocks else 0
            for variant in record.draft.variants
        },
        wrong=wrong or {},
        differences=[],
    )
