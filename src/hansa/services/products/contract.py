"""What may be asked of products, and every way products may say no."""

from datetime import datetime
from typing import Annotated, Literal, Protocol

import msgspec

from hansa.kernel.channel import MAIN, SHOP
from hansa.kernel.contract import Key, command, query
from hansa.kernel.errors import BusinessError, Kind
from hansa.kernel.ids import Id
from hansa.kernel.money import Currency, Money
from hansa.kernel.page import LARGEST_PAGE, CursorInvalid, Limit, Page

Sku = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+/#-]*$(?!\n)")]
Slug = Annotated[str, msgspec.Meta(min_length=1, max_length=120, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$(?!\n)")]
Locale = Annotated[str, msgspec.Meta(max_length=35, pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$(?!\n)")]
Search = Annotated[str, msgspec.Meta(max_length=200)]
Sorting = Literal["newest", "oldest", "slug"]
ShortText = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Grams = Annotated[int, msgspec.Meta(ge=0, le=100_000_000)]
Millimetres = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
ImageUrl = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^(https?://|/)[^\s<>\"'\\]+$(?!\n)")]
"""An address on the web or of this shop; nothing that a browser would run."""
AttributeValue = (
    Annotated[str, msgspec.Meta(max_length=2000)]
    | bool
    | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    | float
)

LARGEST_PICTURE = 10_000_000
"""Bytes of a picture as it is uploaded."""
LARGEST_SET = 200
"""Most skus or products in one call."""
MOST_LISTED = 10_000
"""Most slugs in one call."""


class NoSuchProduct(BusinessError, code="products.not_found", kind=Kind.NOT_FOUND):
    """There is no such product."""

    product: str


class NoSuchCategory(BusinessError, code="products.category_not_found", kind=Kind.NOT_FOUND):
    """There is no such category."""

    category: str


class SlugTaken(BusinessError, code="products.slug_taken", kind=Kind.CONFLICT):
    """Another product has this slug."""

    slug: str


class SkuTaken(BusinessError, code="products.sku_taken", kind=Kind.CONFLICT):
    """Another product has this sku."""

    sku: str


class DraftInvalid(BusinessError, code="products.draft_invalid", kind=Kind.UNPROCESSABLE):
    """The draft contradicts itself; `reason` says how, in English."""

    reason: str


class ProductChanged(BusinessError, code="products.version_conflict", kind=Kind.PRECONDITION_FAILED):
    """Somebody changed the product since it was read."""

    version: int


class PictureInvalid(BusinessError, code="products.picture_invalid", kind=Kind.UNPROCESSABLE):
    """This is not a picture that can be shown: send JPEG, PNG or WebP. `reason` says why, in English."""

    reason: str


class PictureTooLarge(BusinessError, code="products.picture_too_large", kind=Kind.TOO_LARGE):
    """The picture has too many bytes or too many pixels."""

    largest_bytes: int
    most_pixels: int


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that was taken in: its address, for `ImageDraft.url`, and the size in pixels of its widest form."""

    url: str
    width: int
    height: int


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """A picture, with the alternative text in the language asked for."""

    url: Annotated[str, msgspec.Meta(max_length=500)]
    alt: Annotated[str, msgspec.Meta(max_length=500)] = ""


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """A buyable form of a product. `price` is None where it has none in the currency asked for.

    `available` changes only when stock crosses zero; how many pieces there are is inventory's to say.
    """

    sku: str
    options: dict[str, str]
    price: Money | None
    available: bool
    tax_included: bool = False
    gtin: str | None = None
    weight_grams: int | None = None


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """A product in one language and currency, as everybody may see it."""

    id: Id
    revision: int
    """Larger whenever something of it has changed that everybody may see: texts, variants, prices, availability. It is
    not the version that a change by staff must name."""
    slug: str
    name: str
    description: str
    category: str | None
    """The category's path of slugs, such as `computers/laptops`."""
    brand: str | None
    images: tuple[Image, ...]
    attributes: dict[str, AttributeValue]
    variants: tuple[Variant, ...]
    updated_at: datetime


class Category(msgspec.Struct, frozen=True, kw_only=True):
    """A node of the category tree."""

    path: str
    slug: str
    name: str
    children: tuple["Category", ...] = ()


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """All that a quote must know of a sku: price and facts, at one moment, in one currency and language."""

    sku: str
    product_id: Id
    slug: str
    name: str
    options: dict[str, str]
    price: Money
    tax_included: bool
    tax_class: str
    weight_grams: int
    seller_id: str = SHOP


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """Name and description in one language."""

    name: ShortText
    description: Annotated[str, msgspec.Meta(max_length=20_000)] = ""


class PriceDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A price to be valid from now on (or from `valid_from`); earlier ones are kept."""

    amount: Annotated[int, msgspec.Meta(ge=0, le=10**12)]
    currency: Currency
    tax_included: bool = False
    price_list: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = MAIN
    minimum_quantity: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    valid_from: datetime | None = None
    valid_to: datetime | None = None


class VariantDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A variant as staff or an import describes it."""

    sku: Sku
    options: dict[str, Annotated[str, msgspec.Meta(max_length=100)]] = {}
    prices: Annotated[tuple[PriceDraft, ...], msgspec.Meta(max_length=50)] = ()
    gtin: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{8,14}$(?!\n)")] | None = None
    weight_grams: Grams | None = None
    width_mm: Millimetres | None = None
    height_mm: Millimetres | None = None
    depth_mm: Millimetres | None = None
    hs_code: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{6,10}$(?!\n)")] | None = None
    country_of_origin: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}$(?!\n)")] | None = None
    tax_class: Annotated[str, msgspec.Meta(max_length=40)] = "standard"
    unit: Literal["piece", "gram"] = "piece"
    age_limit: Annotated[int, msgspec.Meta(ge=0, le=99)] | None = None
    hazard: Annotated[str, msgspec.Meta(max_length=100)] | None = None


class CategoryDraft(msgspec.Struct, frozen=True, kw_only=True):
    """One level of a category path, with its name in some languages."""

    slug: Slug
    names: dict[Locale, ShortText]


class ImageDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A picture with its alternative text in some languages."""

    url: ImageUrl
    alt: dict[Locale, Annotated[str, msgspec.Meta(max_length=500)]] = {}


class ProductDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A whole product as staff or an import describes it; the slug names it."""

    slug: Slug
    texts: Annotated[dict[Locale, Text], msgspec.Meta(min_length=1, max_length=50)]
    variants: Annotated[tuple[VariantDraft, ...], msgspec.Meta(min_length=1, max_length=200)]
    category: Annotated[tuple[CategoryDraft, ...], msgspec.Meta(max_length=6)] = ()
    """From the root down; categories that do not exist are made."""
    brand: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    images: Annotated[tuple[ImageDraft, ...], msgspec.Meta(max_length=50)] = ()
    attributes: Annotated[
        dict[Annotated[str, msgspec.Meta(max_length=200)], AttributeValue], msgspec.Meta(max_length=500)
    ] = {}
    status: Literal["active", "archived"] = "active"


class ProductPatch(msgspec.Struct, frozen=True, kw_only=True):
    """What staff change of a product; what is absent stays.

    `texts` are added or replaced by language and `variants` by sku, never removed; a variant without prices keeps
    those it has. All else is replaced whole.
    """

    texts: dict[Locale, Text] | msgspec.UnsetType = msgspec.UNSET
    variants: Annotated[tuple[VariantDraft, ...], msgspec.Meta(max_length=200)] | msgspec.UnsetType = msgspec.UNSET
    category: Annotated[tuple[CategoryDraft, ...], msgspec.Meta(max_length=6)] | msgspec.UnsetType = msgspec.UNSET
    brand: Annotated[str, msgspec.Meta(max_length=200)] | msgspec.UnsetType | None = msgspec.UNSET
    images: Annotated[tuple[ImageDraft, ...], msgspec.Meta(max_length=50)] | msgspec.UnsetType = msgspec.UNSET
    attributes: dict[str, AttributeValue] | msgspec.UnsetType = msgspec.UNSET
    status: Literal["active", "archived"] | msgspec.UnsetType = msgspec.UNSET


class Availability(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a variant can be had; `version` counts how often that has changed, so that the newest word wins."""

    is_available: bool
    version: int


class ProductRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A whole product in all languages and currencies, for staff and read models; `version` is its ETag."""

    id: Id
    version: int
    draft: ProductDraft
    availability: dict[str, Availability] = {}
    """By sku, of the variants on sale."""
    created_at: datetime
    updated_at: datetime


class PutReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a set of drafts came to, by slug; `refused` gives the code of the error."""

    created: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    refused: dict[str, str] = {}


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """Where an active product is found, and since when it is as it is."""

    slug: str
    updated_at: datetime


class ProductSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A product in the list of staff. `price_from` is the lowest of its variants' in the currency asked for."""

    id: Id
    slug: str
    name: str
    status: Literal["active", "archived"]
    category: str | None
    brand: str | None
    image: Image | None
    variants: int
    available: bool
    """Whether any of its variants can be had."""
    price_from: Money | None
    updated_at: datetime


Drafts = Annotated[tuple[ProductDraft, ...], msgspec.Meta(max_length=LARGEST_SET)]
Skus = Annotated[tuple[str, ...], msgspec.Meta(max_length=LARGEST_SET)]


class Products(Protocol):
    """The catalogue. Archived products are found by nobody but staff; orders keep their own snapshot."""

    @query(errors=(NoSuchProduct,))
    async def get(self, *, name: str, locale: str, currency: str, price_list: str = MAIN) -> Product:
        """One active product, by id or by slug."""
        ...

    @query(errors=(NoSuchCategory, CursorInvalid))
    async def list(
        self,
        *,
        locale: str,
        currency: str,
        price_list: str = MAIN,
        category: str | None = None,
        limit: Limit = 20,
        cursor: str | None = None,
    ) -> Page[Product]:
        """Active products, newest first, of a category (a path, or the last slug of one) and all below it."""
        ...

    @query()
    async def categories(self, *, locale: str) -> tuple[Category, ...]:
        """The whole tree, roots first, each level by name."""
        ...

    @query()
    async def offers(self, *, skus: Skus, locale: str, currency: str, price_list: str = MAIN) -> tuple[Offer, ...]:
        """The present offers of skus, for a quantity of one; skus not for sale in the currency are left out."""
        ...

    @query(errors=(NoSuchProduct,))
    async def record(self, *, product_id: str) -> ProductRecord:
        """A whole product, for staff."""
        ...

    @query(errors=(CursorInvalid,))
    async def records(self, *, limit: Limit = LARGEST_PAGE, cursor: str | None = None) -> Page[ProductRecord]:
        """All products, archived ones too, in the order of slot and id: for exports, and to build read models anew."""
        ...

    @query(errors=(CursorInvalid,))
    async def listed(
        self, *, limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_LISTED)] = MOST_LISTED, cursor: str | None = None
    ) -> Page[Listed]:
        """The slugs of all active products, in the order of slot and id: for sitemaps."""
        ...

    @query(errors=(NoSuchCategory, CursorInvalid))
    async def list_for_staff(
        self,
        *,
        locale: str,
        currency: str,
        q: Search | None = None,
        status: Literal["active", "archived"] | None = None,
        category: str | None = None,
        order: Sorting = "newest",
        limit: Limit = 20,
        cursor: str | None = None,
    ) -> Page[ProductSummary]:
        """All products, archived ones too, that meet every condition given: `q` stands in the slug, a name or a sku."""
        ...

    @command(errors=(SlugTaken, SkuTaken, DraftInvalid))
    async def create(self, *, key: Key, draft: ProductDraft, actor: str) -> ProductRecord:
        """Make a product; the same key makes it once."""
        ...

    @command(errors=(NoSuchProduct, ProductChanged, SkuTaken, DraftInvalid))
    async def change(
        self, *, key: Key, product_id: str, patch: ProductPatch, version: int | None, actor: str
    ) -> ProductRecord:
        """Change a product if it is still at `version` (None: whatever it is at)."""
        ...

    @command(timeout_ms=60_000)
    async def put_many(self, *, key: Key, drafts: Drafts, actor: str) -> PutReport:
        """Create or bring up to date, by slug; drafts that say nothing new change nothing. Atomic per draft.

        Variants that a draft no longer has are taken off sale; prices it no longer has stay as they are. Of several
        drafts with one slug the last counts; of several that want one sku, the first gets it.
        """
        ...

    @command(errors=(PictureInvalid, PictureTooLarge), timeout_ms=60_000)
    async def put_picture(self, *, key: Key, data: bytes, actor: str) -> Picture:
        """Take in a picture: JPEG, PNG or WebP, of at most 10,000,000 bytes and 40 million pixels.

        It is encoded anew, upright, in sRGB, on white, without any of its metadata (such as the place where it was
        taken), as JPEG and WebP, 320, 640 and 960 pixels wide, but never wider than it is. The same picture is kept
        once. It is shown with a product when a draft or a patch names its address.
        """
        ...
