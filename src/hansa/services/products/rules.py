"""What is true of products: which language is shown, which drafts are sound, new or too late, and what a draft adds."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import msgspec

from hansa.kernel.clock import MICROSECOND, from_micros
from hansa.services.products.contract import (
    Category,
    PriceDraft,
    ProductDraft,
    ProductPatch,
    VariantDraft,
)

T = TypeVar("T")

SEPARATOR = "/"
EVERYTHING = ""
"""The path under which the whole catalogue is listed."""
LONGEST_NAME = 800
"""No slug, path or sku is longer; longer questions need no look."""
LONGEST_SLUG = 120
SHORTEST_ID = 17
"""Digits of an id that was made in 2024 or later."""

_DRAFTS = msgspec.json.Decoder(ProductDraft)
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


# Languages


class Languages(NamedTuple):
    """Which languages to try, in this order; then any."""

    exact: str
    language: str
    default: str


def languages(*, locale: str, default: str) -> Languages:
    """The language asked for, the same without its region, and the shop's own."""
    return Languages(exact=locale, language=locale.partition("-")[0], default=default)


def in_language(texts: Mapping[str, T], wanted: Languages) -> T | None:
    """The best of some texts by language: as wanted, else the first by name of its language; None if there is none."""
    for locale in wanted:
        if locale in texts:
            return texts[locale]
    return texts[min(texts)] if texts else None


# Names


def is_askable(name: str) -> bool:
    """Whether anything can have this slug, path or sku: engines differ in what they do with control characters."""
    return 0 < len(name) <= LONGEST_NAME and name.isascii() and name.isprintable()


def is_slug_like(name: str) -> bool:
    """Whether a slug could be called so: else it need not be looked for, however many such names somebody makes up.
    What is as long as an id and all digits is one: each id that somebody invents would have to be looked for, too."""
    if len(name) > LONGEST_SLUG or _SLUG.fullmatch(name) is None:
        return False
    return not (name.isdigit() and len(name) >= SHORTEST_ID)


def path_of(draft: ProductDraft) -> str | None:
    """The path of a draft's category, or None without one."""
    return SEPARATOR.join(level.slug for level in draft.category) or None


def paths_down_to(path: str | None) -> list[str]:
    """`a/b/c` as `a`, `a/b`, `a/b/c`."""
    slugs = path.split(SEPARATOR) if path else []
    return [SEPARATOR.join(slugs[: depth + 1]) for depth in range(len(slugs))]


def places(*, path: str | None, is_active: bool) -> set[str]:
    """The paths under which a product is listed: none when it is archived."""
    return {EVERYTHING, *paths_down_to(path)} if is_active else set()


def tree(nodes: Iterable[tuple[str, str, Mapping[str, str]]], *, wanted: Languages) -> tuple[Category, ...]:
    """The category tree from (path, parent's path, names by language); each level by name, then by path."""
    below: dict[str, list[Category]] = defaultdict(list)
    # Deepest first, so that a node's children are complete when it is made.
    for path, parent, names in sorted(nodes, key=lambda node: -node[0].count(SEPARATOR)):
        slug = path.rpartition(SEPARATOR)[2]
        children = tuple(sorted(below.pop(path, ()), key=_by_name))
        below[parent].append(Category(path=path, slug=slug, name=in_language(names, wanted) or slug, children=children))
    return tuple(sorted(below[EVERYTHING], key=_by_name))


def _by_name(category: Category) -> tuple[str, str]:
    return category.name.casefold(), category.path


# Drafts


def digest(draft: ProductDraft) -> str | None:
    """A hash of all that a draft says, whatever the order of its keys; None if it cannot even be written down."""
    try:
        return hashlib.blake2b(msgspec.json.encode(draft, order="deterministic"), digest_size=16).hexdigest()
    except (ValueError, TypeError, OverflowError, msgspec.MsgspecError):
        return None


def flaw(draft: ProductDraft) -> str | None:
    """What is wrong with a draft, in words, or None: whoever calls from the same process has not been checked yet."""
    try:
        packed = msgspec.json.encode(draft)
        _DRAFTS.decode(packed)
    except (ValueError, TypeError, OverflowError, msgspec.MsgspecError) as error:
        return str(error)
    if b"\\u0000" in packed and _holds_nul(msgspec.to_builtins(draft)):
        return "texts must not contain the character U+0000"
    names = [draft.slug, *draft.texts, *(level.slug for level in draft.category)]
    skus = [variant.sku for variant in draft.variants]
    if not all(name.isprintable() for name in names + skus):
        return "slugs, skus and languages must not contain line breaks"
    if not is_slug_like(draft.slug):
        return f"a slug of {SHORTEST_ID} digits or more would be taken for an id"
    if len(set(skus)) < len(skus):
        return "a sku stands there twice"
    for variant in draft.variants:
        if (found := _flaw_of_prices(variant.prices)) is not None:
            return f"{variant.sku}: {found}"
    return None


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_holds_nul(part) for pair in value.items() for part in pair)
    return isinstance(value, (list, tuple)) and any(_holds_nul(part) for part in value)


def _flaw_of_prices(prices: Sequence[PriceDraft]) -> str | None:
    seen = set()
    for price in prices:
        if any(moment is not None and moment.tzinfo is None for moment in (price.valid_from, price.valid_to)):
            return "a price's moments need a time zone"
        if price.valid_from and price.valid_to and price.valid_to <= price.valid_from:
            return "a price ends before it begins"
        seen.add((_terms(price), price.valid_from))
    return None if len(seen) == len(prices) else "two prices are for the same list, currency, quantity and moment"


def admit(drafts: Iterable[tuple[str, ProductDraft]], *, owners: Mapping[str, str]) -> dict[str, str]:
    """Which products may not have a sku, by id: the sku that another one has.

    `drafts` come with their product's id, in order of arrival; `owners` says whose the skus are so far. A refused
    draft takes nothing, so its free skus are left to those after it.
    """
    taken = dict(owners)
    refused: dict[str, str] = {}
    for product_id, draft in drafts:
        for variant in draft.variants:
            if taken.get(variant.sku, product_id) != product_id:
                refused[product_id] = variant.sku
                break
        else:
            taken.update((variant.sku, product_id) for variant in draft.variants)
    return refused


def patched(draft: ProductDraft, patch: ProductPatch) -> ProductDraft:
    """A product as it will be after a patch: texts by language and variants by sku, all else replaced whole."""
    changes = {name: value for name in patch.__struct_fields__ if (value := getattr(patch, name)) is not msgspec.UNSET}
    if patch.texts is not msgspec.UNSET:
        changes["texts"] = {**draft.texts, **patch.texts}
    if patch.variants is not msgspec.UNSET:
        by_sku: dict[str, VariantDraft] = {variant.sku: variant for variant in draft.variants}
        changes["variants"] = tuple((by_sku | {variant.sku: variant for variant in patch.variants}).values())
    return msgspec.structs.replace(draft, **changes)


def is_same(one: ProductDraft, other: ProductDraft) -> bool:
    """Whether two drafts say the same but for prices (which are only ever added) and names of categories."""
    return digest(_comparable(one)) == digest(_comparable(other))


def _comparable(draft: ProductDraft) -> ProductDraft:
    return msgspec.structs.replace(
        draft,
        category=tuple(msgspec.structs.replace(level, names={}) for level in draft.category),
        variants=tuple(msgspec.structs.replace(variant, prices=()) for variant in draft.variants),
    )


# Time


def moment_of_change(*, now: datetime, updated_at: int | None) -> datetime:
    """When a product changes: after its last change, whatever the clock says, for what was said last is to hold."""
    return now if updated_at is None else max(now, from_micros(updated_at) + MICROSECOND)


# Prices


def _terms(price: PriceDraft) -> tuple[str, str, int]:
    """What a price is for; only prices of the same terms compete."""
    return price.price_list, price.currency, price.minimum_quantity


def _by_terms(prices: Iterable[PriceDraft]) -> dict[tuple[str, str, int], list[PriceDraft]]:
    grouped: dict[tuple[str, str, int], list[PriceDraft]] = defaultdict(list)
    for price in prices:
        grouped[_terms(price)].append(price)
    return grouped


def _begin(price: PriceDraft) -> datetime:
    assert price.valid_from is not None, "kept prices have a beginning"
    return price.valid_from


def is_current(price: PriceDraft, *, now: datetime) -> bool:
    """Whether a kept price has begun and not ended."""
    return _begin(price) <= now and (price.valid_to is None or price.valid_to > now)


def prices_to_add(*, stated: Sequence[PriceDraft], kept: Sequence[PriceDraft], now: datetime) -> tuple[PriceDraft, ...]:
    """What a draft's prices add to those that are kept: nothing for a price that stands already.

    `kept` come in the order in which they win: by beginning, then by age of the row. A price without a beginning is
    the one that holds from now on; where the same draft states another one that has begun, it holds below that one.
    """
    kept_by_terms = _by_terms(kept)
    added: list[PriceDraft] = []
    for terms, prices in _by_terms(stated).items():
        earlier = kept_by_terms[terms]
        begun = {price.valid_from for price in prices if price.valid_from is not None and is_current(price, now=now)}
        standing = {price.valid_from: price for price in earlier}
        below = [price for price in earlier if is_current(price, now=now) and price.valid_from not in begun]
        for price in prices:
            known = standing.get(price.valid_from) if price.valid_from else below[-1] if below else None
            beginning = price.valid_from or _beginning_below(begun, below, now=now)
            matters = price.valid_to is None or price.valid_to > max(beginning, now)
            if matters and (known is None or not _costs_the_same(known, price)):
                added.append(msgspec.structs.replace(price, valid_from=beginning))
    return tuple(added)


def _beginning_below(begun: set[datetime], below: Sequence[PriceDraft], *, now: datetime) -> datetime:
    """When the price that simply holds begins: just before those its draft lets win over it, or now.

    It is now, too, where a price that the draft does not name would win over them all. No two rows of one draft
    begin at the same moment.
    """
    is_outdone = bool(below) and bool(begun) and _begin(below[-1]) > min(begun)
    beginning = now if is_outdone or not begun else min(begun)
    while beginning in begun:
        beginning -= MICROSECOND
    return beginning


def _costs_the_same(one: PriceDraft, other: PriceDraft) -> bool:
    return (one.amount, one.tax_included, one.valid_to) == (other.amount, other.tax_included, other.valid_to)


def prices_to_state(kept: Sequence[PriceDraft], *, now: datetime) -> tuple[PriceDraft, ...]:
    """The kept prices that still matter, as a draft would state them: putting that draft again adds nothing.

    The newest current one without an end comes without a beginning, for it simply holds; those it outdid are left out.
    """
    stated: list[PriceDraft] = []
    for _, prices in sorted(_by_terms(kept).items()):
        newest = list({price.valid_from: price for price in prices}.values())
        endless = [price for price in newest if price.valid_to is None and is_current(price, now=now)]
        base = endless[-1] if endless else None
        if base is not None:
            stated.append(msgspec.structs.replace(base, valid_from=None))
        stated += [
            price
            for price in newest
            if (price.valid_to is None or price.valid_to > now) and (base is None or _begin(price) > _begin(base))
        ]
    return tuple(stated)
