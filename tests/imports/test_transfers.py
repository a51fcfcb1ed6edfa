"""Imports and exports in the background: their progress, their end, and what a stop in the middle does to them."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansa.imports.transfers import GENTLY, KEPT_FOR, MOST_ATTEMPTS, FolderTransfers
from hansa.kernel.errors import Fault
from hansa.kernel.ids import Ids
from hansa.kernel.page import CursorInvalid
from hansa.platform.jobs.transfers import (
    LARGEST_UPLOAD,
    MOST_WAITING,
    Transfer,
    TransferBusy,
    TransferFormatUnknown,
    Transfers,
    TransferState,
    TransferTooLarge,
    TransferUnknown,
)
from tests.imports.conftest import ImpatientClock
from tests.imports.stand_ins import Catalogue, Counter, Warehouse

HEADER = "slug,sku,name_en,stock\n"


class Office:
    """A folder of transfers beside a catalogue, a warehouse and orders; it can be left and opened again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalogue = Catalogue()
        self.warehouse = Warehouse()
        self.counter = Counter()
        self.clock = ImpatientClock()
        self.ids = Ids(clock=self.clock)
        self.opened: list[FolderTransfers] = []
        self.given_up = asyncio.Event()

    def open(self, *, start: bool = True) -> Transfers:
        """As a process does when it starts."""
        transfers = FolderTransfers(
            folder=self.folder,
            products=self.catalogue.client,
            inventory=self.warehouse.client,
            orders=self.counter.client,
            clock=self.clock,
            ids=self.ids,
        )
        self.opened.append(transfers)
        if start:
            transfers.start()
        return transfers

    async def leave(self) -> None:
        """As a process does that is told to stop while what stands still is lost."""
        while self.opened:
            closing = asyncio.create_task(self.opened.pop().close())
            await asyncio.sleep(0)
            self.given_up.set()
            await closing
        self.given_up.clear()

    def halt(self, after: int) -> asyncio.Event:
        """Let the catalogue come to a standstill after so many sets; the event says that it has."""
        reached, put = asyncio.Event(), self.catalogue.put_many

        async def stand_still(**arguments: Any) -> Any:
            if len(self.catalogue.sets) >= after:
                reached.set()
                await self.given_up.wait()
                raise asyncio.CancelledError
            return await put(**arguments)

        self.catalogue.put_many = stand_still  # type: ignore[method-assign]
        return reached

    def go_on(self) -> None:
        """Give up what stands still, and let what comes later pass."""
        self.given_up.set()
        self.catalogue.put_many = Catalogue.put_many.__get__(self.catalogue)  # type: ignore[method-assign]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    opened = Office(tmp_path / "transfers")
    yield opened
    await opened.leave()


async def sent(*chunks: bytes | str) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk.encode() if isinstance(chunk, str) else chunk


def row(number: int, stock: int = 5) -> str:
    return f"p-{number},P-{number},Product {number},{stock}\n"


def table(count: int) -> str:
    return HEADER + "".join(map(row, range(count)))


async def ended(transfers: Transfers, transfer: Transfer, *states: TransferState) -> Transfer:
    """The transfer once it is finished, or in one of the states."""
    return await when(transfers, transfer, lambda now: now.state in states or now.is_finished)


async def when(transfers: Transfers, transfer: Transfer, holds: Callable[[Transfer], bool]) -> Transfer:
    async with asyncio.timeout(20):
        while not holds(now := await transfers.get(transfer_id=transfer.id)):
            await asyncio.sleep(0.001)
    return now


async def test_an_import_is_carried_out_and_tells_what_came_of_it(office: Office):
    transfers = office.open()

    begun = await transfers.start_import(content=sent(HEADER, row(1), row(2)), name="spring.csv", actor="user:7")
    done = await ended(transfers, begun)

    assert (begun.state, begun.kind, begun.created_by, begun.input_name) == (
        "queued",
        "import-products",
        "user:7",
        "spring.csv",
    )
    assert (done.state, done.done, done.total) == ("done", begun.total, len(HEADER + row(1) + row(2)))
    assert done.counts["created"] == done.counts["stock_set"] == 2
    assert "2 created" in done.summary
    assert done.finished_at is not None
    assert office.warehouse.pieces == {"P-1": 5, "P-2": 5}
    assert office.catalogue.actors == {"user:7"}
    with pytest.raises(TransferUnknown):
        await transfers.report(transfer_id=done.id)
    with pytest.raises(TransferUnknown):
        await transfers.output(transfer_id=done.id)


async def test_progress_is_seen_while_it_runs(office: Office):
    transfers = office.open()
    halted = office.halt(after=3)

    begun = await transfers.start_import(content=sent(table(200)), name="a.csv", actor="user:7")
    await halted.wait()
    now = await transfers.get(transfer_id=begun.id)

    assert now.state == "running"
    assert now.total is not None
    assert 0 < now.done < now.total
    assert 0 < now.counts["created"] <= 3 * GENTLY.batch
    assert now.started_at is not None
    assert now.finished_at is None


async def test_other_work_gets_its_turn_after_every_batch(office: Office):
    office.clock = ImpatientClock()
    transfers = office.open()
    turns: list[int] = []

    async def others() -> None:
        while True:
            turns.append(len(office.catalogue.drafts))
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    begun = await transfers.start_import(content=sent(table(300)), name="a.csv", actor="user:7")
    await ended(transfers, begun)
    task.cancel()

    assert set(range(0, 301, GENTLY.batch)) <= set(turns)


async def test_what_is_wrong_is_reported_and_what_is_right_goes_in(office: Office):
    transfers = office.open()
    content = HEADER + row(1) + ",P-2,No slug,1\np-3,P-3,Name,many\n=1+1,P-4,Name,1\n"

    begun = await transfers.start_import(content=sent(content), name="a.csv", actor="user:7")
    done = await ended(transfers, begun)

    assert (done.state, done.counts["created"], done.counts["refused"]) == ("done", 1, 3)
    assert done.report_name == f"{done.id}-refused.csv"
    report = (await transfers.report(transfer_id=done.id)).read_text()
    assert [line.split(",")[0] for line in report.splitlines()] == ["line", "3", "4", "5"]
    assert "'=1+1" in report


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"\xff\xfe\x00s\x00l", "not UTF-8"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\x00\x00", "not UTF-8"),
        ("a.csv", b"name,price\nHat,2\n", "there is no column slug"),
        ("a.jsonl", b"slug,sku\na,A\n", "Nothing was imported"),
        ("a.csv", b"\x1f\x8b\x08broken", "cannot be read any further"),
        ("a.csv", b"", "0 rows"),
    ],
)
async def test_a_file_of_which_nothing_can_be_taken_says_why(office: Office, name: str, content: bytes, reason: str):
    transfers = office.open()

    begun = await transfers.start_import(content=sent(content), name=name, actor="user:7")
    done = await ended(transfers, begun)

    assert done.state == ("failed" if content else "done")
    assert reason in done.summary
    assert office.catalogue.drafts == {}


async def test_whether_a_file_is_packed_its_content_tells_and_not_its_name(office: Office):
    transfers = office.open()
    packed = gzip.compress(table(3).encode())

    for name, content in (("a.csv", packed), ("b.csv.gz", packed), ("c.csv.gz", table(3).encode())):
        begun = await transfers.start_import(content=sent(content[:1], content[1:]), name=name, actor="user:7")
        assert (await ended(transfers, begun)).counts["rows"] == 3


@pytest.mark.parametrize("name", ["a.xlsx", "a", "", "csv", ".csv", "a.csv.exe", "../../etc/passwd", "a.gz", "\x00"])
async def test_a_name_that_tells_no_format_is_refused_and_nothing_is_kept(office: Office, name: str):
    transfers = office.open()

    with pytest.raises(TransferFormatUnknown):
        await transfers.start_import(content=sent(table(1)), name=name, actor="user:7")

    assert (await transfers.list()).items == ()
    assert not office.folder.exists()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../../etc/cron.d/evil.csv", "evil.csv"),
        ("..\\..\\windows\\evil.csv", "evil.csv"),
        ("/etc/passwd\x00.csv", "passwd.csv"),
        ("C:\\evil.csv", "evil.csv"),
        ("a\nb\r\u202egpj.csv", "abgpj.csv"),
        ("x" * 5_000 + ".csv", "x" * 96 + ".csv"),
        ("transfer.json.csv", "transfer.json.csv"),
        ("衣服 春.CSV", "衣服 春.CSV"),
    ],
)
async def test_no_name_leads_out_of_the_folder(office: Office, tmp_path: Path, name: str, shown: str):
    transfers = office.open()

    begun = await transfers.start_import(content=sent(table(1)), name=name, actor="user:7")
    done = await ended(transfers, begun)

    assert (done.state, done.input_name) == ("done", shown)
    assert [path.name for path in tmp_path.iterdir()] == ["transfers"]
    assert [path.name for path in office.folder.iterdir()] == [done.id]
    assert [path.name for path in (office.folder / done.id).iterdir()] == ["transfer.json"]


@pytest.mark.parametrize("transfer_id", ["", "..", "../transfers", "1", "/etc", "0"])
async def test_what_is_no_transfer_has_no_files(office: Office, transfer_id: str):
    transfers = office.open()

    for ask in (transfers.get, transfers.report, transfers.output):
        with pytest.raises(TransferUnknown):
            await ask(transfer_id=transfer_id)
    with pytest.raises(TransferUnknown):
        await transfers.cancel(transfer_id=transfer_id, actor="user:7")


async def test_what_is_too_large_is_refused_while_it_comes_and_nothing_is_kept(office: Office):
    transfers = office.open()
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield bytes(1_000_000)

    with pytest.raises(TransferTooLarge):
        await transfers.start_import(content=endless(), name="a.csv", actor="user:7")

    assert taken == LARGEST_UPLOAD // 1_000_000 + 1
    assert list(office.folder.iterdir()) == []
    assert (await transfers.list()).items == ()


async def test_a_file_of_51_mb_on_this_machine_is_refused_too(office: Office, tmp_path: Path):
    file = tmp_path / "large.csv"
    with file.open("wb") as stream:
        stream.truncate(51_000_000)

    with pytest.raises(TransferTooLarge):
        await office.open().start_import(content=file, name=file.name, actor="user:7")

    assert list(office.folder.iterdir()) == []


async def test_a_small_packed_file_cannot_hold_too_much(office: Office, monkeypatch: pytest.MonkeyPatch):
    tight = msgspec.structs.replace(GENTLY, most_bytes=2_000)
    monkeypatch.setattr("hansa.imports.transfers.GENTLY", tight)
    transfers = office.open()

    begun = await transfers.start_import(
        content=sent(gzip.compress(table(10_000).encode())), name="a.csv.gz", actor="user:7"
    )
    done = await ended(transfers, begun)

    assert 0 < done.counts["created"] < 200
    assert "more than may be imported at once" in (await transfers.report(transfer_id=done.id)).read_text()


async def test_a_file_of_countless_variants_or_errors_is_taken_up_to_a_bound(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    tight = msgspec.structs.replace(GENTLY, most_variants=60, most_reported=5)
    monkeypatch.setattr("hansa.imports.transfers.GENTLY", tight)
    transfers = office.open()

    many = await ended(transfers, await transfers.start_import(content=sent(table(200)), name="a.csv", actor="user:7"))
    wrong = await ended(
        transfers,
        await transfers.start_import(content=sent(HEADER + row(999) + ",,\n" * 90), name="b.csv", actor="user:7"),
    )

    assert many.counts["created"] == 60
    report = (await transfers.report(transfer_id=wrong.id)).read_text().splitlines()
    assert (wrong.counts["refused"], len(report)) == (90, 1 + 5 + 1)
    assert "too much was refused" in report[-1]


async def test_an_upload_that_breaks_off_leaves_nothing(office: Office):
    transfers = office.open()

    async def broken() -> AsyncIterator[bytes]:
        yield b"slug,sku"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await transfers.start_import(content=broken(), name="a.csv", actor="user:7")

    assert list(office.folder.iterdir()) == []


async def test_one_runs_at_a_time_in_the_order_of_asking(office: Office):
    transfers = office.open()
    halted = office.halt(after=0)
    first = await transfers.start_import(content=sent(table(1)), name="a.csv", actor="user:7")
    second = await transfers.start_import(content=sent(HEADER + row(7)), name="b.csv", actor="user:8")
    await halted.wait()

    waiting = await transfers.get(transfer_id=second.id)
    office.go_on()
    assert (waiting.state, (await transfers.get(transfer_id=first.id)).state) == ("queued", "running")
    await transfers.cancel(transfer_id=first.id, actor="user:7")

    assert (await ended(transfers, second)).state == "done"
    assert [found.id for found in (await transfers.list()).items] == [second.id, first.id]


async def test_the_queue_is_bounded_and_uploads_under_way_count(office: Office):
    transfers = office.open()
    halted = office.halt(after=0)
    await transfers.start_import(content=sent(table(1)), name="a.csv", actor="user:7")
    await halted.wait()
    going_on = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"slug"
        await going_on.wait()

    upload = asyncio.create_task(transfers.start_import(content=slow(), name="a.csv", actor="user:7"))
    await asyncio.sleep(0)
    for _ in range(MOST_WAITING - 1):
        await transfers.start_export(kind="export-orders", actor="user:7")

    with pytest.raises(TransferBusy):
        await transfers.start_export(kind="export-products", actor="user:7")
    with pytest.raises(TransferBusy):
        await transfers.start_import(content=sent(table(1)), name="a.csv", actor="user:7")

    going_on.set()
    await upload


async def test_what_is_cancelled_while_it_runs_keeps_what_is_in_and_stops_there(office: Office):
    transfers = office.open()
    arrived, go_on = asyncio.Event(), asyncio.Event()
    put = office.catalogue.put_many

    async def slow(**arguments: Any) -> Any:
        answer = await put(**arguments)
        arrived.set()
        await go_on.wait()
        return answer

    office.catalogue.put_many = slow  # type: ignore[method-assign]
    begun = await transfers.start_import(content=sent(table(200)), name="a.csv", actor="user:7")
    await arrived.wait()

    cancelling = asyncio.create_task(transfers.cancel(transfer_id=begun.id, actor="user:7"))
    await asyncio.sleep(0)
    go_on.set()
    cancelled = await cancelling

    assert cancelled.state == "cancelled"
    assert len(office.catalogue.drafts) == len(office.warehouse.pieces) == GENTLY.batch
    assert await transfers.cancel(transfer_id=begun.id, actor="user:7") == cancelled
    assert (await office.open().get(transfer_id=begun.id)).state == "cancelled"


async def test_what_waits_can_be_cancelled_and_never_runs(office: Office):
    transfers = office.open()
    halted = office.halt(after=0)
    first = await transfers.start_import(content=sent(table(1)), name="a.csv", actor="user:7")
    second = await transfers.start_import(content=sent(HEADER + row(7)), name="b.csv", actor="user:7")
    await halted.wait()

    assert (await transfers.cancel(transfer_id=second.id, actor="user:7")).state == "cancelled"
    office.go_on()
    await transfers.cancel(transfer_id=first.id, actor="user:7")
    third = await transfers.start_import(content=sent(table(1)), name="c.csv", actor="user:7")

    assert (await ended(transfers, third)).state == "done"
    assert "p-7" not in office.catalogue.drafts


async def test_an_import_that_a_stop_broke_off_is_taken_up_by_the_next_process(office: Office):
    transfers = office.open()
    halted = office.halt(after=3)
    begun = await transfers.start_import(content=sent(table(200)), name="a.csv", actor="user:7")
    waiting = await transfers.start_import(content=sent(HEADER + row(777)), name="b.csv", actor="user:8")
    await halted.wait()
    killed = {path: path.read_bytes() for path in office.folder.rglob("*") if path.is_file()}
    await office.leave()
    for path, content in killed.items():
        path.write_bytes(content)
    office.warehouse.pieces["P-1"] = 3  # two were sold since
    office.go_on()

    again = office.open()
    done = await ended(again, begun)

    assert (done.state, done.attempts, done.created_by) == ("done", 2, "user:7")
    assert (done.counts["created"], done.counts["unchanged"]) == (200 - 3 * GENTLY.batch, 3 * GENTLY.batch)
    assert office.warehouse.pieces["P-1"] == 3
    assert len(office.warehouse.pieces) >= 200
    assert (await ended(again, waiting)).state == "done"


async def test_an_export_that_a_stop_broke_off_starts_anew(office: Office):
    transfers = office.open()
    office.catalogue.fill(120)
    halted, records = asyncio.Event(), office.catalogue.records

    async def stand_still(**arguments: Any) -> Any:
        if arguments["cursor"] is not None:
            halted.set()
            await asyncio.Event().wait()
        return await records(**arguments)

    office.catalogue.records = stand_still  # type: ignore[method-assign]
    begun = await transfers.start_export(kind="export-products", actor="user:7")
    await halted.wait()
    assert (await transfers.get(transfer_id=begun.id)).done == 50
    with pytest.raises(TransferUnknown):
        await transfers.output(transfer_id=begun.id)
    await office.leave()
    office.catalogue.records = records  # type: ignore[method-assign]

    again = office.open()
    done = await ended(again, begun)

    assert (done.state, done.done, done.total, done.output_name) == ("done", 120, 120, "products-2026-01-01.csv")
    output = await again.output(transfer_id=done.id)
    assert len(output.read_text("utf-8-sig").splitlines()) == 121
    assert sorted(path.name for path in output.parent.iterdir()) == ["output.csv", "transfer.json"]


async def test_what_ends_the_shop_every_time_is_given_up(office: Office):
    halted = office.halt(after=0)
    begun = await office.open().start_import(content=sent(table(1)), name="a.csv", actor="user:7")
    for _ in range(MOST_ATTEMPTS - 1):
        await halted.wait()
        await office.leave()
        halted.clear()
        office.open()
    await halted.wait()
    await office.leave()

    transfers = office.open()

    assert (await ended(transfers, begun)).state == "failed"


async def test_a_part_of_the_shop_that_stays_away_fails_the_transfer_and_not_the_next_one(office: Office):
    transfers = office.open()
    office.catalogue.faults = 4
    first = await transfers.start_import(content=sent(table(1)), name="a.csv", actor="user:7")
    second = await transfers.start_import(content=sent(HEADER + row(7)), name="b.csv", actor="user:7")

    failed = await ended(transfers, first)

    assert (failed.state, failed.summary) == ("failed", "A part of the shop gave no answer (Fault); try again.")
    assert (await ended(transfers, second)).state == "done"


async def test_what_breaks_unexpectedly_fails_by_itself(office: Office):
    transfers = office.open()

    async def broken(**arguments: Any) -> Any:
        raise LookupError("ada@example.com")

    office.catalogue.records = broken  # type: ignore[method-assign]
    failed = await ended(transfers, await transfers.start_export(kind="export-products", actor="user:7"))

    assert (failed.state, failed.summary) == ("failed", "Something broke (LookupError); see the log.")


async def test_exports_are_had_in_either_format(office: Office):
    transfers = office.open()
    office.catalogue.fill(2)
    office.warehouse.pieces["P-1"] = 9

    exported = await transfers.start_export(kind="export-products", format="jsonl", actor="user:7")
    orders = await transfers.start_export(kind="export-orders", actor="user:7")
    without = await transfers.start_export(kind="export-products", format="jsonl", with_stock=False, actor="user:7")

    done = await ended(transfers, exported)
    lines = [json.loads(line) for line in (await transfers.output(transfer_id=done.id)).read_text().splitlines()]
    assert [(line["slug"], line.get("stock")) for line in lines] == [("p-0", None), ("p-1", {"P-1": 9})]
    assert (await ended(transfers, orders)).output_name == "orders-2026-01-01.csv"
    await ended(transfers, without)
    assert "stock" not in (await transfers.output(transfer_id=without.id)).read_text()


async def test_old_transfers_are_forgotten_with_their_files(office: Office):
    transfers = office.open()
    old = await ended(transfers, await transfers.start_export(kind="export-orders", actor="user:7"))
    office.clock.advance(KEPT_FOR.total_seconds() - 60)
    newer = await ended(transfers, await transfers.start_export(kind="export-orders", actor="user:7"))
    office.clock.advance(120)

    newest = await transfers.start_export(kind="export-orders", actor="user:7")

    assert [found.id for found in (await transfers.list()).items] == [newest.id, newer.id]
    assert not (office.folder / old.id).exists()
    with pytest.raises(TransferUnknown):
        await transfers.output(transfer_id=old.id)


async def test_only_so_many_are_remembered(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hansa.imports.transfers.MOST_KEPT", 3)
    transfers = office.open()
    for _ in range(6):
        await ended(transfers, await transfers.start_export(kind="export-orders", actor="user:7"))

    assert len((await transfers.list()).items) == 4
    assert len(list(office.folder.iterdir())) == 4


async def test_pages_of_transfers_follow_each_other(office: Office):
    transfers = office.open()
    begun = [await transfers.start_export(kind="export-orders", actor="user:7") for _ in range(5)]
    found: list[str] = []
    cursor = None
    while True:
        page = await transfers.list(limit=2, cursor=cursor)
        found += [transfer.id for transfer in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert found == [transfer.id for transfer in reversed(begun)]
    with pytest.raises(CursorInvalid):
        await transfers.list(cursor="elsewhere")


async def test_notes_that_cannot_be_read_and_strange_folders_stop_nobody(office: Office):
    office.folder.mkdir()
    broken, half = office.ids.new(slot=0), office.ids.new(slot=0)
    for name in (broken, half, "notes", "-1"):
        (office.folder / name).mkdir()
    (office.folder / broken / "transfer.json").write_text("{")
    (office.folder / half / "input.part").write_text("slug")

    transfers = office.open()

    assert (await transfers.list()).items == ()
    assert sorted(path.name for path in office.folder.iterdir()) == sorted([broken, "notes", "-1"])


async def test_nothing_runs_before_the_start(office: Office):
    transfers = office.open(start=False)
    begun = await transfers.start_import(content=sent(table(1)), name="a.csv", actor="user:7")
    await asyncio.sleep(0.01)

    assert (await transfers.get(transfer_id=begun.id)).state == "queued"
    assert not isinstance(begun, Fault)
