"""A flash sale in the browser: it counts down by the shop's clock, opens by itself, and one form makes one order."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Route, expect

from hansa.kernel.money import Money
from hansa.services.orders.contract import Orders
from hansa.services.orders.contract.flash import InLine
from hansa.services.promotions.contract import FlashSaleDraft, Promotions
from tests.browser.conftest import Shoppers
from tests.browser.shopper import HOMES, Shopper
from tests.browser.stage import CAP, Stage, announced
from tests.shops import OpenedShop, opened_shop

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(200)]
WRONG = [timedelta(hours=3), timedelta(hours=-3)]
NEAR_S = 3


async def _member(shoppers: Shoppers, email: str, **more: Any) -> Shopper:
    shopper = await shoppers.new(**more)
    await shopper.sign_up(email)
    return shopper


def _sale(stage: Stage, *, starts_in_s: float = -5, limit: int = 2) -> str:
    return announced(stage.shop, stage.sku(CAP), token=stage.staff_token, starts_in_s=starts_in_s, limit=limit)


async def _fill(shopper: Shopper) -> None:
    """The address, and what it comes to with that."""
    await shopper.fill_address(HOMES[shopper.locale])
    if shopper.has_scripts:
        async with shopper.page.expect_response(lambda response: "fill=1" in response.url):
            await shopper.page.keyboard.press("Tab")
    else:
        await shopper.button("flash.update").click()
    await expect(shopper.page.locator("#flash-total strong")).not_to_be_empty()


async def _orders(shopper: Shopper) -> int:
    await shopper.open("account/orders")
    return await shopper.page.locator(".entries li").count()


def _seconds(text: str) -> int:
    hours, minutes, seconds = map(int, re.findall(r"\d+", text)[-3:])
    return hours * 3600 + minutes * 60 + seconds


@pytest.mark.parametrize("wrong", WRONG, ids=["ahead", "behind"])
async def test_the_countdown_follows_the_shops_clock_and_not_the_visitors(
    shoppers: Shoppers, stage: Stage, wrong: timedelta
) -> None:
    shopper = await _member(shoppers, f"clock{int(wrong.total_seconds())}@example.com")
    sale = _sale(stage, starts_in_s=3600)
    truth = stage.shop.get(f"/api/v1/flash-sales/{sale}")
    now = datetime.fromisoformat(truth["now"])
    await shopper.page.clock.install(time=now + wrong)

    await shopper.open(f"sale/{sale}")
    await expect(shopper.page.locator("#flash-clock strong")).not_to_be_empty()
    shown = _seconds(await shopper.page.locator("#flash-clock strong").inner_text())
    truth = stage.shop.get(f"/api/v1/flash-sales/{sale}")
    left = datetime.fromisoformat(truth["starts_at"]) - datetime.fromisoformat(truth["now"])

    assert abs(shown - left.total_seconds()) <= NEAR_S
    await expect(shopper.button("flash.submit")).to_be_disabled()
    assert shopper.complaints == []


async def test_the_button_opens_by_itself_at_the_start_and_what_was_filled_in_stays(
    shoppers: Shoppers, stage: Stage
) -> None:
    shopper = await _member(shoppers, "waits@example.com")
    sale = _sale(stage, starts_in_s=12)

    await shopper.open(f"sale/{sale}")
    await expect(shopper.button("flash.submit")).to_be_disabled()
    await _fill(shopper)
    await expect(shopper.button("flash.submit")).to_be_enabled()
    await expect(shopper.page.get_by_label(shopper.say("address.city"))).to_have_value(HOMES["en"]["city"])
    await shopper.button("flash.submit").click()

    await expect(shopper.heading("order.thanks")).to_be_visible()
    assert shopper.complaints == []


async def test_a_button_that_is_opened_by_hand_buys_nothing_before_the_start(shoppers: Shoppers, stage: Stage) -> None:
    shopper = await _member(shoppers, "impatient@example.com")
    sale = _sale(stage, starts_in_s=3600)

    await shopper.open(f"sale/{sale}")
    await _fill(shopper)
    await shopper.button("flash.submit").evaluate("button => { button.disabled = false; }")
    await shopper.button("flash.submit").click()

    await expect(shopper.alert("flash.wrong.early")).to_be_visible()
    await expect(shopper.button("flash.submit")).to_be_disabled()
    assert await _orders(shopper) == 0


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
@pytest.mark.parametrize("locale", ["en", "zh"])
async def test_a_member_buys(shoppers: Shoppers, stage: Stage, locale: str, scripts: bool) -> None:
    shopper = await _member(shoppers, f"flash-{locale}-{scripts}@example.com".lower(), locale=locale, scripts=scripts)
    sale = _sale(stage)

    await shopper.open("sale")
    await shopper.page.locator(f"a[href='/{locale}/sale/{sale}']").click()
    if not scripts:
        await shopper.link("flash.to_form").click()
    await expect(shopper.button("flash.submit")).to_be_enabled()
    await _fill(shopper)
    await shopper.button("flash.submit").click()

    await expect(shopper.heading("order.thanks")).to_be_visible()
    assert shopper.complaints == []


async def test_a_guest_signs_in_and_is_back_at_the_form(shoppers: Shoppers, stage: Stage) -> None:
    shopper = await shoppers.new()
    sale = _sale(stage)

    await shopper.open(f"sale/{sale}")
    await shopper.link("flash.to_form").click()
    await shopper.page.get_by_label(shopper.say("sign_in.email")).fill("grace@example.com")
    await shopper.page.get_by_label(shopper.say("sign_in.password"), exact=True).fill("a long enough word")
    await shopper.button("sign_in.submit").click()

    await expect(shopper.button("flash.submit")).to_be_enabled()
    assert f"/sale/{sale}/buy" in shopper.page.url


async def test_a_double_click_orders_once(shoppers: Shoppers, stage: Stage) -> None:
    shopper = await _member(shoppers, "twice@example.com")
    sale = _sale(stage)

    await shopper.open(f"sale/{sale}")
    await _fill(shopper)
    await shopper.button("flash.submit").dblclick()

    await expect(shopper.heading("order.thanks")).to_be_visible()
    assert await _orders(shopper) == 1


async def test_a_form_whose_answer_was_lost_is_the_same_one_after_a_reload(shoppers: Shoppers, stage: Stage) -> None:
    shopper = await _member(shoppers, "reloads@example.com")
    sale = _sale(stage)
    lost: list[int] = []

    async def lose(route: Route) -> None:
        if lost or "fill=" in route.request.url:
            return await route.continue_()
        lost.append((await route.fetch()).status)
        await route.abort()

    await shopper.page.route("**/buy*", lose)
    await shopper.open(f"sale/{sale}")
    await _fill(shopper)
    await shopper.button("flash.submit").click()
    await expect(shopper.alert("checkout.wrong.uncertain")).to_be_visible()
    await expect(shopper.button("flash.submit")).to_be_enabled()
    await shopper.page.reload()
    await _fill(shopper)
    await shopper.button("flash.submit").click()

    await expect(shopper.heading("order.thanks")).to_be_visible()
    assert lost == [200]
    assert await _orders(shopper) == 1


# -- in line --------------------------------------------------------------------------------------------------------


class Crowded:
    """Orders of which `buy` says three times that one is in line."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self.keys: list[str] = []

    async def buy(self, **asked: Any) -> Any:
        self.keys.append(asked["key"])
        if len(self.keys) <= 3:
            raise InLine(place=40 - len(self.keys), retry_after_s=1)
        return await self._orders.buy(**asked)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._orders, name)


@asynccontextmanager
async def _crowded(folder: Path) -> AsyncIterator[tuple[OpenedShop, Crowded, str]]:
    """A shop of its own, in which one has to wait."""
    async with opened_shop(folder=folder) as shop:
        await shop.put_product("HAT")
        promotions: Promotions = shop.shop.client(Promotions)
        now = shop.shop.clock.now()
        draft = FlashSaleDraft(
            sku="HAT",
            price=Money(999, "USD"),
            quantity=5,
            limit_per_buyer=1,
            starts_at=now - timedelta(hours=1),
            ends_at=now + timedelta(hours=1),
        )
        sale = await promotions.create(key="sale", draft=draft, actor="test")
        clients = shop.shop.clients
        clients[Orders] = crowded = Crowded(clients[Orders])
        yield shop, crowded, sale.id


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
async def test_in_line_one_is_told_the_place_and_led_to_the_order(
    shoppers: Shoppers, tmp_path: Path, scripts: bool
) -> None:
    async with _crowded(tmp_path / "shop") as (shop, crowded, sale):
        shopper = await shoppers.new(scripts=scripts)
        shopper.address = shop.shop.settings.public_address
        await shopper.sign_up("queues@example.com")
        await shopper.open(f"sale/{sale}/buy")
        await _fill(shopper)

        await shopper.button("flash.submit").click()
        await expect(shopper.page.get_by_text(re.compile(r"^You are number 3\d in line\.$"))).to_be_visible()
        if not scripts:
            await shopper.button("flash.line.again").click()

        await expect(shopper.heading("order.thanks")).to_be_visible()
        assert len(crowded.keys) == 4
        assert len(set(crowded.keys)) == 1
