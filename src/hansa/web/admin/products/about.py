"""What a product is: its words in each language, where it stands, its attributes, and whether it is for sale."""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from hansa.services.products.contract import (
    AttributeValue,
    CategoryDraft,
    ProductChanged,
    ProductPatch,
    ProductRecord,
    Products,
    ShortText,
    Slug,
    Text,
)
from hansa.web.admin.editing import Values
from hansa.web.admin.fields import Reader, plain
from hansa.web.admin.products.categories import choices, draft_of
from hansa.web.admin.products.sheet import save, show
from hansa.web.admin.shell import reason_of
from hansa.web.forms import Form, read_form
from hansa.web.pages import Book, Page, Who
from hansa.web.visit import Moved, Shown, Visit

LARGEST_SHEET = 4 * 1024 * 1024
"""Bytes of a form with a product's words: descriptions of 20,000 signs in several languages, and 500 attributes."""
NAME, DESCRIPTION, ATTRIBUTE, CATEGORY_NAME = "name.", "description.", "attribute.", "category_name."
Description = Annotated[str, msgspec.Meta(max_length=20_000)]
Brand = Annotated[str, msgspec.Meta(max_length=200)]
AttributeName = Annotated[str, msgspec.Meta(max_length=200)]
AttributeText = Annotated[str, msgspec.Meta(max_length=2_000)]
TRUTH = {"true": True, "yes": True, "是": True, "false": False, "no": False, "否": False}


def pages() -> Sequence[Page]:
    book = Book(who=Who.STAFF)

    @book.personal("admin/products/{product_id}")
    async def product(visit: Visit, *, product_id: str) -> Shown:
        return await show(visit, await _about(visit), await visit.client(Products).record(product_id=product_id))

    @book.act("admin/products/{product_id}", reads_form=False)
    async def put(visit: Visit, *, product_id: str) -> Shown | Moved:
        form = await read_form(visit.request, largest=LARGEST_SHEET)
        return await save(visit, form, await _about(visit), product_id=product_id)

    @book.act("admin/products/{product_id}/status")
    async def put_status(visit: Visit, form: Form, *, product_id: str) -> Shown | Moved:
        products = visit.client(Products)
        status: Any = "archived" if form.get("status") == "archived" else "active"
        try:
            record = await products.change(
                key=visit.ids.token(),
                product_id=product_id,
                patch=ProductPatch(status=status),
                version=form.number("version") or 0,
                actor=visit.who.actor,
            )
        except ProductChanged as error:
            record = await products.record(product_id=product_id)
            if record.draft.status != status:
                return await show(visit, await _about(visit), record, failed=reason_of(visit, error), status=412)
        return Moved(to=visit.url(f"admin/products/{record.id}", saved=1))

    return book.pages


async def _about(visit: Visit) -> "About":
    return About(await choices(visit))


class About:
    """The sheet of words and places. `categories` are those to choose from, by path."""

    name = "about"
    template = "products/about.html"

    def __init__(self, categories: Sequence[tuple[str, str]]) -> None:
        self._categories = categories

    def path(self, record: ProductRecord) -> str:
        return f"admin/products/{record.id}"

    def values(self, record: ProductRecord) -> Values:
        draft = record.draft
        values = {"brand": plain(draft.brand), "category": "/".join(level.slug for level in draft.category)}
        for locale, text in draft.texts.items():
            values[f"{NAME}{locale}"] = plain(text.name)
            values[f"{DESCRIPTION}{locale}"] = plain(text.description)
        return values | {f"{ATTRIBUTE}{name}": text_of(value) for name, value in draft.attributes.items()}

    def read(self, form: Form) -> Values:
        kept = (NAME, DESCRIPTION, CATEGORY_NAME)
        values = {name: plain(value) for name, value in form.items() if name.startswith(kept)}
        values |= {name: form.get(name) for name in ("brand", "category", "category_slug")}
        pairs = zip(form.all("attribute_name"), form.all("attribute_value"), strict=False)
        return values | {f"{ATTRIBUTE}{name}": plain(value) for name, value in pairs if name}

    def patch(self, values: Values, record: ProductRecord) -> ProductPatch:
        draft, reader = record.draft, Reader(values)
        texts = texts_of(reader, known=draft.texts)
        brand = reader.text("brand", Brand)
        category = category_of(reader, known={path for path, _ in self._categories})
        attributes = _attributes(reader, draft.attributes)
        reader.done()
        changed = {locale: text for locale, text in texts.items() if draft.texts.get(locale) != text}
        changes: dict[str, Any] = {"texts": changed} if changed else {}
        if brand != draft.brand:
            changes["brand"] = brand
        if [level.slug for level in category] != [level.slug for level in draft.category]:
            changes["category"] = category
        if attributes != draft.attributes:
            changes["attributes"] = attributes
        return ProductPatch(**changes)

    def label(self, visit: Visit, name: str) -> str:
        for prefix, key in ((NAME, "name"), (DESCRIPTION, "description"), (CATEGORY_NAME, "category_name")):
            if name.startswith(prefix):
                return visit.say(f"staff_product.{key}_in", language=visit.language(name.removeprefix(prefix)))
        if name.startswith(ATTRIBUTE):
            return name.removeprefix(ATTRIBUTE)
        return visit.say(f"staff_product.{name}")

    async def context(self, visit: Visit, record: ProductRecord, values: Values) -> Mapping[str, Any]:
        return {
            "locales": languages(visit, record.draft.texts),
            "categories": self._categories,
            "attributes": {
                name.removeprefix(ATTRIBUTE): value for name, value in values.items() if name.startswith(ATTRIBUTE)
            },
        }


def languages(visit: Visit, known: Iterable[str] = ()) -> list[str]:
    """The languages to write in: the shop's, and those that are there already."""
    return list(dict.fromkeys((*visit.site.channel.locales, *known)))


def texts_of(reader: Reader, *, known: Iterable[str] = ()) -> dict[str, Text]:
    """The words of each language in which there are any. What was once said can be said otherwise, not be unsaid."""
    texts = {}
    locales = [name.removeprefix(NAME) for name in reader.values if name.startswith(NAME)]
    for locale in locales:
        description = reader.text(f"{DESCRIPTION}{locale}", Description) or ""
        is_needed = bool(description) or locale in known
        if name := reader.text(f"{NAME}{locale}", ShortText, is_required=is_needed):
            texts[locale] = Text(name=name, description=description)
    return texts


def category_of(reader: Reader, *, known: Container[str]) -> tuple[CategoryDraft, ...]:
    """The chosen category, and a new one below it where one was named."""
    path = reader.text("category") or ""
    if path and path not in known:
        reader.wrong["category"] = "unknown_category"
    chosen = draft_of(path)
    names = {
        name.removeprefix(CATEGORY_NAME): text
        for name in reader.values
        if name.startswith(CATEGORY_NAME) and (text := reader.text(name, ShortText))
    }
    if not names:
        return chosen
    slug = reader.text("category_slug", Slug, says="slug") or slug_of(names.get("en", ""))
    if not slug:
        reader.wrong.setdefault("category_slug", "required")
    return (*chosen, CategoryDraft(slug=slug, names=names)) if slug else chosen


def slug_of(name: str) -> str:
    """An address made of a name; empty where nothing of it is left."""
    return "-".join(re.findall(r"[a-z0-9]+", name.lower()))[:100].strip("-")


def text_of(value: AttributeValue) -> str:
    """An attribute as it stands in a field."""
    return str(value).lower() if isinstance(value, bool) else plain(str(value))


def _attributes(reader: Reader, known: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {}
    for name in reader.values:
        if not name.startswith(ATTRIBUTE):
            continue
        text = reader.text(name, AttributeText)
        called = name.removeprefix(ATTRIBUTE)
        if len(called) > 200:
            reader.wrong[name] = "too_long"
        elif text is not None:
            attributes[called] = _of_its_kind(text, known.get(called))
    return attributes


def _of_its_kind(text: str, before: AttributeValue | None) -> AttributeValue:
    """A number stays a number where it can; what did not change stays as it was."""
    if before is None or isinstance(before, str) or text_of(before) == text:
        return text if before is None or isinstance(before, str) else before
    if isinstance(before, bool):
        return TRUTH.get(text.lower(), text)
    try:
        return msgspec.convert(text, int | float, strict=False)
    except msgspec.ValidationError:
        return text
