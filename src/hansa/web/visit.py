"""One request for a page: in which language and currency, by whom, and what is answered."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from babel.core import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal
from starlette.requests import Request

from hansa.kernel.ids import Ids
from hansa.kernel.money import Money, decimals
from hansa.kernel.principal import STAFF, Principal
from hansa.platform.files.names import Sources, sources
from hansa.platform.http.page_cache import KEPT_S
from hansa.web.site import Site

C = TypeVar("C")
MOST_PAIRS = 100
"""Of an address: every chosen filter is written into the page several times."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A page to be rendered."""

    template: str
    context: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    is_indexed: bool = True
    may_go_back: bool = False
    """Whether the visitor's own browser may keep it: else the way back to what a form has answered with ends there."""
    tags: tuple[str, ...] = ()
    """What a public page depends on; without them it is made anew each time."""
    kept_s: float = KEPT_S
    """How long it may be kept if none of them changes: shorter where it changes by the clock."""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Another page to be looked at instead; after a form, so that it is not sent again."""

    to: str
    status: int = 303


@dataclass(kw_only=True)
class Visitor:
    """Who is looking, as their cookies say. Public pages never have one: they are the same for everybody."""

    principal: Principal | None = None
    token: str = ""
    cart: str = ""
    remote: str = ""
    cookies: dict[str, str] = field(default_factory=dict)
    """Cookies to set with the answer; an empty one is taken away."""

    @property
    def member(self) -> str | None:
        return self.principal.user_id if self.principal else None

    @property
    def is_staff(self) -> bool:
        return self.principal is not None and self.principal.has(STAFF)

    @property
    def actor(self) -> str:
        """Who acts, for audit rows and movements: as the API names them."""
        return f"user:{self.member}" if self.member else "guest"


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A request and everything that a page needs to know of it."""

    site: Site
    request: Request
    locale: str
    currency: str
    path: str
    """The page's path without its language, such as `products/wool-beret`."""
    visitor: Visitor | None = None

    @property
    def who(self) -> Visitor:
        assert self.visitor is not None, "a public page asked who is looking"
        return self.visitor

    @property
    def ids(self) -> Ids:
        return self.site.ids

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query_params

    def client(self, contract: type[C]) -> C:
        return self.site.client(contract)

    # -- words ---------------------------------------------------------------------------------------------------

    def say(self, key: str, **values: Any) -> str:
        return self.site.wording.say(self.locale, key, **values)

    def say_or(self, key: str, default: str) -> str:
        return self.site.wording.find(self.locale, key) or default

    def value(self, value: object) -> str:
        """A value of an option or attribute as people read it: from the texts where they know it."""
        if isinstance(value, bool):
            return self.say("common.yes" if value else "common.no")
        if isinstance(value, int | float):
            return self.number(value)
        return self.say_or(f"value.{value}", str(value))

    @property
    def babel(self) -> Locale:
        return Locale.parse(self.locale, sep="-")

    def money(self, money: Money) -> str:
        exact = Decimal(money.amount).scaleb(-decimals(money.currency))
        return format_currency(exact, money.currency, locale=self.babel)

    def number(self, number: int | float) -> str:
        return format_decimal(number, locale=self.babel)

    def date(self, moment: datetime) -> str:
        return format_date(moment, format="long", locale=self.babel)

    def moment(self, moment: datetime) -> str:
        """Date and time, in UTC: pages are the same wherever they are rendered."""
        return f"{format_datetime(moment, format='medium', locale=self.babel)} UTC"

    def country(self, code: str) -> str:
        return str(self.babel.territories.get(code, code))

    def language(self, locale: str) -> str:
        """A language's own name; its code where nobody knows one."""
        try:
            return (Locale.parse(locale, sep="-").get_display_name() or locale).capitalize()
        except (ValueError, UnknownLocaleError):
            return locale

    # -- pictures ------------------------------------------------------------------------------------------------

    def sources(self, picture: str | None) -> Sources | None:
        """The forms of a picture of this shop."""
        return sources(picture) if picture else None

    def any_picture(self, items: Iterable[Any]) -> bool:
        """Whether any of a list of things has a picture to be shown: a list without one is set closer."""
        return any(item.image is not None and self.may_show(item.image.url) for item in items)

    def may_show(self, picture: str) -> bool:
        """Whether browsers are allowed to load a picture: of this shop, or of a host that the settings name."""
        return picture.startswith("/") or urlsplit(picture).netloc in self.site.picture_hosts

    # -- addresses -----------------------------------------------------------------------------------------------

    def url(self, path: str = "", /, **query: Any) -> str:
        """A page of this shop in this language, and in the chosen currency where that is not the language's own."""
        return self._address(self.locale, path, self.currency, query)

    def elsewhere(self, *, locale: str | None = None, currency: str | None = None) -> str:
        """This very page in another language or currency. A currency that was not chosen follows the language."""
        if locale and currency is None and self.currency == self.site.default_currency(self.locale):
            currency = self.site.default_currency(locale)
        pairs = self.request.query_params.multi_items()
        kept = [pair for pair in pairs if pair[0] != "currency"] if len(pairs) <= MOST_PAIRS else []
        return self._address(locale or self.locale, self.path, currency or self.currency, kept)

    def with_pairs(self, pairs: Iterable[tuple[str, str]]) -> str:
        """This page with other fields in its address."""
        kept = [(name, value) for name, value in pairs if name != "currency"]
        return self._address(self.locale, self.path, self.currency, kept)

    def absolute(self, *, locale: str | None = None, path: str | None = None, **query: Any) -> str:
        """The address to be told to search engines: in the language's own currency."""
        locale = locale or self.locale
        address = self._address(locale, self.path if path is None else path, self.site.default_currency(locale), query)
        return f"{self.site.public_url}{address}"

    def _address(self, locale: str, path: str, currency: str, query: Any) -> str:
        pairs = list(query.items()) if isinstance(query, dict) else list(query)
        pairs = [(name, value) for name, value in pairs if value not in (None, "")]
        if currency != self.site.default_currency(locale):
            pairs.append(("currency", currency))
        return f"/{locale}/{quote(path, safe='/-._~')}" + (f"?{urlencode(pairs, doseq=True)}" if pairs else "")
