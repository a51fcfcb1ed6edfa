"""What search engines ask for: robots.txt and the sitemap in all languages; and the way from `/` to a language."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from urllib.parse import quote
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from hansa.kernel.page import CursorInvalid
from hansa.platform.http.request import choose_locale
from hansa.services.products.contract import Category, Products
from hansa.web.headers import PUBLIC
from hansa.web.site import Site

MOST_FILES = 1_000
"""Of the sitemap; each has at most 10,000 products in every language."""
PRIVATE_PATHS = ("account", "admin", "cart", "checkout", "orders", "search", "sign-in", "sign-up", "track", "fragments")
NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
LINKS = 'xmlns:xhtml="http://www.w3.org/1999/xhtml"'


def routes(site: Site) -> list[Route]:
    async def welcome(request: Request) -> Response:
        """To the language the browser prefers."""
        locale = choose_locale(request, site.channel)
        home = f"/{locale if locale in site.locales else site.locales[0]}/"
        return RedirectResponse(home, 302, {"vary": "accept-language", "cache-control": PUBLIC})

    async def robots(request: Request) -> Response:
        hidden = [f"Disallow: /{locale}/{path}" for locale in site.locales for path in PRIVATE_PATHS]
        lines = ["User-agent: *", *hidden, "Disallow: /api/", "", f"Sitemap: {site.public_url}/sitemap.xml", ""]
        return PlainTextResponse("\n".join(lines), headers={"cache-control": PUBLIC})

    async def index(request: Request) -> Response:
        """The list of sitemaps: one for the categories, and as many as the products need."""
        pages = ["sitemap-categories.xml", "sitemap-products.xml"]
        cursor: str | None = None
        for _ in range(MOST_FILES):
            if (cursor := (await site.client(Products).listed(cursor=cursor)).next_cursor) is None:
                break
            pages.append(f"sitemap-products.xml?after={cursor}")
        entries = "".join(f"<sitemap><loc>{escape(f'{site.public_url}/{page}')}</loc></sitemap>" for page in pages)
        return _xml(f"<sitemapindex {NAMESPACE}>{entries}</sitemapindex>")

    async def categories(request: Request) -> Response:
        tree = await site.client(Products).categories(locale=site.locales[0])
        entries = [_entry(site, "")]
        entries += [_entry(site, f"categories/{path}") for path in _paths(tree)]
        return _xml(f"<urlset {NAMESPACE} {LINKS}>{''.join(entries)}</urlset>")

    async def products(request: Request) -> Response:
        try:
            page = await site.client(Products).listed(cursor=request.query_params.get("after") or None)
        except CursorInvalid:
            return Response(status_code=404)
        entries = (_entry(site, f"products/{each.slug}", each.updated_at.date().isoformat()) for each in page.items)
        return _xml(f"<urlset {NAMESPACE} {LINKS}>{''.join(entries)}</urlset>")

    return [
        Route("/", welcome),
        *(Route(f"/{locale}", _to_front(locale)) for locale in site.locales),
        Route("/robots.txt", robots),
        Route("/sitemap.xml", index),
        Route("/sitemap-categories.xml", categories),
        Route("/sitemap-products.xml", products),
    ]


def _to_front(locale: str) -> Callable[[Request], Awaitable[Response]]:
    async def to_front(request: Request) -> Response:
        return RedirectResponse(f"/{locale}/", 308)

    return to_front


def _paths(tree: Sequence[Category]) -> Iterator[str]:
    for category in tree:
        yield category.path
        yield from _paths(category.children)


def _entry(site: Site, path: str, changed: str = "") -> str:
    """A page in every language, each entry naming all of them, as the protocol wants it."""
    addresses = {locale: escape(f"{site.public_url}/{locale}/{quote(path)}") for locale in site.locales}
    links = "".join(
        f'<xhtml:link rel="alternate" hreflang="{locale}" href="{address}"/>' for locale, address in addresses.items()
    )
    dated = f"<lastmod>{changed}</lastmod>" if changed else ""
    return "".join(f"<url><loc>{address}</loc>{dated}{links}</url>" for address in addresses.values())


def _xml(text: str) -> Response:
    return Response(
        f'<?xml version="1.0" encoding="UTF-8"?>{text}', media_type="application/xml", headers={"cache-control": PUBLIC}
    )
