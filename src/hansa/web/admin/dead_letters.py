"""The room of dead letters: events that a service could not digest, to be delivered again or given up."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import msgspec

from hansa.platform.outbox.dead_letters import (
    ConsumerGone,
    DeadLetter,
    DeadLetters,
    Hearing,
    NoSuchDeadLetter,
    Wanted,
)
from hansa.platform.outbox.replaying import RATE_PER_S, Tally, choose, replay_all
from hansa.web.admin.lists import PAGE, cursor_of, filter_of, listed
from hansa.web.admin.shell import key_of, reason_of, shown
from hansa.web.forms import Form
from hansa.web.pages import Book, Page, Who
from hansa.web.visit import Moved, Shown, Visit

PLACE = "admin/dead-letters"
ONE = f"{PLACE}/{{service}}/{{consumer}}/{{event_id}}"
MOST_AT_ONCE = 250
"""Letters that one form replays: five seconds, in which a page can be waited for."""
FILTERS = ("service", "consumer", "type", "error")
COUNTS = ("replayed", "failed", "gone", "without_consumer")
LONGEST_NUMBER = 9


def pages() -> Sequence[Page]:
    book = Book(who=Who.STAFF)

    @book.personal(PLACE)
    async def letters(visit: Visit) -> Shown:
        office = _office(visit)
        hearings = await office.hearings()
        filters = _known({name: filter_of(visit, name) for name in FILTERS}, hearings)
        page = await office.list(wanted=_wanted(filters), limit=PAGE, cursor=cursor_of(visit))
        done = visit.query.get("done", "")
        return await shown(
            visit,
            "dead_letters/list.html",
            list=listed(visit, page, **filters),
            choices=_choices(hearings),
            done=done if done in ("replayed", "discarded", "many") else "",
            counts={name: _number(visit.query.get(name, "")) for name in COUNTS},
            since=filter_of(visit, "since") if _moment(filter_of(visit, "since")) else "",
            most=MOST_AT_ONCE,
            rate=int(RATE_PER_S),
        )

    @book.act(f"{PLACE}/replay")
    async def replay_many(visit: Visit, form: Form) -> Moved:
        """The oldest of those that match, and from where on the next ones are."""
        office = _office(visit)
        filters = _known({name: form.get(name) for name in FILTERS}, await office.hearings())
        wanted = _wanted(filters, since=_moment(form.get("since")))
        chosen = await choose(office, wanted=wanted, most=MOST_AT_ONCE)
        tally = await replay_all(
            office,
            chosen.letters,
            key=key_of(visit, form, "dead-letters"),
            actor=visit.who.actor,
            clock=visit.site.clock,
        )
        since = chosen.letters[-1].parked_at.isoformat() if chosen.has_more else ""
        return Moved(to=visit.url(PLACE, **filters, done="many", since=since, **_counts(tally)))

    @book.personal(ONE)
    async def letter(visit: Visit, *, service: str, consumer: str, event_id: str) -> Shown:
        found = await _office(visit).get(service=service, consumer=consumer, event_id=event_id)
        return await shown(visit, "dead_letters/detail.html", letter=found, tried=False)

    @book.act(f"{ONE}/replay")
    async def replay(visit: Visit, form: Form, *, service: str, consumer: str, event_id: str) -> Shown | Moved:
        office = _office(visit)
        try:
            left = await office.replay(
                key=key_of(visit, form, "dead-letter"),
                service=service,
                consumer=consumer,
                event_id=event_id,
                actor=visit.who.actor,
            )
        except ConsumerGone as error:
            found = await office.get(service=service, consumer=consumer, event_id=event_id)
            return await _refused(visit, found, reason_of(visit, error))
        if left is not None:
            return await _refused(visit, left, visit.say("staff_letter.failed_again"))
        return Moved(to=visit.url(PLACE, done="replayed"))

    @book.act(f"{ONE}/discard")
    async def discard(visit: Visit, form: Form, *, service: str, consumer: str, event_id: str) -> Moved:
        with suppress(NoSuchDeadLetter):  # sent twice: it is gone
            await _office(visit).discard(
                key=key_of(visit, form, "dead-letter"),
                service=service,
                consumer=consumer,
                event_id=event_id,
                actor=visit.who.actor,
            )
        return Moved(to=visit.url(PLACE, done="discarded"))

    return book.pages


async def _refused(visit: Visit, letter: DeadLetter, failed: str) -> Shown:
    return await shown(visit, "dead_letters/detail.html", status=409, letter=letter, tried=True, failed=failed)


def _office(visit: Visit) -> DeadLetters:
    """Raises NoSuchDeadLetter where nobody keeps any."""
    office: DeadLetters | None = visit.site.tools.get("dead_letters")
    if office is None:
        raise NoSuchDeadLetter()
    return office


def _choices(hearings: Sequence[Hearing]) -> dict[str, list[str]]:
    """What the filters offer; letters of consumers that are no more are in the whole list."""
    return {
        "service": sorted({hearing.service for hearing in hearings}),
        "consumer": sorted(hearing.consumer for hearing in hearings),
        "type": sorted({hearing.type for hearing in hearings}),
    }


def _known(filters: dict[str, str], hearings: Sequence[Hearing]) -> dict[str, str]:
    """What is none of the choices is as good as none."""
    choices = _choices(hearings)
    return {name: text if text in choices.get(name, (text,)) else "" for name, text in filters.items()}


def _wanted(filters: dict[str, str], *, since: datetime | None = None) -> Wanted:
    chosen = {name: text for name, text in filters.items() if text}
    return msgspec.structs.replace(msgspec.convert(chosen, Wanted), since=since)


def _counts(tally: Tally) -> dict[str, int]:
    return {name: getattr(tally, name) for name in COUNTS}


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER else 0


def _moment(text: str) -> datetime | None:
    """A moment with its offset, or None for what is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
