"""One product as everybody sees it: kept in the cache by id, language and currency, and found by its slug."""

from datetime import timedelta
from typing import NamedTuple

import msgspec

from hansa.kernel.channel import Channel
from hansa.kernel.clock import Clock, to_micros
from hansa.kernel.ids import Id, is_id, slot_of
from hansa.platform.cache.caching import Cache
from hansa.platform.cache.existing import Existing
from hansa.platform.cache.families import Family, Loaded
from hansa.platform.cache.shelf import Shelf
from hansa.platform.database.port import Database
from hansa.services.products import rules
from hansa.services.products.contract import Product
from hansa.services.products.service.showing import shown_product
from hansa.services.products.store import records, showing

PRODUCT = Family(name="products.product", type=Product, fresh_s=60, good_s=24 * 3600, absent_s=10)
SLUG = Family(name="products.slug", type=Id, fresh_s=3600, good_s=24 * 3600, absent_s=10)
"""Whose a slug is; that never changes."""


LOOKED_OVER_EVERY = timedelta(hours=1)


class View(NamedTuple):
    """In which words and money a product is shown."""

    locale: str
    currency: str
    price_list: str

    @property
    def form(self) -> str:
        return f"{self.locale}:{self.currency}:{self.price_list}"


def views_of(channel: Channel) -> list[View]:
    """Those in which a channel shows its products. Of others nothing is kept: nobody could tell of all changes."""
    return [View(locale, currency, channel.price_list) for locale in channel.locales for currency in channel.currencies]


class _Changed(msgspec.Struct):
    """Of an event's body all that names in the cache need."""

    product_id: str
    slug: str = ""


def things_changed(body: msgspec.Raw) -> tuple[tuple[str, str], ...]:
    """What an event about a product changes of what is kept: the product, and, when it was put, whose its slug is."""
    changed = msgspec.json.decode(body, type=_Changed)
    product = (PRODUCT.name, changed.product_id)
    return (product, (SLUG.name, changed.slug)) if changed.slug else (product,)


class Finding:
    """See the module. Without a cache, everything is read from the database."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        default_locale: str,
        cache: Cache | None,
        channel: Channel | None,
        existing: Existing | None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._default_locale = default_locale
        self._existing = existing
        self._views = {view: view.form for view in views_of(channel)} if cache and channel else {}
        self._by_form = {view.form: view for view in self._views}
        self._products: Shelf[Product] | None = None
        self._slugs: Shelf[Id] | None = None
        if cache is not None:
            self._products = Shelf(cache, PRODUCT, load=self._load_kept, can_exist=self._can_be, forms=self._by_form)
            self._slugs = Shelf(cache, SLUG, load=self._load_slug)

    async def find(self, name: str, view: View) -> Product | None:
        """An active product by id or slug."""
        if is_id(name) and (found := await self._of_id(name, view)) is not None:
            return found
        if not rules.is_slug_like(name):
            return None
        product_id = await self._of_slug(name)
        return None if product_id is None else await self._of_id(product_id, view)

    async def look_over_ids(self) -> None:
        """Learn which ids there are, at first and then again and again: what is never told is known then, too."""
        existing, now = self._existing, self._clock.now()
        if existing is not None and (existing.as_of is None or now - existing.as_of >= LOOKED_OVER_EVERY):
            await existing.rebuild(lambda: records.all_ids(self._database))

    async def _of_id(self, product_id: str, view: View) -> Product | None:
        form = self._views.get(view)
        if form is None or self._products is None:
            return (await self._load(product_id, view)).value if self._can_exist(product_id) else None
        return await self._products.get(f"{{{product_id}}}:{form}")

    async def _of_slug(self, slug: str) -> str | None:
        if self._slugs is None:
            return await showing.product_of_slug(self._database, slug=slug)
        return await self._slugs.get(f"{{{slug}}}")

    async def _load_slug(self, key: str) -> Loaded[Id]:
        return Loaded(value=await showing.product_of_slug(self._database, slug=_thing_of(key)))

    def _can_be(self, key: str) -> bool:
        return self._can_exist(_thing_of(key))

    def _can_exist(self, product_id: str) -> bool:
        return self._existing is None or self._existing.can_exist(product_id)

    async def _load_kept(self, key: str) -> Loaded[Product]:
        return await self._load(_thing_of(key), self._by_form[key.partition("}:")[2]])

    async def _load(self, product_id: str, view: View) -> Loaded[Product]:
        languages = rules.languages(locale=view.locale, default=self._default_locale)
        now = to_micros(self._clock.now())
        async with self._database.read(slot_of(product_id)) as reader:
            row = await showing.product(reader, product_id=product_id, languages=languages)
            if row is None:
                return Loaded(value=None)
            variants = await showing.variants(
                reader, products=[row], currency=view.currency, price_list=view.price_list, now=now
            )
            changes_at = await showing.next_price_change(
                reader, product=row, currency=view.currency, price_list=view.price_list, now=now
            )
        product = shown_product(row, variants[row["product_id"]], languages=languages, currency=view.currency)
        return Loaded(value=product, version=product.revision, good_until=changes_at)


def _thing_of(key: str) -> str:
    """What stands in a key's braces."""
    return key[1 : key.rindex("}")]
