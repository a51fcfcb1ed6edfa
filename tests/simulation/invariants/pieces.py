"""Pieces: none is lost, none is made up, and each is sold once, by the rows and by the ledger."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import msgspec

from tests.simulation.invariants.evidence import Evidence, RowDict
from tests.simulation.invariants.invariant import Finding, invariant

LIVING = frozenset({"placed", "completed"})
"""Orders in these states were paid for and have their pieces."""
OF_ORDERS = frozenset({"reserved", "released", "sold", "returned"})
"""Lines of the ledger that an order is the reason of."""
COUNTERS = ("on_hand", "reserved", "sold")
_decode = msgspec.json.Decoder().decode


@invariant("pieces.never_below_zero")
def never_below_zero(evidence: Evidence) -> Iterator[Finding]:
    """No level is below zero, and none has more reserved than there is."""
    for row in evidence.rows("inventory", "stock"):
        if not 0 <= row["reserved"] <= row["on_hand"] or row["sold"] < 0:
            yield row["sku"], f"{_counters(row)} at {row['location']}"
    for row in evidence.rows("inventory", "reservation_lines"):
        if row["held"] < 0 or not 0 <= row["returned"] <= row["sold"]:
            held = f"held {row['held']}, sold {row['sold']}, returned {row['returned']}"
            yield row["order_id"], f"{held} of {row['sku']}"


@invariant("pieces.ledger_makes_levels")
def ledger_makes_levels(evidence: Evidence) -> Iterator[Finding]:
    """The ledger has every line once, each leads from one possible level to another, and the last one is the level."""
    levels = {_place(row): row for row in evidence.rows("inventory", "stock")}
    ledgers: dict[tuple[str, str, int], list[RowDict]] = defaultdict(list)
    for row in evidence.rows("inventory", "movements"):
        ledgers[_place(row)].append(row)
    for place in levels.keys() | ledgers.keys():
        lines = sorted(ledgers[place], key=lambda row: row["version"])
        if [row["version"] for row in lines] != list(range(1, len(lines) + 1)):
            yield place[0], f"the ledger's lines are numbered {[row['version'] for row in lines]}"
        on_hand = reserved = sold = 0
        for row in lines:
            on_hand, reserved, sold = on_hand + row["on_hand"], reserved + row["reserved"], sold + row["sold"]
            if not 0 <= reserved <= on_hand or sold < 0:
                made = f"on hand {on_hand}, reserved {reserved}, sold {sold}"
                yield place[0], f"line {row['version']} ({row['kind']}) made {made}"
        level = levels.get(place)
        if level is None:
            yield place[0], f"a ledger without a level at {place[1]}"
        elif (on_hand, reserved, sold, len(lines)) != (*(level[name] for name in COUNTERS), level["version"]):
            ledger = f"on hand {on_hand}, reserved {reserved}, sold {sold}, version {len(lines)}"
            yield place[0], f"the ledger makes {ledger}, and the level is {_counters(level)}, {level['version']}"


@invariant("pieces.conserved")
def conserved(evidence: Evidence) -> Iterator[Finding]:
    """Of each sku and location, received = available + reserved + sold + written off."""
    books: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in evidence.rows("inventory", "movements"):
        kind, change = row["kind"], tuple(row[name] for name in COUNTERS)
        if not _fits(kind, *change):
            yield row["sku"], f"a line of the kind {kind} changes on hand, reserved and sold by {change}"
        if kind in ("received", "written_off"):
            books[row["sku"], row["location"]][kind] += row["on_hand"]
    for row in evidence.rows("inventory", "stock"):
        book = books[row["sku"], row["location"]]
        kept = row["on_hand"] + row["sold"]
        if book["received"] != kept - book["written_off"]:
            counted = f"received {book['received']}, written off {-book['written_off']}"
            yield row["sku"], f"{counted}, and {_counters(row)} at {row['location']}"


@invariant("pieces.none_from_nowhere")
def none_from_nowhere(evidence: Evidence) -> Iterator[Finding]:
    """Of a sku that nobody counted during the run, the pieces of its beginning are there or sold."""
    paths = [operation.path for operation in evidence.operations if operation.verb != "GET"]
    if any("/imports" in path or "/transfers" in path for path in paths):
        return
    counted = {path.partition("?")[0].rpartition("/")[2] for path in paths if path.startswith("/admin/inventory/")}
    there: Counter[str] = Counter()
    for row in evidence.rows("inventory", "stock"):
        there[row["sku"]] += row["on_hand"] + row["sold"]
    for sku, pieces in evidence.received.items():
        if sku not in counted and there[sku] != pieces:
            yield sku, f"{pieces} pieces at the beginning, {there[sku]} on hand or sold at the end"


@invariant("pieces.sold_to_orders")
def sold_to_orders(evidence: Evidence) -> Iterator[Finding]:
    """What is sold is what placed and completed orders have, what came back left out, and what went over the till."""
    statuses = _statuses(evidence)
    bought: Counter[str] = Counter()
    for line in evidence.rows("orders", "order_lines"):
        if statuses.get(line["order_id"]) in LIVING:
            bought[line["sku"]] += line["quantity"] - line["returned"]
    for row in evidence.rows("inventory", "movements"):
        if row["kind"] == "till_sale":
            bought[row["sku"]] += row["sold"]
    sold: Counter[str] = Counter()
    for row in evidence.rows("inventory", "stock"):
        sold[row["sku"]] += row["sold"]
    for sku in sold.keys() | bought.keys():
        if sold[sku] != bought[sku]:
            yield sku, f"{sold[sku]} pieces are sold, and orders have {bought[sku]}"


@invariant("pieces.reservations_end")
def reservations_end(evidence: Evidence) -> Iterator[Finding]:
    """Each reservation came to one end, the one its order came to: sold, or given back and never open again."""
    statuses = _statuses(evidence)
    states = {row["order_id"]: row["state"] for row in evidence.rows("inventory", "reservations")}
    for order_id, state in states.items():
        status = statuses.get(order_id)
        wanted = ("sold",) if status in LIVING else ("released", "refused")
        if state not in wanted:
            yield order_id, f"the reservation is {state}, and the order is {status or 'unknown'}"
    for order_id, status in statuses.items():
        if status in LIVING and order_id not in states:
            yield order_id, f"the order is {status} without a reservation"


@invariant("pieces.held_by_orders")
def held_by_orders(evidence: Evidence) -> Iterator[Finding]:
    """At rest nothing is reserved; an order has what it bought, and one that came to nothing has nothing."""
    statuses = _statuses(evidence)
    has: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in evidence.rows("inventory", "reservation_lines"):
        if row["held"]:
            yield row["order_id"], f"{row['held']} of {row['sku']} are still held"
        pieces = has[row["order_id"], row["sku"]]
        pieces[0] += row["sold"]
        pieces[1] += row["returned"]
    for row in evidence.rows("inventory", "stock"):
        if row["reserved"]:
            yield row["sku"], f"{row['reserved']} are still reserved at {row['location']}"
    wanted = {
        (line["order_id"], line["sku"]): [line["quantity"], line["returned"]]
        for line in evidence.rows("orders", "order_lines")
        if statuses.get(line["order_id"]) in LIVING
    }
    for key in has.keys() | wanted.keys():
        sold, returned = has.get(key, (0, 0))
        if key in wanted and [sold, returned] != wanted[key]:
            yield key[0], f"of {key[1]}, {wanted[key]} are bought and returned, and inventory says {[sold, returned]}"
        if key not in wanted and sold != returned:
            yield key[0], f"{sold - returned} of {key[1]} stay with an order that is {statuses.get(key[0])}"


@invariant("pieces.moved_once")
def moved_once(evidence: Evidence) -> Iterator[Finding]:
    """An order's pieces are sold at most once, and whatever was reserved for it was released or sold once."""
    statuses = _statuses(evidence)
    moved: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    times: Counter[tuple[str, str, str]] = Counter()
    for row in evidence.rows("inventory", "movements"):
        if row["kind"] in OF_ORDERS:
            moved[row["reference"], row["sku"]][row["kind"]] += row["reserved"] or row["sold"]
            times[row["reference"], f"{row['sku']} at {row['location']}", row["kind"]] += 1
    for (reference, sku), sums in moved.items():
        if not reference.isdigit() or int(reference) not in statuses:
            yield reference, f"pieces of {sku} moved for an order that nobody knows"
        reserved, released = sums["reserved"], -sums["released"]
        # A line of the kind `sold` takes from what is reserved; its sum here is what left it.
        sold = -sums["sold"]
        if reserved != released + sold:
            yield reference, f"of {sku}, {reserved} were reserved, {released} released, {sold} sold"
    for (reference, place, kind), number in times.items():
        # Reserved anew by the sale, after the first reservation had expired.
        if number > (2 if kind == "reserved" else 1) and kind != "returned":
            yield reference, f"{place} was {kind} {number} times"
    parts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in evidence.rows("inventory", "reservation_lines"):
        part = parts[str(row["order_id"]), row["sku"]]
        part[0] += row["sold"]
        part[1] += row["returned"]
    for key in parts.keys() | moved.keys():
        sums = moved.get(key, Counter())
        told, known = [-sums["sold"], -sums["returned"]], parts.get(key, [0, 0])
        if told != known:
            yield key[0], f"of {key[1]}, the ledger has {told} sold and returned, the reservation {known}"


@invariant("pieces.refused_for_cause")
def refused_for_cause(evidence: Evidence) -> Iterator[Finding]:
    """A reservation is refused only where less was left than it asked for."""
    for row in evidence.rows("inventory", "reservations"):
        if row["state"] != "refused":
            continue
        fields = _decode(row["refusal"] or "{}").get("fields", {})
        asked = sum(line["quantity"] for line in _decode(row["lines"]) if line["sku"] == fields.get("sku"))
        if not 0 <= fields.get("left", -1) < asked:
            yield row["order_id"], f"{asked} were asked for, and refused with {fields}"


def _statuses(evidence: Evidence) -> dict[int, str]:
    return {row["order_id"]: row["status"] for row in evidence.rows("orders", "orders")}


def _place(row: RowDict) -> tuple[str, str, int]:
    return row["sku"], row["location"], row["bucket"]


def _counters(row: RowDict) -> str:
    return f"on hand {row['on_hand']}, reserved {row['reserved']}, sold {row['sold']}"


def _fits(kind: str, on_hand: int, reserved: int, sold: int) -> bool:
    """Whether a line of the ledger moves the counters that its kind may move."""
    match kind:
        case "received":
            return on_hand >= 0 and reserved == sold == 0
        case "written_off":
            return on_hand < 0 and reserved == sold == 0
        case "reserved":
            return reserved > 0 and on_hand == sold == 0
        case "released":
            return reserved < 0 and on_hand == sold == 0
        case "sold":
            return sold > 0 and on_hand == reserved == -sold
        case "returned":
            return on_hand > 0 and reserved == 0 and sold == -on_hand
        case "till_sale":
            return sold > 0 and reserved == 0 and on_hand == -sold
    return False


CHECKS = (
    never_below_zero,
    ledger_makes_levels,
    conserved,
    none_from_nowhere,
    sold_to_orders,
    reservations_end,
    held_by_orders,
    moved_once,
    refused_for_cause,
)
