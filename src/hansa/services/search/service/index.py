"""The index: tantivy's files in a folder, what its numbers mean, and how far it has heard."""

import shutil
from array import array
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

import msgspec
import structlog
import tantivy

from hansa.kernel.clock import from_micros, to_micros
from hansa.services.search.rules.documents import Entry
from hansa.services.search.rules.ordering import falling_key, newest_key, rising_key
from hansa.services.search.rules.synonyms import synonyms
from hansa.services.search.rules.words import LONG_TEXT, stem
from hansa.services.search.service.values import Values

log = structlog.get_logger()

FORMAT = 4
"""To be raised when the schema or what entries say changes: an index of another format is built anew."""
STATE_FILE = "state.json"
VALUES_FILE = "values.json"
INDEX_FOLDER = "tantivy"
HEAP_BYTES = 15_000_000
"""What the writer gathers before it writes a segment; tantivy takes no less."""
BUILDING_HEAP_BYTES = 30_000_000
"""The same while a whole index is built: fewer segments are read faster."""

MOST_FREQUENCIES = 8_192
"""Terms of which it is remembered in how many products they stand (about 150 bytes each)."""

IN_WORDS = "whitespace"
"""Words were made of the text already."""
LONG = "long_text"


class IndexUnusable(Exception):
    """The folder holds no index that this process can read: it must be built anew."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What is noted beside the index after each commit. `as_of` is in microseconds."""

    format: int
    currencies: tuple[str, ...]
    as_of: int
    is_complete: bool
    put_singly: int
    """Products put since the index was built as a whole."""


def schema_of(currencies: Sequence[str]) -> tantivy.Schema:
    """The fields. Only names keep positions, for phrases; numbers stand for paths, brands and values (see Values)."""
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("id", indexed=True, fast=True)
    builder.add_text_field("name", tokenizer_name=IN_WORDS)
    builder.add_text_field("about", tokenizer_name=IN_WORDS, index_option="freq")
    builder.add_text_field("more", tokenizer_name=LONG, index_option="freq")
    for field in ("han", "words", "kind", "head", "code"):
        builder.add_text_field(field, tokenizer_name=IN_WORDS, index_option="basic")
    builder.add_unsigned_field("path", indexed=True)
    builder.add_unsigned_field("category", fast=True)
    builder.add_unsigned_field("brand", indexed=True, fast=True)
    builder.add_unsigned_field("choice", indexed=True, fast=True)
    builder.add_unsigned_field("available", indexed=True)
    builder.add_unsigned_field("unpriced", indexed=True)
    builder.add_unsigned_field("stamp", fast=True)
    builder.add_bytes_field("traits", stored=True)
    for currency in currencies:
        for field in ("price", "rising", "falling", "newest"):
            builder.add_unsigned_field(f"{field}_{currency}", fast=True)
    return builder.build()


class Frequencies:
    """In how many products terms stand, as one searcher sees it; asked once for each term, since asking takes time."""

    def __init__(self, searcher: tantivy.Searcher) -> None:
        self._searcher = searcher
        self._known: dict[tuple[str, str | int], int] = {}

    def of(self, field: str, term: str | int) -> int:
        known = (field, term)
        found = self._known.get(known)
        if found is None:
            if len(self._known) >= MOST_FREQUENCIES:
                self._known.clear()
            found = self._known[known] = int(self._searcher.doc_freq(field, term))
        return found


class ProductIndex:
    """One index in one folder, with one writer. Writing is for one thread at a time, searching for any."""

    def __init__(self, *, folder: Path, currencies: Sequence[str], heap_bytes: int = HEAP_BYTES) -> None:
        """Open what the folder holds, or make an empty index in an empty one. Raises IndexUnusable."""
        self.folder = folder
        self.currencies = tuple(currencies)
        self.schema = schema_of(currencies)
        self.generation = 0
        """Counts commits: what is remembered of searches is of one generation."""
        try:
            (folder / INDEX_FOLDER).mkdir(parents=True, exist_ok=True)
            state = _read(folder / STATE_FILE, State)
            if state is not None and (state.format, state.currencies) != (FORMAT, self.currencies):
                raise IndexUnusable("it is of another format")
            if state is None and any((folder / INDEX_FOLDER).iterdir()):
                raise IndexUnusable("it was never finished")
            self.values = Values.read(folder / VALUES_FILE) if state is not None else Values()
            self._index = tantivy.Index(self.schema, path=str(folder / INDEX_FOLDER))
            self._index.register_tokenizer(LONG, LONG_TEXT)
            self._index.config_reader("manual")
            self._writer = self._index.writer(heap_bytes, 1)
            self._index.reload()
            self.searcher = self._index.searcher()
            self.searcher.search(tantivy.Query.all_query(), limit=1)
        except IndexUnusable:
            raise
        except Exception as error:  # whatever tantivy makes of broken files
            raise IndexUnusable(f"{type(error).__name__}: {error}") from error
        self.as_of: datetime | None = from_micros(state.as_of) if state is not None else None
        self.is_complete = state.is_complete if state is not None else False
        self.put_singly = state.put_singly if state is not None else 0

    @property
    def products(self) -> int:
        return int(self.searcher.num_docs)

    @property
    def segments(self) -> int:
        return int(self.searcher.num_segments)

    def words(self) -> list[tuple[str, int]]:
        """The words of names, brands and categories, and those with synonyms that are said elsewhere; in how many
        products they stand."""
        named = dict(self.searcher.terms_with_prefix("words", ""))
        for word in synonyms().words:
            if word not in named and (count := self.searcher.doc_freq("more", stem(word))):
                named[word] = count
        return list(named.items())

    def stamps(self, product_ids: Sequence[int]) -> dict[int, int]:
        """What the tables held (store.stamp_of) when products were put, by id; those that are not in are left out.
        Raises IndexUnusable."""
        try:
            query = tantivy.Query.term_set_query(self.schema, "id", product_ids)
            hits = self.searcher.search(query, limit=len(product_ids), count=False).hits
            places = [address for _, address in hits]
            if not places:
                return {}
            ids = self.searcher.fast_field_values("id", places)
            stamps = self.searcher.fast_field_values("stamp", places)
        except Exception:
            raise
        except BaseException as error:  # a panic of tantivy is no Exception, and would end whoever compares
            raise IndexUnusable(f"{type(error).__name__}: {error}") from error
        return dict(zip(cast(list[int], ids), cast(list[int], stamps), strict=True))

    def is_sound(self) -> bool:
        """Whether the files can still be read."""
        try:
            found = self.searcher.search(tantivy.Query.all_query(), limit=1, order_by_field="id")
            self.searcher.fast_field_values("id", [address for _, address in found.hits])
            self.searcher.terms_with_prefix("words", "", limit=1)
        except BaseException:  # a panic of tantivy is no Exception
            return False
        return True

    def put(self, entries: Iterable[Entry], *, gone: Iterable[int] = (), are_new: bool = False) -> None:
        """Add products or replace them, and take out those that are gone; to be committed."""
        for product_id in gone:
            self._delete(product_id)
        for entry in entries:
            if not are_new:
                self.put_singly += 1
                self._delete(entry.product_id)
            self._writer.add_document(self._document(entry))

    def _delete(self, product_id: int) -> None:
        # By query: deleting by term finds no number (tantivy 0.27).
        self._writer.delete_documents_by_query(tantivy.Query.term_query(self.schema, "id", product_id))

    def commit(self, *, as_of: datetime, is_complete: bool) -> None:
        """Make what was put durable and visible. The state is noted last: what a crash leaves out is put once more."""
        if self.values.is_changed:
            self.values.is_changed = False
            _write(self.folder / VALUES_FILE, self.values.packed())
        self._writer.commit()
        state = State(
            format=FORMAT,
            currencies=self.currencies,
            as_of=to_micros(as_of),
            is_complete=is_complete,
            put_singly=self.put_singly,
        )
        _write(self.folder / STATE_FILE, msgspec.json.encode(state))
        self._index.reload()
        self.searcher = self._index.searcher()
        self.generation += 1
        self.as_of, self.is_complete = as_of, is_complete

    def settle(self) -> None:
        """Wait until segments are merged; the writer is another one afterwards."""
        self._writer.wait_merging_threads()
        self._writer = self._index.writer(HEAP_BYTES, 1)
        self._index.reload()
        self.searcher = self._index.searcher()
        self.generation += 1

    def close(self) -> None:
        """Let go of the files; nothing is lost but what was not committed."""
        try:
            self._writer.wait_merging_threads()
        except ValueError as error:  # a full disk has ended one of its threads; what was committed is there
            log.warning("the search index was not closed in order", folder=str(self.folder), error=str(error))

    def _document(self, entry: Entry) -> tantivy.Document:
        document = tantivy.Document()
        document.add_unsigned("id", entry.product_id)
        document.add_unsigned("stamp", entry.stamp)
        texts = {
            "name": entry.name,
            "about": entry.about,
            "more": entry.more,
            "han": " ".join(entry.han),
            "words": " ".join(entry.words),
            "kind": " ".join(entry.kinds),
            "head": " ".join(entry.heads),
            "code": " ".join(entry.codes),
        }
        for field, text in texts.items():
            if text:
                document.add_text(field, text)
        self._number(document, entry)
        for place, currency in enumerate(self.currencies):
            amount = entry.prices.get(currency)
            if amount is not None:
                document.add_unsigned(f"price_{currency}", amount)
            else:
                document.add_unsigned("unpriced", place)
            newest = newest_key(entry.product_id, is_priced=amount is not None)
            document.add_unsigned(f"newest_{currency}", newest)
            document.add_unsigned(f"rising_{currency}", rising_key(amount, product_id=entry.product_id))
            document.add_unsigned(f"falling_{currency}", falling_key(amount, product_id=entry.product_id))
        return document

    def _number(self, document: tantivy.Document, entry: Entry) -> None:
        values = self.values
        values.learn(categories=entry.categories, kinds=entry.kinds, heads=entry.heads)
        for path in entry.categories:
            document.add_unsigned("path", values.number("category", "", path))
        if entry.categories:
            document.add_unsigned("category", values.number("category", "", list(entry.categories)[-1]))
        if entry.brand is not None:
            document.add_unsigned("brand", values.number("brand", "", entry.brand))
        attributes = entry.attributes
        if values.plan is not None:
            attributes = tuple(choice for choice in attributes if choice[0] in values.plan)
        traits = [
            values.number("attribute", name, value) for name, value in dict.fromkeys((*entry.options, *attributes))
        ]
        for number in traits:
            document.add_unsigned("choice", number)
        document.add_bytes("traits", array("I", traits).tobytes())
        document.add_unsigned("available", int(entry.is_available))


def remove(folder: Path) -> None:
    """Delete an index that nobody uses any more."""
    shutil.rmtree(folder, ignore_errors=True)


def _read(path: Path, type_: type[State]) -> State | None:
    return msgspec.json.decode(path.read_bytes(), type=type_) if path.exists() else None


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(path)
