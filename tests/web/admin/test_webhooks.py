"""The room of webhooks: to make one, look after it, and send again what did not arrive."""

import html
import re

from hansa.services.notifications.contract import Notifications, WebhookChange
from hansa.services.notifications.rules import webhooks as rules
from hansa.services.notifications.store import webhooks as store
from tests.web.admin.conftest import Office, changed, form_of

ROOM = "/en/admin/webhooks"
HOOK = "https://erp.example.com/hook"
CANCELLED = "promotions.flash_sale_cancelled.v1"
"""Does not happen here, so that nothing is sent anywhere."""
SECRET = re.compile(r"whsec_[A-Za-z0-9+/]+=*")


def client(office: Office) -> Notifications:
    found: Notifications = office.shop.shop.client(Notifications)
    return found


async def made(office: Office, url: str = HOOK) -> tuple[str, str]:
    """A webhook by its page, and its secret."""
    form = form_of((await office.staff.open(ROOM)).text, ROOM)
    answer = await office.staff.send(ROOM, changed([*form, ("type", CANCELLED)], url=url, description="For the ERP"))
    assert answer.status == 200, answer.text
    found = re.search(r'action="(/en/admin/webhooks/[0-9]+)/ping"', answer.text)
    assert found is not None
    return found[1], SECRET.findall(answer.text)[0]


def sheet(text: str, page: str) -> list[tuple[str, str]]:
    """The form in which a webhook is changed; that of the log before it has the same address."""
    return form_of(text[text.index('id="change"') :], page)


async def test_a_webhook_is_made_and_its_secret_shown_this_once(office: Office):
    page, secret = await made(office)
    again, rooms = (await office.staff.open(page)).text, (await office.staff.open(ROOM)).text

    assert secret not in again + rooms
    assert HOOK in rooms
    assert "For the ERP" in again
    assert re.search(rf'value="{CANCELLED}" checked', again)
    assert (await client(office).webhooks()).items[0].types == (CANCELLED,)


async def test_a_form_that_is_sent_twice_makes_one_webhook(office: Office):
    form = changed(form_of((await office.staff.open(ROOM)).text, ROOM), url=HOOK)
    first, second = [(await office.staff.send(ROOM, form)).text for _ in range(2)]

    assert SECRET.findall(first) == SECRET.findall(second)
    assert len((await client(office).webhooks()).items) == 1


async def test_what_is_wrong_with_an_address_stands_next_to_it_and_nothing_typed_is_lost(office: Office):
    form = form_of((await office.staff.open(ROOM)).text, ROOM)
    for url, said in (
        ("", "Please fill this in."),
        ("http://erp.example.com/", "The address must begin with https://."),
        ("https://127.0.0.1/", "This is an address of an internal network."),
        ("https://localhost/", "This is not the name of a public host."),
    ):
        answer = await office.staff.send(ROOM, changed([*form, ("type", CANCELLED)], url=url, description="ERP & <co>"))
        assert answer.status == 422
        assert said in answer.text
        assert 'value="ERP &amp; &lt;co&gt;"' in answer.text
        assert re.search(rf'value="{CANCELLED}" checked', answer.text)
    assert (await client(office).webhooks()).items == ()


async def test_a_webhook_is_changed_paused_and_let_go_on(office: Office):
    page, _ = await made(office)
    form = sheet((await office.staff.open(page)).text, page)
    moved = await office.staff.send(page, changed(form, url="https://new.example.com/", description=""))
    assert (moved.status, moved.location) == (303, f"{page}?saved=1")
    assert "https://new.example.com/" in (await office.staff.open(page)).text

    for act, state in (("pause", "Paused"), ("resume", "Active")):
        shown = (await office.staff.open(page)).text
        assert (await office.staff.send(f"{page}/{act}", form_of(shown, f"{page}/{act}"))).status == 303
        assert f">{state}</span>" in (await office.staff.open(page)).text


async def test_two_who_change_the_same_webhook_are_told_of_each_other(office: Office):
    page, _ = await made(office)
    mine = sheet((await office.staff.open(page)).text, page)
    theirs = sheet((await office.colleague.open(page)).text, page)
    assert (await office.colleague.send(page, changed(theirs, description="Theirs"))).status == 303
    conflict = await office.staff.send(page, changed(mine, description="Mine"))
    assert conflict.status == 412
    assert "Theirs" in conflict.text

    assert (await office.staff.send(page, sheet(conflict.text, page))).status == 303
    assert (await client(office).webhooks()).items[0].description == "Mine"


async def test_a_secret_is_shown_again_and_changed(office: Office):
    page, secret = await made(office)
    text = (await office.staff.open(page)).text
    shown = await office.staff.send(f"{page}/secret", form_of(text, f"{page}/secret"))
    rotated = await office.staff.send(f"{page}/rotate", form_of(text, f"{page}/rotate"))

    assert SECRET.findall(shown.text) == [secret]
    assert SECRET.findall(rotated.text) not in ([], [secret])
    assert "signed with the secret before this one as well, until" in rotated.text
    for answer in (shown, rotated):
        assert "no-store" in answer.headers["cache-control"]


async def test_a_test_event_stands_in_the_log_and_is_shown_and_sent_again(office: Office):
    page, _ = await made(office)
    text = (await office.staff.open(page)).text
    moved = await office.staff.send(f"{page}/ping", form_of(text, f"{page}/ping"))
    assert moved.location == f"{page}?done=pinged"
    listed = (await office.staff.open(moved.location)).text
    found = re.search(rf'href="({page}/deliveries/[0-9]+)"', listed)
    assert found is not None

    shown = (await office.staff.open(found[1])).text
    assert '"type": "notifications.ping.v1"' in html.unescape(shown)
    replayed = await office.staff.send(f"{found[1]}/replay", form_of(shown, f"{found[1]}/replay"))
    assert (replayed.status, replayed.location) == (303, f"{found[1]}?done=replayed")
    assert (await office.staff.open(f"{page}?state=delivered")).status == 200
    assert (await office.staff.open(f"{page}/deliveries/1")).status == 404


async def test_what_failed_is_sent_again_once_a_minute(office: Office):
    page, _ = await made(office)
    form = form_of((await office.staff.open(page)).text, f"{page}/replay")
    first, second = [await office.staff.send(f"{page}/replay", form) for _ in range(2)]

    assert first.location == f"{page}?done=replaying"
    assert second.status == 409
    assert "Wait a minute" in second.text


async def test_a_webhook_that_the_shop_has_stopped_says_why(office: Office):
    page, _ = await made(office)
    shop = office.shop.shop
    async with shop.databases["notifications"].write() as tx:
        await store.stop(
            tx, webhook_id=page.rpartition("/")[2], state=rules.FAILING, reason="timeout", at=shop.clock.now()
        )
    text = (await office.staff.open(page)).text

    assert "the shop has stopped trying" in text
    assert "no answer within 15 seconds" in text
    refused = await office.staff.send(f"{page}/ping", form_of(text, f"{page}/ping"))
    assert (refused.status, "Let it go on first" in refused.text) == (409, True)


async def test_a_deleted_webhook_is_gone(office: Office):
    page, _ = await made(office)
    form = form_of((await office.staff.open(page)).text, f"{page}/delete")
    assert (await office.staff.send(f"{page}/delete", form)).location == f"{ROOM}?done=deleted"
    assert (await office.staff.send(f"{page}/delete", form)).status == 303, "sent twice"

    assert (await office.staff.open(page)).status == 404
    assert HOOK not in (await office.staff.open(ROOM)).text


async def test_addresses_that_name_nothing_are_not_found(office: Office):
    for path in ("x", "0", "1", "1/deliveries/x", "x/deliveries/1", "99999999999999999999"):
        assert (await office.staff.open(f"{ROOM}/{path}")).status == 404, path
    for act in ("ping", "pause", "secret", "rotate", "replay", "deliveries/1/replay"):
        answer = await office.staff.send(f"{ROOM}/1/{act}", {"key": "x"})
        assert answer.status in (404, 409), act


async def test_the_room_speaks_chinese(office: Office):
    page, _ = await made(office)
    for path in ("/zh/admin/webhooks", page.replace("/en/", "/zh/")):
        text = (await office.staff.open(path)).text
        assert "网络钩子" in text
        assert "staff_webhook." not in text
    await client(office).change_webhook(
        key="zh",
        webhook_id=page.rpartition("/")[2],
        change=WebhookChange(is_paused=True),
        version=None,
        actor="user:1",
    )
    assert "已暂停" in (await office.staff.open("/zh/admin/webhooks")).text
