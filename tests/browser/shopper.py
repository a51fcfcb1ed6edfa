"""Somebody at a browser window: what they do, in the words that the page shows them."""

import re
from collections.abc import Mapping
from typing import Any

from playwright.async_api import BrowserContext, Locator, Page, Response, expect

from hansa.demo import TEXTS
from hansa.web.wording import Wording

WORDING = Wording(TEXTS)
GUEST_EMAIL = "ada@example.com"
PASSWORD = "a long enough word"
BRITISH = {
    "country": "GB",
    "name": "Ada Byron",
    "line1": "12 St James's Square",
    "city": "London",
    "postal_code": "SW1Y 4JH",
}
CHINESE = {
    "country": "CN",
    "name": "王小明",
    "phone": "13800138000",
    "region": "浙江省",
    "city": "杭州市",
    "district": "西湖区",
    "line1": "文三路 90 号",
    "postal_code": "310012",
}
HOMES = {"en": BRITISH, "zh": CHINESE}
"""Where those who read a language live in these tests."""
PAYS, IS_DECLINED, IS_LATE, IS_SILENT = "tok_success", "tok_declined", "tok_late", "tok_timeout"
"""What the payment of the sandbox does."""


class Shopper:
    """Somebody with a browser window of their own. Whatever its pages complain of is noted."""

    def __init__(self, context: BrowserContext, page: Page, address: str, *, locale: str, scripts: bool) -> None:
        self.context = context
        self.page = page
        self.address = address
        self.locale = locale
        self.has_scripts = scripts
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        """Addresses outside of the shop that a page asked for."""
        self.document: Response | None = None
        """The page as it last came, after a form, too."""
        page.on("console", lambda message: self._heard(message.type, message.text, message.location))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))
        page.on("response", self._answered)

    def _heard(self, kind: str, text: str, location: Mapping[str, Any]) -> None:
        # Chromium reports a page of status 404 as an error of its own; the tests ask for the status themselves.
        if text.startswith("Failed to load resource") and location.get("url") == self.page.url:
            return
        # What a page still waits for is broken off when it is left; htmx calls that an error, twice. The first of the
        # two it says of every failure, and then which: `htmx:sendError`, `htmx:timeout`.
        if text.startswith(("htmx:afterRequest", "htmx:sendAbort")):
            return
        if kind in ("error", "warning"):
            self.complaints.append(f"{self.page.url}: {text}")

    def _asked(self, url: str) -> None:
        if not url.startswith((f"{self.address}/", "data:", "about:")):
            self.elsewhere.append(url)

    def _answered(self, response: Response) -> None:
        if response.request.is_navigation_request() and response.frame == self.page.main_frame:
            self.document = response

    async def other_tab(self) -> "Shopper":
        """The same person at another page."""
        page = await self.context.new_page()
        return Shopper(self.context, page, self.address, locale=self.locale, scripts=self.has_scripts)

    # -- words -----------------------------------------------------------------------------------------------------

    def say(self, key: str, **values: Any) -> str:
        return WORDING.say(self.locale, key, **values)

    def around(self, key: str) -> re.Pattern[str]:
        """A text of which only the parts around its `{values}` are known."""
        text = WORDING.find(self.locale, key) or ""
        assert text, key
        return re.compile(".+".join(re.escape(part) for part in re.split(r"\{[a-z_]+\}", text)))

    # -- finding one's way -----------------------------------------------------------------------------------------

    async def open(self, path: str = "") -> int:
        """A page of the shop in the shopper's language; its status."""
        return await self.go(f"/{self.locale}/{path}")

    async def go(self, path: str) -> int:
        response = await self.page.goto(f"{self.address}{path}", wait_until="load")
        return response.status if response else 0

    def link(self, key: str, **values: Any) -> Locator:
        return self.page.get_by_role("link", name=self.say(key, **values), exact=True)

    def button(self, key: str, **values: Any) -> Locator:
        return self.page.get_by_role("button", name=self.say(key, **values), exact=True)

    def heading(self, key: str, **values: Any) -> Locator:
        return self.page.get_by_role("heading", name=self.say(key, **values), exact=True, level=1)

    def text(self, key: str, **values: Any) -> Locator:
        return self.page.get_by_text(self.say(key, **values), exact=True)

    def status(self, key: str) -> Locator:
        """What a screen reader is told: a text with whatever values."""
        return self.page.get_by_role("status").filter(has_text=self.around(key))

    def alert(self, key: str) -> Locator:
        return self.page.get_by_role("alert").filter(has_text=self.around(key))

    async def send_anyhow(self, form: Locator) -> None:
        """Send a form as it stands, without the browser's own complaints, and without scripts."""
        async with self.page.expect_navigation(wait_until="load"):
            await form.evaluate("form => HTMLFormElement.prototype.submit.call(form)")

    # -- buying ----------------------------------------------------------------------------------------------------

    async def sign_up(self, email: str, *, name: str = "Ada Byron") -> None:
        await self.open("sign-up")
        await self.page.get_by_label(self.say("sign_in.email")).fill(email)
        await self.page.get_by_label(self.say("sign_up.name")).first.fill(name)
        await self.page.get_by_label(self.say("sign_in.password"), exact=True).fill(PASSWORD)
        await self.button("sign_up.submit").click()
        await expect(self.heading("account.hello", name=name)).to_be_visible()

    async def sign_in(self, email: str, password: str = PASSWORD) -> None:
        await self.open("sign-in")
        await self.page.get_by_label(self.say("sign_in.email")).fill(email)
        await self.page.get_by_label(self.say("sign_in.password"), exact=True).fill(password)
        await self.button("sign_in.submit").click()
        await expect(self.page).to_have_url(f"{self.address}/{self.locale}/account")

    async def take(self, name: str, *, size: str = "") -> None:
        """From a page that lists it: look at a product, and put it into the cart."""
        await self.page.get_by_role("link", name=name, exact=True).first.click()
        await expect(self.page.get_by_role("heading", name=name, exact=True, level=1)).to_be_visible()
        await self.put_into_cart(name, size=size)

    async def put_into_cart(self, name: str, *, size: str = "") -> None:
        if size:
            await self.page.get_by_role("radio", name=size, exact=True).check()
        await self.button("product.add").click()
        await expect(self.text("cart.told.added", name=name)).to_be_visible()

    async def fill_cart(self, sku: str, *, quantity: int = 1) -> None:
        """Put something into the cart without looking at it."""
        answer = await self.context.request.post(
            f"{self.address}/{self.locale}/cart/lines",
            form={"sku": sku, "quantity": quantity},
            headers={"Origin": self.address},
        )
        assert answer.ok, answer.status

    async def be(self, token: str) -> None:
        """Be signed in already."""
        await self.context.add_cookies(
            [
                {"name": "session", "value": token, "url": self.address, "httpOnly": True, "sameSite": "Lax"},
                {"name": "known", "value": "1", "url": self.address, "sameSite": "Lax"},
            ]
        )

    async def go_to_checkout(self) -> None:
        """From wherever one has put something into the cart."""
        if not await self.heading("cart.title").is_visible():
            await self.link("cart.to_cart").click()
        await expect(self.heading("cart.title")).to_be_visible()
        await self.link("cart.checkout").click()
        await expect(self.heading("checkout.title")).to_be_visible()

    async def fill_address(self, home: Mapping[str, str]) -> None:
        """The fields of the country's own form."""
        country = self.page.get_by_label(self.say("address.country"))
        if await country.input_value() != home["country"]:
            await country.select_option(home["country"])
            if not self.has_scripts:
                await self.button("address.refill").click()
        for name, value in home.items():
            if name != "country":
                label = WORDING.find(self.locale, f"address.of.{home['country']}.{name}") or self.say(f"address.{name}")
                # An asterisk or "(optional)" may follow; a label that begins alike is another field.
                await self.page.get_by_label(re.compile(rf"^{re.escape(label)}( ?[(（].*[)）])?$")).fill(value)

    async def go_to_review(self, home: Mapping[str, str], *, email: str = "") -> None:
        if email:
            await self.page.get_by_label(self.say("checkout.email")).fill(email)
        await self.fill_address(home)
        await self.button("checkout.to_review").click()
        await expect(self.heading("checkout.review_title")).to_be_visible()

    async def choose_payment(self, token: str) -> None:
        await self.page.get_by_role("radio", name=self.say(f"payment.sandbox.{token}.title")).check()

    @property
    def place_button(self) -> Locator:
        return self.page.get_by_role("button", name=self.around("checkout.place"))

    async def place_order(self) -> str:
        """Order and pay; the path of the order's page."""
        await self.place_button.click()
        await expect(self.heading("order.thanks")).to_be_visible()
        return self.page.url.removeprefix(f"{self.address}/{self.locale}/").partition("?")[0]
