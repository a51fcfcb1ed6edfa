"""`hansa dead-letters`: events that could not be digested, seen, delivered again, or given up."""

import argparse
import re
import secrets
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from tqdm import tqdm

from hansa.cli.answers import Refusal, complain, say
from hansa.cli.opening import clients
from hansa.kernel.clock import SystemClock
from hansa.platform.messaging.port import service_of
from hansa.platform.outbox.dead_letters import ConsumerGone, DeadLetter, DeadLetters, NoSuchDeadLetter, Wanted
from hansa.platform.outbox.replaying import MOST, RATE_PER_S, Chosen, Tally, choose, replay_all
from hansa.settings import Settings

ACTOR = "command"
"""Who did it, in the audit trail: whoever may use the data folder."""
LISTED = 50
FASTEST = 1000.0
_AGO = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def add_to(commands: Any) -> None:
    letters = commands.add_parser("dead-letters", help="events that could not be digested")
    acts = letters.add_subparsers(required=True, metavar="ACT")
    listing = acts.add_parser("list", help="see them, the latest first")
    _add_filters(listing)
    listing.add_argument("--limit", type=_count, default=LISTED, help=f"at most so many ({LISTED})")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    listing.set_defaults(act=_list)
    show = acts.add_parser("show", help="see one whole")
    _add_letter(show, how_many=None)
    show.add_argument("--json", action="store_true")
    show.set_defaults(act=_show)
    replay = acts.add_parser("replay", help="deliver one again, or all that match; harmless when done twice")
    _add_letter(replay, how_many="*")
    _add_many(replay)
    replay.add_argument("--rate", type=_rate, default=RATE_PER_S, help=f"so many a second ({RATE_PER_S:g})")
    replay.set_defaults(act=_replay)
    discard = acts.add_parser("discard", help="give one up, or with --yes all that match")
    _add_letter(discard, how_many="*")
    _add_many(discard)
    discard.add_argument("--yes", action="store_true", help="yes, all of them")
    discard.set_defaults(act=_discard)


def _add_letter(parser: Any, *, how_many: str | None) -> None:
    if how_many is None:
        parser.add_argument("consumer_name", metavar="CONSUMER", help="such as home.order_placed")
        parser.add_argument("event_id", metavar="EVENT_ID")
    else:
        parser.add_argument(
            "letter", nargs=how_many, metavar="CONSUMER EVENT_ID", help="one letter; without, all that match"
        )


def _add_many(parser: Any) -> None:
    _add_filters(parser)
    parser.add_argument("--all", action="store_true", help="all that there are, without a filter")
    parser.add_argument("--most", type=_count, default=MOST, help=f"at most so many, the oldest first ({MOST})")
    parser.add_argument("--dry-run", action="store_true", help="only say which")


def _add_filters(parser: Any) -> None:
    parser.add_argument("--service", help="of the consumer")
    parser.add_argument("--consumer")
    parser.add_argument("--type", help="of the event, such as orders.order_placed.v1")
    parser.add_argument("--error", help="a part of the error")
    parser.add_argument(
        "--since", type=_moment, metavar="WHEN", help="parked since 2027-01-31T12:00Z, or 30m, 2h, 7d ago"
    )
    parser.add_argument("--until", type=_moment, metavar="WHEN", help="parked before that")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
        raise argparse.ArgumentTypeError("must be a whole number, 1 or more")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0
    if not 0 < rate <= FASTEST:
        raise argparse.ArgumentTypeError(f"must be a number, more than 0 and at most {FASTEST:g}")
    return rate


def _moment(text: str) -> datetime:
    try:
        if ago := _AGO.fullmatch(text):
            return SystemClock().now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text} is neither a moment nor so long ago") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _wanted(options: argparse.Namespace) -> Wanted:
    return Wanted(
        service=options.service,
        consumer=options.consumer,
        type=options.type,
        error=options.error,
        since=options.since,
        until=options.until,
    )


async def _list(settings: Settings, options: argparse.Namespace) -> int:
    async with clients(settings, only_asks=True) as client:
        shown, has_more = await _latest(client(DeadLetters), _wanted(options), options.limit)
    for letter in shown:
        say(msgspec.json.encode(letter).decode() if options.json else _line(letter))
    if not options.json:
        say(_counted(len(shown)) + (f" and more; --limit shows more than {options.limit}" if has_more else ""))
    return 0


async def _latest(letters: DeadLetters, wanted: Wanted, limit: int) -> tuple[list[DeadLetter], bool]:
    found: list[DeadLetter] = []
    cursor: str | None = None
    while len(found) <= limit:
        page = await letters.list(wanted=wanted, limit=min(limit + 1, 100), cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    return found[:limit], len(found) > limit


async def _show(settings: Settings, options: argparse.Namespace) -> int:
    name = _named(options.consumer_name, options.event_id)
    async with clients(settings, only_asks=True) as client:
        try:
            letter = await client(DeadLetters).get(**name)
        except NoSuchDeadLetter as error:
            return _missing(error)
    say(msgspec.json.encode(letter).decode() if options.json else "\n".join(_whole(letter)))
    return 0


async def _replay(settings: Settings, options: argparse.Namespace) -> int:
    """0 when every letter has had its effect, 1 when some were not found or failed again."""
    key = _fresh_key()
    one = _one(options)
    async with clients(settings, only_asks=options.dry_run, makes_shop=False) as client:
        letters = client(DeadLetters)
        if one is not None:
            return await _replay_one(letters, one, key=key, is_dry=options.dry_run)
        chosen = await choose(letters, wanted=_wanted(options), most=options.most)
        if options.dry_run:
            return _would(chosen.letters, chosen.has_more, "delivered again")
        with tqdm(total=len(chosen.letters), unit=" letters", desc="replay", file=sys.stderr, disable=None) as bar:
            tally = await replay_all(
                letters,
                chosen.letters,
                key=key,
                actor=ACTOR,
                clock=SystemClock(),
                rate_per_s=options.rate,
                tell=lambda tally: bar.update(tally.done - bar.n),
            )
    say(_told(tally) + _more(chosen, options))
    return 1 if tally.failed or tally.without_consumer else 0


async def _replay_one(letters: DeadLetters, one: dict[str, str], *, key: str, is_dry: bool) -> int:
    try:
        if is_dry:
            return _would([await letters.get(**one)], False, "delivered again")
        left = await letters.replay(key=key, actor=ACTOR, **one)
    except (NoSuchDeadLetter, ConsumerGone) as error:
        return _missing(error)
    if left is None:
        say("The event has taken effect.")
        return 0
    say(f"It failed again, and stays: {left.error}")
    return 1


async def _discard(settings: Settings, options: argparse.Namespace) -> int:
    """0 when every letter is gone, 1 when one was not found."""
    key = _fresh_key()
    one = _one(options)
    if one is None and not (options.yes or options.dry_run):
        raise Refusal("all that match would be given up for good: say --yes, or look first with --dry-run")
    async with clients(settings, only_asks=options.dry_run, makes_shop=False) as client:
        letters = client(DeadLetters)
        if one is not None:
            try:
                if options.dry_run:
                    return _would([await letters.get(**one)], False, "discarded")
                await letters.discard(key=key, actor=ACTOR, **one)
            except NoSuchDeadLetter as error:
                return _missing(error)
            say("Discarded: the event will never have its effect there.")
            return 0
        chosen = await choose(letters, wanted=_wanted(options), most=options.most)
        if options.dry_run:
            return _would(chosen.letters, chosen.has_more, "discarded")
        discarded = await _discard_all(letters, chosen.letters, key=key)
    say(f"Discarded: {discarded:,}." + _more(chosen, options))
    return 0


async def _discard_all(letters: DeadLetters, chosen: Sequence[DeadLetter], *, key: str) -> int:
    discarded = 0
    for letter in chosen:
        try:
            await letters.discard(key=key, actor=ACTOR, **_named(letter.consumer, letter.event_id))
        except NoSuchDeadLetter:
            continue
        discarded += 1
    return discarded


def _one(options: argparse.Namespace) -> dict[str, str] | None:
    """The letter that is named, or None where there are filters."""
    has_filters = options.all or _wanted(options) != Wanted()
    if len(options.letter) == 2 and not has_filters:
        return _named(*options.letter)
    if options.letter or not has_filters:
        raise Refusal("name one letter by its consumer and event, or say with filters or --all which ones are meant")
    return None


def _named(consumer: str, event_id: str) -> dict[str, str]:
    return {"service": service_of(consumer), "consumer": consumer, "event_id": event_id}


def _fresh_key() -> str:
    return f"dead-letters {secrets.token_hex(8)}"


def _missing(error: Exception) -> int:
    complain(error.title() if isinstance(error, NoSuchDeadLetter | ConsumerGone) else str(error))
    return 1


def _would(letters: Sequence[DeadLetter], has_more: bool, what: str) -> int:
    for letter in letters:
        say(_line(letter))
    say(f"{_counted(len(letters))} would be {what}" + (", and there are more." if has_more else "."))
    return 0


def _more(chosen: Chosen, options: argparse.Namespace) -> str:
    """How to go on behind what was done: those that failed again would only be chosen once more."""
    if not chosen.has_more:
        return ""
    latest = chosen.letters[-1].parked_at.isoformat()
    return f" There are more than {options.most}: go on with --since {latest}"


def _counted(number: int) -> str:
    return "No dead letters" if not number else "1 dead letter" if number == 1 else f"{number:,} dead letters"


def _told(tally: Tally) -> str:
    """What became of them, without what became of none."""
    parts = [
        (tally.replayed, "took effect"),
        (tally.failed, "failed again and stay"),
        (tally.without_consumer, "can only be discarded, since nothing takes such events any more"),
        (tally.gone, "were done with by somebody else"),
    ]
    told = "; ".join(f"{count:,} {words}" for count, words in parts if count)
    return f"{told}." if told else "No dead letters match."


def _line(letter: DeadLetter) -> str:
    parked = letter.parked_at.strftime("%Y-%m-%d %H:%M:%SZ")
    error = " ".join(letter.error.split())[:160]
    return f"{parked}  {letter.consumer}  {letter.event_id}  {letter.type}  {letter.attempts}x  {error}"


def _whole(letter: DeadLetter) -> Iterator[str]:
    facts = {
        "event": f"{letter.type} {letter.event_id}",
        "about": f"{letter.aggregate}, version {letter.version}",
        "happened": letter.time.isoformat(),
        "route": f"{letter.source} -> {letter.address}, {letter.routing_key} -> {letter.consumer}",
        "parked": f"{letter.parked_at.isoformat()}, after {letter.attempts} attempts",
        "correlation": letter.correlation,
        "error": letter.error,
    }
    for name, text in facts.items():
        if text:
            yield f"{name + ':':<13}{text}"
    yield letter.body
