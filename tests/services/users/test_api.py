"""The public routes of users, handed their requests."""

from typing import Any

import pytest

from hansa.kernel.channel import Channel
from hansa.kernel.principal import Principal
from hansa.platform.http.errors import BodyInvalid, NoSuchRoute
from hansa.platform.http.route import Call
from hansa.services.users import api
from hansa.services.users.api import (
    AddressDraft,
    ConsentDraft,
    CustomerQuery,
    Inquiry,
    PasswordChange,
    ProfileChange,
)
from hansa.services.users.contract import NoSuchAddress, NotSignedIn
from tests.services.users.conftest import World
from tests.services.users.test_addresses import HOME, WORK
from tests.services.users.test_profile import NEW
from tests.services.users.test_users import PASSWORD, register, sign_in

SHOP = Channel(locales=("en", "zh"))


def call(user_id: str, *, key: str, token: str = "") -> Call:
    return Call(
        principal=Principal(user_id),
        channel=SHOP,
        locale="en",
        currency="USD",
        key=key,
        version=None,
        remote="192.0.2.1",
        token=token,
        headers={},
        correlation="",
    )


async def ask(world: World, route: str, request: Call, **arguments: Any) -> Any:
    handlers = {one.name: one.handler for one in api.routes(world.users)}
    return await handlers[route](request, **arguments)


async def test_a_member_keeps_a_profile(world: World):
    ada = await register(world)

    renamed = await ask(world, "change_me", call(ada.id, key="a"), body=ProfileChange(name="Ada King", locale="zh"))
    with pytest.raises(BodyInvalid) as refusal:
        await ask(world, "change_me", call(ada.id, key="b"), body=ProfileChange(locale="tlh"))

    assert (renamed.id, renamed.name, renamed.locale) == (ada.id, "Ada King", "zh")
    assert refusal.value.pointer == "/locale"
    assert await ask(world, "me", call(ada.id, key="c")) == renamed


async def test_a_member_who_changes_the_password_stays_signed_in_here_alone(world: World):
    ada = await register(world)
    here, there = await sign_in(world), await sign_in(world, key="s2")

    body = PasswordChange(old=PASSWORD, new=NEW)
    assert await ask(world, "change_password", call(ada.id, key="a", token=here.token), body=body) == ada

    await world.users.authenticate(token=here.token)
    with pytest.raises(NotSignedIn):
        await world.users.authenticate(token=there.token)


async def test_a_member_keeps_an_address_book_that_nobody_else_opens(world: World):
    ada, eve = await register(world), await register(world, key="r2", email="eve@example.com")

    home = await ask(world, "add_address", call(ada.id, key="a"), body=AddressDraft(address=HOME))
    with pytest.raises(NoSuchAddress):
        await ask(world, "put_address", call(eve.id, key="b"), address_id=home.id, body=AddressDraft(address=WORK))
    with pytest.raises(NoSuchAddress):
        await ask(world, "remove_address", call(eve.id, key="c"), address_id=home.id)
    moved = await ask(world, "put_address", call(ada.id, key="d"), address_id=home.id, body=AddressDraft(address=WORK))

    assert (await ask(world, "list_addresses", call(ada.id, key="e"))).items == (moved,)
    assert (await ask(world, "list_addresses", call(eve.id, key="f"))).items == ()
    await ask(world, "remove_address", call(ada.id, key="g"), address_id=home.id)
    assert (await ask(world, "list_addresses", call(ada.id, key="h"))).items == ()


async def test_a_member_says_what_is_allowed(world: World):
    ada = await register(world)

    await ask(world, "put_consent", call(ada.id, key="a"), purpose="marketing", body=ConsentDraft(given=True))
    with pytest.raises(NoSuchRoute):
        await ask(world, "put_consent", call(ada.id, key="b"), purpose="everything", body=ConsentDraft(given=True))

    said = (await ask(world, "list_consents", call(ada.id, key="c"))).items
    assert {each.purpose: each.given for each in said} == {"behaviour": False, "marketing": True}


async def test_staff_find_somebody_masked_and_look_behind_the_mask_for_a_reason(world: World):
    ada = await register(world)

    [item] = (await ask(world, "list_customers", call("1", key="a"), query=CustomerQuery(q=ada.email))).items
    seen = await ask(world, "get_customer", call("1", key="b"), user_id=item.id)
    clear = await ask(world, "reveal_customer", call("1", key="c"), user_id=item.id, body=Inquiry(reason="a call"))

    assert (seen.id, seen.email_masked) == (ada.id, item.email_masked)
    assert clear == ada
