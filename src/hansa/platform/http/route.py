"""How a public route is declared: an async function whose signature is the whole description of its wire.

::

    def routes(carts: Carts) -> list[Route]:
        api = Api("carts")

        @api.put("/carts/{cart}/lines/{sku}", access=ANYONE, calls=Carts.put_line)
        async def put_line(call: Call, *, cart: str, sku: str, body: PutLine) -> Cart:
            \"\"\"Set how many pieces of a sku the cart holds; 0 removes the line.\"\"\"
            return await carts.put_line(key=call.key, cart=cart, sku=sku, quantity=body.quantity, ...)

        return api.routes

Parameters named in the path are given as text; `body` is decoded from JSON and `query` from the query string, each
into its struct; for a `raw` route `body` is `bytes`. What it returns is encoded as JSON.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, get_type_hints

import msgspec

from hansa.kernel.channel import Channel
from hansa.kernel.contract import method_of
from hansa.kernel.errors import BusinessError
from hansa.kernel.principal import STAFF, Principal
from hansa.platform.http.early import EarlyHook

Handler = Callable[..., Awaitable[Any]]
Tags = Callable[[Any], tuple[str, ...]]
"""What an answer depends on, told from the answer."""
LARGEST_BODY = 256 * 1024


class Access(Enum):
    """Who may use a route. Owner checks are the service's: it is given the principal and answers "not found"."""

    ANYONE = "anyone"
    MEMBER = "member"
    STAFF = "staff"


ANYONE, MEMBER, STAFF_ONLY = Access.ANYONE, Access.MEMBER, Access.STAFF


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler knows of its request besides what its signature asks for.

    `key` is never empty: the client's Idempotency-Key bound to route and principal, or a fresh one. All guests are one
    principal; so a guest's key counts only on routes that demand one, where the request itself must be equal too, and
    for the thing that the path names, so that nobody is given another guest's thing because both counted from 1.
    `version` is what If-Match named. `token` is the bearer token as sent.
    """

    principal: Principal | None
    channel: Channel
    locale: str
    currency: str
    key: str
    version: int | None
    remote: str
    token: str
    headers: Mapping[str, str]
    correlation: str

    @property
    def user_id(self) -> str | None:
        return self.principal.user_id if self.principal else None

    @property
    def is_staff(self) -> bool:
        return self.principal is not None and self.principal.has(STAFF)

    @property
    def actor(self) -> str:
        """Who acts, for audit rows and movements."""
        return f"user:{self.principal.user_id}" if self.principal else "guest"


@dataclass(frozen=True, kw_only=True)
class Route:
    """One public route; everything but `handler` is also what OpenAPI says of it."""

    tag: str
    verb: str
    path: str
    access: Access
    handler: Handler
    errors: tuple[type[BusinessError], ...]
    status: int
    needs_key: bool
    needs_version: bool
    is_public_read: bool
    is_raw: bool
    largest_body: int
    name: str
    summary: str
    path_names: tuple[str, ...]
    query: type[msgspec.Struct] | None
    body: Any
    answer: Any
    early: EarlyHook | None = None
    """Turns away who has no chance, before the body is read and anything is asked: hansa.platform.http.early."""
    tags: Tags | None = None
    """What the answers of a public read depend on; without it they are not kept by the shop's own cache."""


class Api:
    """Collects the routes of one service under /api/v1."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.routes: list[Route] = []

    def get(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("GET", path, status=200, **options)

    def post(self, path: str, *, status: int = 201, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("POST", path, status=status, **options)

    def put(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("PUT", path, status=200, **options)

    def patch(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("PATCH", path, status=200, **options)

    def delete(self, path: str, *, status: int = 204, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("DELETE", path, status=status, **options)

    def _route(
        self,
        verb: str,
        path: str,
        *,
        status: int,
        access: Access,
        calls: Callable[..., Any] | tuple[Callable[..., Any], ...] = (),
        errors: tuple[type[BusinessError], ...] = (),
        needs_key: bool = False,
        needs_version: bool = False,
        is_public_read: bool = False,
        is_raw: bool = False,
        largest_body: int = LARGEST_BODY,
        early: EarlyHook | None = None,
        tags: Tags | tuple[str, ...] | None = None,
    ) -> Callable[[Handler], Handler]:
        """`calls` names the contract methods behind the route, whose declared errors become its own.

        `needs_key`: Idempotency-Key is mandatory. `needs_version`: If-Match is mandatory. `is_public_read`: the answer
        is the same for everybody (per channel, locale, currency) and may be cached. `tags`: what such an answer depends
        on, always or told from the answer; it is kept by the shop itself until one of them is told to have changed.
        `early`: see Route.
        """
        if tags is not None and not is_public_read:
            raise TypeError(f"{verb} {path}: only a public read has tags")
        depends = tags if callable(tags) or tags is None else _always(tags)
        methods = calls if isinstance(calls, tuple) else (calls,)
        declared = {error: None for method in methods for error in method_of(method)["errors"]}

        def register(handler: Handler) -> Handler:
            hints = get_type_hints(handler, include_extras=True)
            parameters = set(inspect.signature(handler).parameters) - {"call", "body", "query"}
            in_path = {part[1:-1] for part in path.split("/") if part.startswith("{")}
            if parameters != in_path:
                raise TypeError(f"{verb} {path}: {handler.__name__} takes {parameters}, the path names {in_path}")
            self.routes.append(
                Route(
                    tag=self.tag,
                    verb=verb,
                    path=f"/api/v1{path}",
                    access=access,
                    handler=handler,
                    errors=(*declared, *errors),
                    status=status,
                    needs_key=needs_key,
                    needs_version=needs_version,
                    is_public_read=is_public_read,
                    is_raw=is_raw,
                    largest_body=largest_body,
                    name=handler.__name__,
                    summary=inspect.getdoc(handler) or handler.__name__,
                    path_names=tuple(sorted(in_path)),
                    query=hints.get("query"),
                    body=hints.get("body"),
                    answer=hints.get("return"),
                    early=early,
                    tags=depends,
                )
            )
            return handler

        return register


def _always(tags: tuple[str, ...]) -> Tags:
    return lambda answer: tags
