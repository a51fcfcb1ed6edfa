"""Pictures through the whole shop: sent by staff, shown with a product, and served to everybody."""

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

from hansa.platform.files.names import sources
from tests.shops import OpenedShop, opened_shop


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[OpenedShop]:
    async with opened_shop(folder=tmp_path / "data", wire="twice") as opened:
        yield opened


def picture() -> bytes:
    out = BytesIO()
    Image.new("RGB", (1000, 1250), "red").save(out, "JPEG", comment=b"by Ada")
    return out.getvalue()


async def send(shop: OpenedShop, data: bytes, token: str | None) -> tuple[int, Any]:
    headers = {"Content-Type": "image/jpeg", **({"Authorization": f"Bearer {token}"} if token else {})}
    async with shop.session.post("/api/v1/admin/pictures", data=data, headers=headers) as response:
        return response.status, msgspec.json.decode(await response.read())


async def test_staff_send_a_picture_and_everybody_sees_it(shop: OpenedShop) -> None:
    token = await shop.staff()
    product_id = await shop.put_product("HAT")

    status, sent = await send(shop, picture(), token)
    assert (status, sent["width"], sent["height"]) == (201, 960, 1200)
    patch = {"images": [{"url": sent["url"], "alt": {"en": "A red hat", "zh": "一顶红帽子"}}]}
    headers = {"If-Match": '"1"'}
    assert (await shop.request("PATCH", f"/admin/products/{product_id}", patch, token=token, headers=headers))[0] == 200

    _, product = await shop.request("GET", "/products/hat", headers={"Accept-Language": "zh"})
    assert product["images"] == [{"url": sent["url"], "alt": "一顶红帽子"}]
    forms = sources(sent["url"])
    assert forms is not None
    urls = [each.split()[0] for each in f"{forms.jpeg}, {forms.webp}".split(", ")]
    assert len(set(urls)) == 6
    for url in urls:
        async with shop.session.get(url) as response:
            content = await response.read()
            assert response.status == 200
            assert response.headers["x-content-type-options"] == "nosniff"
            assert "immutable" in response.headers["cache-control"]
            assert b"Ada" not in content
            assert Image.open(BytesIO(content)).width in (320, 640, 960)


async def test_customers_and_strangers_send_no_pictures(shop: OpenedShop) -> None:
    assert (await send(shop, picture(), None))[0] == 401
    assert (await send(shop, picture(), await shop.member("c@example.com")))[0] == 403


async def test_what_is_refused_is_refused_with_the_right_status(shop: OpenedShop) -> None:
    token = await shop.staff()
    for data, expected in (
        (b"<svg/>", (422, "products.picture_invalid")),
        (picture()[:500], (422, "products.picture_invalid")),
        (picture() + bytes(10_000_001), (413, "request.too_large")),
    ):
        status, problem = await send(shop, data, token)
        assert (status, problem["code"]) == expected
