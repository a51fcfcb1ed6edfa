"""What may be asked of home, and every way home may say no."""

from datetime import datetime
from typing import Annotated, Literal, Protocol

import msgspec

from hansa.kernel.channel import MAIN
from hansa.kernel.contract import Key, command, query
from hansa.kernel.errors import BusinessError, Kind
from hansa.kernel.ids import Id
from hansa.kernel.money import Currency, Money

MOST_ITEMS = 12
"""Of each row of products on the front page."""
MOST_CATEGORIES = 120
"""On the front page, of both levels together; those with most products."""
MOST_BANNERS = 12

Locale = Annotated[str, msgspec.Meta(max_length=35, pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$(?!\n)")]
PictureUrl = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^(https?://|/)[^\s<>\"'\\]+$(?!\n)")]
"""An address on the web or of this shop; nothing that a browser would run."""
InternalPath = Annotated[
    str, msgspec.Meta(max_length=300, pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*(\?[A-Za-z0-9_.~=&%+-]+)?$(?!\n)")
]
"""A page of this shop without its language, such as `categories/tops` or `products/wool-beret`: nothing elsewhere."""
Tone = Literal["light", "dark", "accent"]
"""What a banner's text stands on: a light ground, a dark one, or the colour of the shop."""


class BannersInvalid(BusinessError, code="home.banners_invalid", kind=Kind.UNPROCESSABLE):
    """The banners contradict themselves; `reason` says how, in English."""

    reason: str


class BannersChanged(BusinessError, code="home.banners_version_conflict", kind=Kind.PRECONDITION_FAILED):
    """Somebody changed the banners since they were read."""

    version: int


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture, with the alternative text in the language asked for."""

    url: str
    alt: str = ""


class Banner(msgspec.Struct, frozen=True, kw_only=True):
    """An announcement in one language. The picture decorates: it says nothing that the text does not."""

    title: str
    text: str
    image: str | None
    """The picture's address."""
    link: str
    """A page of the shop without its language, such as `categories/tops`."""
    link_label: str
    tone: Tone


class FrontItem(msgspec.Struct, frozen=True, kw_only=True):
    """A product in a row of the front page.

    The prices are the lowest and the highest of its variants at this moment, for a quantity of one; None where no
    variant has one in the currency asked for. `tax_included` belongs to the lowest.
    """

    id: Id
    slug: str
    name: str
    brand: str | None
    image: Picture | None
    price_from: Money | None
    price_to: Money | None
    tax_included: bool
    available: bool


class TopCategory(msgspec.Struct, frozen=True, kw_only=True):
    """A category of the first or second level with its number of active products, at least one."""

    path: str
    slug: str
    name: str
    image: Picture | None
    """Of its newest active product that has one."""
    products: int
    children: tuple["TopCategory", ...] = ()


class Front(msgspec.Struct, frozen=True, kw_only=True):
    """All that the front page shows, in one language and currency."""

    banners: tuple[Banner, ...]
    new: tuple[FrontItem, ...]
    best_sellers: tuple[FrontItem, ...]
    categories: tuple[TopCategory, ...]


class BannerText(msgspec.Struct, frozen=True, kw_only=True):
    """What a banner says in one language."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    text: Annotated[str, msgspec.Meta(max_length=500)] = ""
    link_label: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]


class BannerDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A banner as staff describes it; shown from `valid_from` until before `valid_to`, where they are given."""

    texts: Annotated[dict[Locale, BannerText], msgspec.Meta(min_length=1, max_length=50)]
    link: InternalPath
    image: PictureUrl | None = None
    tone: Tone = "light"
    valid_from: datetime | None = None
    valid_to: datetime | None = None


BannerDrafts = Annotated[tuple[BannerDraft, ...], msgspec.Meta(max_length=MOST_BANNERS)]


class BannerSet(msgspec.Struct, frozen=True, kw_only=True):
    """All banners, in the order in which they are shown; `version` is their ETag and 0 where there were never any."""

    version: int
    banners: tuple[BannerDraft, ...]


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """How many products the read model was built from."""

    products: int


class Home(Protocol):
    """The front page, from what home has heard so far: it asks nobody when it is read."""

    @query()
    async def page(self, *, locale: str, currency: Currency, price_list: str = MAIN) -> Front:
        """The front page of this moment.

        `new` are the latest active products that can be had; `best_sellers` those of which most pieces were sold today
        and on the 29 days before (UTC), cancelled orders not counted; none where nothing was sold. At most 12 of each.
        `categories` are the first two levels, each by name. Texts are in the locale, else its parents, else the shop's
        first language, else any.
        """
        ...

    @query()
    async def banners(self) -> BannerSet:
        """All banners in all languages, for staff."""
        ...

    @command(errors=(BannersChanged, BannersInvalid))
    async def put_banners(self, *, key: Key, banners: BannerDrafts, version: int | None, actor: str) -> BannerSet:
        """Replace all banners if they are still at `version` (None: whatever they are at)."""
        ...

    @command(timeout_ms=600_000)
    async def rebuild(self, *, key: Key) -> Rebuilt:
        """Build what is known of products anew from all that products have, while the page is being read; sales stay.

        Harmless when repeated; the same key builds again.
        """
        ...
