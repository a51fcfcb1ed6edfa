"""The catalogue's public routes, and those of the staff who keep it."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from hansa.kernel import tags
from hansa.kernel.page import Limit, Page
from hansa.platform.http.route import ANYONE, STAFF_ONLY, Api, Call, Route
from hansa.services.products.contract import (
    LARGEST_PICTURE,
    Category,
    Picture,
    Product,
    ProductDraft,
    ProductPatch,
    ProductRecord,
    Products,
    ProductSummary,
    Search,
    Sorting,
)

LARGEST_DRAFT = 2 * 1024 * 1024
"""Bytes of a product's whole description: 500 attributes, 200 variants, 50 languages are more than the usual body."""


class ProductsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which products to list: those of a category (a path, or the last slug of one) and all below it."""

    category: str | None = None
    limit: Limit = 20
    cursor: str | None = None


class SummariesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which products to list for staff: `q` stands in the slug, a name or a sku."""

    q: Search | None = None
    status: Literal["active", "archived"] | None = None
    category: str | None = None
    order: Sorting = "newest"
    limit: Limit = 20
    cursor: str | None = None


class Categories(msgspec.Struct, frozen=True, kw_only=True):
    """The whole tree, roots first."""

    items: tuple[Category, ...]


class _Named(msgspec.Struct):
    """Of an event's body all that a tag needs."""

    product_id: str


def put_changes(body: msgspec.Raw) -> tuple[str, ...]:
    """The tags of the public answers that a ProductPut changes."""
    return (*flip_changes(body), tags.CATEGORIES)


def flip_changes(body: msgspec.Raw) -> tuple[str, ...]:
    """The tags of the public answers that a VariantAvailabilityChanged changes."""
    return (tags.product(msgspec.json.decode(body, type=_Named).product_id), tags.PRODUCTS)


def routes(products: Products) -> Sequence[Route]:
    api = Api("products")

    @api.get("/products", access=ANYONE, calls=Products.list, is_public_read=True, tags=(tags.PRODUCTS,))
    async def list_products(call: Call, *, query: ProductsQuery) -> Page[Product]:
        """Products, newest first."""
        return await products.list(
            locale=call.locale,
            currency=call.currency,
            price_list=call.channel.price_list,
            category=query.category,
            limit=query.limit,
            cursor=query.cursor,
        )

    @api.get(
        "/products/{name}",
        access=ANYONE,
        calls=Products.get,
        is_public_read=True,
        tags=lambda product: (tags.product(product.id),),
    )
    async def get_product(call: Call, *, name: str) -> Product:
        """A product, by id or by slug."""
        return await products.get(
            name=name, locale=call.locale, currency=call.currency, price_list=call.channel.price_list
        )

    @api.get("/categories", access=ANYONE, calls=Products.categories, is_public_read=True, tags=(tags.CATEGORIES,))
    async def list_categories(call: Call) -> Categories:
        """The category tree."""
        return Categories(items=await products.categories(locale=call.locale))

    @api.post("/admin/products", access=STAFF_ONLY, calls=Products.create, needs_key=True, largest_body=LARGEST_DRAFT)
    async def create_product(call: Call, *, body: ProductDraft) -> ProductRecord:
        """Make a product."""
        return await products.create(key=call.key, draft=body, actor=call.actor)

    @api.get("/admin/products", access=STAFF_ONLY, calls=Products.list_for_staff)
    async def list_product_summaries(call: Call, *, query: SummariesQuery) -> Page[ProductSummary]:
        """All products, archived ones too, with filters and in an order."""
        return await products.list_for_staff(
            locale=call.locale,
            currency=call.currency,
            q=query.q,
            status=query.status,
            category=query.category,
            order=query.order,
            limit=query.limit,
            cursor=query.cursor,
        )

    @api.get("/admin/products/{product_id}", access=STAFF_ONLY, calls=Products.record)
    async def get_product_record(call: Call, *, product_id: str) -> ProductRecord:
        """A whole product in all languages and currencies, with the version that a change must name."""
        return await products.record(product_id=product_id)

    @api.patch(
        "/admin/products/{product_id}",
        access=STAFF_ONLY,
        calls=Products.change,
        needs_version=True,
        largest_body=LARGEST_DRAFT,
    )
    async def change_product(call: Call, *, product_id: str, body: ProductPatch) -> ProductRecord:
        """Change a product; what is absent stays."""
        return await products.change(
            key=call.key, product_id=product_id, patch=body, version=call.version, actor=call.actor
        )

    @api.post(
        "/admin/pictures",
        access=STAFF_ONLY,
        calls=Products.put_picture,
        is_raw=True,
        largest_body=LARGEST_PICTURE,
    )
    async def put_picture(call: Call, *, body: bytes) -> Picture:
        """Take in a picture: the body is the file itself, and the answer's `url` may stand in a product's `images`."""
        return await products.put_picture(key=call.key, data=body, actor=call.actor)

    return api.routes
