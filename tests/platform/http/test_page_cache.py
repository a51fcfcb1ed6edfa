"""What is kept of public answers, for whom, and until when."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.requests import Request
from starlette.responses import Response

from hansa.kernel.channel import Channel
from hansa.platform.cache.changes import Changes
from hansa.platform.http import page_cache
from hansa.platform.http.headers import HEADERS
from hansa.platform.http.page_cache import KEPT_S, Cacheable, PageCache, takes_gzip
from hansa.platform.telemetry.logs import correlation
from tests.clocks import ManualClock

LIST = Cacheable(fields=frozenset({"limit", "tag", "currency"}))
SEARCH = Cacheable(fields=frozenset({"q"}), is_free=True)
CHANNEL = Channel(currencies=("USD", "CNY"), locales=("en", "zh"))


class Shop:
    """A route that answers with the number of its calls, and a cache in front of it."""

    def __init__(self, *, largest_bytes: int = 1_000_000) -> None:
        self.clock = ManualClock()
        self.changes = Changes()
        self.is_closed = False
        self.cache = PageCache(
            clock=self.clock,
            changes=self.changes,
            channel=CHANNEL,
            largest_bytes=largest_bytes,
            is_closed=lambda: self.is_closed,
        )
        self.made: list[Request] = []
        self.tags: tuple[str, ...] = ("list",)
        self.status = 200
        self.headers: dict[str, str] = {}
        self.padding = 0
        self.before_answering: Callable[[], Awaitable[None]] | None = None

    async def endpoint(self, request: Request) -> Response:
        self.made.append(request)
        text = f"{len(self.made)} {request.headers.get('accept-language')} {request.url.query}" + "x" * self.padding
        if self.before_answering is not None:
            await self.before_answering()
        request.state.tags = self.tags
        return Response(text, self.status, {"vary": "accept-language", **self.headers}, "text/plain")

    async def ask(
        self, path: str = "/api/v1/tea", query: str = "", kept: Cacheable = LIST, verb: str = "GET", **headers: str
    ) -> Response | None:
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {
            "type": "http",
            "method": verb,
            "path": path,
            "query_string": query.encode(),
            "headers": raw,
            "client": ("1.2.3.4", 5),
            "server": ("shop.example", 80),
            "scheme": "http",
            "path_params": {},
            "state": {"correlation": "abc"},
        }
        return await self.cache.answer(Request(scope), kept, self.endpoint, name="/api/v1/tea")

    async def text(self, *arguments: str, **options: str) -> str:
        response = await self.ask(*arguments, **options)  # type: ignore[arg-type]
        assert response is not None
        return bytes(response.body).decode()


async def test_an_answer_is_made_once_until_something_it_shows_has_changed():
    shop = Shop()
    assert [await shop.text(), await shop.text()] == ["1 en ", "1 en "]

    shop.changes.tell(("else",))
    assert await shop.text() == "1 en "

    shop.changes.tell(("other", "list"))
    assert [await shop.text(), await shop.text()] == ["2 en ", "2 en "]


async def test_what_is_kept_bears_the_headers_that_every_answer_has():
    shop = Shop()
    shop.headers = {"x-frame-options": "SAMEORIGIN"}
    await shop.ask()

    entry = shop.cache.find(shop.cache.key("/api/v1/tea", "", None))

    assert entry is not None
    for accepted in (None, "gzip"):
        for headers in (dict(entry.form(accepted).headers), dict(entry.form(accepted).unchanged)):
            assert headers.items() >= {**HEADERS, "x-frame-options": "SAMEORIGIN"}.items()


async def test_what_anybody_can_make_up_pushes_nothing_else_out():
    shop = Shop(largest_bytes=40_000)
    await shop.text("/api/v1/tea", "limit=5")

    for number in range(200):
        await shop.text("/api/v1/tea", f"tag={number}")
        await shop.text("/api/v1/tea", f"limit={number}&limit=5")
        await shop.text("/api/v1/tea", f"limit=5{'0' * number}&currency=USD")

    made = len(shop.made)
    await shop.text("/api/v1/tea", "limit=5")
    assert len(shop.made) == made


async def test_of_long_headers_only_the_beginning_counts():
    shop = Shop()

    assert shop.cache.key("/api/v1/tea", "", "zh," + "x" * 100_000) == shop.cache.key("/api/v1/tea", "", "zh")


async def test_the_safety_net_is_a_lifetime():
    shop = Shop()
    await shop.text()

    shop.clock.advance(KEPT_S + 0.01)

    assert await shop.text() == "2 en "


async def test_the_key_is_the_address_and_the_language_that_is_chosen_not_the_one_that_is_wished():
    shop = Shop()
    first = await shop.text(accept_language="fr, zh-TW;q=0.5")

    assert first == "1 zh "
    assert await shop.text(accept_language="zh") == first
    assert await shop.text(accept_language="de") == "2 en "
    assert await shop.text("/api/v1/milk", accept_language="zh") == "3 zh "


async def test_one_query_in_several_spellings_is_one_entry():
    shop = Shop()
    first = await shop.text("/api/v1/tea", "limit=5&currency=USD")

    assert first == "1 en currency=USD&limit=5"
    assert await shop.text("/api/v1/tea", "currency=%55SD&limit=5") == first
    assert await shop.text("/api/v1/tea", "limit=6&currency=USD") != first


async def test_several_values_of_a_field_keep_their_order():
    shop = Shop()
    assert await shop.text("/api/v1/tea", "tag=a&tag=b") != await shop.text("/api/v1/tea", "tag=b&tag=a")


@pytest.mark.parametrize(
    "query", ["unknown=1", "limit=5&x=", "limit=%ff", "&".join(["limit=5"] * 40), "limit=" + "5" * 600]
)
async def test_queries_that_anybody_can_make_up_are_not_kept(query: str):
    shop = Shop()
    assert await shop.ask("/api/v1/tea", query) is None
    assert shop.cache.size == 0


async def test_what_is_made_knows_nothing_of_who_asked():
    shop = Shop()
    await shop.ask(cookie="session=secret", authorization="Bearer secret", host="evil.example", accept_language="zh")

    (made,) = shop.made
    assert dict(made.headers) == {"accept-language": "zh"}
    assert made.client is None


@pytest.mark.parametrize(
    ("tags", "status", "headers"),
    [((), 200, {}), (("list",), 404, {}), (("list",), 303, {}), (("list",), 200, {"set-cookie": "a=b"})],
)
async def test_what_bears_no_tags_or_is_no_success_or_personal_is_not_kept(
    tags: tuple[str, ...], status: int, headers: dict[str, str]
):
    shop = Shop()
    shop.tags, shop.status, shop.headers = tags, status, headers

    first, second = await shop.ask(), await shop.ask()

    assert first is not None
    assert second is not None
    assert (first.status_code, first.body[:1], second.body[:1]) == (status, b"1", b"2")
    assert shop.cache.size == 0


async def test_only_reads_are_kept():
    assert await Shop().ask(verb="POST") is None


async def test_many_who_ask_at_once_share_one_filling():
    shop = Shop()
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    shop.before_answering = wait
    asking = [asyncio.create_task(shop.text()) for _ in range(20)]
    await asyncio.sleep(0)
    gate.set()

    assert set(await asyncio.gather(*asking)) == {"1 en "}


async def test_a_late_filling_is_used_once_and_not_kept_and_nobody_who_comes_after_the_change_sees_it():
    shop = Shop()
    gate = asyncio.Event()

    async def wait() -> None:
        if len(shop.made) == 1:
            await gate.wait()

    shop.before_answering = wait
    early = asyncio.create_task(shop.text())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    shop.changes.tell(("list",))
    after = await shop.text()
    gate.set()

    assert (await early, after) == ("1 en ", "2 en ")
    assert await shop.text() == "2 en ", "the late one has not taken the place of the newer one"


async def test_a_filling_that_fails_fails_for_those_who_waited_and_the_next_tries_again():
    shop = Shop()

    async def fail() -> None:
        if len(shop.made) == 1:
            raise ValueError("broken")

    shop.before_answering = fail
    with pytest.raises(ValueError, match="broken"):
        await shop.ask()

    assert await shop.text() == "2 en "


async def test_the_room_is_bounded_and_the_longest_unused_goes_first():
    shop = Shop(largest_bytes=60_000)
    shop.padding = 3_000
    for number in range(30):
        await shop.text("/api/v1/tea", f"limit={number}")
        await shop.text("/api/v1/tea", "limit=0")
        assert shop.cache.size <= 60_000

    made = len(shop.made)
    await shop.text("/api/v1/tea", "limit=0")
    assert len(shop.made) == made, "what is asked for all the time stays"
    await shop.text("/api/v1/tea", "limit=1")
    assert len(shop.made) == made + 1


async def test_free_texts_do_not_drive_out_the_rest():
    shop = Shop(largest_bytes=100_000)
    shop.padding = 3_000
    await shop.text("/api/v1/tea", "limit=1")
    for number in range(100):
        await shop.ask("/api/v1/search", f"q=word{number}", kept=SEARCH)

    made = len(shop.made)
    await shop.text("/api/v1/tea", "limit=1")
    assert len(shop.made) == made


async def test_a_free_text_is_kept_when_it_is_asked_for_again():
    shop = Shop()

    answers = [await shop.ask("/api/v1/search", "q=pot", kept=SEARCH) for _ in range(3)]

    assert [answer.body if answer else None for answer in answers] == [b"1 en q=pot", b"2 en q=pot", b"2 en q=pot"]


async def test_of_free_texts_that_nobody_asks_for_again_nothing_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(page_cache, "MOST_ASKED_ONCE", 10)
    shop = Shop()

    for number in range(50):
        await shop.ask("/api/v1/search", f"q=word{number}", kept=SEARCH)

    assert shop.cache.size == 0
    assert len(shop.cache._asked_once) <= 10


@pytest.mark.parametrize("headers", [{}, {"accept_encoding": "gzip"}, {"if_none_match": "known"}])
async def test_an_answer_that_is_not_kept_has_the_form_that_it_would_have_if_it_were(headers: dict[str, str]):
    shop = Shop()
    shop.padding = 5_000
    shop.headers = {"etag": "known"}
    asked = {"cookie": "session=secret", "accept_language": "zh", **headers}

    once = await shop.ask("/api/v1/search", "q=pot", kept=SEARCH, **asked)
    made = shop.made.pop()
    for _ in range(2):
        kept = await shop.ask("/api/v1/search", "q=pot", kept=SEARCH, **asked)

    assert once is not None
    assert kept is not None
    assert len(shop.made) == 1
    assert (once.status_code, once.body) == (kept.status_code, kept.body)
    for name in ("vary", "etag", "content-encoding", "content-length"):
        assert once.headers.get(name) == kept.headers.get(name), name
    assert dict(made.headers) == {"accept-language": "zh"}, "it is made for nobody in particular"


@pytest.mark.parametrize(("tags", "status"), [((), 200), (("list",), 404)])
async def test_of_a_free_text_what_may_not_be_kept_is_left_as_it_is(tags: tuple[str, ...], status: int):
    shop = Shop()
    shop.tags, shop.status = tags, status

    response = await shop.ask("/api/v1/search", "q=pot", kept=SEARCH, accept_encoding="gzip")

    assert response is not None
    assert (response.status_code, response.headers["vary"]) == (status, "accept-language")


async def test_an_answer_has_a_compressed_form_and_says_on_what_it_depends():
    shop = Shop()
    shop.padding = 5_000
    plain, zipped = await shop.ask(), await shop.ask(accept_encoding="br, gzip;q=0.8")

    assert plain is not None
    assert zipped is not None
    assert "content-encoding" not in plain.headers
    assert zipped.headers["content-encoding"] == "gzip"
    assert len(zipped.body) < len(plain.body) / 10
    assert plain.headers["vary"] == zipped.headers["vary"] == "accept-language, accept-encoding"
    assert zipped.headers["etag"] == f"W/{plain.headers['etag']}", "other bytes, the same content"


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}'])
async def test_whoever_has_it_is_not_sent_it_again(form: str):
    shop = Shop()
    first = await shop.ask()
    assert first is not None

    again = await shop.ask(if_none_match=form.format(first.headers["etag"]))

    assert again is not None
    assert (again.status_code, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert again.headers["vary"] == first.headers["vary"]


async def test_under_maintenance_no_kept_page_is_shown_and_the_api_goes_on():
    shop = Shop()
    await shop.text("/en/tea")
    await shop.text("/api/v1/tea")
    shop.is_closed = True

    assert await shop.ask("/en/tea") is None
    assert await shop.ask("/api/v1/tea") is not None


@pytest.mark.parametrize(
    ("header", "takes"),
    [("gzip", True), ("br, GZIP ; q=0.5", True), ("", False), ("br", False), ("gzip;q=0", False), ("*", False)],
)
def test_who_takes_gzip(header: str, takes: bool):
    assert takes_gzip(header) is takes


async def test_what_is_made_for_the_cache_is_logged_under_the_request_that_had_it_made():
    shop, seen = Shop(), list[str]()

    async def look() -> None:
        seen.append(correlation())

    shop.before_answering = look
    await shop.ask()

    assert seen == ["abc"]
