"""The room of dead letters: events that a service could not digest, to be delivered again or given up."""

from collections.abc import Sequence
from contextlib import suppress

from hansa.platform.outbox.dead_letters import ConsumerGone, DeadLetter, DeadLetters, NoSuchDeadLetter
from hansa.web.admin.lists import PAGE, cursor_of, filter_of, listed
from hansa.web.admin.shell import reason_of, shown
from hansa.web.forms import Form
from hansa.web.pages import Book, Page, Who
from hansa.web.visit import Moved, Shown, Visit

PLACE = "admin/dead-letters"
ONE = f"{PLACE}/{{service}}/{{consumer}}/{{event_id}}"


def pages() -> Sequence[Page]:
    book = Book(who=Who.STAFF)

    @book.personal(PLACE)
    async def letters(visit: Visit) -> Shown:
        service = filter_of(visit, "service")
        services = _services(visit)
        if service not in services:
            service = ""
        page = await _office(visit).list(service=service or None, limit=PAGE, cursor=cursor_of(visit))
        found = listed(visit, page, service=service)
        done = visit.query.get("done", "")
        return await shown(
            visit,
            "dead_letters/list.html",
            list=found,
            services=services,
            done=done if done in ("replayed", "discarded") else "",
        )

    @book.personal(ONE)
    async def letter(visit: Visit, *, service: str, consumer: str, event_id: str) -> Shown:
        found = await _office(visit).get(service=service, consumer=consumer, event_id=event_id)
        return await shown(visit, "dead_letters/detail.html", letter=found, tried=False)

    @book.act(f"{ONE}/replay")
    async def replay(visit: Visit, form: Form, *, service: str, consumer: str, event_id: str) -> Shown | Moved:
        del form
        office = _office(visit)
        try:
            left = await office.replay(service=service, consumer=consumer, event_id=event_id, actor=visit.who.actor)
        except ConsumerGone as error:
            found = await office.get(service=service, consumer=consumer, event_id=event_id)
            return await _refused(visit, found, reason_of(visit, error))
        if left is not None:
            return await _refused(visit, left, visit.say("staff_letter.failed_again"))
        return Moved(to=visit.url(PLACE, done="replayed"))

    @book.act(f"{ONE}/discard")
    async def discard(visit: Visit, form: Form, *, service: str, consumer: str, event_id: str) -> Moved:
        del form
        with suppress(NoSuchDeadLetter):  # sent twice: it is gone
            await _office(visit).discard(service=service, consumer=consumer, event_id=event_id, actor=visit.who.actor)
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


def _services(visit: Visit) -> list[str]:
    """The services that hear events, as far as their contracts tell; the others' letters are in the whole list."""
    return sorted(contract.__name__.lower() for contract in visit.site.clients)
