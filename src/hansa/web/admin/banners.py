"""The room of banners: what the front page announces, in its order, all on one sheet with one version."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from hansa.services.home.contract import (
    MOST_BANNERS,
    BannerDraft,
    BannersChanged,
    BannerSet,
    BannersInvalid,
    BannerText,
    Home,
    InternalPath,
    PictureUrl,
)
from hansa.services.products.contract import LARGEST_PICTURE, PictureInvalid, PictureTooLarge, Products
from hansa.web.admin.editing import Difference, Values, marks, merged
from hansa.web.admin.fields import FieldsWrong, Reader, plain
from hansa.web.admin.products.about import languages
from hansa.web.admin.products.sheet import told
from hansa.web.admin.shell import key_of, reason_of, shown
from hansa.web.admin.uploads import Upload, UploadTooLarge, uploaded
from hansa.web.pages import Book, Page, Who
from hansa.web.visit import Moved, Shown, Visit

PLACE = "admin/banners"
TONES = ("light", "dark", "accent")
WORDS = ("title", "text", "link_label")
PARTS = ("position", "link", "image", "tone", "valid_from", "valid_to", "remove")
MOST_FIELDS = 1_000
MINUTE = "%Y-%m-%dT%H:%M"
_NAME = re.compile(r"([0-9]{1,2})\.([a-z_]+)(\.[A-Za-z0-9-]{2,35})?", re.ASCII)


def pages() -> Sequence[Page]:
    book = Book(who=Who.STAFF)

    @book.personal(PLACE)
    async def banners(visit: Visit) -> Shown:
        return await _show(visit, await visit.client(Home).banners())

    @book.act(PLACE, reads_form=False)
    async def put(visit: Visit) -> Shown | Moved:
        present = await visit.client(Home).banners()
        try:
            async with uploaded(
                visit.request, largest=LARGEST_PICTURE * 2, most_files=MOST_BANNERS + 1, most_fields=MOST_FIELDS
            ) as upload:
                return await _save(visit, present, upload)
        except UploadTooLarge as error:
            return await _show(visit, present, failed=reason_of(visit, error), status=413)

    return book.pages


async def _save(visit: Visit, present: BannerSet, upload: Upload) -> Shown | Moved:
    form = upload.form
    mine = {name: plain(value) for name, value in form.items() if _is_field(name)}
    version = form.number("version") or 0
    sent: dict[str, Any] = {"version": version, "seen": form.get("seen")}
    try:
        mine |= await _pictures(visit, upload)
    except (PictureInvalid, PictureTooLarge) as error:
        return await _show(visit, present, values=mine, failed=told(visit, error), status=422, **sent)
    if form.has("more"):
        return await _show(visit, present, values=mine, blank=1, **sent)
    if version != present.version:
        outcome = merged(mine=mine, theirs=_values(present), seen=form.get("seen"))
        if outcome.differences:
            return await _show(visit, present, values=outcome.values, differences=outcome.differences, status=412)
    try:
        drafts = _drafts(mine)
        await visit.client(Home).put_banners(
            key=visit.ids.token(), banners=drafts, version=present.version, actor=visit.who.actor
        )
    except FieldsWrong as error:
        return await _show(visit, present, values=mine, wrong=error.wrong, status=422, **sent)
    except (BannersChanged, BannersInvalid) as error:
        return await _show(visit, present, values=mine, failed=told(visit, error), status=409, **sent)
    return Moved(to=visit.url(PLACE, saved=1))


def _is_field(name: str) -> bool:
    found = _NAME.fullmatch(name)
    return found is not None and (found[2] in (WORDS if found[3] else PARTS))


async def _pictures(visit: Visit, upload: Upload) -> Values:
    """The addresses of new pictures, in the fields where they belong."""
    values = {}
    for number, file in enumerate(upload.files):
        picture = await visit.client(Products).put_picture(
            key=key_of(visit, upload.form, f"banner:{number}"),
            data=await file.read(LARGEST_PICTURE + 1),
            actor=visit.who.actor,
        )
        values[f"{upload.names[number].partition('.')[0]}.image"] = picture.url
    return values


def _values(banners: BannerSet) -> Values:
    values: Values = {}
    for number, banner in enumerate(banners.banners):
        values |= {
            f"{number}.position": str(number + 1),
            f"{number}.link": banner.link,
            f"{number}.image": banner.image or "",
            f"{number}.tone": banner.tone,
            f"{number}.valid_from": _minute(banner.valid_from),
            f"{number}.valid_to": _minute(banner.valid_to),
        }
        for locale, text in banner.texts.items():
            values |= {f"{number}.{word}.{locale}": plain(getattr(text, word)) for word in WORDS}
    return values


def _numbers(values: Mapping[str, str]) -> list[int]:
    """The banners of which anything is said."""
    said = {int(name.partition(".")[0]) for name, value in values.items() if value and not name.endswith(".tone")}
    return sorted(said)


def _drafts(values: Values) -> tuple[BannerDraft, ...]:
    """Raises FieldsWrong."""
    reader = Reader(values)
    placed = []
    for number in _numbers(values):
        if values.get(f"{number}.remove") or not _is_said(values, number):
            continue
        position = reader.whole(f"{number}.position")
        placed.append((number + 1 if position is None else position, _draft(reader, number)))
    reader.done()
    return tuple(draft for _, draft in sorted(placed, key=lambda each: each[0]) if draft)


def _is_said(values: Values, number: int) -> bool:
    """Whether more than the place of a banner is filled in: an empty one is none."""
    return any(
        value
        for name, value in values.items()
        if name.startswith(f"{number}.") and not name.endswith((".position", ".tone"))
    )


def _draft(reader: Reader, number: int) -> BannerDraft | None:
    link = reader.text(f"{number}.link", InternalPath, says="link", is_required=True)
    image = reader.text(f"{number}.image", PictureUrl, says="link")
    tone: Any = reader.values.get(f"{number}.tone")
    tone = tone if tone in TONES else TONES[0]
    texts = _texts(reader, number)
    if not texts:
        reader.wrong.setdefault(f"{number}.link", "banner_texts")
    moments = {name: _moment(reader, f"{number}.{name}") for name in ("valid_from", "valid_to")}
    if reader.wrong or link is None:
        return None
    return BannerDraft(texts=texts, link=link, image=image, tone=tone, **moments)


def _texts(reader: Reader, number: int) -> dict[str, BannerText]:
    texts = {}
    prefix = f"{number}.title."
    for name in reader.values:
        if not name.startswith(prefix):
            continue
        locale = name.removeprefix(prefix)
        words = {word: reader.values.get(f"{number}.{word}.{locale}", "") for word in WORDS}
        if not any(words.values()):
            continue
        for word in ("title", "link_label"):
            if not words[word]:
                reader.wrong[f"{number}.{word}.{locale}"] = "required"
        try:
            texts[locale] = msgspec.convert(words, BannerText)
        except msgspec.ValidationError:
            reader.wrong.setdefault(f"{number}.text.{locale}", "too_long")
    return texts


def _moment(reader: Reader, name: str) -> datetime | None:
    text = reader.values.get(name, "")
    if not text:
        return None
    try:
        return datetime.strptime(text[:16], MINUTE).replace(tzinfo=UTC)
    except ValueError:
        reader.wrong[name] = "moment"
        return None


def _minute(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime(MINUTE) if moment else ""


async def _show(
    visit: Visit,
    present: BannerSet,
    *,
    values: Values | None = None,
    wrong: dict[str, str] | None = None,
    failed: str = "",
    differences: Sequence[Difference] = (),
    blank: int = 0,
    version: int | None = None,
    seen: str | None = None,
    status: int = 200,
) -> Shown:
    theirs = _values(present)
    standing = theirs if values is None else values
    numbers = [number for number in _numbers(standing) if _is_said(standing, number)]
    free = (number for number in range(MOST_BANNERS + 1) if number not in numbers)
    if not numbers or blank:
        numbers += [number for number, _ in zip(free, range(max(blank, 1)), strict=False)][
            : MOST_BANNERS - len(numbers)
        ]
    known = [locale for banner in present.banners for locale in banner.texts]
    return await shown(
        visit,
        "banners.html",
        status=status,
        values=standing,
        numbers=numbers,
        may_add=len(numbers) < MOST_BANNERS,
        version=present.version if version is None else version,
        seen=marks(theirs) if seen is None else seen,
        wrong=wrong or {},
        failed=failed,
        differences=[(_label(visit, difference.name), difference) for difference in differences],
        label=lambda name: _label(visit, name),
        locales=languages(visit, known),
        tone_choices=[(tone, visit.say(f"staff_banner.tone_{tone}")) for tone in TONES],
    )


def _label(visit: Visit, name: str) -> str:
    number, part, *locale = name.split(".")
    what = visit.say(f"staff_banner.{part}")
    said = f"{what} ({visit.language(locale[0])})" if locale else what
    return visit.say("staff_banner.of", number=int(number) + 1, part=said)
