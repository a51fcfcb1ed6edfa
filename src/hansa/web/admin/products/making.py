"""A new product: what it cannot be without; all else comes on its sheets."""

from collections.abc import Container, Sequence

from hansa.kernel.errors import BusinessError, IdempotencyKeyReused
from hansa.services.products.contract import (
    DraftInvalid,
    ProductDraft,
    Products,
    Sku,
    SkuTaken,
    Slug,
    SlugTaken,
    VariantDraft,
)
from hansa.web.admin.editing import Values
from hansa.web.admin.fields import FieldsWrong, Reader, plain
from hansa.web.admin.products.about import (
    CATEGORY_NAME,
    DESCRIPTION,
    LARGEST_SHEET,
    NAME,
    Brand,
    category_of,
    languages,
    slug_of,
    texts_of,
)
from hansa.web.admin.products.categories import choices
from hansa.web.admin.products.prices import is_usually_with_tax, prices_of
from hansa.web.admin.products.sheet import told
from hansa.web.admin.shell import key_of, shown
from hansa.web.forms import read_form
from hansa.web.pages import Book, Page, Who
from hansa.web.visit import Moved, Shown, Visit

PLAIN = ("slug", "sku", "brand", "category", "category_slug")
KEPT = (NAME, DESCRIPTION, CATEGORY_NAME, "price.", "tax.")
TAKEN: dict[type[BusinessError], dict[str, str]] = {SlugTaken: {"slug": "slug_taken"}, SkuTaken: {"sku": "sku_taken"}}


def pages() -> Sequence[Page]:
    book = Book(who=Who.STAFF)

    @book.personal("admin/products/new")
    async def new(visit: Visit) -> Shown:
        return await _show(visit, {})

    @book.act("admin/products/new", reads_form=False)
    async def make(visit: Visit) -> Shown | Moved:
        form = await read_form(visit.request, largest=LARGEST_SHEET)
        values = {name: plain(value) for name, value in form.items() if name in PLAIN or name.startswith(KEPT)}
        try:
            draft = _draft(visit, values, known={path for path, _ in await choices(visit)})
            key = key_of(visit, form, "product")
            record = await visit.client(Products).create(key=key, draft=draft, actor=visit.who.actor)
        except FieldsWrong as error:
            return await _show(visit, values, wrong=error.wrong, status=422)
        except (SlugTaken, SkuTaken) as error:
            return await _show(visit, values, wrong=TAKEN[type(error)], status=409)
        except (DraftInvalid, IdempotencyKeyReused) as error:
            return await _show(visit, values, failed=told(visit, error), status=422)
        return Moved(to=visit.url(f"admin/products/{record.id}", saved=1))

    return book.pages


async def _show(
    visit: Visit, values: Values, *, wrong: dict[str, str] | None = None, failed: str = "", status: int = 200
) -> Shown:
    return await shown(
        visit,
        "products/new.html",
        status=status,
        values=values,
        wrong=wrong or {},
        failed=failed,
        locales=languages(visit),
        categories=await choices(visit),
        with_tax={currency: is_usually_with_tax(currency) for currency in visit.site.channel.currencies},
    )


def _draft(visit: Visit, values: Values, *, known: Container[str]) -> ProductDraft:
    """Raises FieldsWrong."""
    reader = Reader(values)
    texts = texts_of(reader)
    if not texts:
        reader.wrong.setdefault(f"{NAME}{visit.locale}", "required")
    named = [text.name for locale, text in sorted(texts.items(), key=lambda each: each[0] != "en")]
    slug = reader.text("slug", Slug, says="slug") or next((made for name in named if (made := slug_of(name))), "")
    if not slug:
        reader.wrong.setdefault("slug", "required")
    sku = reader.text("sku", Sku, says="sku", is_required=True)
    prices = prices_of(reader, currencies=visit.site.channel.currencies)
    brand = reader.text("brand", Brand)
    category = category_of(reader, known=known)
    reader.done()
    return ProductDraft(
        slug=slug,
        texts=texts,
        variants=(VariantDraft(sku=sku or "", prices=prices),),
        category=category,
        brand=brand,
    )
