"""Reading forms and links that come from outside: bounded, and never trusted to lead anywhere else."""

import asyncio
import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import ClientDisconnect, Request

from hansa.kernel.errors import BusinessError, Kind

LARGEST_FORM = 256 * 1024
MOST_FIELDS = 2_000
TIMEOUT_S = 15.0
_INSIDE = re.compile(r"^/[A-Za-z0-9._~%!$&'()*+,;=:@?/-]*$(?!\n)")


class FormInvalid(BusinessError, code="pages.form_invalid", kind=Kind.INVALID):
    """What was sent is no form that a page of this shop has."""


class ForeignRequest(BusinessError, code="pages.foreign_request", kind=Kind.FORBIDDEN):
    """The form was not sent from a page of this shop."""


class Form:
    """The fields of a form; each may be there several times."""

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = list(fields)

    def get(self, name: str, default: str = "") -> str:
        """The last value, trimmed."""
        return next((value.strip() for key, value in reversed(self._fields) if key == name), default)

    def raw(self, name: str) -> str:
        """The last value as it was sent: for passwords."""
        return next((value for key, value in reversed(self._fields) if key == name), "")

    def all(self, name: str) -> list[str]:
        return [value.strip() for key, value in self._fields if key == name]

    def number(self, name: str) -> int | None:
        """A whole number of at most nine digits, or None."""
        text = self.get(name)
        return int(text) if re.fullmatch(r"-?[0-9]{1,9}", text, re.ASCII) else None

    def has(self, name: str) -> bool:
        return any(key == name for key, _ in self._fields)

    def items(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)


async def read_form(request: Request, *, largest: int = LARGEST_FORM) -> Form:
    """The fields of an urlencoded form. Raises FormInvalid."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise FormInvalid()
    body = bytearray()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > largest:
                    raise FormInvalid()
    except (TimeoutError, ClientDisconnect):
        raise FormInvalid() from None
    try:
        fields = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise FormInvalid() from None
    if any("\0" in name or "\0" in value for name, value in fields):
        raise FormInvalid()
    return Form((name, value.replace("\r\n", "\n")) for name, value in fields)


def key_of(form: Form, *, what: str, who: str) -> str:
    """The idempotency key of an act: the same for a form that is sent twice, and nobody else's for another act."""
    packed = "\x1f".join((what, who, form.get("key")))
    return hashlib.blake2b(packed.encode(), digest_size=24).hexdigest()


def check_origin(request: Request, *, origins: Collection[str]) -> None:
    """Raises ForeignRequest unless the browser says that the form comes from a page of this shop.

    Browsers name the Origin of every POST, and newer ones say `Sec-Fetch-Site`; a request with neither is not from a
    page. So cached pages need hold no token.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        raise ForeignRequest()
    sent = request.headers.get("origin")
    if sent is None and site is None:
        raise ForeignRequest()
    if sent is not None and sent not in origins:
        raise ForeignRequest()


def inside(path: str, *, default: str) -> str:
    """A path within this shop, or the default: nobody is sent elsewhere by a link that looks like ours."""
    if len(path) > 2000 or not _INSIDE.match(path) or path.startswith("//") or urlsplit(path).netloc:
        return default
    return path
