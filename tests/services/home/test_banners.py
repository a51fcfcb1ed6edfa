"""Banners: who put them, when they are shown, in which language, and what they may not be."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from hansa.platform.database.platform_tables import AUDIT
from hansa.platform.database.statement import Statement
from hansa.services.home.contract import (
    MOST_BANNERS,
    Banner,
    BannerDraft,
    BannersChanged,
    BannerSet,
    BannersInvalid,
    BannerText,
)
from tests.services.home.window_shop import Window


def banner(title: str = "Coats", **parts: Any) -> BannerDraft:
    parts.setdefault("texts", {"en": BannerText(title=title, text="Warm.", link_label="See them")})
    return BannerDraft(**({"link": "categories/coats"} | parts))


async def put(window: Window, *banners: BannerDraft, version: int | None = None) -> BannerSet:
    return await window.home.put_banners(key=window.key(), banners=banners, version=version, actor="user:1")


async def test_banners_are_shown_in_their_order_and_language(window: Window):
    texts = {
        "en": BannerText(title="Coats", text="Warm.", link_label="See them"),
        "zh": BannerText(title="大衣", link_label="去看看"),
    }
    kept = await put(window, banner(texts=texts, image="/media/coat.jpg", tone="dark"), banner("Hats"))

    assert kept == await window.home.banners()
    assert kept.version == 1
    assert (await window.page(locale="zh-CN")).banners == (
        Banner(
            title="大衣",
            text="",
            image="/media/coat.jpg",
            link="categories/coats",
            link_label="去看看",
            tone="dark",
        ),
        Banner(title="Hats", text="Warm.", image=None, link="categories/coats", link_label="See them", tone="light"),
    )


async def test_a_banner_is_shown_from_its_beginning_until_before_its_end(window: Window):
    now = window.clock.now()
    await put(window, banner(valid_from=now + timedelta(hours=1), valid_to=now + timedelta(hours=2)))

    shown = []
    for _ in range(3):
        shown.append(len((await window.page()).banners))
        window.clock.advance(3600)
    assert shown == [0, 1, 0]


async def test_of_two_who_change_banners_the_second_is_told(window: Window):
    await put(window, banner("First"), version=0)
    with pytest.raises(BannersChanged) as told:
        await put(window, banner("Second"), version=0)
    assert told.value.version == 1
    assert (await put(window, banner("Third"), version=1)).version == 2
    assert (await put(window, version=None)) == BannerSet(version=3, banners=())


async def test_the_same_key_puts_them_once(window: Window):
    first = await window.home.put_banners(key="k", banners=(banner(),), version=0, actor="user:1")

    assert await window.home.put_banners(key="k", banners=(banner(),), version=0, actor="user:1") == first
    assert (await window.home.banners()).version == 1


async def test_who_put_them_is_written_down(window: Window):
    await put(window, banner("Hats"))

    (row,) = await window.database.all(Statement(select(AUDIT)))
    assert (row["actor"], row["action"], row["target"]) == ("user:1", "home.put_banners", "banners")
    assert msgspec.json.decode(row["detail"])["banners"][0]["texts"]["en"]["title"] == "Hats"


@pytest.mark.parametrize(
    "banners",
    [
        (banner(link="https://elsewhere.example"),),
        (banner(link="//elsewhere.example"),),
        (banner(link="/categories/coats"),),
        (banner(link="categories/../../elsewhere"),),
        (banner(link="javascript:alert(1)"),),
        (banner(link="categories/coats\n"),),
        (banner(image="javascript:alert(1)"),),
        (banner(image="data:text/html,x"),),
        (banner(texts={}),),
        (banner(texts={"en": BannerText(title="a\0b", link_label="x")}),),
        (banner(texts={"not a language": BannerText(title="a", link_label="x")}),),
        (banner(tone="glaring"),),
        (banner(valid_from=datetime(2026, 1, 2)),),  # noqa: DTZ001
        tuple(banner() for _ in range(MOST_BANNERS + 1)),
    ],
)
async def test_banners_that_could_lead_astray_or_make_no_sense_are_refused(
    small_window: Window, banners: tuple[BannerDraft, ...]
):
    with pytest.raises(BannersInvalid):
        await put(small_window, *banners)
    assert (await small_window.home.banners()).version == 0


async def test_a_banner_that_ends_before_it_begins_is_refused(small_window: Window):
    now = small_window.clock.now()
    with pytest.raises(BannersInvalid):
        await put(small_window, banner(valid_from=now, valid_to=now))


async def test_scripts_in_a_banner_are_only_text(small_window: Window):
    await put(small_window, banner("<script>alert(1)</script>"))

    (shown,) = (await small_window.page()).banners
    assert shown.title == "<script>alert(1)</script>"
