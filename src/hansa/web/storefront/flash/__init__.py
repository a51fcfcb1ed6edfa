"""Flash sales: all of them, the page of each, and the pieces of it that are fresh or personal.

A sale's page is the same for everybody. What changes by the second is a fragment that bears the server's time, by which
the script counts down; what is somebody's own (ticket, place in line, the filled form) are fragments for members. All
of it is there without scripts, too, on the personal page where one buys.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from hansa.kernel import tags
from hansa.web.forms import Form
from hansa.web.pages import Book, Page, Who
from hansa.web.storefront.flash import buying, door
from hansa.web.storefront.flash.sales import LARGEST_EXACT, get_sale, running, shown_sale, shown_sales
from hansa.web.storefront.shell import shown
from hansa.web.visit import Moved, Shown, Visit

REFRESHED_BEFORE_S = 3600
"""Without scripts the page of a sale that starts so soon looks again by itself."""

SHOWN_S = 1.0
"""How long the page of a sale is kept ready: how it stands is a matter of seconds."""


def pages() -> Sequence[Page]:
    book = Book()

    @book.public("sale")
    async def listed(visit: Visit) -> Shown:
        found = await running(visit)
        return await shown(visit, "flash_list.html", sales=found, entries=await shown_sales(visit, found), **_words())

    @book.public("sale/{sale_id}")
    async def sale(visit: Visit, *, sale_id: str) -> Shown:
        """What is public; `door` is where somebody who is signed in finds the form."""
        found = await shown_sale(visit, sale_id)
        starts_in_s = (found.sale.starts_at - found.sale.now).total_seconds()
        page = await shown(
            visit,
            "flash_sale.html",
            entry=found,
            sale=found.sale,
            sales=(found.sale,),
            door=None,
            depends=(tags.SALES, tags.product(found.offer.product_id)) if found.offer else (),
            is_soon=0 < starts_in_s <= REFRESHED_BEFORE_S,
            **_words(),
        )
        return replace(page, kept_s=SHOWN_S)

    @book.public("fragments/sale/{sale_id}/state")
    async def state(visit: Visit, *, sale_id: str) -> Shown:
        """How the sale stands, and the server's time."""
        found = await get_sale(visit, sale_id)
        return Shown(template="storefront/flash_state.html", context={"sale": found, "is_fresh": True, **_words()})

    @book.personal("fragments/sale/{sale_id}")
    async def way_in(visit: Visit, *, sale_id: str) -> Shown:
        """For the public page: the form of a member, the way to sign in for everybody else."""
        found = await shown_sale(visit, sale_id)
        return door.fragment(visit, found, await door.fresh(visit, found) if visit.who.member else None)

    @book.personal("fragments/sale/{sale_id}/ticket")
    async def ticket(visit: Visit, *, sale_id: str) -> Shown:
        """The button, with a ticket in it as soon as there is one; what was filled in around it stays."""
        found = await get_sale(visit, sale_id)
        given = await door.ticket(visit, found) if visit.who.member else ""
        return Shown(template="storefront/flash_go.html", context={"sale": found, "ticket": given})

    @book.personal("fragments/sale/{sale_id}/place", who=Who.MEMBER)
    async def place(visit: Visit, *, sale_id: str) -> Shown:
        return await buying.place_fragment(visit, await get_sale(visit, sale_id))

    @book.personal("sale/{sale_id}/buy", who=Who.MEMBER)
    async def form(visit: Visit, *, sale_id: str) -> Shown:
        found = await shown_sale(visit, sale_id)
        return await door.page(visit, found, await door.fresh(visit, found))

    @book.act("sale/{sale_id}/buy")
    async def buy(visit: Visit, form: Form, *, sale_id: str) -> Shown | Moved | Response:
        """Buys; or, asked to `fill`, shows the same form with what goes with another country, address or quantity, and
        with a ticket, if it is time."""
        if visit.who.member is None:
            return buying.led(visit, door.sign_in(visit, sale_id))
        if visit.query.get("fill"):
            found = await shown_sale(visit, sale_id)
            return await door.page(visit, found, await door.kept(visit, found, form))
        return await buying.buy(visit, form, sale_id, visit.who.member)

    return book.pages


def _words() -> dict[str, Any]:
    return {"largest_exact": LARGEST_EXACT}
