"""Importing: batches, running again, interruptions, faults, and files of any content."""

import asyncio
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hansa
from hansa.imports import NotImportable, import_products, report_beside
from hansa.imports.lines import LONGEST_LINE
from hansa.kernel.errors import Fault
from tests.imports.conftest import Desk
from tests.imports.stand_ins import Catalogue, Warehouse


def product(number: int, **facts: Any) -> dict[str, Any]:
    return {
        "slug": f"p-{number}",
        "texts": {"en": {"name": f"Product {number}"}},
        "variants": [{"sku": f"P-{number}", "prices": [{"amount": 100 + number, "currency": "USD"}]}],
        **facts,
    }


def lines(*values: Any) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


async def test_json_lines_are_drafts_with_stock(desk: Desk):
    summary = await desk.take(desk.write("a.jsonl", lines(product(1, stock={"P-1": 5}), product(2))))

    assert (summary.rows, summary.created, summary.stock_set, summary.without_category) == (2, 2, 1, 2)
    assert desk.warehouse.pieces == {"P-1": 5}
    assert not desk.report.exists()
    assert desk.refused == []


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz", "A.NDJSON"])
async def test_files_are_known_by_their_names(desk: Desk, name: str):
    content = "slug,sku,name_en\np-1,P-1,Product\n" if "csv" in name else lines(product(1))

    summary = await desk.take(desk.write(name, content))

    assert summary.created == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "Input data was truncated"),
        (b"[1, 2]", "Expected `object`, got `array`"),
        (b"[" * 100_000, "Expected `object`"),
        (b'{"slug": ' + b"[" * 100_000, "recursion"),
        (b'{"slug": "\xff"}', "not UTF-8 (byte 11)"),
        (lines(product(1, colour="red")).encode(), "there is no field 'colour'"),
        (lines(product(1, variants=[])).encode(), "variants: Expected `array` of length >= 1"),
        (lines(product(1, texts={"en": {"name": "NUL \x00"}})).encode(), "NUL"),
        (lines(product(1, texts={"en": {"name": 7}})).encode(), "Expected `str`, got `int`"),
        (lines({"slug": "a"}).encode(), "missing required field `texts`"),
        (lines(product(1, stock={"P-2": 1})).encode(), "Stock is named for P-2"),
        (lines(product(1, stock={"P-1": -1})).encode(), "Expected `int` >= 0"),
        (lines(product(1, status="sold")).encode(), "status: Invalid enum value 'sold'"),
        (b'{"slug": "' + b"x" * LONGEST_LINE + b'"}', f"more than {LONGEST_LINE} bytes"),
    ],
)
async def test_a_bad_line_is_reported_and_its_neighbours_go_in(desk: Desk, line: bytes, reason: str):
    content = lines(product(8)).encode() + b"\n" + line.strip() + b"\n" + lines(product(9)).encode()

    summary = await desk.take(desk.write("a.jsonl", content))

    assert set(desk.catalogue.drafts) == {"p-8", "p-9"}
    assert (summary.rows, summary.created, summary.refused) == (3, 2, 1)
    [(number, _, said)] = desk.refused
    assert number == 3
    assert reason in said
    assert summary.first_refusals[0].reason == said


async def test_what_a_service_refuses_is_reported_with_its_line(desk: Desk):
    desk.catalogue.refusing["p-2"] = "products.sku_taken"
    desk.warehouse.refusing["P-3"] = "inventory.below_reserved"
    content = lines(*(product(number, stock={f"P-{number}": 1}) for number in (1, 2, 3)))

    summary = await desk.take(desk.write("a.jsonl", content))

    assert (summary.created, summary.refused, summary.stock_set, summary.stock_refused) == (2, 1, 1, 1)
    assert desk.refused == [(2, "p-2", "products.sku_taken"), (3, "P-3", "stock: inventory.below_reserved")]
    assert "P-2" not in desk.warehouse.pieces


async def test_large_files_go_in_batches(desk: Desk):
    summary = await desk.take(desk.write("a.jsonl", lines(*map(product, range(450)))))

    assert summary.created == 450
    assert desk.catalogue.sets == [200, 200, 50]


async def test_large_products_go_in_smaller_batches(desk: Desk):
    texts = {"en": {"name": "Long", "description": "x" * 20_000}, "de": {"name": "Lang", "description": "x" * 20_000}}

    await desk.take(desk.write("a.jsonl", lines(*(product(number, texts=texts) for number in range(150)))))

    assert max(desk.catalogue.sets) < 150


async def test_the_same_file_again_changes_nothing_even_after_sales(desk: Desk):
    file = desk.write("a.jsonl", lines(product(1, stock={"P-1": 5}), product(2, stock={"P-2": 5})))
    await desk.take(file)
    desk.warehouse.pieces["P-1"] = 3

    summary = await desk.take(file)

    assert (summary.created, summary.changed, summary.unchanged) == (0, 0, 2)
    assert desk.warehouse.pieces == {"P-1": 3, "P-2": 5}


async def test_the_same_file_again_undoes_no_sales_whatever_was_refused_the_first_time(desk: Desk):
    file = desk.write("a.jsonl", lines(*(product(number, stock={f"P-{number}": 5}) for number in range(450))))
    desk.catalogue.refusing["p-1"] = "products.sku_taken"
    await desk.take(file)
    assert "P-1" not in desk.warehouse.pieces
    desk.warehouse.pieces |= {"P-0": 3, "P-449": 4}

    desk.catalogue.refusing.clear()
    summary = await desk.take(file)

    assert (summary.created, summary.unchanged) == (1, 449)
    assert [desk.warehouse.pieces[sku] for sku in ("P-0", "P-1", "P-2", "P-449")] == [3, 5, 5, 4]


async def test_a_changed_file_changes_what_differs_and_counts_anew(desk: Desk):
    await desk.take(desk.write("a.jsonl", lines(product(1, stock={"P-1": 5}), product(2))))
    desk.warehouse.pieces["P-1"] = 3

    summary = await desk.take(desk.write("a.jsonl", lines(product(1, stock={"P-1": 5}), product(2, brand="New"))))

    assert (summary.changed, summary.unchanged) == (1, 1)
    assert desk.warehouse.pieces == {"P-1": 5}


async def test_an_older_file_brings_the_older_state_back(desk: Desk):
    old = desk.write("old.jsonl", lines(product(1, brand="Old")))
    await desk.take(old)
    await desk.take(desk.write("new.jsonl", lines(product(1, brand="New"))))

    summary = await desk.take(old)

    assert summary.changed == 1
    assert desk.catalogue.drafts["p-1"].brand == "Old"


async def test_a_lost_answer_is_asked_for_again_with_the_same_key(desk: Desk):
    desk.catalogue.lost = 1
    desk.catalogue.faults = 2
    desk.warehouse.faults = 3

    summary = await desk.take(desk.write("a.jsonl", lines(product(1, stock={"P-1": 5}))))

    assert (summary.created, summary.stock_set) == (1, 1)
    assert len(desk.catalogue.answers) == 1


async def test_a_service_that_stays_away_ends_the_import_and_running_again_completes_it(desk: Desk):
    content = lines(*(product(number, stock={f"P-{number}": 1}) for number in range(450)))
    file = desk.write("a.jsonl", content)
    desk.warehouse.faults = 4
    with pytest.raises(Fault):
        await desk.take(file)
    assert (len(desk.catalogue.drafts), len(desk.warehouse.pieces)) == (200, 0)

    summary = await desk.take(file)

    assert (summary.created, summary.unchanged) == (250, 200)
    assert len(desk.warehouse.pieces) == 450


async def test_an_interruption_leaves_whole_batches_and_running_again_completes_them(desk: Desk):
    file = desk.write("a.jsonl", lines(*(product(number, stock={f"P-{number}": 1}) for number in range(1_000))))
    half_way = asyncio.Event()
    put, set_many = desk.catalogue.put_many, desk.warehouse.set_many

    async def slow_put(**arguments: Any) -> Any:
        outcome = await put(**arguments)
        if len(desk.catalogue.drafts) == 400:
            half_way.set()
            await asyncio.sleep(0.05)
        return outcome

    desk.catalogue.put_many = slow_put  # type: ignore[method-assign]
    task = asyncio.create_task(desk.take(file))
    await half_way.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(desk.catalogue.drafts) == len(desk.warehouse.pieces) == 400

    desk.catalogue.put_many, desk.warehouse.set_many = put, set_many  # type: ignore[method-assign]
    summary = await desk.take(file)

    assert (summary.created, summary.unchanged) == (600, 400)
    assert len(desk.warehouse.pieces) == 1_000


@pytest.mark.parametrize("name", ["missing.csv", "a.xlsx", "a", "a.gz"])
async def test_what_is_no_file_of_products_is_said_to_be_none(desk: Desk, name: str):
    if name != "missing.csv":
        desk.write(name, "x")

    with pytest.raises(NotImportable, match=name):
        await desk.take(desk.folder / name)


async def test_the_report_never_takes_the_place_of_the_file(desk: Desk):
    file = desk.write("a.jsonl", lines(product(1)))

    with pytest.raises(NotImportable):
        await import_products(file=file, products=desk.catalogue.client, inventory=desk.warehouse.client, report=file)

    assert file.read_text() == lines(product(1))
    assert report_beside(file) == desk.folder / "a.jsonl.refused.csv"


async def test_the_report_holds_no_formulas(desk: Desk):
    await desk.take(desk.write("a.jsonl", lines({"slug": "=cmd|' /C calc'!A0"})))

    assert desk.refused[0][1].startswith("'=")


async def test_a_broken_gzip_file_is_read_as_far_as_it_goes(desk: Desk):
    packed = gzip.compress(lines(*map(product, range(2_000))).encode())
    file = desk.folder / "a.jsonl.gz"
    file.write_bytes(packed[: len(packed) // 2])

    summary = await desk.take(file)

    assert 0 < summary.created < 2_000
    assert "cannot be read any further" in desk.refused[-1][2]


async def test_progress_is_shown_by_bytes_read(desk: Desk, capsys: pytest.CaptureFixture[str]):
    file = desk.write("a.jsonl", lines(*map(product, range(300))))

    await desk.take(file)
    assert capsys.readouterr().err == ""

    await desk.take(file, show_progress=True)
    assert "100%" in capsys.readouterr().err


FRAGMENTS = [
    *(b"a,", b'"', b"\n", b"\r", b"\x00", b"\xff", b",", b";", b"}", b"[", b"\\ud800", b"1e999", b"\x1f\x8b\x08\x00"),
    b"slug,sku,name_en,stock,price_USD\n",
    b"a,A,Name,1,2.50\n",
    b'{"slug": "a", ',
    b'"texts": {"en": {"name": "x"}}',
    json.dumps(product(1)).encode(),
    gzip.compress(b"slug,sku,name_en\na,A,N\n"),
    b'{"id": "1", "name": "n", "title": "t", "price": 1}\n',
    b'{"id": "2", "name": "n", "title": "", "price": 1, "ean": [1], "attr_n_weight": NaN}\n',
    b'{"id": "3", "name": "n", "title": "t", "price": 1, "attr_t_x": {"a": [1]}, "supplier": "\\u0000"}\n',
    b'{"id": "4", "name": "n", "title": "t", "price": 1, "attr_n_weight": 1e308, "attr_t_type": 7}\n',
]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(b"".join)),
    name=st.sampled_from(["a.csv", "a.jsonl", "a.csv.gz", "a.jsonl.gz", "icecat.jsonl", "icecat.jsonl.gz"]),
    packed=st.booleans(),
)
async def test_no_content_of_a_file_makes_an_import_fail(tmp_path: Path, content: bytes, name: str, packed: bool):
    file = tmp_path / name
    file.write_bytes(gzip.compress(content, 1) if packed and name.endswith(".gz") else content)
    catalogue, warehouse = Catalogue(), Warehouse()

    summary = await import_products(
        file=file,
        products=catalogue.client,
        inventory=warehouse.client,
        format="icecat" if name.startswith("icecat") else "auto",
        report=tmp_path / "report.csv",
        show_progress=False,
    )

    assert summary.rows == summary.created + summary.refused
    assert len(catalogue.drafts) == summary.created


def test_imports_and_the_demo_see_nothing_of_a_service_but_its_contract():
    source = Path(hansa.__file__).parent
    imports = [
        (folder, file.name, module)
        for folder in ("imports", "demo")
        for file in (source / folder).rglob("*.py")
        for module in re.findall(r"^\s*(?:from|import) (hansa\.\S+)", file.read_text(), re.MULTILINE)
    ]

    assert imports
    for folder, file, module in imports:
        allowed = rf"hansa\.(kernel|platform|imports|{folder})(\.\w+)*|hansa\.services\.\w+\.contract"
        assert re.fullmatch(allowed, module), f"{file} imports {module}"
