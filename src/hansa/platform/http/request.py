"""Reading a request: bounded, typed, and refused with a pointer to what is wrong."""

import asyncio
import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, get_type_hints

import msgspec
from msgspec import inspect
from starlette.requests import Request
from starlette.types import Receive

from hansa.kernel.channel import Channel
from hansa.platform.http.errors import (
    BodyInvalid,
    BodyTooLarge,
    CurrencyUnknown,
    KeyInvalid,
    KeyMissing,
    NoSuchRoute,
    NotJson,
    VersionInvalid,
    VersionMissing,
)
from hansa.platform.http.route import Route
from hansa.platform.http.rsgi import Body, BrokenOff

BODY_TIMEOUT_S = 15.0
MOST_DISCARDED = 2 * 1024 * 1024
"""How much of a body that is too large is read and thrown away: a client that is still sending misses the answer."""
LARGEST_LANGUAGES = 200
_AT = re.compile(r" - at `(?:key in )?\$?(.*?)`$")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[([^\]]*)\]")
_KEY = re.compile(r"^[\x21-\x7e]{1,200}$")
_ETAG = re.compile(r'^(?:W/)?"([0-9]{1,18})"$')
_UNDECODABLE = "\ufffd"
"""What the server puts where a path is not UTF-8."""
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""As JSON writes it; after an escaped backslash it is only a text that speaks of it."""


AnyText = Annotated[str, msgspec.Meta(extra={"is_any_text": True})]
"""A field of a query in which any text is answered, as in a search; a NUL character counts as a space."""


async def read_body(request: Request, route: Route) -> Any:
    """The decoded body, or the bytes for a raw route."""
    raw = await _read_bytes(request, route.largest_body)
    if route.is_raw:
        return raw
    content_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise NotJson()
    if b"\\u0000" in raw and _NUL.search(raw):
        raise BodyInvalid(reason="a text must not hold a NUL character")
    try:
        return _decoder(route.body).decode(raw)
    except msgspec.ValidationError as error:
        raise invalid(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BodyInvalid(reason=f"not valid JSON: {error}") from None
    except RecursionError:
        raise BodyInvalid(reason="nested too deeply") from None


async def _read_bytes(request: Request, largest: int) -> bytes:
    stated = request.headers.get("content-length", "0")
    if not stated.isdigit() or len(stated) > 18:
        raise BodyTooLarge(largest_bytes=largest)
    coming = request.receive
    try:
        if isinstance(coming, Body) and coming.is_small:
            body = await coming.whole(timeout_s=BODY_TIMEOUT_S)
        else:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await _joined(coming, most=largest)
    except TimeoutError:
        raise BodyInvalid(reason="the body did not arrive in time") from None
    except BrokenOff:
        raise BodyInvalid(reason="the body broke off") from None
    if len(body) > largest:
        raise BodyTooLarge(largest_bytes=largest)
    return body


async def _joined(receive: Receive, *, most: int) -> bytes:
    """A body that comes in pieces. One that is too large ends somewhere beyond the most that is wanted."""
    chunks: list[bytes] = []
    size = 0
    while size <= most + MOST_DISCARDED:
        message = await receive()
        if message["type"] != "http.request":
            raise BrokenOff
        chunk = message.get("body", b"")
        if size <= most:
            chunks.append(chunk)
        size += len(chunk)
        if not message.get("more_body", False):
            break
    return b"".join(chunks)


@lru_cache(maxsize=1024)
def _decoder(type_: Any) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(type_)


def read_query(request: Request, type_: type[msgspec.Struct]) -> Any:
    """The query string as a struct: of fields that are tuples every value, of others the last."""
    several, free = _lists(type_), _free(type_)
    values: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in free:
            value = value.replace("\0", " ")
        elif "\0" in value:
            raise BodyInvalid(reason="a text must not hold a NUL character")
        values[name] = [*values.get(name, ()), value] if name in several else value
    try:
        return msgspec.convert(values, type_, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(error) from None


def fields_of(type_: type[msgspec.Struct] | None) -> tuple[frozenset[str], bool]:
    """The fields of a query, and whether any of them takes any text."""
    return (frozenset(_fields(type_)), bool(_free(type_))) if type_ is not None else (frozenset(), False)


@lru_cache(maxsize=256)
def _lists(type_: type[msgspec.Struct]) -> frozenset[str]:
    shapes = _fields(type_)
    return frozenset(name for name, shape in shapes.items() if isinstance(shape, inspect.VarTupleType))


@lru_cache(maxsize=256)
def _free(type_: type[msgspec.Struct]) -> frozenset[str]:
    """The fields that take any text."""
    hints = get_type_hints(type_, include_extras=True)
    return frozenset(name for name, hint in hints.items() if hint == AnyText)


def _fields(type_: type[msgspec.Struct]) -> dict[str, inspect.Type]:
    struct = inspect.type_info(type_)
    assert isinstance(struct, inspect.StructType)
    return {
        field.encode_name: field.type.type if isinstance(field.type, inspect.Metadata) else field.type
        for field in struct.fields
    }


def read_path(request: Request, route: Route) -> dict[str, str]:
    """The named parts of the path. What can be no name of anything is not found rather than an error further in."""
    parts = {name: request.path_params[name] for name in route.path_names}
    for value in parts.values():
        if not value or len(value) > 256 or not value.isprintable() or _UNDECODABLE in value:
            raise NoSuchRoute()
    return parts


GUEST = "guest"


def read_key(request: Request, route: Route, *, who: str, fresh: Callable[[], str]) -> str:
    """The Idempotency-Key bound to route and principal, so that no two people's or routes' keys can meet."""
    sent = request.headers.get("idempotency-key")
    if sent is None:
        if route.needs_key:
            raise KeyMissing()
        return fresh()
    if not _KEY.match(sent):
        raise KeyInvalid()
    if who == GUEST and not route.needs_key:
        if not request.path_params:
            return fresh()
        who = f"{GUEST} {request.scope['path']}"  # whoever knows the name of a guest's thing is its owner
    bound = f"{route.verb} {route.path}\x1f{who}\x1f{sent}"
    return hashlib.blake2b(bound.encode(), digest_size=24).hexdigest()


def read_version(request: Request, route: Route) -> int | None:
    """What If-Match names; None for `*` or, where it is not demanded, for nothing."""
    sent = request.headers.get("if-match")
    if sent is None:
        if route.needs_version:
            raise VersionMissing()
        return None
    if sent.strip() == "*":
        return None
    if (match := _ETAG.match(sent.strip())) is None:
        raise VersionInvalid()
    return int(match[1])


def choose_locale(request: Request, channel: Channel) -> str:
    """The best of the channel's locales for the request, else its first."""
    return locale_of(request.headers.get("accept-language", ""), channel)


def locale_of(languages: str, channel: Channel) -> str:
    """The best of the channel's locales for an Accept-Language header (RFC 4647 look-up), else its first."""
    if not languages:
        return channel.locales[0]
    wishes = []
    for part in languages[:LARGEST_LANGUAGES].split(","):
        tag, _, weight = part.partition(";")
        try:
            wished = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if wished > 0:
            wishes.append((-wished, tag.strip().lower()))
    by_name = {locale.lower(): locale for locale in channel.locales}
    for _, tag in sorted(wishes, key=lambda wish: wish[0]):
        while tag:
            if tag in by_name:
                return by_name[tag]
            tag = tag.rpartition("-")[0]
    return channel.locales[0]


def choose_currency(request: Request, channel: Channel) -> str:
    sent = request.query_params.get("currency") if request.scope["query_string"] else None
    if sent is None:
        return channel.currencies[0]
    if sent not in channel.currencies:
        raise CurrencyUnknown(currencies=channel.currencies)
    return sent


def invalid(error: msgspec.ValidationError) -> BodyInvalid:
    text = str(error)
    match = _AT.search(text)
    if match is None:
        return BodyInvalid(reason=text)
    steps = [name or index for name, index in _STEP.findall(match[1])]
    return BodyInvalid(reason=text[: match.start()], pointer="".join(f"/{step}" for step in steps))
