"""What is true of the front page: what stands where, which price and language are shown, which days still count."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from hansa.kernel.clock import EPOCH, to_micros
from hansa.kernel.ids import slot_of_value
from hansa.kernel.money import Money
from hansa.services.home.contract import (
    MOST_BANNERS,
    Banner,
    BannerDraft,
    BannerText,
    FrontItem,
    Picture,
    TopCategory,
)
from hansa.services.products.contract import ImageDraft, ProductDraft, ProductRecord

T = TypeVar("T")

FRONT = slot_of_value("home.front")
"""The slot of the front page itself, so that reading it asks one place."""
NEW = "new"
BEST = "best"
SEPARATOR = "/"
TOP_LEVELS = 2
DAYS_COUNTED = 30
"""Days of sales that make a best seller, today's included."""

_BANNERS = msgspec.json.Decoder(tuple[BannerDraft, ...])


# What is kept of a product


class Price(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A price for a quantity of one. Moments are in microseconds; without a beginning it holds below all others."""

    price_list: str
    currency: str
    amount: int
    tax_included: bool
    valid_from: int | None
    valid_to: int | None


class Face(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of a product: names by language, and prices by variant in the order in which later ones win."""

    slug: str
    brand: str | None
    names: dict[str, str]
    prices: tuple[tuple[Price, ...], ...]


class Photo(msgspec.Struct, frozen=True, kw_only=True):
    """A picture with its alternative text by language."""

    url: str
    alt: dict[str, str] = {}


def face_of(draft: ProductDraft) -> Face:
    return Face(
        slug=draft.slug,
        brand=draft.brand,
        names={locale: text.name for locale, text in draft.texts.items()},
        prices=tuple(
            tuple(
                Price(
                    price_list=price.price_list,
                    currency=price.currency,
                    amount=price.amount,
                    tax_included=price.tax_included,
                    valid_from=None if price.valid_from is None else to_micros(price.valid_from),
                    valid_to=None if price.valid_to is None else to_micros(price.valid_to),
                )
                for price in variant.prices
                if price.minimum_quantity == 1
            )
            for variant in draft.variants
        ),
    )


def photo_of(draft: ProductDraft) -> Photo | None:
    """The first picture."""
    first: ImageDraft | None = draft.images[0] if draft.images else None
    return None if first is None else Photo(url=first.url, alt=first.alt)


def category_of(draft: ProductDraft) -> str:
    """The path of slugs, empty without a category."""
    return SEPARATOR.join(level.slug for level in draft.category)


def top_names(draft: ProductDraft) -> dict[str, dict[str, str]]:
    """The names of the draft's categories that the front page may show, by path."""
    levels = draft.category[:TOP_LEVELS]
    return {path: level.names for path, level in zip(top_paths(category_of(draft)), levels, strict=True)}


def newest(records: Iterable[ProductRecord]) -> dict[str, ProductRecord]:
    """Of each product the record with the highest version."""
    found: dict[str, ProductRecord] = {}
    for record in records:
        if record.id not in found or found[record.id].version < record.version:
            found[record.id] = record
    return found


# What stands where


def top_paths(category: str) -> tuple[str, ...]:
    """`a/b/c` as `a`, `a/b`."""
    slugs = category.split(SEPARATOR)[:TOP_LEVELS] if category else []
    return tuple(SEPARATOR.join(slugs[: depth + 1]) for depth in range(len(slugs)))


def depth_of(path: str) -> int:
    return path.count(SEPARATOR) + 1


def shelf_of(path: str) -> str:
    """The shelf of a category's products that have a picture to stand for it."""
    return f"in {path}"


def shelves(category: str) -> tuple[str, ...]:
    """Every shelf that a product of a category may stand on."""
    return (NEW, BEST, *(shelf_of(path) for path in top_paths(category)))


def places(
    *, is_active: bool, is_available: bool, has_picture: bool, category: str, made_at: int, sold: int
) -> dict[str, int]:
    """The shelves that a product stands on, each with its score there: when it was made, or how many were sold."""
    if not is_active:
        return {}
    found = {shelf_of(path): made_at for path in top_paths(category)} if has_picture else {}
    if is_available:
        found[NEW] = made_at
        if sold > 0:
            found[BEST] = sold
    return found


def counted_in(*, is_active: bool, category: str) -> frozenset[str]:
    """The categories that count a product."""
    return frozenset(top_paths(category)) if is_active else frozenset()


# Sales


def day_of(moment: datetime) -> int:
    """The day in UTC, counted from 1970."""
    return (moment - EPOCH) // timedelta(days=1)


def first_day(*, now: datetime) -> int:
    """The earliest day whose sales still count."""
    return day_of(now) - DAYS_COUNTED + 1


# What is shown


def languages(*, locale: str, default: str) -> tuple[str, ...]:
    """Which languages to try, in this order: the one asked for, its parents, the shop's own."""
    tags = locale.split("-")
    return (*("-".join(tags[:length]) for length in range(len(tags), 0, -1)), default)


def in_language(texts: Mapping[str, T], wanted: tuple[str, ...]) -> T | None:
    """The best of some texts by language: as wanted, else the first by name of its language; None if there is none."""
    for locale in wanted:
        if locale in texts:
            return texts[locale]
    return texts[min(texts)] if texts else None


def price_now(prices: Iterable[Price], *, price_list: str, currency: str, now: int) -> Price | None:
    """Of the prices that hold now, the one that began last."""
    current = [
        price
        for price in prices
        if (price.price_list, price.currency) == (price_list, currency)
        and (price.valid_from is None or price.valid_from <= now)
        and (price.valid_to is None or price.valid_to > now)
    ]
    # Of equals `max` takes the first, and the later one shall win.
    return max(reversed(current), key=_beginning, default=None)


def _beginning(price: Price) -> tuple[bool, int]:
    return price.valid_from is not None, price.valid_from or 0


def picture(photo: Photo | None, *, wanted: tuple[str, ...]) -> Picture | None:
    return None if photo is None else Picture(url=photo.url, alt=in_language(photo.alt, wanted) or "")


def item(
    face: Face,
    *,
    product_id: str,
    photo: Photo | None,
    is_available: bool,
    wanted: tuple[str, ...],
    price_list: str,
    currency: str,
    now: int,
) -> FrontItem:
    found = [price_now(variant, price_list=price_list, currency=currency, now=now) for variant in face.prices]
    prices = sorted((price for price in found if price is not None), key=lambda price: price.amount)
    return FrontItem(
        id=product_id,
        slug=face.slug,
        name=in_language(face.names, wanted) or face.slug,
        brand=face.brand,
        image=picture(photo, wanted=wanted),
        price_from=Money(prices[0].amount, currency) if prices else None,
        price_to=Money(prices[-1].amount, currency) if prices else None,
        tax_included=prices[0].tax_included if prices else False,
        available=is_available,
    )


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A category that is to be shown."""

    path: str
    names: dict[str, str]
    products: int
    photo: Photo | None


def tree(nodes: Iterable[Node], *, wanted: tuple[str, ...]) -> tuple[TopCategory, ...]:
    """The two levels, each by name, then by path. A child whose parent is not shown is not shown either."""
    below: dict[str, list[TopCategory]] = {}
    # Deepest first, so that a node's children are complete when it is made.
    for node in sorted(nodes, key=lambda node: -depth_of(node.path)):
        parent, _, slug = node.path.rpartition(SEPARATOR)
        shown = TopCategory(
            path=node.path,
            slug=slug,
            name=in_language(node.names, wanted) or slug,
            image=picture(node.photo, wanted=wanted),
            products=node.products,
            children=_by_name(below.pop(node.path, ())),
        )
        below.setdefault(parent, []).append(shown)
    return _by_name(below.get("", ()))


def _by_name(categories: Iterable[TopCategory]) -> tuple[TopCategory, ...]:
    return tuple(sorted(categories, key=lambda category: (category.name.casefold(), category.path)))


# Banners


def flaw(banners: tuple[BannerDraft, ...]) -> str | None:
    """What is wrong with banners, in words, or None: whoever calls from the same process was not checked yet."""
    try:
        packed = msgspec.json.encode(banners)
        _BANNERS.decode(packed)
    except (ValueError, TypeError, OverflowError, msgspec.MsgspecError) as error:
        return str(error)
    if len(banners) > MOST_BANNERS:
        return f"there are more than {MOST_BANNERS} banners"
    if any("\0" in text for banner in banners for text in _texts_of(banner)):
        return "texts must not contain the character U+0000"
    for banner in banners:
        if any(moment is not None and moment.tzinfo is None for moment in (banner.valid_from, banner.valid_to)):
            return "a banner's moments need a time zone"
        if banner.valid_from and banner.valid_to and banner.valid_to <= banner.valid_from:
            return "a banner ends before it begins"
    return None


def _texts_of(banner: BannerDraft) -> list[str]:
    return [part for text in banner.texts.values() for part in (text.title, text.text, text.link_label)]


def shown_banners(banners: Iterable[BannerDraft], *, wanted: tuple[str, ...], now: datetime) -> tuple[Banner, ...]:
    """Those of this moment, in their order."""
    return tuple(
        _shown(banner, text)
        for banner in banners
        if (banner.valid_from is None or banner.valid_from <= now)
        and (banner.valid_to is None or banner.valid_to > now)
        and (text := in_language(banner.texts, wanted)) is not None
    )


def _shown(banner: BannerDraft, text: BannerText) -> Banner:
    return Banner(
        title=text.title,
        text=text.text,
        image=banner.image,
        link=banner.link,
        link_label=text.link_label,
        tone=banner.tone,
    )
