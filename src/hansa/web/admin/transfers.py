"""The room of imports and exports: begun here, watched while they run, and their files taken away."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse, Response

from hansa.kernel.errors import BusinessError
from hansa.platform.http.problems import status_of
from hansa.platform.jobs.transfers import (
    LARGEST_UPLOAD,
    Transfer,
    TransferBusy,
    TransferFormatUnknown,
    Transfers,
    TransferTooLarge,
    TransferUnknown,
)
from hansa.web.admin.lists import PAGE, cursor_of, listed
from hansa.web.admin.shell import reason_of, shown
from hansa.web.admin.uploads import UploadTooLarge, chunks_of, uploaded
from hansa.web.forms import Form
from hansa.web.pages import Book, Page, Who
from hansa.web.visit import Moved, Shown, Visit

PLACE = "admin/transfers"
FORMATS = ("auto", "csv", "jsonl", "icecat")
OUTPUTS = ("csv", "jsonl")
KINDS = ("export-products", "export-orders")
LONGEST_NAME = 200
CAUSES = {
    "Nothing was imported": "nothing",
    "It was broken off": "broken_off",
    "There is no room left": "no_room",
    "A part of the shop gave no answer": "no_answer",
    "Something broke": "broken",
}
"""How the summary of a transfer that failed begins, and which text says it; whatever else, its file cannot be read."""
REFUSALS = (TransferBusy, TransferFormatUnknown, TransferTooLarge, UploadTooLarge)


def pages() -> Sequence[Page]:
    book = Book(who=Who.STAFF)

    @book.personal(PLACE)
    async def transfers(visit: Visit) -> Shown:
        return await _show_list(visit)

    @book.act(f"{PLACE}/imports", reads_form=False)
    async def start_import(visit: Visit) -> Shown | Moved:
        office = _office(visit)
        try:
            async with uploaded(visit.request, largest=LARGEST_UPLOAD) as upload:
                if not upload.files:
                    return await _show_list(visit, failed=visit.say("staff_transfer.no_file"), status=422)
                file = upload.files[0]
                transfer = await office.start_import(
                    content=chunks_of(file),
                    name=_plain_name(file.filename or ""),
                    format=_one_of(upload.form.get("format"), FORMATS),
                    actor=visit.who.actor,
                )
        except REFUSALS as error:
            return await _refused(visit, error)
        return Moved(to=visit.url(f"{PLACE}/{transfer.id}"))

    @book.act(f"{PLACE}/exports")
    async def start_export(visit: Visit, form: Form) -> Shown | Moved:
        try:
            transfer = await _office(visit).start_export(
                kind=_one_of(form.get("kind"), KINDS),
                format=_one_of(form.get("format"), OUTPUTS),
                with_stock=form.get("with_stock") == "1",
                actor=visit.who.actor,
            )
        except REFUSALS as error:
            return await _refused(visit, error)
        return Moved(to=visit.url(f"{PLACE}/{transfer.id}"))

    @book.personal(f"{PLACE}/{{transfer_id}}")
    async def transfer(visit: Visit, *, transfer_id: str) -> Shown:
        found = await _office(visit).get(transfer_id=transfer_id)
        return await shown(visit, "transfers/detail.html", transfer=found, cause=_cause_of(visit, found))

    @book.act(f"{PLACE}/{{transfer_id}}/cancel")
    async def cancel(visit: Visit, form: Form, *, transfer_id: str) -> Moved:
        del form
        await _office(visit).cancel(transfer_id=transfer_id, actor=visit.who.actor)
        return Moved(to=visit.url(f"{PLACE}/{transfer_id}"))

    @book.personal(f"{PLACE}/{{transfer_id}}/report")
    async def report(visit: Visit, *, transfer_id: str) -> Response:
        office = _office(visit)
        found = await office.get(transfer_id=transfer_id)
        return _download(await office.report(transfer_id=transfer_id), found.report_name)

    @book.personal(f"{PLACE}/{{transfer_id}}/output")
    async def output(visit: Visit, *, transfer_id: str) -> Response:
        office = _office(visit)
        found = await office.get(transfer_id=transfer_id)
        return _download(await office.output(transfer_id=transfer_id), found.output_name)

    return book.pages


async def _show_list(visit: Visit, *, failed: str = "", status: int = 200) -> Shown:
    page = await _office(visit).list(limit=PAGE, cursor=cursor_of(visit))
    return await shown(
        visit,
        "transfers/list.html",
        status=status,
        list=listed(visit, page),
        is_busy=any(not transfer.is_finished for transfer in page.items),
        failed=failed,
        formats=FORMATS,
        largest_megabytes=LARGEST_UPLOAD // 1_000_000,
    )


async def _refused(visit: Visit, error: BusinessError) -> Shown:
    return await _show_list(visit, failed=reason_of(visit, error), status=status_of(error))


def _cause_of(visit: Visit, transfer: Transfer) -> str:
    """Why it failed, in the language of the page."""
    if transfer.state != "failed":
        return ""
    known = (cause for beginning, cause in CAUSES.items() if transfer.summary.startswith(beginning))
    return visit.say(f"staff_transfer.failed_{next(known, 'unreadable')}")


def _office(visit: Visit) -> Transfers:
    """Raises TransferUnknown where there is none."""
    office: Transfers | None = visit.site.tools.get("transfers")
    if office is None:
        raise TransferUnknown()
    return office


def _download(path: Path, name: str) -> Response:
    """A file to be kept, never to be shown as a page of the shop."""
    return FileResponse(path, media_type="application/octet-stream", filename=name or path.name)


def _plain_name(name: str) -> str:
    """What a file is called, without the folders that some browsers send along."""
    return name.replace("\\", "/").rpartition("/")[2][-LONGEST_NAME:]


def _one_of(text: str, words: Sequence[str]) -> Any:
    return text if text in words else words[0]
