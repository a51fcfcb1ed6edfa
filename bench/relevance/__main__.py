"""`make relevance`: NDCG@10 of the search and of plain BM25 over one field of the same words, side by side."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import tantivy

from bench.relevance import judging
from bench.relevance.judging import Query, ndcg
from hansa.demo import CATALOGUE
from hansa.imports.icecat import read_icecat
from hansa.imports.json_lines import read_json_lines
from hansa.imports.lines import Source
from hansa.imports.rows import Row
from hansa.services.products.contract import ProductDraft
from hansa.services.search.rules import documents, facets
from hansa.services.search.rules.ordering import Choice
from hansa.services.search.rules.words import stems
from hansa.services.search.service.finding import Finding, Request
from hansa.services.search.service.index import ProductIndex
from hansa.services.search.service.spelling import Spelling

ICECAT = Path(__file__).resolve().parents[2] / "tests" / "data" / "icecat" / "products.jsonl.gz"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEAP_BYTES = 50_000_000
Rank = Callable[[Query], Sequence[int]]


def main() -> None:
    catalogues = {"icecat": _drafts(ICECAT, read_icecat), "clothes": clothes()}
    queries = judging.read(catalogues)
    of_plain = plain(catalogues)
    with ours(catalogues) as of_ours:
        scores = {
            (query.group, query.half, query.text): (
                ndcg(of_plain(query), query.grades),
                ndcg(of_ours(query), query.grades),
            )
            for query in queries
        }
    _print(scores, is_long="-v" in sys.argv)


def clothes() -> list[ProductDraft]:
    """The demo's catalogue."""
    return _drafts(CATALOGUE, read_json_lines)


def _drafts(file: Path, reader: Callable[..., Iterator[object]]) -> list[ProductDraft]:
    source = Source(file)
    try:
        return [row.draft for row in reader(source.lines()) if isinstance(row, Row)]
    finally:
        source.close()


@contextmanager
def ours(catalogues: dict[str, list[ProductDraft]]) -> Iterator[Rank]:
    """The search as it is served, without the service around it."""
    with tempfile.TemporaryDirectory() as folder:
        finding = {}
        for shop, drafts in catalogues.items():
            index = ProductIndex(folder=Path(folder) / shop, currencies=("USD",), heap_bytes=HEAP_BYTES)
            tally = facets.Tally()
            for draft in drafts:
                tally.add(documents.leaf_of(draft), documents.choices(draft.attributes))
            index.values.plan = frozenset(tally.plan())
            index.put((_entry(place, draft) for place, draft in enumerate(drafts)), are_new=True)
            index.commit(as_of=NOW, is_complete=True)
            finding[shop] = Finding(index, Spelling(index.words()))

        def rank(query: Query) -> Sequence[int]:
            languages = (query.locale, query.locale, "en")
            request = Request(
                q=query.text,
                locale=query.locale,
                languages=languages,
                currency="USD",
                choice=Choice(),
                sort="relevance",
                limit=judging.DEPTH,
                cursor=None,
            )
            return [product_id - 1 for product_id in finding[query.shop].find(request).ids]

        yield rank


def _entry(place: int, draft: ProductDraft) -> documents.Entry:
    skus = frozenset(variant.sku for variant in draft.variants)
    return documents.entry(product_id=str(place + 1), draft=draft, available=skus, now=NOW)


def plain(catalogues: dict[str, list[ProductDraft]]) -> Rank:
    """BM25, any word will do, over everything that is said of a product."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("text", tokenizer_name="whitespace", index_option="freq")
    builder.add_unsigned_field("place", fast=True)
    schema = builder.build()
    searchers = {}
    for shop, drafts in catalogues.items():
        index = tantivy.Index(schema)
        writer = index.writer(HEAP_BYTES, 1)
        for place, draft in enumerate(drafts):
            document = tantivy.Document()
            document.add_text("text", " ".join(stems(_everything(draft))))
            document.add_unsigned("place", place)
            writer.add_document(document)
        writer.commit()
        index.reload()
        searchers[shop] = index.searcher()

    def rank(query: Query) -> Sequence[int]:
        words = [
            (tantivy.Occur.Should, tantivy.Query.term_query(schema, "text", stem, index_option="freq"))
            for stem in stems(query.text)
        ]
        searcher = searchers[query.shop]
        hits = searcher.search(tantivy.Query.boolean_query(words), limit=judging.DEPTH).hits
        places = searcher.fast_field_values("place", [address for _, address in hits]) if hits else []
        return [int(place) for place in places if place is not None]

    return rank


def _everything(draft: ProductDraft) -> str:
    texts = [part for text in draft.texts.values() for part in (text.name, text.description)]
    categories = [name for level in draft.category for name in level.names.values()]
    options = [value for variant in draft.variants for value in variant.options.values()]
    attributes = [str(value) for value in draft.attributes.values()]
    return " | ".join([*texts, draft.brand or "", *categories, *options, *attributes])


def _print(scores: dict[tuple[str, str, str], tuple[float, float]], *, is_long: bool) -> None:
    if is_long:
        for (group, half, text), (plain, ours) in scores.items():
            print(f"{group:18} {half:5} {plain:6.3f} {ours:6.3f}  {text}")
    print("\nNDCG@10            queries  all: BM25  Hansa   tuned on: BM25  Hansa   held out: BM25  Hansa")
    rows = [(group, half, *both) for (group, half, _), both in scores.items()]
    for group, of_group in groupby(sorted(rows), key=lambda row: row[0]):
        _print_row(group, list(of_group))
    _print_row("all", rows)


def _print_row(name: str, rows: Sequence[tuple[str, str, float, float]]) -> None:
    means = [_means(rows), *(_means([row for row in rows if row[1] == half]) for half in ("tune", "held"))]
    print(f"{name:18} {len(rows):7}  {'           '.join(f'{plain:8.3f} {ours:6.3f}' for plain, ours in means)}")


def _means(rows: Sequence[tuple[str, str, float, float]]) -> tuple[float, float]:
    count = max(len(rows), 1)
    return sum(row[2] for row in rows) / count, sum(row[3] for row in rows) / count


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"({time.monotonic() - began:.0f} s)")
