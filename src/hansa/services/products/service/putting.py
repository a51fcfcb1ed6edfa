"""Bringing many products up to date in a few statements, each draft whole or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from hansa.kernel.channel import SHOP
from hansa.kernel.clock import from_micros, to_micros
from hansa.kernel.ids import Ids, slot_of, slot_of_value
from hansa.platform.database.port import Database, Transaction
from hansa.services.products import rules
from hansa.services.products.contract import (
    DraftInvalid,
    PriceDraft,
    ProductDraft,
    ProductRecord,
    PutReport,
    SkuTaken,
    VariantDraft,
)
from hansa.services.products.events import ProductPut
from hansa.services.products.store import availability, records, writing
from hansa.services.products.store.records import KeptProduct


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Drafts by slug, as far as they can be judged before anything is held."""

    slugs: tuple[str, ...]
    digests: dict[str, str]
    fresh: dict[str, ProductDraft]
    """Sound drafts that seem to say something new, in order of arrival."""
    known: frozenset[str]
    """The fresh slugs that have a product."""
    refused: dict[str, str]

    @property
    def slots(self) -> set[int]:
        skus = [variant.sku for draft in self.fresh.values() for variant in draft.variants]
        return {slot_of_value(value) for value in (*self.fresh, *skus)}


async def examined(database: Database, drafts: Sequence[ProductDraft]) -> Batch:
    """Sort out what is unsound or unchanged: most drafts of a repeated import go no further."""
    newest = {draft.slug: draft for draft in drafts}
    digests = {
        slug: digest
        for slug, draft in newest.items()
        if rules.is_askable(slug) and (digest := rules.digest(draft)) is not None
    }
    known = await writing.find_known(database, slugs=digests)
    changed = {slug for slug, digest in digests.items() if slug not in known or known[slug].digest != digest}
    fresh = {slug: newest[slug] for slug in newest if slug in changed and rules.flaw(newest[slug]) is None}
    unsound = [slug for slug in newest if slug not in digests or (slug in changed and slug not in fresh)]
    return Batch(
        slugs=tuple(newest),
        digests=digests,
        fresh=fresh,
        known=frozenset(known).intersection(fresh),
        refused=dict.fromkeys(unsound, DraftInvalid.code),
    )


async def put(tx: Transaction, batch: Batch, *, ids: Ids, now: datetime) -> PutReport:
    """Write what is new in a batch."""
    if not batch.fresh:
        return _report(batch, changes=(), refused=batch.refused)
    born = {slug: ids.new(slot=slot_of_value(slug)) for slug in batch.fresh if slug not in batch.known}
    claimed = await writing.claim_slugs(tx, ids=born) if born else set()
    standing = await writing.lock_known(tx, slugs=[slug for slug in batch.fresh if slug not in claimed])
    drafts = {
        standing[slug].product_id if slug in standing else born[slug]: draft
        for slug, draft in batch.fresh.items()
        if slug in claimed or standing[slug].digest != batch.digests[slug]
    }
    owners = await writing.lock_skus(tx, skus=[v.sku for draft in drafts.values() for v in draft.variants])
    taken = rules.admit(drafts.items(), owners=owners)
    await writing.release_slugs(tx, slugs=claimed.intersection(drafts[product_id].slug for product_id in taken))
    admitted = {product_id: draft for product_id, draft in drafts.items() if product_id not in taken}
    old = [product_id for product_id, draft in admitted.items() if draft.slug not in claimed]
    before = await records.whole(tx, product_ids=old, now=to_micros(now)) if old else {}
    changes = [
        change
        for product_id, draft in admitted.items()
        if (change := change_of(product_id=product_id, draft=draft, before=before.get(product_id), now=now))
    ]
    if changes:
        await write(tx, changes, owners=owners)
    return _report(
        batch,
        changes=changes,
        refused=batch.refused | {drafts[product_id].slug: SkuTaken.code for product_id in taken},
    )


def _report(batch: Batch, *, changes: Sequence["Change"], refused: dict[str, str]) -> PutReport:
    is_new = {change.draft.slug: change.before is None for change in changes}
    return PutReport(
        created=tuple(slug for slug in batch.slugs if is_new.get(slug) is True),
        changed=tuple(slug for slug in batch.slugs if is_new.get(slug) is False),
        unchanged=tuple(slug for slug in batch.slugs if slug not in is_new and slug not in refused),
        refused={slug: refused[slug] for slug in batch.slugs if slug in refused},
    )


@dataclass(frozen=True, kw_only=True)
class Change:
    """A product as it will be, and as it was."""

    product_id: str
    draft: ProductDraft
    prices: dict[str, tuple[PriceDraft, ...]]
    """The rows to add, by sku."""
    before: KeptProduct | None
    at: datetime

    @property
    def slot(self) -> int:
        return slot_of(self.product_id)

    @property
    def version(self) -> int:
        return self.before.version + 1 if self.before else 1


def change_of(*, product_id: str, draft: ProductDraft, before: KeptProduct | None, now: datetime) -> Change | None:
    """What a draft changes, or None if it says nothing new."""
    at = rules.moment_of_change(now=now, updated_at=before.updated_at if before else None)
    kept: Mapping[str, tuple[PriceDraft, ...]] = before.prices if before else {}
    prices = {
        variant.sku: rules.prices_to_add(stated=variant.prices, kept=kept.get(variant.sku, ()), now=at)
        for variant in draft.variants
    }
    if before is not None and not any(prices.values()) and rules.is_same(before.draft, draft):
        return None
    return Change(product_id=product_id, draft=draft, prices=prices, before=before, at=at)


async def write(tx: Transaction, changes: Sequence[Change], *, owners: Mapping[str, str]) -> None:
    """Write products whose slugs, rows and skus are held. Those skus without an owner become theirs."""
    free = {
        variant.sku: change.product_id
        for change in changes
        for variant in change.draft.variants
        if variant.sku not in owners
    }
    available = await availability.available(tx, skus=free) if free else {}
    await writing.own_skus(tx, owners=free)
    await writing.write(tx, _rows(changes, available=available))
    kept = await records.whole(
        tx, product_ids=[change.product_id for change in changes], now=min(to_micros(change.at) for change in changes)
    )
    for change in changes:
        tx.emit(
            ProductPut(
                product_id=change.product_id,
                slug=change.draft.slug,
                skus=tuple(variant.sku for variant in change.draft.variants),
                is_active=change.draft.status == "active",
                record=record_of(kept[change.product_id]),
            ),
            slot=change.slot,
            aggregate=change.product_id,
            version=change.version,
        )


def record_of(kept: KeptProduct) -> ProductRecord:
    """A kept product with the draft that would make it."""
    return ProductRecord(
        id=kept.product_id,
        version=kept.version,
        draft=stated(kept, at=from_micros(kept.seen_at)),
        availability=kept.availability,
        created_at=from_micros(kept.made_at),
        updated_at=from_micros(kept.updated_at),
    )


def stated(kept: KeptProduct, *, at: datetime) -> ProductDraft:
    """A kept product as the draft that would make it."""
    variants = tuple(
        msgspec.structs.replace(variant, prices=rules.prices_to_state(kept.prices.get(variant.sku, ()), now=at))
        for variant in kept.draft.variants
    )
    return msgspec.structs.replace(kept.draft, variants=variants)


def _rows(changes: Sequence[Change], *, available: Mapping[str, bool]) -> writing.Written:
    rows = writing.Written(
        products=[_product_row(change) for change in changes],
        texts=[
            (change.slot, int(change.product_id), locale, text.name, text.description)
            for change in changes
            for locale, text in change.draft.texts.items()
        ],
        variants=[
            _variant_row(change, position, variant, is_available=available.get(variant.sku, False))
            for change in changes
            for position, variant in enumerate(change.draft.variants)
        ],
        prices=[
            _price_row(change, sku, price)
            for change in changes
            for sku, prices in change.prices.items()
            for price in prices
        ],
        categories=_category_rows(changes),
        listings=[],
        dropped_texts=[],
        retired_variants=[],
        dropped_listings=[],
    )
    for change in changes:
        _add_differences(rows, change)
    return rows


def _add_differences(rows: writing.Written, change: Change) -> None:
    """What a product leaves, and where it newly stands."""
    key = (change.slot, int(change.product_id))
    after = _places(change.draft)
    before = _places(change.before.draft) if change.before else set()
    rows.listings.extend((*key, path) for path in sorted(after - before))
    rows.dropped_listings.extend((*key, path) for path in sorted(before - after))
    if change.before:
        gone = set(change.before.draft.texts) - set(change.draft.texts)
        rows.dropped_texts.extend((*key, locale) for locale in sorted(gone))
        on_sale = {variant.sku for variant in change.before.draft.variants}
        retired = on_sale - {variant.sku for variant in change.draft.variants}
        rows.retired_variants.extend((*key, sku) for sku in sorted(retired))


def _places(draft: ProductDraft) -> set[str]:
    return rules.places(path=rules.path_of(draft), is_active=draft.status == "active")


def _product_row(change: Change) -> tuple[Any, ...]:
    draft = change.draft
    at = to_micros(change.at)
    return (
        change.slot,
        int(change.product_id),
        draft.slug,
        draft.brand,
        rules.path_of(draft),
        draft.status,
        msgspec.json.encode(draft.attributes).decode(),
        msgspec.json.encode(draft.images).decode(),
        rules.digest(draft),
        change.version,
        at,  # kept as it was where the product is there already
        at,
    )


def _variant_row(change: Change, position: int, variant: VariantDraft, *, is_available: bool) -> tuple[Any, ...]:
    return (
        change.slot,
        int(change.product_id),
        variant.sku,
        position,
        msgspec.json.encode(variant.options).decode(),
        variant.gtin,
        variant.weight_grams,
        variant.width_mm,
        variant.height_mm,
        variant.depth_mm,
        variant.hs_code,
        variant.country_of_origin,
        variant.tax_class,
        variant.unit,
        variant.age_limit,
        variant.hazard,
        SHOP,
        False,
        is_available,  # kept as it was where the variant is there already, and so is the count of its changes
        int(is_available),
    )


def _price_row(change: Change, sku: str, price: PriceDraft) -> tuple[Any, ...]:
    assert price.valid_from is not None, "rules gave it a beginning"
    return (
        change.slot,
        int(change.product_id),
        sku,
        price.price_list,
        price.currency,
        price.minimum_quantity,
        to_micros(price.valid_from),
        change.version,
        price.amount,
        price.tax_included,
        None if price.valid_to is None else to_micros(price.valid_to),
    )


def _category_rows(changes: Sequence[Change]) -> list[tuple[Any, ...]]:
    """The categories of all changes, each once; those that are there already stay as they are."""
    rows: dict[str, tuple[Any, ...]] = {}
    for change in changes:
        levels = change.draft.category
        for path, level in zip(rules.paths_down_to(rules.path_of(change.draft)), levels, strict=True):
            parent = path.rpartition(rules.SEPARATOR)[0]
            names = msgspec.json.encode(level.names).decode()
            rows.setdefault(path, (slot_of_value(path), path, level.slug, parent, names))
    return list(rows.values())
