"""The fixed scene of a run: what the shop sells, where its customers live, and who works there."""

from typing import Any

import msgspec

from tests.simulation.workload.door import Door, NoReply, Pause, Reply

STAFF_LOGIN = ("staff@example.com", "correct horse battery")
CURRENCIES = ("USD", "EUR", "CNY")
TAX_INCLUDED = {"USD": False, "EUR": True, "CNY": True}
ATTEMPTS = 30
SETTING_PAUSE_S = 0.2


class Good(msgspec.Struct, frozen=True, kw_only=True):
    """Something sold: pieces at the start, and prices in minor units."""

    sku: str
    product: str
    pieces: int
    prices: dict[str, int]
    grams: int = 300


GOODS = (
    Good(sku="LAMP-S", product="lamp", pieces=7, prices={"USD": 1999, "EUR": 1899, "CNY": 12900}),
    Good(sku="LAMP-L", product="lamp", pieces=4, prices={"USD": 3333, "EUR": 2999}),
    Good(sku="MUG", product="mug", pieces=5000, prices={"USD": 333, "EUR": 299, "CNY": 1999}),
    Good(sku="SCARF-RED", product="scarf", pieces=12, prices={"USD": 7501, "EUR": 6901, "CNY": 49901}),
    Good(sku="SCARF-BLUE", product="scarf", pieces=5, prices={"USD": 1, "EUR": 1, "CNY": 1}),
    Good(sku="BIKE-M", product="bike", pieces=3, prices={"USD": 129_999, "EUR": 119_999, "CNY": 999_999}, grams=15_000),
    Good(
        sku="BIKE-L", product="bike", pieces=6, prices={"USD": 139_907, "EUR": 129_907, "CNY": 1_099_907}, grams=16_000
    ),
    Good(sku="BOOK", product="book", pieces=0, prices={"USD": 1299, "EUR": 1250, "CNY": 7907}, grams=700),
)
"""Scarce ones, a plentiful one, one that is sold out, one without a price in CNY, one at a cent."""
ARRIVING = tuple(
    Good(sku=f"NEW-{number}", product=f"new-{number}", pieces=3 + number, prices={"USD": 907, "EUR": 857, "CNY": 5907})
    for number in range(3)
)
"""What an import brings during the run; unknown before."""
HOT = ("BIKE-M", "SCARF-BLUE", "LAMP-L")
"""What everybody wants at once."""
BY_SKU = {good.sku: good for good in (*GOODS, *ARRIVING)}
SKUS = tuple(good.sku for good in GOODS)
PRODUCTS = tuple(dict.fromkeys(good.product for good in GOODS))
received: dict[str, int] = {good.sku: good.pieces for good in GOODS}
"""Pieces per sku before the first operation of a run."""
TOKENS = ("tok_success", "tok_success", "tok_success", "tok_declined", "tok_late", "tok_twice", "tok_timeout")
FLASH_SALE = {
    "sku": "MUG",
    "price": {"amount": 199, "currency": "USD"},
    "quantity": 2,
    "limit_per_buyer": 2,
    "starts_at": "2020-01-01T00:00:00Z",
    "ends_at": "2100-01-01T00:00:00Z",
    "name": "Mugs for nearly nothing",
}
"""Fewer pieces than are asked for; open whatever the clocks say."""
ADDRESSES: tuple[dict[str, str], ...] = (
    {
        "name": "Ada Byron",
        "line1": "12 St James's Square",
        "city": "London",
        "postal_code": "SW1Y 4JH",
        "country": "GB",
    },
    {"name": "Carl Gauss", "line1": "Papendiek 1", "city": "Göttingen", "postal_code": "37073", "country": "DE"},
    {
        "name": "Grace Hopper",
        "line1": "1 Navy Yard",
        "city": "New York",
        "region": "NY",
        "postal_code": "10001",
        "country": "US",
    },
    {
        "name": "华罗庚",
        "line1": "中关村东路55号",
        "city": "北京",
        "region": "北京市",
        "postal_code": "100190",
        "country": "CN",
    },
    {"name": "Leonhard Euler", "line1": "Karl-Marx-Allee 1", "city": "Wien", "postal_code": "1010", "country": "AT"},
)


def draft(product: str) -> dict[str, Any]:
    """The product as the staff describe it to `POST /admin/products`."""
    return {
        "slug": product,
        "texts": {"en": {"name": f"The {product}"}, "zh": {"name": f"商品 {product}"}},
        "variants": [variant(good, good.prices) for good in BY_SKU.values() if good.product == product],
        "category": [{"slug": "things", "names": {"en": "Things", "zh": "东西"}}],
    }


def variant(good: Good, prices: dict[str, int]) -> dict[str, Any]:
    """A good at these prices, as part of a product's description."""
    return {
        "sku": good.sku,
        "prices": [
            {"amount": amount, "currency": currency, "tax_included": TAX_INCLUDED[currency]}
            for currency, amount in prices.items()
        ],
        "options": {"kind": good.sku.lower()},
        "weight_grams": good.grams,
    }


class SceneNotSet(Exception):
    """The shop does not take the scene in."""


async def set_scene(door: Door, *, staff_token: str, pause: Pause | None = None) -> None:
    """Make products, stock and a flash sale. The keys are fixed: set again, also by somebody else, nothing comes twice.

    Raises SceneNotSet, after some attempts where the shop does not answer (only with a `pause` between them).
    """
    for product in PRODUCTS:
        await _ask(door, "POST", "/admin/products", draft(product), staff_token, f"scene-{product}", pause)
    for good in GOODS:
        path = f"/admin/inventory/{good.sku}"
        await _ask(door, "PUT", path, {"on_hand": good.pieces}, staff_token, f"scene-{good.sku}", pause)
    await _ask(door, "POST", "/admin/flash-sales", FLASH_SALE, staff_token, "scene-flash-sale", pause)


async def _ask(door: Door, verb: str, path: str, body: Any, token: str, key: str, pause: Pause | None) -> None:
    said: Reply | NoReply | None = None
    for _ in range(ATTEMPTS if pause else 1):
        try:
            said = await door.request(verb, path, body, token=token, key=key)
        except NoReply as silence:
            said = silence
        else:
            if said.status in (200, 201):
                return
            if said.status < 500 and said.status != 409:
                break
        if pause:
            await pause(SETTING_PAUSE_S)
    raise SceneNotSet(f"{verb} {path}: {said!r}")
