"""How a page is declared, and the life of one request for it.

::

    def pages(site: Site) -> list[Page]:
        book = Book()

        @book.public("products/{slug}")
        async def product(visit: Visit, *, slug: str) -> Shown: ...

        @book.act("cart/lines")
        async def put(visit: Visit, form: Form) -> Moved: ...

        return book.pages

A public page is the same for everybody and may be kept by caches; it is not told who is looking. A personal page is,
and is never kept. An act is a form that was sent: only from our own pages.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hansa.kernel.errors import BusinessError, Kind
from hansa.platform.http.observing import Observed
from hansa.platform.http.page_cache import Cacheable
from hansa.platform.http.problems import status_of
from hansa.platform.http.remote import remote_of
from hansa.platform.http.request import choose_locale
from hansa.services.users.contract import NotSignedIn, Users
from hansa.web import headers
from hansa.web.forms import FormInvalid, check_origin, read_form
from hansa.web.site import Site
from hansa.web.visit import MOST_PAIRS, Moved, Shown, Visit, Visitor

log = structlog.get_logger()
SESSION = "session"
CART = "cart"
KNOWN = "known"
"""Says to scripts, which cannot read the other two, that one of them is there; it holds nothing of anybody."""
COOKIE_AGE_S = {SESSION: 30 * 86_400, CART: 90 * 86_400}
LARGEST_COOKIE = 512
LONGEST_NAME = 1_000
OPEN_TO_STAFF = ("sign-in", "sign-out")
"""What stays open during maintenance, besides the staff's own pages."""
Handler = Callable[..., Awaitable[Shown | Moved | Response]]
Problem = Callable[[Visit, int, str], Awaitable[Shown]]
"""A page that says what went wrong: its status, and the error's own words if it has some."""


class Kept(Enum):
    """Who may see the answer."""

    PUBLIC = "public"
    PERSONAL = "personal"


class Who(Enum):
    """Who may use a page. Owner checks are the services'."""

    ANYONE = "anyone"
    MEMBER = "member"
    STAFF = "staff"


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page or act under the language's folder."""

    verb: str
    path: str
    kept: Kept
    who: Who
    reads_form: bool
    handler: Handler
    kept_as: Cacheable | None = None
    """Which requests for a public page may be answered by what was made for another one."""
    problem: Problem | None = None
    """How staff are told what went wrong; everybody else sees the storefront's page."""


class Book:
    """Collects pages; `who` may use them all."""

    def __init__(self, *, who: Who = Who.ANYONE) -> None:
        self._who = who
        self.pages: list[Page] = []

    def public(
        self, path: str, *, fields: Sequence[str] = (), prefix: str = "", is_free: bool = False, is_kept: bool = True
    ) -> Callable[[Handler], Handler]:
        """`fields` and what begins with `prefix` are what the page reads of its query besides the currency; under other
        fields it is never kept. `is_free`: one of them takes any text. Unless `is_kept`, it is made anew each time."""
        kept_as = Cacheable(fields=frozenset({"currency", *fields}), prefix=prefix, is_free=is_free)
        return self._page("GET", path, kept=Kept.PUBLIC, who=Who.ANYONE, kept_as=kept_as if is_kept else None)

    def personal(self, path: str, *, who: Who | None = None) -> Callable[[Handler], Handler]:
        return self._page("GET", path, kept=Kept.PERSONAL, who=who or self._who)

    def act(self, path: str, *, who: Who | None = None, reads_form: bool = True) -> Callable[[Handler], Handler]:
        """A form that was sent. The handler is given it, or reads the request by itself (`reads_form=False`)."""
        return self._page("POST", path, kept=Kept.PERSONAL, who=who or self._who, reads_form=reads_form)

    def _page(
        self,
        verb: str,
        path: str,
        *,
        kept: Kept,
        who: Who,
        reads_form: bool = False,
        kept_as: Cacheable | None = None,
    ) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            page = Page(
                verb=verb, path=path, kept=kept, who=who, reads_form=reads_form, handler=handler, kept_as=kept_as
            )
            self.pages.append(page)
            return handler

        return register


def routes(site: Site, pages: Sequence[Page], observed: Observed) -> list[Route]:
    """The pages as routes under /{locale}/."""
    by_path: dict[str, dict[str, Callable[[Request], Awaitable[Response]]]] = {}
    for page in pages:
        path = f"/{{locale}}/{page.path}"
        by_path.setdefault(path, {})[page.verb] = observed(path, page.verb, _endpoint(site, page), page.kept_as)
    return [Route(path, _dispatched(by_verb), methods=list(by_verb)) for path, by_verb in by_path.items()]


def _dispatched(by_verb: dict[str, Callable[[Request], Awaitable[Response]]]) -> Any:
    async def dispatch(request: Request) -> Response:
        verb = "GET" if request.method == "HEAD" else request.method
        return await by_verb[verb](request)

    return dispatch


def _endpoint(site: Site, page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        locale = request.path_params["locale"]
        if locale not in site.locales or not all(_may_be_name(value) for value in request.path_params.values()):
            return not_found(site, request)
        visit = _visit(site, request, locale)
        if site.is_closed() and page.who is not Who.STAFF and page.path not in OPEN_TO_STAFF:
            return closed(visit)
        try:
            if len(request.query_params.multi_items()) > MOST_PAIRS:
                raise FormInvalid()
            if page.kept is Kept.PERSONAL:
                visit = await _known(visit)
            return await _answer(page, visit)
        except Exception as error:
            return await _refuse(page, visit, error)

    return endpoint


def _may_be_name(text: str) -> bool:
    """Whether a part of an address could name anything; what could not is not asked for."""
    return 0 < len(text) <= LONGEST_NAME and text.isprintable() and "\ufffd" not in text


def _visit(site: Site, request: Request, locale: str) -> Visit:
    asked = request.query_params.get("currency")
    return Visit(
        site=site,
        request=request,
        locale=locale,
        currency=asked if asked in site.channel.currencies else site.default_currency(locale),
        path=request.url.path.removeprefix(f"/{locale}").removeprefix("/"),
    )


async def _answer(page: Page, visit: Visit) -> Response:
    request = visit.request
    names = {name: value for name, value in request.path_params.items() if name != "locale"}
    if page.verb == "GET" and request.query_params.get("currency", visit.currency) != visit.currency:
        return RedirectResponse(visit.elsewhere(), 303)
    if page.kept is Kept.PUBLIC:
        return _finished(visit, await page.handler(visit, **names), page)
    if page.verb == "POST":
        check_origin(request, origins=visit.site.origins(request.headers.get("host", "")))
    if page.who is not Who.ANYONE and visit.who.principal is None:
        if page.verb == "POST":
            return _finished(visit, Moved(to=visit.url("sign-in")), page)
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return _finished(visit, Moved(to=visit.url("sign-in", next=back)), page)
    if page.who is Who.STAFF and not visit.who.is_staff:
        return _finished(visit, Shown(template="error.html", context=_words(visit, 403), status=403), page)
    if page.reads_form:
        outcome = await page.handler(visit, await read_form(request), **names)
    else:
        outcome = await page.handler(visit, **names)
    return _finished(visit, outcome, page)


async def _known(visit: Visit) -> Visit:
    """The visit with who is looking. A session that has ended is taken away."""
    request = visit.request
    token = request.cookies.get(_cookie(visit.site, SESSION), "")[:LARGEST_COOKIE]
    visitor = Visitor(
        token=token,
        cart=request.cookies.get(_cookie(visit.site, CART), "")[:LARGEST_COOKIE],
        remote=remote_of(request),
    )
    if token:
        try:
            visitor.principal = await visit.client(Users).authenticate(token=token)
        except NotSignedIn:
            visitor.token = ""
            visitor.cookies[SESSION] = ""
    return Visit(
        site=visit.site,
        request=request,
        locale=visit.locale,
        currency=visit.currency,
        path=visit.path,
        visitor=visitor,
    )


def _finished(visit: Visit, outcome: Shown | Moved | Response, page: Page) -> Response:
    if isinstance(outcome, Moved):
        response: Response = RedirectResponse(outcome.to, outcome.status)
    elif isinstance(outcome, Shown):
        response = render(visit, outcome)
    else:
        response = outcome
    response.headers.update(headers.of_page(visit.site))
    if page.kept is Kept.PUBLIC and response.status_code < 400:
        if isinstance(outcome, Shown):
            visit.request.state.tags, visit.request.state.kept_s = outcome.tags, outcome.kept_s
        return _cacheable(visit.request, response)
    is_kept = isinstance(outcome, Shown) and outcome.may_go_back
    response.headers.setdefault("cache-control", headers.OWN if is_kept else headers.PRIVATE)
    if visit.visitor:
        _set_cookies(visit, visit.visitor, response)
    return response


def _cacheable(request: Request, response: Response) -> Response:
    etag = f'"{hashlib.blake2b(bytes(response.body), digest_size=12).hexdigest()}"'
    response.headers.setdefault("cache-control", headers.PUBLIC)
    response.headers["etag"] = etag
    if response.status_code == 200 and etag in request.headers.get("if-none-match", ""):
        kept = {name: response.headers[name] for name in ("etag", "cache-control", "content-security-policy")}
        return Response(status_code=304, headers=kept)
    return response


def _set_cookies(visit: Visit, visitor: Visitor, response: Response) -> None:
    """What the page wants kept of its visitor, and the mark that there is anything."""
    sent = visit.request.cookies
    for name, value in visitor.cookies.items():
        _set_cookie(visit.site, response, name, value)
    is_known = any(visitor.cookies.get(name, sent.get(_cookie(visit.site, name))) for name in COOKIE_AGE_S)
    if is_known and (visitor.cookies or KNOWN not in sent):
        age_s = max(COOKIE_AGE_S.values())
        response.set_cookie(KNOWN, "1", max_age=age_s, samesite="lax", secure=visit.site.is_secure)
    elif not is_known and KNOWN in sent:
        response.delete_cookie(KNOWN, samesite="lax", secure=visit.site.is_secure)


def _set_cookie(site: Site, response: Response, name: str, value: str) -> None:
    if value:
        response.set_cookie(
            _cookie(site, name), value, max_age=COOKIE_AGE_S[name], httponly=True, samesite="lax", secure=site.is_secure
        )
    else:
        response.delete_cookie(_cookie(site, name), httponly=True, samesite="lax", secure=site.is_secure)


def _cookie(site: Site, name: str) -> str:
    """The prefix makes browsers refuse the cookie unless it is secure and for this very host."""
    return f"__Host-{name}" if site.is_secure else name


def render(visit: Visit, shown: Shown) -> Response:
    template = visit.site.templates.get_template(shown.template)
    text = template.render(visit=visit, t=visit.say, url=visit.url, is_indexed=shown.is_indexed, **shown.context)
    return Response(text, shown.status, media_type="text/html")


# -- when it goes wrong ---------------------------------------------------------------------------------------------


def not_found(site: Site, request: Request) -> Response:
    """The page for an address that leads nowhere, in the language of the address or of the browser."""
    first = request.url.path.removeprefix("/").partition("/")[0]
    locale = first if first in site.locales else choose_locale(request, site.channel)
    visit = _visit(site, request, locale if locale in site.locales else site.locales[0])
    return _problem(visit, 404)


def closed(visit: Visit) -> Response:
    """The shop is under maintenance."""
    response = render(visit, Shown(template="maintenance.html", status=503))
    response.headers.update({**headers.of_page(visit.site), "cache-control": "no-store", "retry-after": "120"})
    return response


async def _refuse(page: Page, visit: Visit, error: Exception) -> Response:
    if isinstance(error, BusinessError) and error.kind is Kind.UNAUTHENTICATED:
        return RedirectResponse(visit.url("sign-in"), 303)
    status = status_of(error)
    if status >= 500:
        log.exception("page failed", page=page.path, status=status)
    text = visit.say_or(f"errors.{error.code}", "") if isinstance(error, BusinessError) else ""
    if page.problem and visit.visitor and visit.visitor.is_staff:
        return _unkept(visit, await page.problem(visit, status, text))
    return _problem(visit, status, text)


def _problem(visit: Visit, status: int, text: str = "") -> Response:
    return _unkept(visit, Shown(template="error.html", context=_words(visit, status, text), status=status))


def _unkept(visit: Visit, shown: Shown) -> Response:
    response = render(visit, shown)
    response.headers.update({**headers.of_page(visit.site), "cache-control": "no-store"})
    return response


def _words(visit: Visit, status: int, text: str = "") -> dict[str, Any]:
    kind = kind_of(status)
    return {
        "status": status,
        "title": visit.say(f"problem.{kind}.title"),
        "text": text or visit.say(f"problem.{kind}.text"),
    }


def kind_of(status: int) -> str:
    """Which of the texts called `problem.…` tells of a status."""
    return {403: "forbidden", 404: "not_found", 410: "not_found"}.get(status, "busy" if status >= 500 else "refused")
