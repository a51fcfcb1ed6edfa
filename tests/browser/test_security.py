"""What a page of the shop does not let happen: scripts of others, forms from elsewhere, and telling whose it was."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import aiohttp
import pytest
from playwright.async_api import Error, expect

from tests.browser.conftest import Shoppers
from tests.browser.shopper import BRITISH, Shopper
from tests.browser.stage import CAP, TEE, Stage
from tests.served import Served

pytestmark = pytest.mark.asyncio(loop_scope="session")
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"
PUBLIC = ("", "categories/tops", "search?q=leather", f"products/{CAP}", "privacy", "track")
PERSONAL = ("account", "account/orders", "account/details", "cart")


@contextmanager
def foreign(html: str) -> Iterator[str]:
    """A page of somebody else, on another host; its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.2", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.2:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


async def _cookie_names(shopper: Shopper) -> set[str]:
    return {cookie["name"] for cookie in await shopper.context.cookies()}


async def test_a_name_that_is_a_script_is_text(shoppers: Shoppers) -> None:
    member = await shoppers.new()
    dialogs: list[str] = []
    member.page.on("dialog", lambda dialog: dialogs.append(dialog.message))

    await member.sign_up("script@example.com", name=SCRIPT)
    await member.open(f"search?q={SCRIPT}")

    await expect(member.page.get_by_role("heading", level=1)).to_contain_text(SCRIPT)
    await expect(member.page.get_by_role("searchbox")).to_have_value(SCRIPT)
    assert (dialogs, member.complaints) == ([], [])


async def test_scripts_that_do_not_come_from_the_shop_are_not_run_and_reported(shoppers: Shoppers) -> None:
    guest = await shoppers.new()
    await guest.open()

    await guest.page.evaluate(
        """() => {
          window.ran = [];
          const script = document.createElement("script");
          script.textContent = "window.ran.push('script')";
          document.body.append(script);
          document.body.insertAdjacentHTML("beforeend", "<img src='data:,x' onerror=\\"window.ran.push('handler')\\">");
          document.body.insertAdjacentHTML("beforeend", "<p id='styled' style='color: red'>styled</p>");
        }"""
    )

    await expect(guest.page.locator("#styled")).to_have_css("color", "rgb(31, 27, 22)")
    assert await guest.page.evaluate("window.ran") == []
    assert any("script-src" in complaint for complaint in guest.complaints)
    assert any("style-src" in complaint for complaint in guest.complaints)


async def test_what_pages_gain_by_scripts_needs_no_exception_from_the_policy(shoppers: Shoppers, stage: Stage) -> None:
    """Everything that scripts do, done once: nothing is refused."""
    guest = await shoppers.new()

    await guest.open()
    await guest.page.get_by_role("searchbox").press_sequentially("lea")
    await expect(guest.page.get_by_role("link", name=stage.name(CAP)).first).to_be_visible()
    await guest.open(f"products/{TEE}")
    await guest.put_into_cart(stage.name(TEE), size="M")
    await guest.open("cart")
    await guest.page.get_by_label(guest.say("product.quantity")).first.select_option("2")
    await expect(guest.text("cart.told.changed")).to_be_visible()
    await guest.page.get_by_role("button", name=guest.say("common.remove")).click()
    await expect(guest.heading("cart.empty.title")).to_be_visible()

    assert guest.complaints == []


async def test_cookies_are_not_for_scripts_nor_for_forms_of_others(shoppers: Shoppers, stage: Stage) -> None:
    member = await shoppers.new()
    await member.open(f"products/{CAP}")
    await member.put_into_cart(stage.name(CAP))
    of_guest = {cookie["name"]: cookie for cookie in await member.context.cookies()}
    await member.sign_up("cookies@example.com")
    of_member = {cookie["name"]: cookie for cookie in await member.context.cookies()}

    assert set(of_guest) == {"cart", "known"}
    assert set(of_member) == {"session", "known"}
    for cookie in (of_guest["cart"], of_member["session"]):
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    assert of_member["known"]["value"] == "1"
    assert await member.page.evaluate("document.cookie") == "known=1"


async def test_whoever_only_looks_around_is_given_no_cookie(shoppers: Shoppers) -> None:
    guest = await shoppers.new()

    for path in PUBLIC:
        await guest.open(path)

    assert await guest.context.cookies() == []


async def test_a_form_on_the_page_of_somebody_else_is_refused(shoppers: Shoppers, stage: Stage) -> None:
    member = await shoppers.new()
    await member.be(stage.newcomer_token)
    form = f"""<form method="post" action="{member.address}/en/account/details">
      <input name="name" value="Mallory"><input name="language" value="en"><button>Win a prize</button></form>"""

    with foreign(form) as address:
        await member.page.goto(address)
        await member.page.get_by_role("button", name="Win a prize").click()
        await expect(member.heading("problem.forbidden.title")).to_be_visible()

    assert member.document is not None
    assert member.document.status == 403
    await member.open("account")
    await expect(member.heading("account.hello_nameless")).to_be_visible()


async def test_a_script_on_the_page_of_somebody_else_reads_nothing(shoppers: Shoppers, stage: Stage) -> None:
    member = await shoppers.new()
    await member.be(stage.member_token)

    with foreign("<p>Hello</p>") as address:
        await member.page.goto(address)
        for path in ("/en/account", "/api/v1/users/me"):
            read = await member.page.evaluate(
                """async (address) => {
                  try { return await (await fetch(address, { credentials: "include" })).text(); } catch { return ""; }
                }""",
                f"{member.address}{path}",
            )
            assert read == "", path


async def test_no_page_can_be_put_into_the_frame_of_somebody_else(shoppers: Shoppers, stage: Stage) -> None:
    member = await shoppers.new()
    frames = "".join(f'<iframe src="{member.address}/en/{path}"></iframe>' for path in ("", "account"))

    with foreign(frames) as address:
        await member.page.goto(address)

    assert len(member.page.frames) == 3
    for frame in member.page.frames[1:]:
        assert not frame.url.startswith(member.address)
    assert any("frame-ancestors" in complaint for complaint in member.complaints)


@pytest.mark.parametrize("path", PUBLIC)
async def test_a_public_page_is_the_same_for_everybody(shop: Served, stage: Stage, path: str) -> None:
    """Byte for byte, so that it may be kept for all."""
    cookies = ("", f"session={stage.member_token}; known=1", f"session={stage.staff_token}; known=1; cart=some-cart")
    bodies = set()
    async with aiohttp.ClientSession() as session:
        for cookie in cookies:
            headers = {"Cookie": cookie} if cookie else {}
            async with session.get(f"{shop.address}/en/{path}", headers=headers) as answer:
                assert answer.status == 200
                assert "Set-Cookie" not in answer.headers
                bodies.add(await answer.read())

    assert len(bodies) == 1


@pytest.mark.parametrize("path", PERSONAL)
async def test_a_personal_page_is_kept_by_nobody(shop: Served, stage: Stage, path: str) -> None:
    headers = {"Cookie": f"session={stage.member_token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{shop.address}/en/{path}", headers=headers) as answer,
    ):
        assert "no-store" in answer.headers["Cache-Control"]


async def test_after_signing_out_going_back_shows_nothing_personal(shoppers: Shoppers) -> None:
    member = await shoppers.new()
    await member.sign_up("signs-out@example.com", name="Secretive Sally")
    await member.open("account/details")
    await expect(member.page.get_by_text("signs-out@example.com")).to_be_visible()

    await member.button("account.sign_out").click()
    await expect(member.page).to_have_url(f"{member.address}/en/")
    with suppress(Error):  # a page that was never kept may not be shown at all
        await member.page.go_back()

    await expect(member.page.get_by_text("signs-out@example.com")).to_have_count(0)
    await expect(member.page.get_by_text("Sally")).to_have_count(0)
    assert "session" not in await _cookie_names(member)


async def test_after_signing_out_going_back_to_the_checkout_shows_no_address(shoppers: Shoppers, stage: Stage) -> None:
    """Its pages may be kept by the browser, so that one can go back while one is signed in."""
    member = await shoppers.new()
    await member.be(stage.member_token_of_another_session())
    await member.fill_cart(stage.sku(CAP))
    await member.open("checkout")
    await member.button("checkout.to_review").click()
    await expect(member.page.get_by_text(BRITISH["line1"])).to_be_visible()

    await member.open("account")
    await member.button("account.sign_out").click()
    await expect(member.page).to_have_url(f"{member.address}/en/")
    for _ in range(3):
        with suppress(Error):
            await member.page.go_back()
        await expect(member.page.get_by_text(BRITISH["line1"])).to_have_count(0)


async def test_a_link_that_looks_like_ours_leads_nowhere_else(shoppers: Shoppers, stage: Stage) -> None:
    for goal in ("//example.com/", "https://example.com/", "/\\example.com"):
        shopper = await shoppers.new()
        await shopper.open(f"sign-in?next={goal}")
        await shopper.page.get_by_label(shopper.say("sign_in.email")).fill("nora@example.com")
        await shopper.page.get_by_label(shopper.say("sign_in.password"), exact=True).fill("a long enough word")
        await shopper.button("sign_in.submit").click()
        await expect(shopper.page).to_have_url(f"{shopper.address}/en/account")
