"""What must hold of all tables: the shard key leads, personal data is declared, migrations make what is declared."""

from collections.abc import Iterator

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from hansa.compose.stored import STORED, Stored
from hansa.platform.database.autogeneration import difference
from hansa.platform.database.tables import COUNT, ID, NAMES, TEXT, field, key, key_by, optional, personal, slot

PERSONAL_WORDS = {"email", "phone", "address", "password", "token", "contact", "surname", "birthday", "ip"}
NOT_THE_THING_ITSELF = ("_hash", "_version")

each = pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored.name)


def not_led_by_slot(metadata: MetaData) -> list[str]:
    """Name what could not be sharded: tables, and keys and unique indexes, that do not begin with `slot`; and foreign
    keys that leave their slot. A primary key may begin with an id, which has the slot in it, if `slot` is next."""
    return [
        name
        for table in metadata.tables.values()
        for name, columns in _shard_keyed(table)
        if [column.rpartition(".")[2] for column in columns][:1] != ["slot"] and not _leads_with_id(table, columns)
    ]


def _leads_with_id(table: Table, columns: list[str]) -> bool:
    """Whether these are the columns of a key that was declared with `key_by`."""
    return (
        columns == table.primary_key.columns.keys()
        and table.columns.keys()[:1] == ["slot"]
        and columns[1:2] == ["slot"]
        and (_is_id(table, columns[0]) or columns[0] == "person")  # most persons are guests' orders, by their ids
    )


def _is_id(table: Table, name: str) -> bool:
    return name.endswith("_id") and isinstance(table.columns[name].type, BigInteger)


def _shard_keyed(table: Table) -> Iterator[tuple[str, list[str]]]:
    yield table.name, table.columns.keys()
    for constraint in sorted(table.constraints, key=lambda constraint: str(constraint.name)):
        if isinstance(constraint, PrimaryKeyConstraint | UniqueConstraint):
            kind = "primary key" if isinstance(constraint, PrimaryKeyConstraint) else "unique"
            yield f"{table.name}: {kind} {constraint.columns.keys()}", constraint.columns.keys()
        if isinstance(constraint, ForeignKeyConstraint):
            targets = [element.target_fullname for element in constraint.elements]
            yield f"{table.name}: foreign key {constraint.column_keys}", list(constraint.column_keys)
            yield f"{table.name}: foreign key to {targets}", targets
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if index.unique:
            yield f"{table.name}: unique index {index.columns.keys()}", index.columns.keys()


def undeclared_personal_data(metadata: MetaData) -> list[str]:
    """Name columns that sound personal and are not `personal(…)`, and those of which it is not said why and how long
    they are kept."""
    wrong = []
    for table in metadata.tables.values():
        for column in table.columns:
            name, said = f"{table.name}.{column.name}", [column.info.get(word) for word in ("purpose", "retention")]
            sounds_personal = not PERSONAL_WORDS.isdisjoint(column.name.split("_"))
            if sounds_personal and not column.name.endswith(NOT_THE_THING_ITSELF) and said == [None, None]:
                wrong.append(f"{name}: not declared as personal")
            elif said != [None, None] and not all((text or "").strip() for text in said):
                wrong.append(f"{name}: no purpose or no retention")
    return wrong


@each
def test_every_table_and_key_leads_with_its_slot(stored: Stored) -> None:
    assert not_led_by_slot(stored.metadata) == []


def test_tables_and_keys_that_do_not_lead_with_a_slot_are_reported() -> None:
    metadata = MetaData(naming_convention=NAMES)
    Table("boxes", metadata, slot(), key("box_id"), Index(None, "box_id"), Index(None, "slot", "box_id", unique=True))
    Table("slotless", metadata, key("box_id"))
    Table("late", metadata, key("box_id"), slot())
    Table("events", metadata, slot(), key("event_id"), key("hearer", TEXT), key_by("event_id", "slot", "hearer"))
    Table("words", metadata, slot(), key("word", TEXT), key_by("word", "slot"))
    Table(
        "labels",
        metadata,
        slot(),
        key("label_id"),
        field("box_id", ID),
        field("box_slot", COUNT),
        field("words", TEXT),
        UniqueConstraint("words"),
        UniqueConstraint("words", "slot"),
        Index(None, "label_id", unique=True),
        Index(None, "label_id", "slot", unique=True),
        ForeignKeyConstraint(["slot", "box_id"], ["boxes.slot", "boxes.box_id"]),
        ForeignKeyConstraint(["box_slot", "box_id"], ["boxes.slot", "boxes.box_id"], name="elsewhere"),
    )

    assert sorted(not_led_by_slot(metadata)) == [
        "labels: foreign key ['box_slot', 'box_id']",
        "labels: unique ['words', 'slot']",
        "labels: unique ['words']",
        "labels: unique index ['label_id', 'slot']",
        "labels: unique index ['label_id']",
        "late",
        "late: primary key ['box_id', 'slot']",
        "slotless",
        "slotless: primary key ['box_id']",
        "words: primary key ['word', 'slot']",
    ]


def test_a_table_without_any_key_is_reported() -> None:
    metadata = MetaData(naming_convention=NAMES)
    Table("heap", metadata, Column("slot", COUNT), field("words", TEXT))

    assert not_led_by_slot(metadata) == ["heap: primary key []"]


@each
def test_personal_data_is_declared_with_purpose_and_retention(stored: Stored) -> None:
    assert undeclared_personal_data(stored.metadata) == []


def test_personal_data_was_declared_at_all() -> None:
    tables = [table for stored in STORED for table in stored.metadata.tables.values()]
    assert {(table.name, column.name) for table in tables for column in table.columns if column.info} >= {
        ("users", "email"),
        ("orders", "contact"),
        ("mails", "contact"),
    }


def test_personal_data_that_is_not_declared_is_reported() -> None:
    metadata = MetaData(naming_convention=NAMES)
    Table(
        "people",
        metadata,
        slot(),
        key("person_id"),
        personal("name", purpose="addressing the person", retention="a year"),
        personal("contact", purpose="writing", retention=""),
        personal("token", purpose=" ", retention="a year"),
        Column("half", Text(), info={"purpose": "to call"}),
        field("phone_number", TEXT),
        optional("email", TEXT),
        field("email_hash", TEXT),
        field("password_hash", TEXT),
        field("password_version", COUNT),
    )

    assert undeclared_personal_data(metadata) == [
        "people.contact: no purpose or no retention",
        "people.token: no purpose or no retention",
        "people.half: no purpose or no retention",
        "people.phone_number: not declared as personal",
        "people.email: not declared as personal",
    ]


@each
def test_migrations_and_tables_agree(stored: Stored) -> None:
    wrong = difference(folder=stored.folder / "migrations", metadata=stored.metadata)
    assert not wrong, f"write one: hansa migration {stored.name} …"


def test_what_no_migration_makes_is_reported() -> None:
    carts = next(stored for stored in STORED if stored.name == "carts")
    metadata = MetaData(naming_convention=NAMES)
    for table in carts.metadata.tables.values():
        table.to_metadata(metadata)
    metadata.tables["carts"].append_column(optional("greeting", TEXT))
    Table("wishes", metadata, slot(), key("wish_id"))
    metadata.remove(metadata.tables["member_carts"])

    said = "\n".join(difference(folder=carts.folder / "migrations", metadata=metadata))

    for words in ("greeting", "create_table('wishes'", "drop_table('member_carts'"):
        assert words in said.replace('"', "'")
