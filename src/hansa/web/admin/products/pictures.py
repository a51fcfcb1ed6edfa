"""The pictures of a product: taken in, put into order, described, and taken away."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from hansa.services.products.contract import (
    LARGEST_PICTURE,
    ImageDraft,
    PictureInvalid,
    PictureTooLarge,
    ProductChanged,
    ProductPatch,
    ProductRecord,
    Products,
)
from hansa.web.admin.editing import Values
from hansa.web.admin.fields import Reader, plain
from hansa.web.admin.products.about import languages
from hansa.web.admin.products.sheet import ATTEMPTS, save, show, told
from hansa.web.admin.shell import key_of, reason_of
from hansa.web.admin.uploads import UploadTooLarge, uploaded
from hansa.web.forms import Form
from hansa.web.pages import Book, Page, Who
from hansa.web.visit import Moved, Shown, Visit

MOST_AT_ONCE = 8
MOST_IMAGES = 50
POSITION, ALT, REMOVE = "position.", "alt.", "remove."
AltText = Annotated[str, msgspec.Meta(max_length=500)]


def pages() -> Sequence[Page]:
    book = Book(who=Who.STAFF)
    sheet = Gallery()

    @book.personal("admin/products/{product_id}/pictures")
    async def pictures(visit: Visit, *, product_id: str) -> Shown:
        return await show(visit, sheet, await visit.client(Products).record(product_id=product_id))

    @book.act("admin/products/{product_id}/pictures")
    async def put_pictures(visit: Visit, form: Form, *, product_id: str) -> Shown | Moved:
        return await save(visit, form, sheet, product_id=product_id)

    @book.act("admin/products/{product_id}/pictures/new", reads_form=False)
    async def add_pictures(visit: Visit, *, product_id: str) -> Shown | Moved:
        products = visit.client(Products)
        record = await products.record(product_id=product_id)
        failed, status, added = "", 422, []
        try:
            async with uploaded(
                visit.request, largest=LARGEST_PICTURE * MOST_AT_ONCE, most_files=MOST_AT_ONCE
            ) as upload:
                if not upload.files:
                    failed = visit.say("staff_product.no_file")
                for number, file in enumerate(upload.files):
                    picture = await products.put_picture(
                        key=key_of(visit, upload.form, f"picture:{number}"),
                        data=await file.read(LARGEST_PICTURE + 1),
                        actor=visit.who.actor,
                    )
                    added.append(picture.url)
        except (PictureTooLarge, UploadTooLarge) as error:
            failed, status = reason_of(visit, error), 413
        except PictureInvalid as error:
            failed = told(visit, error)
        if added:
            record = await _append(visit, record, added)
        if failed:
            return await show(visit, sheet, record, failed=failed, status=status)
        return Moved(to=visit.url(sheet.path(record), saved=1))

    return book.pages


async def _append(visit: Visit, record: ProductRecord, urls: Sequence[str]) -> ProductRecord:
    """Pictures put behind those that are there, whoever else is at it. What is there already is not put twice."""
    products = visit.client(Products)
    for _ in range(ATTEMPTS):
        known = {image.url for image in record.draft.images}
        new = tuple(ImageDraft(url=url) for url in dict.fromkeys(urls) if url not in known)
        images = (*record.draft.images, *new)[:MOST_IMAGES]
        try:
            return await products.change(
                key=visit.ids.token(),
                product_id=record.id,
                patch=ProductPatch(images=images),
                version=record.version,
                actor=visit.who.actor,
            )
        except ProductChanged:
            record = await products.record(product_id=record.id)
    raise ProductChanged(version=record.version)


class Gallery:
    """The sheet of pictures."""

    name = "pictures"
    template = "products/pictures.html"

    def path(self, record: ProductRecord) -> str:
        return f"admin/products/{record.id}/pictures"

    def values(self, record: ProductRecord) -> Values:
        values = {}
        for position, image in enumerate(record.draft.images, start=1):
            values[f"{POSITION}{image.url}"] = str(position)
            values |= {f"{ALT}{locale}.{image.url}": plain(text) for locale, text in image.alt.items()}
        return values

    def read(self, form: Form) -> Values:
        return {name: plain(value) for name, value in form.items() if name.startswith((POSITION, ALT, REMOVE))}

    def patch(self, values: Values, record: ProductRecord) -> ProductPatch:
        reader = Reader(values)
        kept: list[tuple[int, ImageDraft]] = []
        for number, image in enumerate(record.draft.images, start=1):
            if values.get(f"{REMOVE}{image.url}"):
                continue
            position = reader.whole(f"{POSITION}{image.url}")
            kept.append((number if position is None else position, self._described(reader, image)))
        reader.done()
        images = tuple(image for _, image in sorted(kept, key=lambda each: each[0]))
        return ProductPatch() if images == record.draft.images else ProductPatch(images=images)

    def _described(self, reader: Reader, image: ImageDraft) -> ImageDraft:
        """The picture with the texts of the form; those in languages that the form does not have stay."""
        texts = dict(image.alt)
        for name in reader.values:
            locale, _, url = name.removeprefix(ALT).partition(".")
            if name.startswith(ALT) and url == image.url:
                texts.pop(locale, None)
                if text := reader.text(name, AltText):
                    texts[locale] = text
        return msgspec.structs.replace(image, alt=texts)

    def label(self, visit: Visit, name: str) -> str:
        return visit.say("staff_product.picture_called", name=name.rpartition("/")[2])

    async def context(self, visit: Visit, record: ProductRecord, values: Values) -> Mapping[str, Any]:
        known = [locale for image in record.draft.images for locale in image.alt]
        return {"locales": languages(visit, known), "largest_megabytes": LARGEST_PICTURE // 1_000_000}
