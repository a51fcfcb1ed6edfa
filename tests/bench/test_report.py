"""The table, the chart, the page and the file of a run."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import table
from bench.chart import svg
from bench.docs import BEGIN, END, PAGE, NoPlace, filled
from bench.machine import machine
from bench.marks import FIGURES, MARKS, Mark
from bench.results import Law, Results, Rung, read_results, write_results


def results(**series: list[float]) -> Results:
    return Results(mode="full", at="today", series={name.replace("__", "."): of for name, of in series.items()})


def whole() -> Results:
    found = results()
    for mark in MARKS:
        found.series[mark.series] = [mark.limit, mark.limit]
    for series, *_ in FIGURES:
        found.series[series] = [1.5]
    found.ladder = [Rung(connections=n, throughput=100.0 * n, mean_ms=10) for n in (1, 2, 4, 8)]
    found.law = Law(rate=100, contention=0, coherence=0, fitted_to=(1, 2, 8))
    return found


def cells(found: Results, series: str) -> table.Row:
    words = next(mark.words for mark in MARKS if mark.series == series)
    return next(row for row in table.rows(found) if row[0] == words)


@pytest.mark.parametrize(("values", "is_met"), [([3.0, 5.0, 4.0], "yes"), ([3.0, 4.1, 5.0], "NO")])
def test_a_mark_is_held_against_the_median(values: list[float], is_met: str):
    row = cells(results(reads__detail__ratio=values), "reads.detail.ratio")

    assert row[3:] == ("at most 4x", is_met)


def test_more_is_better_where_a_mark_is_the_least():
    assert cells(results(orders__postgres__ratio=[2.0]), "orders.postgres.ratio")[4] == "yes"
    assert cells(results(orders__postgres__ratio=[1.99]), "orders.postgres.ratio")[4] == "NO"


def test_pieces_sold_must_be_right_every_time():
    mark = Mark(series="flash.sold", words="sold", kind="exactly", limit=100)

    assert mark.is_met(results(flash__sold=[100, 100, 100])) is True
    assert mark.is_met(results(flash__sold=[100, 99, 100])) is False


def test_what_was_not_measured_is_neither_met_nor_missed():
    assert cells(results(), "search.per_core")[1:] == ("-", "", "at least 1,500/s", "-")


def test_of_a_part_only_what_was_measured_is_shown():
    found = results(search__per_core=[2_000])
    found.mode = "full-search"

    assert [row[0] for row in table.rows(found)] == ["different searches a second and core, 19,406 products"]


def test_spread_is_shown_of_repetitions_only():
    assert cells(results(search__per_core=[1_000, 2_000, 3_000]), "search.per_core")[1:3] == ("2,000/s", "±50%")
    assert cells(results(search__per_core=[2_000]), "search.per_core")[2] == ""


def test_no_series_is_shown_twice_or_under_the_words_of_another():
    series = [mark.series for mark in MARKS] + [each[0] for each in FIGURES]
    words = [mark.words for mark in MARKS] + [each[1] + each[2] for each in FIGURES]

    assert len(set(series)) == len(series)
    assert len(set(words)) == len(words)


def test_every_line_of_the_table_has_the_same_columns():
    lines = table.markdown(whole()).splitlines()

    assert {line.count("|") for line in lines} == {6}
    assert len(lines) == 2 + len(MARKS) + len(FIGURES)
    assert len(table.text(whole()).splitlines()) == 1 + len(MARKS) + len(FIGURES)


@pytest.mark.parametrize("found", [results(), whole()], ids=["nothing", "everything"])
def test_the_chart_is_well_formed_and_says_what_it_shows(found: Results):
    root = ElementTree.fromstring(svg(found))

    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("aria-label")


def test_the_chart_has_a_bar_for_each_mark_and_a_point_for_each_rung():
    root = ElementTree.fromstring(svg(whole()))

    drawn = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert drawn.count("rect") == 1 + sum(mark.kind != "exactly" for mark in MARKS)
    assert drawn.count("circle") == 4
    assert drawn.count("polyline") == 1


def test_results_take_the_place_of_those_before():
    page = f"# Page\n\n{BEGIN}\nformerly\n{END}\n\nrest\n"

    once = filled(page, whole())

    assert "formerly" not in once
    assert once.startswith("# Page\n")
    assert once.endswith("rest\n")
    assert filled(once, whole()) == once


def test_a_page_without_a_place_is_refused():
    with pytest.raises(NoPlace):
        filled("# Page\n", whole())


def test_the_page_has_its_place():
    text = PAGE.read_text()

    assert text.count(BEGIN) == text.count(END) == 1


def test_what_was_written_is_read_again(tmp_path: Path):
    found = whole()
    found.machine = machine(folder=tmp_path)
    found.wrong.append("a piece too many")

    write_results(found, tmp_path / "new" / "results.json")

    assert read_results(tmp_path / "new" / "results.json") == found


def test_the_machine_is_described_without_names_and_paths(tmp_path: Path):
    import platform

    described = str(machine(folder=tmp_path))

    assert platform.node() not in described
    assert str(tmp_path) not in described
