"""One product as a form on one sheet, and how it is saved when others are at it too."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from hansa.kernel.errors import BusinessError
from hansa.services.products.contract import (
    DraftInvalid,
    ProductChanged,
    ProductPatch,
    ProductRecord,
    Products,
    SkuTaken,
)
from hansa.web.admin.editing import Difference, Values, marks, merged
from hansa.web.admin.fields import FieldsWrong
from hansa.web.admin.shell import reason_of, shown
from hansa.web.forms import Form
from hansa.web.visit import Moved, Shown, Visit

REASONS = {
    "it is neither JPEG nor PNG nor WebP": "other_format",
    "it is damaged or broken off": "damaged",
    "it is a JPEG of too many passes": "too_many_passes",
    "texts must not contain the character U+0000": "nul",
    "slugs, skus and languages must not contain line breaks": "line_breaks",
    "a sku stands there twice": "sku_twice",
    "a price's moments need a time zone": "time_zone",
    "a banner's moments need a time zone": "time_zone",
    "a price ends before it begins": "ends_early",
    "a banner ends before it begins": "ends_early",
    "two prices are for the same list, currency, quantity and moment": "price_twice",
}
"""What services give as a reason, and which text says it."""
ATTEMPTS = 5
"""How often somebody else may be quicker with other fields than these, before it is given up."""
BLANK_ROWS = 2
MORE_ROWS = 5
MOST_ROWS = 60
NOTHING = ProductPatch()


class Sheet(Protocol):
    """Some fields of a product."""

    name: str
    """Of its tab."""
    template: str

    def values(self, record: ProductRecord) -> Values:
        """What the fields show of a product."""
        ...

    def read(self, form: Form) -> Values:
        """What was sent."""
        ...

    def patch(self, values: Values, record: ProductRecord) -> ProductPatch:
        """What the fields change. Raises FieldsWrong."""
        ...

    def label(self, visit: Visit, name: str) -> str:
        """What a field is called."""
        ...

    async def context(self, visit: Visit, record: ProductRecord, values: Values) -> Mapping[str, Any]:
        """What its template needs besides."""
        ...

    def path(self, record: ProductRecord) -> str: ...


async def show(
    visit: Visit,
    sheet: Sheet,
    record: ProductRecord,
    *,
    values: Values | None = None,
    form: Form | None = None,
    wrong: Mapping[str, str] | None = None,
    failed: str = "",
    differences: Sequence[Difference] = (),
    status: int = 200,
) -> Shown:
    """A sheet: as the product is, or with what was sent. `form` is the one whose beginnings still count."""
    shown_values = sheet.values(record) if values is None else values
    rows = (form.number("rows") or 0) if form else 0
    return await shown(
        visit,
        sheet.template,
        status=status,
        record=record,
        name=name_of(record, visit.locale),
        tab=sheet.name,
        values=shown_values,
        version=record.version if form is None else form.number("version") or 0,
        seen=marks(sheet.values(record)) if form is None else form.get("seen"),
        rows=min(max(rows, BLANK_ROWS) + (MORE_ROWS if form and form.has("more") else 0), MOST_ROWS),
        wrong=dict(wrong or {}),
        failed=failed,
        differences=[(sheet.label(visit, difference.name), difference) for difference in differences],
        label=lambda field: sheet.label(visit, field),
        **await sheet.context(visit, record, shown_values),
    )


async def save(visit: Visit, form: Form, sheet: Sheet, *, product_id: str) -> Shown | Moved:
    """Save what was sent, unless somebody else changed the same fields since the form was made: then both are shown.

    The version makes it safe to send the form twice: the second one finds that nothing is left to do.
    """
    products = visit.client(Products)
    mine = sheet.read(form)
    version = form.number("version") or 0
    for _ in range(ATTEMPTS):
        record = await products.record(product_id=product_id)
        if form.has("more"):
            return await show(visit, sheet, record, values=mine, form=form)
        if record.version != version:
            outcome = merged(mine=mine, theirs=sheet.values(record), seen=form.get("seen"))
            if outcome.differences:
                return await show(
                    visit, sheet, record, values=outcome.values, differences=outcome.differences, status=412
                )
        try:
            patch = sheet.patch(mine, record)
            if patch != NOTHING:
                await products.change(
                    key=visit.ids.token(),
                    product_id=record.id,
                    patch=patch,
                    version=record.version,
                    actor=visit.who.actor,
                )
        except ProductChanged:
            continue
        except FieldsWrong as error:
            return await show(visit, sheet, record, values=mine, form=form, wrong=error.wrong, status=422)
        except SkuTaken as error:
            return await show(visit, sheet, record, values=mine, form=form, wrong=_taken(mine, error), status=409)
        except DraftInvalid as error:
            return await show(visit, sheet, record, values=mine, form=form, failed=told(visit, error), status=422)
        return Moved(to=visit.url(sheet.path(record), saved=1))
    raise ProductChanged(version=version)


def told(visit: Visit, error: BusinessError) -> str:
    """An error with its reason, where it has one."""
    reason = str(getattr(error, "reason", ""))
    if not reason:
        return reason_of(visit, error)
    sku, _, flaw = reason.rpartition(": ")
    if flaw not in REASONS:
        why = visit.say("staff_reason.other", reason=reason)
    else:
        why = visit.say(f"staff_reason.{REASONS[flaw]}")
        why = visit.say("common.pair", name=sku, value=why) if sku else why
    return visit.say("staff_reason.told", refusal=reason_of(visit, error), why=why)


def _taken(mine: Values, error: SkuTaken) -> dict[str, str]:
    return {"sku": "sku_taken"} if mine.get("sku") == error.sku else {}


def name_of(record: ProductRecord, locale: str) -> str:
    texts = record.draft.texts
    best = texts.get(locale) or texts.get(locale.partition("-")[0]) or texts.get("en") or texts[min(texts)]
    return best.name
