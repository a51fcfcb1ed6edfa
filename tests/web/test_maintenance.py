"""A shop that is closed for a moment says so on every page, and only there."""

from hansa.compose import MAINTENANCE_NOTE
from tests.web.conftest import Pages


async def test_pages_say_that_the_shop_is_closed_and_staff_and_api_go_on(pages: Pages):
    note = pages.shop.shop.settings.folder / MAINTENANCE_NOTE
    visitor = pages.visitor()
    assert (await visitor.open("/en/")).status == 200

    note.touch()

    for path in ("/en/", "/en/search", "/en/cart", "/en/privacy"):
        answer = await visitor.open(path)
        assert (answer.status, answer.headers["cache-control"]) == (503, "no-store"), path
        assert int(answer.headers["retry-after"]) > 0
        assert "Back in a moment" in answer.text
    assert "马上回来" in (await visitor.open("/zh/")).text
    assert (await visitor.send("/en/cart/lines", {"sku": "X", "quantity": "1"})).status == 503
    assert (await visitor.open("/en/sign-in")).status == 200, "staff must be able to sign in"
    assert (await visitor.open("/en/admin")).status == 303
    assert (await pages.shop.request("GET", "/products"))[0] == 200

    note.unlink()
    assert (await visitor.open("/en/")).status == 200
