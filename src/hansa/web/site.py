"""What all pages share: the shop's name and address, the services behind it, its words, templates and assets."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.numbers import get_territory_currencies
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.ext import Extension

from hansa.kernel.channel import Channel
from hansa.kernel.clock import Clock
from hansa.kernel.errors import Fault
from hansa.kernel.ids import Ids
from hansa.web.assets import Assets
from hansa.web.wording import Wording

C = TypeVar("C")
TEMPLATES = Path(__file__).parent / "templates"
_HTMX = re.compile(r"(\s)(hx-[a-z-]+=)")


class ValidAttributes(Extension):
    """Lets templates say `hx-get` and browsers read `data-hx-get`: HTML knows no other attributes of one's own."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return _HTMX.sub(r"\1data-\2", source)


@dataclass(frozen=True, kw_only=True)
class Site:
    """A shop as its pages see it. Services are known by their contracts only, so they may be near or far."""

    name: str
    public_url: str
    """Where the shop is reached from outside, without a slash at the end."""
    is_address_fixed: bool = False
    """Whether that was set, rather than taken from where the process listens."""
    channel: Channel
    clients: Mapping[type, Any]
    clock: Clock
    ids: Ids
    is_closed: Callable[[], bool] = lambda: False
    """Whether the shop is under maintenance."""
    picture_hosts: tuple[str, ...] = ()
    """Hosts besides this one from which pictures may be shown."""
    tools: Mapping[str, Any] = field(default_factory=dict)
    """What staff pages use that is no service: dead letters, transfers."""
    wording: Wording = field(default_factory=Wording)
    assets: Assets = field(default_factory=Assets)
    templates: Environment = field(init=False)

    def __post_init__(self) -> None:
        environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,  # assets are read once, too
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[ValidAttributes],
        )
        environment.globals.update(asset=self.assets.address, site=self)
        environment.globals["icon"] = environment.get_template("parts/icons.html").module.icon  # type: ignore[attr-defined]
        object.__setattr__(self, "templates", environment)

    def client(self, contract: type[C]) -> C:
        """Who answers for a contract. Raises Fault where the shop runs without that service."""
        if contract not in self.clients:
            raise Fault(f"nobody here answers for {contract.__name__}")
        return cast(C, self.clients[contract])

    @property
    def locales(self) -> tuple[str, ...]:
        """The shop's languages in which there are pages."""
        return tuple(locale for locale in self.channel.locales if self.wording.speaks(locale)) or ("en",)

    def origins(self, host: str) -> set[str]:
        """From where forms may come. A shop that was not told its address goes by the one it was asked under."""
        parts = urlsplit(self.public_url)
        own = {f"{parts.scheme}://{parts.netloc}"}
        return own if self.is_address_fixed else {*own, f"http://{host}", f"https://{host}"}

    @property
    def is_secure(self) -> bool:
        return self.public_url.startswith("https://")

    def default_currency(self, locale: str) -> str:
        """The currency of the place where most speakers of the language live, if the shop has it, else its first."""
        for currency in get_territory_currencies(territory_of(locale)):
            if currency in self.channel.currencies:
                return str(currency)
        return self.channel.currencies[0]


def territory_of(locale: str) -> str:
    """The country that CLDR takes for granted with a language: US for en, CN for zh."""
    try:
        parsed = Locale.parse(locale, sep="-")
    except (ValueError, UnknownLocaleError):
        return ""
    return parsed.territory or str(get_global("likely_subtags").get(parsed.language, "")).rpartition("_")[2]
