"""The smaller rooms: customers, banners, imports and exports, dead letters."""

import asyncio
import html
import inspect
import re

import msgspec
import pytest
from sqlalchemy import select

from hansa.imports import transfers
from hansa.kernel.event import Envelope
from hansa.platform.database.platform_tables import AUDIT
from hansa.platform.database.statement import Statement
from hansa.services.home.contract import Home
from hansa.services.inventory.events import AvailabilityChanged
from hansa.web.admin.transfers import CAUSES
from tests.web.admin.conftest import Office, changed, form_of
from tests.web.admin.test_products import picture
from tests.web.conftest import Answer

AUDITED = Statement(select(AUDIT))
LOOKS = 200


async def customer_id(office: Office, email: str) -> str:
    found = await office.staff.send("/en/admin/customers", {"q": email})
    assert found.status == 303
    return found.location.rpartition("/")[2]


async def test_customers_are_masked_and_found_by_their_whole_address(office: Office):
    await office.shop.member("eve.long@example.com")
    text = (await office.staff.open("/en/admin/customers")).text
    assert "e***@e***.com" in text
    assert "eve.long" not in text

    detail = await office.staff.open(f"/en/admin/customers/{await customer_id(office, 'Eve.Long@example.com')}")
    assert (detail.status, "eve.long" in detail.text, "A. M." in detail.text) == (200, False, True)
    nobody = await office.staff.send("/en/admin/customers", {"q": "eve@"})
    assert "Nobody has this address" in nobody.text
    assert (await office.staff.open("/en/admin/customers/nonsense")).status == 404


async def test_personal_data_is_shown_for_a_reason_that_is_kept(office: Office):
    await office.shop.member("eve.long@example.com")
    path = f"/en/admin/customers/{await customer_id(office, 'eve.long@example.com')}"
    shown = form_of((await office.staff.open(path)).text, path)

    without = await office.staff.send(path, changed(shown, reason=" "))
    assert (without.status, "eve.long" in without.text) == (422, False)
    for _ in range(2):
        clear = await office.staff.send(path, changed(shown, reason="the parcel came back"))
        assert (clear.status, "eve.long@example.com" in clear.text) == (200, True)
        assert "no-store" in clear.headers["cache-control"]

    rows = await office.shop.shop.databases["users"].all(AUDITED)
    revealed = [row for row in rows if "reveal" in row["action"]]
    assert len(revealed) == 1
    assert "the parcel came back" in revealed[0]["detail"]
    assert "eve.long" not in (await office.staff.open(path)).text


def banner_fields(text: str) -> dict[str, str]:
    return dict(form_of(text, "/en/admin/banners"))


async def put_banner(office: Office, fields: dict[str, str]) -> Answer:
    return await office.upload("/en/admin/banners", fields, [("0.picture", "", b"")])


WORDS = {"0.title.en": "Warm <b>hats</b>", "0.link_label.en": "See them", "0.link": "categories/hats"}


async def test_a_banner_is_made_with_its_picture_and_shown_in_front(office: Office):
    fields = banner_fields((await office.staff.open("/en/admin/banners")).text) | WORDS

    answer = await office.upload("/en/admin/banners", fields, [("0.picture", "hats.png", picture())])

    assert answer.status == 303
    home: Home = office.shop.shop.client(Home)
    (banner,) = (await home.banners()).banners
    assert (banner.link, banner.texts["en"].title) == ("categories/hats", "Warm <b>hats</b>")
    assert banner.image is not None
    front = (await office.pages.visitor().open("/en/")).text
    assert html.escape("Warm <b>hats</b>") in front
    assert banner.image in front


async def test_banners_that_are_not_sound_are_shown_again_with_what_is_wrong(office: Office):
    fields = banner_fields((await office.staff.open("/en/admin/banners")).text)
    wrong = (
        {**WORDS, "0.link": "https://elsewhere.example"},
        {**WORDS, "0.link_label.en": ""},
        {**WORDS, "0.valid_from": "tomorrow"},
        {"0.link": "categories/hats"},
    )
    for values in wrong:
        answer = await put_banner(office, fields | values)
        assert answer.status == 422, values
        assert 'aria-invalid="true"' in answer.text, values
    no_picture = await office.upload("/en/admin/banners", fields | WORDS, [("0.picture", "x.png", b"nonsense")])
    assert (no_picture.status, "not a picture" in no_picture.text) == (422, True)
    more = await put_banner(office, fields | WORDS | {"more": "1"})
    assert (more.status, "1.title.en" in banner_fields(more.text)) == (200, True)
    assert (await office.shop.shop.client(Home).banners()).banners == ()


async def test_two_who_change_banners_see_each_others_words(office: Office):
    fields = banner_fields((await office.staff.open("/en/admin/banners")).text)
    assert (await put_banner(office, fields | WORDS)).status == 303
    mine = banner_fields((await office.staff.open("/en/admin/banners")).text)
    assert (await put_banner(office, mine | {"0.title.en": "Theirs"})).status == 303

    answer = await put_banner(office, mine | {"0.title.en": "Mine"})

    assert (answer.status, "Theirs" in answer.text) == (412, True)
    again = banner_fields(answer.text)
    assert again["0.title.en"] == "Mine"
    assert (await put_banner(office, again)).status == 303
    (banner,) = (await office.shop.shop.client(Home).banners()).banners
    assert banner.texts["en"].title == "Mine"
    assert (
        await put_banner(office, banner_fields((await office.staff.open("/en/admin/banners")).text) | {"0.remove": "1"})
    ).status == 303
    assert (await office.shop.shop.client(Home).banners()).banners == ()


async def finished(office: Office, location: str) -> str:
    """The page of a transfer once it has ended."""
    for _ in range(LOOKS):
        text = (await office.staff.open(location)).text
        if "every 1s" not in text:
            return text
        await asyncio.sleep(0.02)  # the transfer runs by itself, and no clock hurries it
    raise AssertionError("the transfer did not end")


CSV = "slug,sku,name_en,price_usd\nwool-hat,WOOL,Wool hat,19.99\nBad Slug,BAD,Bad,1\n"


async def test_a_file_is_imported_and_its_errors_are_to_be_had(office: Office):
    answer = await office.upload(
        "/en/admin/transfers/imports", {"format": "auto"}, [("file", "C:\\fakepath\\<b>hats.csv", CSV.encode())]
    )

    assert answer.status == 303
    text = await finished(office, answer.location)
    assert "Done" in text
    assert "<b>hats" not in text
    assert (await office.shop.request("GET", "/products/wool-hat"))[0] == 200
    report = await office.staff.open(f"{answer.location}/report")
    assert report.status == 200
    assert "Bad Slug" in report.text or "BAD" in report.text
    assert report.headers["content-disposition"].startswith("attachment")
    assert report.headers["x-content-type-options"] == "nosniff"
    assert answer.location in (await office.staff.open("/en/admin/transfers")).text


@pytest.mark.parametrize(
    ("locale", "said"),
    [("en", "not one row of the file could be taken"), ("zh", "没有一行可用")],
)
async def test_why_an_import_failed_is_said_in_words(office: Office, locale: str, said: str):
    answer = await office.upload(
        f"/{locale}/admin/transfers/imports",
        {"format": "auto"},
        [("file", "hats.csv", b"slug,sku,name_en,price_usd\nBad Slug,BAD,Bad,1\n")],
    )
    text = await finished(office, answer.location)
    assert said in text
    assert re.search(r'<details [^>]*>.*<pre lang="en">Nothing was imported: .+</pre>', text)


@pytest.mark.parametrize("beginning", CAUSES)
def test_every_cause_with_words_of_its_own_is_one_that_transfers_give(beginning: str):
    """A summary that begins otherwise would be told as a file that cannot be read."""
    assert f'"{beginning}' in inspect.getsource(transfers)


async def test_files_that_cannot_be_imported_are_refused_with_a_reason(office: Office):
    path = "/en/admin/transfers/imports"
    unknown = await office.upload(path, {"format": "auto"}, [("file", "hats.exe", b"MZ")])
    assert (unknown.status, "does not tell what the file is" in unknown.text) == (400, True)
    assert (await office.upload(path, {"format": "auto"}, [("file", "", b"")])).status == 422
    assert (await office.staff.send(path, {"format": "auto"})).status == 400
    large = await office.upload(path, {"format": "csv"}, [("file", "hats.csv", bytes(50_200_000))])
    assert (large.status, "too large" in large.text) == (413, True)


async def test_exports_are_downloaded_as_files(office: Office):
    await office.shop.put_product("HAT")
    await office.shop.order("HAT")
    for kind, said in (("export-products", "HAT"), ("export-orders", "HAT")):
        sent = {"kind": kind, "format": "csv", "with_stock": "1"}
        answer = await office.staff.send("/en/admin/transfers/exports", sent)
        text = await finished(office, answer.location)
        assert "Download the file" in text
        file = await office.staff.open(f"{answer.location}/output")
        assert (file.status, said in file.text, "ada@example.com" in file.text) == (200, True, False)
        assert file.headers["content-disposition"].startswith("attachment")
        assert file.headers["content-type"] == "application/octet-stream"
        assert "no-store" in file.headers["cache-control"]
        assert file.headers["content-length"] == str(len(file.text.encode())), "or nobody knows how far it has come"
    assert (await office.staff.open(f"{answer.location}/report")).status == 404
    assert (await office.staff.open("/en/admin/transfers/123/output")).status == 404


async def parked(office: Office, body: bytes, number: int = 0) -> str:
    """The address of a dead letter of products."""
    shop = office.shop.shop
    (name,) = [consumer for service, consumer in shop.inboxes if service == "products"]
    event_id = shop.ids.new(slot=7)
    envelope = Envelope(
        id=event_id,
        type=AvailabilityChanged.type,
        source="inventory",
        time=shop.clock.now(),
        slot=7,
        aggregate="HAT",
        version=number + 1,
        body=msgspec.Raw(body),
    )
    await shop.inboxes["products", name].park(envelope, error="LookupError: <b>not mended</b>", attempts=5)
    return f"/en/admin/dead-letters/products/{name}/{event_id}"


GOOD = b'{"sku":"HAT","location":"main","is_available":true}'
BAD = b'{"sku":7}'


async def test_a_dead_letter_is_shown_delivered_again_and_gone(office: Office):
    path = await parked(office, GOOD)
    assert path in (await office.staff.open("/en/admin/dead-letters?service=products")).text
    assert path not in (await office.staff.open("/en/admin/dead-letters?service=orders")).text
    assert re.search(r'class="alarm".*?<strong>1</strong>', (await office.staff.open("/en/admin")).text, re.S)
    text = (await office.staff.open(path)).text
    assert html.escape("<b>not mended</b>") in text
    assert "<b>not mended" not in text
    assert '"sku": "HAT"' in html.unescape(text)

    answer = await office.staff.send(f"{path}/replay", {})

    assert (answer.status, answer.location) == (303, "/en/admin/dead-letters?done=replayed")
    assert (await office.staff.open(path)).status == 404
    assert "No dead letters" in (await office.staff.open("/en/admin/dead-letters")).text
    assert (await office.staff.send(f"{path}/replay", {})).status == 404


async def test_a_letter_that_fails_again_stays_and_can_be_discarded(office: Office):
    path = await parked(office, BAD)
    again = await office.staff.send(f"{path}/replay", {})
    assert (again.status, "failed again" in again.text) == (409, True)

    for _ in range(2):
        assert (await office.staff.send(f"{path}/discard", {})).location.endswith("done=discarded")
    assert (await office.staff.open(path)).status == 404


async def test_many_dead_letters_are_paged(office: Office):
    paths = {await parked(office, BAD, number) for number in range(60)}
    found, page = set(), "/en/admin/dead-letters"
    while page:
        text = (await office.staff.open(page)).text
        found |= set(re.findall(r'href="(/en/admin/dead-letters/products/[^"]+)"', text))
        more = re.search(r'href="([^"]+)" rel="next"', text)
        page = html.unescape(more[1]) if more else ""
    assert found == paths
