"""The room of dead letters: found by what one knows of them, and delivered again all at once."""

import html
import re
import sys
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from hansa.kernel.event import Envelope, Event
from hansa.platform.outbox.replaying import Tally
from hansa.services.inventory.events import AvailabilityChanged, ReservationExpired
from hansa.web.admin.dead_letters import COUNTS
from tests.web.admin.conftest import Office, form_of

ROOM = "/en/admin/dead-letters"
MANY = f"{ROOM}/replay"
GOOD = b'{"sku":"HAT","location":"main","is_available":true}'
BAD = b'{"sku":7}'


async def parked(
    office: Office,
    body: bytes = GOOD,
    *,
    error: str = "LookupError: not mended",
    event: type[Event] = AvailabilityChanged,
    service: str = "products",
    consumer: str = "products.availability",
) -> str:
    """The address of a new dead letter."""
    shop = office.shop.shop
    event_id = shop.ids.new(slot=7)
    envelope = Envelope(
        id=event_id,
        type=event.type,
        source="inventory",
        time=shop.clock.now(),
        slot=7,
        aggregate="HAT",
        body=msgspec.Raw(body),
    )
    await shop.inboxes[service, consumer].park(envelope, error=error, attempts=5)
    return f"{ROOM}/{service}/{consumer}/{event_id}"


def linked(text: str) -> set[str]:
    return set(re.findall(rf'href="({ROOM}/[^"/]+/[^"/]+/[0-9]+)"', text))


async def found(office: Office, query: str = "") -> set[str]:
    answer = await office.staff.open(f"{ROOM}{query}")
    assert answer.status == 200
    return linked(answer.text)


async def test_letters_are_found_by_service_consumer_type_and_error(office: Office):
    one = await parked(office, error="Timeout: the DISK is slow")
    other = await parked(office, event=ReservationExpired, service="orders", consumer="orders.expired")

    assert await found(office) == {one, other}
    assert await found(office, "?service=orders") == {other}
    assert await found(office, "?consumer=products.availability") == {one}
    assert await found(office, f"?type={ReservationExpired.type}") == {other}
    assert await found(office, "?error=disk+is") == {one}
    assert await found(office, "?error=disk+is&service=orders") == set()
    assert await found(office, "?service=nobody&consumer=x&type=y") == {one, other}, "what there is not is no filter"


async def test_a_letter_shows_the_route_that_its_event_took(office: Office):
    text = html.unescape((await office.staff.open(await parked(office))).text).replace("<wbr>", "")

    for said in ("inventory", "availability.changed.v1", "products.availability", "LookupError: not mended"):
        assert f">{said}<" in text


async def test_all_that_match_are_delivered_again_and_what_fails_stays(office: Office):
    good = {await parked(office) for _ in range(3)}
    bad = {await parked(office, BAD) for _ in range(2)}
    other = await parked(office, b"{}", event=ReservationExpired, service="orders", consumer="orders.expired")
    page = (await office.staff.open(f"{ROOM}?service=products")).text
    fields = form_of(page, MANY)

    answer = await office.staff.send(MANY, fields)

    assert answer.status == 303
    sent = parse_qs(urlsplit(answer.location).query)
    assert (sent["service"], sent["replayed"], sent["failed"]) == (["products"], ["3"], ["2"])
    text = (await office.staff.open(answer.location)).text
    assert "Took effect: 3. Failed again and still here: 2." in text
    assert linked(text) == bad
    assert await found(office) == bad | {other}
    for path in good:
        assert (await office.staff.open(path)).status == 404


async def test_the_form_sent_twice_does_no_harm(office: Office):
    path = await parked(office, BAD)
    await parked(office)
    fields = form_of((await office.staff.open(ROOM)).text, MANY)

    first = await office.staff.send(MANY, fields)
    second = await office.staff.send(MANY, fields)

    assert "replayed=1&failed=1" in first.location
    assert "replayed=0&failed=1" in second.location
    text = (await office.staff.open(path)).text
    assert ">6<" in text, "the same form counts as one attempt"


async def test_the_same_press_of_a_letters_own_button_says_the_same_again(office: Office):
    path = await parked(office)
    fields = form_of((await office.staff.open(path)).text, f"{path}/replay")

    answers = [await office.staff.send(f"{path}/replay", fields) for _ in range(2)]

    assert [(answer.status, answer.location) for answer in answers] == [(303, f"{ROOM}?done=replayed")] * 2


async def test_many_are_delivered_in_bounded_steps(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.modules["hansa.web.admin.dead_letters"], "MOST_AT_ONCE", 2)
    bad = [await parked(office, BAD) for _ in range(3)]
    for _ in range(2):
        await parked(office)

    first = await office.staff.send(MANY, form_of((await office.staff.open(ROOM)).text, MANY))
    text = (await office.staff.open(first.location)).text
    second = await office.staff.send(MANY, form_of(text, MANY))

    assert "There are more than the 2" in text
    assert "replayed=0&failed=2" in first.location
    assert "replayed=0&failed=2" in second.location, "from the last one on, not the same ones again"
    third = await office.staff.send(MANY, form_of((await office.staff.open(second.location)).text, MANY))
    assert "replayed=1&failed=1" in third.location
    last = await office.staff.send(MANY, form_of((await office.staff.open(third.location)).text, MANY))
    assert "replayed=1" in last.location
    assert await found(office) == set(bad)


async def test_forged_fields_are_as_good_as_none(office: Office):
    path = await parked(office, BAD)

    for query in ("?done=many&replayed=-1&failed=9999999999999", "?since=yesterday", "?cursor=x", "?error=%00"):
        answer = await office.staff.open(f"{ROOM}{query}")
        assert answer.status in (200, 400)
    sent = [("since", "2026-13-45"), ("service", "nobody"), ("error", "no such error")]
    assert "replayed=0&failed=0" in (await office.staff.send(MANY, sent)).location
    assert await found(office) == {path}


@pytest.mark.parametrize(("locale", "said"), [("en", "Took effect: 1."), ("zh", "已生效：1。")])
async def test_it_is_said_in_the_language_of_the_page(office: Office, locale: str, said: str):
    await parked(office)

    answer = await office.staff.send(f"/{locale}/admin/dead-letters/replay", {"key": "k"})

    assert said in (await office.staff.open(answer.location)).text


async def test_only_staff_replay(office: Office):
    path = await parked(office)
    guest = office.pages.visitor()

    answer = await guest.send(MANY, {})

    assert answer.status == 303
    assert "sign-in" in answer.location
    assert await found(office) == {path}


def test_every_count_of_a_replay_is_told():
    assert set(COUNTS) == set(Tally.__struct_fields__)
