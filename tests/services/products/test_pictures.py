"""Taking in pictures of products."""

from io import BytesIO
from typing import Any

import msgspec
import pytest
from PIL import Image

from hansa.kernel.errors import IdempotencyKeyReused
from hansa.platform.database.platform_tables import AUDIT
from hansa.platform.files.names import sources
from hansa.services.products.contract import LARGEST_PICTURE, PictureInvalid, PictureTooLarge
from tests.services.products.conftest import Shop


def picture(width: int = 400, height: int = 500, *, colour: Any = "red") -> bytes:
    out = BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "PNG")
    return out.getvalue()


async def put(shop: Shop, data: bytes, *, key: str | None = None) -> str:
    return (await shop.products.put_picture(key=key or shop.key(), data=data, actor="staff:1")).url


async def test_a_picture_is_answered_with_its_address_and_size(shop: Shop):
    found = await shop.products.put_picture(key="a", data=picture(2000, 1000), actor="staff:1")

    assert (found.width, found.height) == (960, 480)
    assert sources(found.url) is not None


async def test_the_same_picture_has_one_address_under_any_key_and_another_one_another(shop: Shop):
    assert await put(shop, picture()) == await put(shop, picture())
    assert await put(shop, picture()) != await put(shop, picture(colour="blue"))


async def test_a_key_stands_for_one_picture(shop: Shop):
    first = await put(shop, picture(), key="a")

    assert await put(shop, picture(), key="a") == first
    with pytest.raises(IdempotencyKeyReused):
        await put(shop, picture(colour="blue"), key="a")


async def test_what_is_no_picture_is_refused_with_the_reason(shop: Shop):
    for data in (b"", b"<html>", picture()[:-30]):
        with pytest.raises(PictureInvalid) as refused:
            await put(shop, data)
        assert refused.value.reason.startswith("it is ")


async def test_what_is_too_large_is_refused(shop: Shop):
    with pytest.raises(PictureTooLarge):
        await put(shop, picture() + bytes(LARGEST_PICTURE))


async def test_who_took_a_picture_in_is_noted_once(shop: Shop):
    for _ in range(2):
        url = await put(shop, picture(), key="a")

    (row,) = await shop.rows(AUDIT)
    assert (row["actor"], row["action"], row["target"]) == ("staff:1", "products.put_picture", url)
    assert msgspec.json.decode(row["detail"]) == {"bytes": len(picture())}
