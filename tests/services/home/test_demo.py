"""The demo's banners: sound, in both languages, and leading to what the demo has."""

import msgspec

from hansa.demo import CATALOGUE
from hansa.demo.banners import announce, banners
from hansa.demo.photographs import photographs
from hansa.services.home.contract import BannerDraft
from tests.services.home.window_shop import Window


async def test_the_demo_announces_three_things_once(small_window: Window):
    await announce(home=small_window.home)
    await announce(home=small_window.home)

    assert len((await small_window.page(locale="zh")).banners) == 3
    assert (await small_window.home.banners()).version == 1


async def test_the_demo_leaves_the_banners_that_staff_have_put(small_window: Window):
    own: tuple[BannerDraft, ...] = banners()[:1]
    await small_window.home.put_banners(key="k", banners=own, version=0, actor="user:1")

    await announce(home=small_window.home)

    assert (await small_window.home.banners()).banners == own


def test_each_banner_speaks_both_languages_and_leads_to_a_category_of_the_demo():
    products = [msgspec.json.decode(line) for line in CATALOGUE.read_bytes().splitlines()]
    roots = {product["category"][0]["slug"] for product in products}
    pictures = {each.url for each in photographs()}

    for banner in banners():
        assert set(banner.texts) == {"en", "zh"}
        assert banner.link.removeprefix("categories/") in roots
        assert banner.image in pictures
