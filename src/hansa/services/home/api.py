"""The front page for everybody, and its banners for staff."""

from collections.abc import Sequence

import msgspec

from hansa.kernel import tags
from hansa.platform.http.route import ANYONE, STAFF_ONLY, Api, Call, Route
from hansa.services.home.contract import BannerDrafts, BannerSet, Front, Home


class PutBanners(msgspec.Struct, frozen=True, kw_only=True):
    """All banners, in the order in which they are shown."""

    banners: BannerDrafts


def routes(home: Home) -> Sequence[Route]:
    api = Api("home")

    @api.get("/home", access=ANYONE, calls=Home.page, is_public_read=True, tags=(tags.HOME,))
    async def get_home(call: Call) -> Front:
        """The front page: banners, what is new, what sells best, categories."""
        return await home.page(locale=call.locale, currency=call.currency, price_list=call.channel.price_list)

    @api.get("/admin/home/banners", access=STAFF_ONLY, calls=Home.banners)
    async def get_banners(call: Call) -> BannerSet:
        """All banners in all languages, with the version that a change must name."""
        return await home.banners()

    @api.put("/admin/home/banners", access=STAFF_ONLY, calls=Home.put_banners, needs_version=True)
    async def put_banners(call: Call, *, body: PutBanners) -> BannerSet:
        """Replace all banners."""
        return await home.put_banners(key=call.key, banners=body.banners, version=call.version, actor=call.actor)

    return api.routes
