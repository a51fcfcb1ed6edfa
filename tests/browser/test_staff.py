"""The staff at work, and what the shop shows of it."""

import io
import re

import pytest
from PIL import Image
from playwright.async_api import expect

from tests.browser.conftest import Shoppers
from tests.browser.shopper import Shopper
from tests.browser.stage import SHORTS, Stage
from tests.shops import STAFF

pytestmark = pytest.mark.asyncio(loop_scope="session")
CATALOGUE = """slug,name_en,name_zh,sku,price_USD,stock
{rows}
Not An Address,Broken,坏行,BROKEN-1,19.00,1
"""
ROWS = 300


def _price_field(staff: Shopper, stage: Stage) -> str:
    return staff.say("staff_product.price_of", sku=stage.sku(SHORTS), currency="USD")


def _picture(colour: str) -> bytes:
    packed = io.BytesIO()
    Image.new("RGB", (400, 500), colour).save(packed, "PNG")
    return packed.getvalue()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
async def test_staff_edit_a_price_and_the_shop_shows_it(shoppers: Shoppers, stage: Stage, scripts: bool) -> None:
    staff, guest = await shoppers.new(scripts=scripts), await shoppers.new()
    price = "31.25" if scripts else "32.75"

    await staff.sign_in(*STAFF)
    await staff.link("account.staff").click()
    await staff.page.get_by_role("link", name=staff.say("room.products"), exact=True).click()
    await staff.page.get_by_role("searchbox").or_(staff.page.get_by_label(staff.say("staff.find"))).first.fill(SHORTS)
    await staff.page.keyboard.press("Enter")
    await staff.page.get_by_role("link", name=stage.name(SHORTS)).click()
    await staff.link("staff_product.tab_variants").click()
    await staff.page.get_by_label(_price_field(staff, stage)).fill(price)
    await staff.button("staff_product.save_prices").click()
    await expect(staff.text("staff.saved")).to_be_visible()

    await guest.open(f"products/{SHORTS}?variant={stage.sku(SHORTS)}")
    await expect(guest.page.get_by_role("main")).to_contain_text(f"${price}")
    assert staff.complaints == []


async def test_of_two_editors_the_slower_one_sees_what_the_other_saved(shoppers: Shoppers, stage: Stage) -> None:
    quick, slow = await shoppers.new(), await shoppers.new(locale="zh")
    for editor in (quick, slow):
        await editor.be(stage.staff_token)
        await editor.open(f"admin/products/{stage.id(SHORTS)}/variants")

    await quick.page.get_by_label(_price_field(quick, stage)).fill("41.00")
    await quick.button("staff_product.save_prices").click()
    await expect(quick.text("staff.saved")).to_be_visible()
    await slow.page.get_by_label(_price_field(slow, stage)).fill("42.00")
    await slow.button("staff_product.save_prices").click()

    await expect(slow.page.get_by_role("heading", name=slow.say("staff.conflict_title"))).to_be_visible()
    row = slow.page.get_by_role("row").filter(has_text="41.00")
    await expect(row).to_contain_text("42.00")
    await slow.button("staff.save_mine").click()
    await expect(slow.text("staff.saved")).to_be_visible()
    await slow.open(f"products/{SHORTS}?variant={stage.sku(SHORTS)}&currency=USD")
    await expect(slow.page.get_by_role("main")).to_contain_text("US$42.00")


async def test_a_picture_is_uploaded_and_shown_and_what_is_none_is_refused(shoppers: Shoppers, stage: Stage) -> None:
    staff = await shoppers.new()
    await staff.be(stage.staff_token)
    path = f"admin/products/{stage.id(SHORTS)}/pictures"

    await staff.open(path)
    field = staff.page.get_by_label(staff.say("staff_product.add_pictures"))
    await field.set_input_files({"name": "x.png", "mimeType": "image/png", "buffer": b"<script>alert(1)</script>"})
    await staff.button("staff.upload").click()
    await expect(staff.page.get_by_role("alert")).to_contain_text(staff.say("staff_errors.products.picture_invalid"))
    before = await staff.page.get_by_label(staff.say("staff_product.remove_picture")).count()
    await field.set_input_files({"name": "red.png", "mimeType": "image/png", "buffer": _picture("darkred")})
    await staff.button("staff.upload").click()
    pictures = staff.page.get_by_label(staff.say("staff_product.remove_picture"))
    await expect(pictures).to_have_count(before + 1)
    await staff.page.get_by_label(staff.say("staff_product.alt_in", language="English")).last.fill("A dark red ground")
    await staff.button("common.save").click()
    await expect(staff.text("staff.saved")).to_be_visible()

    await staff.open(f"products/{SHORTS}")
    shown = staff.page.get_by_role("img", name="A dark red ground")
    await shown.scroll_into_view_if_needed()
    await expect(shown).to_have_js_property("complete", True)
    assert await shown.evaluate("image => image.naturalWidth") > 0
    await staff.open(path)
    await staff.page.get_by_label(staff.say("staff_product.remove_picture")).last.check()
    await staff.button("common.save").click()
    await expect(staff.page.get_by_label(staff.say("staff_product.remove_picture"))).to_have_count(before)


async def test_an_order_is_found_sent_and_refunded(shoppers: Shoppers, stage: Stage) -> None:
    staff, member = await shoppers.new(), await shoppers.new()
    await staff.be(stage.staff_token)
    await member.be(stage.member_token)
    order = stage.new_order()
    await member.open(f"orders/{order}")
    number = await member.page.get_by_role("definition").first.inner_text()

    await staff.open("admin/orders")
    await staff.page.get_by_label(staff.say("staff_order.find")).fill(number)
    await staff.page.keyboard.press("Enter")
    await staff.page.get_by_role("link", name=number).click()
    await staff.page.get_by_label(staff.say("staff_order.carrier")).fill("Royal Mail")
    await staff.page.get_by_label(staff.say("staff_order.tracking_number")).fill("RM 5555")
    await staff.button("staff_order.send").click()
    await expect(staff.text("staff.saved")).to_be_visible()
    await staff.page.locator("summary", has_text=staff.say("staff_order.give_back")).click()
    await staff.page.get_by_label(staff.say("staff_order.this_amount"), exact=True).check()
    await staff.page.get_by_label(staff.say("staff_order.amount", currency="USD")).fill("3.21")
    await staff.button("staff_order.refund_now").click()
    await expect(staff.text("staff.saved")).to_be_visible()

    await member.page.reload()
    await expect(member.page.get_by_text("RM 5555")).to_be_visible()
    await expect(member.page.get_by_text(member.say("order.event.refunded"))).to_contain_text("$3.21")


async def test_staff_cancel_an_order(shoppers: Shoppers, stage: Stage) -> None:
    staff = await shoppers.new()
    await staff.be(stage.staff_token)
    order = stage.new_order()

    await staff.open(f"admin/orders/{order}")
    await staff.page.locator("summary", has_text=staff.say("staff_order.cancel")).click()
    await staff.button("staff_order.cancel_now").click()

    await expect(staff.text("staff_order.status_cancelled").first).to_be_visible()
    await expect(staff.page.locator("summary", has_text=staff.say("staff_order.cancel"))).to_have_count(0)


async def test_a_file_is_imported_with_progress_and_a_report_of_what_was_refused(
    shoppers: Shoppers, stage: Stage
) -> None:
    staff = await shoppers.new()
    await staff.be(stage.staff_token)
    rows = "\n".join(f"imported-{n},Imported thing {n},导入商品 {n},IMPORTED-{n},{n + 1}.00,3" for n in range(ROWS))
    file = CATALOGUE.format(rows=rows).encode()

    await staff.open("admin/transfers")
    await staff.page.get_by_label(staff.say("staff_transfer.file"), exact=True).set_input_files(
        {"name": "autumn.csv", "mimeType": "text/csv", "buffer": file}
    )
    await staff.button("staff_transfer.start_import").click()
    states = ("queued", "running", "done")
    said = re.compile("|".join(re.escape(staff.say(f"staff_transfer.state_{state}")) for state in states))
    await expect(staff.page.get_by_role("status")).to_contain_text(said)
    await expect(staff.page.get_by_role("status")).to_contain_text(
        staff.say("staff_transfer.state_done"), timeout=60_000
    )

    figures = dict(
        zip(
            await staff.page.get_by_role("term").all_inner_texts(),
            await staff.page.get_by_role("definition").all_inner_texts(),
            strict=True,
        )
    )
    assert figures[staff.say("staff_transfer.count_created")] == str(ROWS)
    assert figures[staff.say("staff_transfer.count_refused")] == "1"
    async with staff.page.expect_download() as download:
        await staff.link("staff_transfer.report").click()
    report = (await (await download.value).path()).read_text("utf-8")
    assert f"{ROWS + 2},Not An Address" in report
    assert staff.complaints == []


async def test_the_staff_pages_are_for_staff(shoppers: Shoppers, stage: Stage) -> None:
    member, guest = await shoppers.new(), await shoppers.new()
    await member.be(stage.member_token)

    assert await member.open("admin/products") == 403
    await expect(member.heading("problem.forbidden.title")).to_be_visible()
    await guest.open("admin/products")
    await expect(guest.heading("sign_in.title")).to_be_visible()
