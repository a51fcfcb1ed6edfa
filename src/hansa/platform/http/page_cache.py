"""Answers of public reads as ready-made bytes, kept in this process until what they tell of changes.

Only answers that bear tags are kept: whoever answers says what the answer depends on (`product:7`, `home`), and
whoever changes that tells it to `Changes`. What was filled before a change of one of its tags is never shown after it:
an entry bears the number of changes at which its filling began, and is looked at again whenever that number has moved.
So telling a change costs nothing here, and a fill that is late loses.
"""

import gzip
import hashlib
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import Response

from hansa.kernel.channel import Channel
from hansa.kernel.clock import Clock
from hansa.platform.cache.changes import Changes
from hansa.platform.http.headers import finished
from hansa.platform.http.request import LARGEST_LANGUAGES, locale_of
from hansa.platform.resilience.single_flight import Flights
from hansa.platform.telemetry.logs import correlated

LARGEST_BYTES = 32 * 1024 * 1024
FREE_SHARE = 4
"""Answers to free texts, of which anybody can make up any number, get at most one part in four of the room."""
LARGEST_ENTRY = 1024 * 1024
OVERHEAD = 2048
"""Bytes of an entry besides its bodies, roughly."""
MOST_ASKED_ONCE = 8_192
"""Free texts of which it is remembered that somebody asked for them (about 60 bytes each)."""
KEPT_S = 10.0
"""The safety net, and how late a price or banner may be that begins or ends by the clock."""
LONGEST_QUERY = 512
LONGEST_PATH = 512
MOST_FIELDS = 32
LEAST_ZIPPED = 400
"""Smaller bodies gain nothing from being compressed."""
QUERIES_REMEMBERED = 2048
LONGEST_ENCODINGS = 200
_FEW_VALUES = {"category": r"(?s).+", "currency": r"[A-Z]{3}", "limit": r"[1-9][0-9]{0,2}"}
"""The fields, and the spelling of their values, of which there are only so many: what is not one of the few is an
error, which is not kept."""
API = "/api/"

Endpoint = Callable[[Request], Awaitable[Response]]
Headers = list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Cacheable:
    """Which requests of a route may be answered from the cache: those whose query holds nothing but these fields."""

    fields: frozenset[str] = frozenset()
    prefix: str = ""
    """Fields that begin so are known, too."""
    is_free: bool = False
    """Whether a field takes any text, as a search does."""

    def canonical(self, query: str) -> tuple[str, bool] | None:
        """The query in one order and spelling, and whether anybody can make up any number of its kind; None if answers
        to it are not kept."""
        return _canonical(self, query) if len(query) <= LONGEST_QUERY else None


@lru_cache(maxsize=QUERIES_REMEMBERED)
def _canonical(kept: Cacheable, query: str) -> tuple[str, bool] | None:
    if not query:
        return "", kept.is_free
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        return None
    if any(name not in kept.fields and not (kept.prefix and name.startswith(kept.prefix)) for name, _ in pairs):
        return None
    is_common = len(dict(pairs)) == len(pairs) and all(
        name in _FEW_VALUES and re.fullmatch(_FEW_VALUES[name], value) for name, value in pairs
    )
    # Of one field the order may mean something.
    return urlencode(sorted(pairs, key=lambda pair: pair[0])), kept.is_free or not is_common


class Form:
    """One form of an entry: headers and body of a 200, and headers of a 304."""

    __slots__ = ("body", "headers", "unchanged")

    def __init__(self, *, headers: Headers, unchanged: Headers, body: bytes) -> None:
        self.headers = headers
        self.unchanged = unchanged
        self.body = body


class Entry:
    """An answer: plain, and compressed where that is worth while."""

    __slots__ = (
        "_headers",
        "_zipped",
        "etag",
        "is_free",
        "is_page",
        "name",
        "number",
        "plain",
        "size",
        "tags",
        "until",
    )

    def __init__(
        self,
        *,
        response: Response,
        name: str,
        tags: tuple[str, ...],
        number: int,
        is_page: bool,
        is_free: bool,
    ) -> None:
        body = response.body if isinstance(response.body, bytes) else bytes(response.body)
        self.name = name
        self.tags = tags
        self.number = number
        self.until = 0.0
        self.is_free = is_free
        self.is_page = is_page
        self.etag = response.headers.get("etag") or f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        headers = [(key.decode(), value.decode()) for key, value in finished(response)]
        headers = [pair for pair in headers if pair[0] not in ("content-length", "etag", "vary", "x-request-id")]
        headers.append(("vary", varied(response.headers.get("vary", ""))))
        self._headers = headers
        self.plain = _form(headers, self.etag, body)
        # Of an answer to a free text nobody knows whether it is ever asked for again.
        self._zipped = None if is_free else self._compressed()
        self.size = len(body) + len(self._zipped.body if self._zipped else body) + OVERHEAD

    def form(self, accepted: str | None) -> Form:
        """The form for a client that accepts these encodings."""
        if not accepted or not takes_gzip(accepted[:LONGEST_ENCODINGS]):
            return self.plain
        if self._zipped is None:
            self._zipped = self._compressed()
        return self._zipped

    def _compressed(self) -> Form:
        body = self.plain.body
        if len(body) < LEAST_ZIPPED or len(zipped := gzip.compress(body, 6, mtime=0)) >= len(body):
            return self.plain
        return _form([*self._headers, ("content-encoding", "gzip")], f"W/{self.etag}", zipped)

    def response(self, request: Request) -> Response:
        """As a response of the framework, to whoever did not find it at once."""
        form = self.form(request.headers.get("accept-encoding"))
        if self.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=dict(form.unchanged))
        return Response(form.body, 200, dict(form.headers))


def _form(headers: Headers, etag: str, body: bytes) -> Form:
    headers = [*headers, ("etag", etag)]
    unchanged = [pair for pair in headers if pair[0] not in ("content-type", "content-encoding")]
    return Form(headers=[*headers, ("content-length", str(len(body)))], unchanged=unchanged, body=body)


def varied(vary: str) -> str:
    return f"{vary}, accept-encoding" if vary else "accept-encoding"


@lru_cache(maxsize=256)
def takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header (RFC 9110, 12.5.3) allows gzip by name."""
    for part in accepted.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in ("gzip", "x-gzip"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


class _Shelf:
    """Entries in the order of their last use, bounded in bytes."""

    def __init__(self, largest_bytes: int) -> None:
        self.entries: OrderedDict[str, Entry] = OrderedDict()
        self.size = 0
        self._largest = largest_bytes

    def put(self, key: str, entry: Entry) -> None:
        self.drop(key)
        self.entries[key] = entry
        self.size += entry.size
        while self.size > self._largest:
            _, oldest = self.entries.popitem(last=False)
            self.size -= oldest.size

    def drop(self, key: str) -> None:
        if (gone := self.entries.pop(key, None)) is not None:
            self.size -= gone.size


class PageCache:
    """See the module. One for each application, and so for each channel."""

    def __init__(
        self,
        *,
        clock: Clock,
        changes: Changes,
        channel: Channel,
        largest_bytes: int = LARGEST_BYTES,
        is_closed: Callable[[], bool] = lambda: False,
    ) -> None:
        self._monotonic = clock.monotonic
        self._changes = changes
        self._channel = channel
        self.is_closed = is_closed
        """Whether pages must not be shown from here, for the shop is under maintenance."""
        self._common = _Shelf(largest_bytes - largest_bytes // FREE_SHARE)
        self._free = _Shelf(largest_bytes // FREE_SHARE)
        self._flights: Flights[Response | Entry] = Flights()
        self._asked_once: set[int] = set()
        """Hashes of keys; two that share one are kept a request earlier, which does no harm."""
        self.locale_of = lru_cache(maxsize=1024)(lambda languages: locale_of(languages, channel))

    @property
    def size(self) -> int:
        """Bytes that are kept, roughly."""
        return self._common.size + self._free.size

    def key(self, path: str, query: str, languages: str | None) -> str:
        """What an answer depends on. Pages have their language in the path."""
        if path.startswith(API):
            return f"{self.locale_of((languages or '')[:LARGEST_LANGUAGES])} {path}?{query}"
        return f"{path}?{query}"

    def find(self, key: str) -> Entry | None:
        """The entry of a key, if it still holds."""
        shelf = self._common
        entry = shelf.entries.get(key)
        if entry is None:
            shelf = self._free
            entry = shelf.entries.get(key)
            if entry is None:
                return None
        number = self._changes.number
        if entry.number != number:
            if self._changes.is_changed(entry.tags, since=entry.number):
                shelf.drop(key)
                return None
            entry.number = number
        if entry.until < self._monotonic():
            shelf.drop(key)
            return None
        shelf.entries.move_to_end(key)
        return entry

    async def answer(self, request: Request, kept: Cacheable, endpoint: Endpoint, *, name: str) -> Response | None:
        """The answer to a request of a route, kept or made now; None if such a request is none for the cache."""
        path = request.scope["path"]
        canonical = kept.canonical(request.scope["query_string"].decode("latin-1"))
        if canonical is None or len(path) > LONGEST_PATH or request.method not in ("GET", "HEAD"):
            return None
        if self.is_closed() and not path.startswith(API):
            return None
        query, is_free = canonical
        key = self.key(path, query, request.headers.get("accept-language"))
        if (entry := self.find(key)) is not None:
            return entry.response(request)
        if is_free and self._is_first(key):
            return await self._made_once(request, endpoint, query=query, name=name)
        number = self._changes.number

        async def fill() -> Response | Entry:
            return await self._filled(request, endpoint, key=key, query=query, name=name, is_free=is_free)

        # Whoever comes after a change shares no fill that began before it.
        made = await self._flights.share(f"{number} {key}", fill)
        return made.response(request) if isinstance(made, Entry) else _copied(made, request)

    async def close(self) -> None:
        """Break off what is being filled."""
        await self._flights.close()

    def _is_first(self, key: str) -> bool:
        """Whether nobody is known to have asked for this free text before. Most are never asked for again: to keep
        them costs more than it gives, and drives out what is."""
        asked = hash(key)
        if asked in self._asked_once:
            return False
        if len(self._asked_once) >= MOST_ASKED_ONCE:
            self._asked_once.clear()
        self._asked_once.add(asked)
        return True

    async def _filled(
        self, request: Request, endpoint: Endpoint, *, key: str, query: str, name: str, is_free: bool
    ) -> Response | Entry:
        number = self._changes.number
        asked = self._impersonal(request, query)
        with correlated(asked.state.correlation):
            response = await endpoint(asked)
        tags = _tags_of(asked, response)
        if not tags:
            return response
        is_page = not request.scope["path"].startswith(API)
        entry = Entry(response=response, name=name, tags=tags, number=number, is_page=is_page, is_free=is_free)
        if entry.size <= LARGEST_ENTRY and not self._changes.is_changed(tags, since=number):
            entry.until = self._monotonic() + getattr(asked.state, "kept_s", KEPT_S)
            (self._free if is_free else self._common).put(key, entry)
        return entry

    async def _made_once(self, request: Request, endpoint: Endpoint, *, query: str, name: str) -> Response:
        """An answer that is not kept, in the form in which it would be."""
        asked = self._impersonal(request, query)
        response = await endpoint(asked)
        if not (tags := _tags_of(asked, response)):
            return response
        accepted = request.headers.get("accept-encoding", "")
        if takes_gzip(accepted[:LONGEST_ENCODINGS]) or "if-none-match" in request.headers:
            made = Entry(response=response, name=name, tags=tags, number=0, is_page=False, is_free=True)
            return made.response(request)
        response.headers["vary"] = varied(response.headers.get("vary", ""))
        return response

    def _impersonal(self, request: Request, query: str) -> Request:
        """The request with nothing of who sent it: what is made for one is made for all."""
        language = self.locale_of(request.headers.get("accept-language", "")[:LARGEST_LANGUAGES])
        scope = {
            **request.scope,
            "method": "GET",
            "headers": [(b"accept-language", language.encode())],
            "query_string": query.encode("ascii"),
            "client": None,
            "state": {"correlation": request.state.correlation},
        }
        return Request(scope)


def _tags_of(asked: Request, response: Response) -> tuple[str, ...]:
    """What an answer depends on; nothing if it may not be kept."""
    if response.status_code != 200 or "set-cookie" in response.headers:
        return ()
    return tuple(dict.fromkeys(getattr(asked.state, "tags", ())))


def _copied(response: Response, request: Request) -> Response:
    """A response that several wait for, for each of them to add its own headers."""
    etag = response.headers.get("etag")
    if etag and etag in request.headers.get("if-none-match", ""):
        left_out = ("content-length", "content-type")
        return Response(
            status_code=304, headers={name: value for name, value in response.headers.items() if name not in left_out}
        )
    copy = Response(response.body, response.status_code)
    copy.raw_headers = list(response.raw_headers)
    return copy
