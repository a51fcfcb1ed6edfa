"""A channel: where and how a shop sells; a small shop has one."""

import msgspec

SHOP = "shop"
"""The seller of everything, in a shop with one seller."""
MAIN = "main"
"""The location of all stock, in a shop with one location; also the name of the only channel and price list."""


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """Countries are ISO 3166-1 alpha-2, currencies ISO 4217, locales BCP 47; the first of each is the default."""

    name: str = MAIN
    countries: tuple[str, ...] = ()
    currencies: tuple[str, ...] = ("USD",)
    locales: tuple[str, ...] = ("en",)
    price_list: str = MAIN
    locations: tuple[str, ...] = (MAIN,)
