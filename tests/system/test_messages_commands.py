"""The commands for events: followed, found when they are dead, delivered again and given up, served or not."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from hansa.kernel.clock import SystemClock, to_micros
from hansa.kernel.event import Envelope
from hansa.kernel.ids import Ids
from hansa.services.inventory.events import AvailabilityChanged
from tests.served import Served, pause
from tests.shops import order_body

IDS = Ids(clock=SystemClock())
CONSUMER = "products.availability"
GOOD = {"sku": "NO-SUCH-SKU", "location": "main", "is_available": True}
BAD = {"sku": 7}
LOOKS = 400


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A shop that serves until a test stops it."""
    served = Served(tmp_path_factory.mktemp("commands") / "data")
    served.start()
    yield served
    served.stop()


@pytest.fixture(autouse=True)
def no_letters(shop: Served) -> None:
    with closing(sqlite3.connect(database_of(shop, "products"), timeout=20)) as database, database:
        database.execute("DELETE FROM dead_letters")


def database_of(shop: Served, service: str) -> Path:
    return shop.folder / "databases" / f"{service}.db"


def parked(shop: Served, body: object, *, error: str = "LookupError: not mended") -> str:
    """The event of a new dead letter."""
    now = datetime.now(UTC)
    envelope = Envelope(
        id=IDS.new(slot=7),
        type=AvailabilityChanged.type,
        source="inventory",
        time=now,
        slot=7,
        aggregate="HAT",
        body=msgspec.Raw(msgspec.json.encode(body)),
    )
    packed = msgspec.json.encode(envelope).decode()
    row = (7, int(envelope.id), CONSUMER, packed, error, 8, to_micros(now))
    with closing(sqlite3.connect(database_of(shop, "products"), timeout=20)) as database, database:
        database.execute("INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    return envelope.id


def handled(shop: Served, service: str, consumer: str) -> int:
    """The event that a consumer has handled, once it has."""
    statement = "SELECT event_id FROM inbox WHERE consumer = ?"
    for _ in range(LOOKS):
        with closing(sqlite3.connect(database_of(shop, service), timeout=20)) as database:
            rows = database.execute(statement, (consumer,)).fetchall()
        if rows:
            [[event_id]] = rows
            return int(event_id)
        pause()
    raise AssertionError(f"{consumer} has handled nothing")


def letters(shop: Served, *filters: str) -> set[str]:
    done = shop.run("dead-letters", "list", "--json", *filters)
    assert done.returncode == 0, done.stderr
    return {json.loads(line)["event_id"] for line in done.stdout.splitlines()}


def test_an_order_is_followed_from_its_commit_to_everybody_who_heard_of_it(shop: Served) -> None:
    sku = shop.get("/api/v1/products?limit=1")["items"][0]["variants"][0]["sku"]
    status, order = shop.post("/api/v1/orders", order_body(sku))
    assert status == 201, order
    event_id = handled(shop, "home", "home.order_placed")
    assert handled(shop, "notifications", "notifications.order_placed") == event_id

    done = shop.run("messages", "trace", str(event_id))
    trace = json.loads(shop.run("messages", "trace", str(event_id), "--json").stdout)

    assert done.returncode == 0, done.stderr
    assert f"orders.order_placed.v1 {event_id}" in done.stdout
    assert re.search(r"Z +\+0 ms  committed by orders\n", done.stdout)
    assert re.search(r"Z +\+[\d,]+ ms  handled by home.order_placed\n", done.stdout)
    assert re.search(r"Z +\+[\d,]+ ms  handled by notifications.order_placed\n", done.stdout)
    assert trace["publication"] == "delivered"
    assert {step["consumer"] for step in trace["steps"]} >= {"home.order_placed", "carts.close_ordered"}


def test_an_event_that_there_is_not_is_explained_with_status_1(shop: Served) -> None:
    unknown = shop.run("messages", "trace", IDS.new(slot=9))
    nonsense = shop.run("messages", "trace", "ORDER-1")

    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "nothing is noted of an event" in unknown.stderr
    assert nonsense.returncode == 2


def test_letters_are_listed_and_shown(shop: Served) -> None:
    event_id, other = parked(shop, BAD), parked(shop, BAD, error="Timeout: slow")

    listed = shop.run("dead-letters", "list")
    whole = shop.run("dead-letters", "show", CONSUMER, event_id)
    missing = shop.run("dead-letters", "show", CONSUMER, IDS.new(slot=7))

    assert "2 dead letters" in listed.stdout
    assert f"{CONSUMER}  {event_id}  {AvailabilityChanged.type}  8x  LookupError: not mended" in listed.stdout
    assert "route:       inventory -> inventory, availability.changed.v1 -> products.availability" in whole.stdout
    assert '"sku": 7' in whole.stdout
    assert missing.returncode == 1
    assert letters(shop, "--error", "timeout") == {other}
    assert letters(shop, "--since", "1h", "--consumer", CONSUMER) == {event_id, other}
    assert letters(shop, "--until", "2020-01-01") == set()
    assert letters(shop, "--type", "orders.order_placed.v1") == set()
    assert "1 dead letter and more" in shop.run("dead-letters", "list", "--limit", "1").stdout


def test_letters_are_replayed_by_name_and_by_filter(shop: Served) -> None:
    one, other, bad = parked(shop, GOOD), parked(shop, GOOD), parked(shop, BAD)

    first = shop.run("dead-letters", "replay", CONSUMER, one)
    again = shop.run("dead-letters", "replay", CONSUMER, one)
    dry = shop.run("dead-letters", "replay", "--service", "products", "--dry-run")
    many = shop.run("dead-letters", "replay", "--service", "products", "--rate", "200")
    rest = shop.run("dead-letters", "replay", "--all")

    assert (first.returncode, first.stdout) == (0, "The event has taken effect.\n")
    assert again.returncode == 1
    assert "2 dead letters would be delivered again." in dry.stdout
    assert other in dry.stdout
    assert (many.returncode, many.stdout) == (1, "1 took effect; 1 failed again and stay.\n")
    assert (rest.returncode, rest.stdout) == (1, "1 failed again and stay.\n")
    assert letters(shop) == {bad}


def test_letters_are_discarded_by_name_and_many_only_when_one_means_it(shop: Served) -> None:
    one, other = parked(shop, BAD), parked(shop, BAD)

    first = shop.run("dead-letters", "discard", CONSUMER, one)
    unmeant = shop.run("dead-letters", "discard", "--consumer", CONSUMER)
    assert letters(shop) == {other}
    meant = shop.run("dead-letters", "discard", "--consumer", CONSUMER, "--yes")

    assert (first.returncode, unmeant.returncode, meant.returncode) == (0, 2, 0)
    assert "--yes" in unmeant.stderr
    assert meant.stdout == "Discarded: 1.\n"
    assert letters(shop) == set()


@pytest.mark.parametrize("act", ["replay", "discard"])
@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--yes"],
        [CONSUMER],
        [CONSUMER, "1", "--all"],
        ["--rate", "0", "--all"],
        ["--rate", "fast", "--all"],
        ["--most", "many", "--all"],
        ["--since", "soon", "--all"],
        ["--since", "999999d", "--all"],
    ],
)
def test_what_is_meant_must_be_said(shop: Served, act: str, arguments: list[str]) -> None:
    event_id = parked(shop, GOOD)

    assert shop.run("dead-letters", act, *arguments).returncode == 2
    assert letters(shop) == {event_id}


def test_the_same_is_to_be_had_of_a_shop_that_does_not_serve(shop: Served) -> None:
    good, bad = parked(shop, GOOD), parked(shop, BAD)
    shop.stop()

    assert letters(shop) == {good, bad}
    assert "parked" in shop.run("messages", "trace", bad).stdout.lower()
    assert shop.run("dead-letters", "replay", "--all").returncode == 1
    assert letters(shop) == {bad}
    assert re.search(rf"replayed for {CONSUMER} by command", shop.run("messages", "trace", good).stdout)


def test_a_folder_without_a_shop_is_refused_and_left_alone(tmp_path: Path) -> None:
    nowhere = Served(tmp_path / "nowhere")

    assert nowhere.run("dead-letters", "list").returncode == 2
    assert nowhere.run("dead-letters", "replay", "--all").returncode == 2
    assert nowhere.run("dead-letters", "discard", "--all", "--yes").returncode == 2
    assert nowhere.run("follow-key").returncode == 2
    assert nowhere.run("messages", "trace", IDS.new(slot=9)).returncode == 2
    assert not nowhere.folder.exists()
