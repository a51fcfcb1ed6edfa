"""The public routes of users and sessions."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from hansa.kernel.address import Email
from hansa.platform.http.route import ANYONE, MEMBER, Api, Call, Route
from hansa.services.users.contract import Password, PersonName, Session, User, Users


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants an account."""

    email: Email
    password: Password
    name: PersonName = ""


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Who says to be whom."""

    email: Email
    password: Annotated[str, msgspec.Meta(max_length=256)]


def routes(users: Users) -> Sequence[Route]:
    api = Api("users")

    @api.post("/users", access=ANYONE, calls=Users.register)
    async def register(call: Call, *, body: Registration) -> User:
        """Make an account."""
        return await users.register(
            key=call.key, email=body.email, password=body.password, name=body.name, locale=call.locale
        )

    @api.get("/users/me", access=MEMBER, calls=Users.get)
    async def me(call: Call) -> User:
        """The account that is signed in."""
        return await users.get(user_id=call.user_id or "")

    @api.post("/sessions", access=ANYONE, calls=Users.sign_in)
    async def sign_in(call: Call, *, body: Credentials) -> Session:
        """Sign in: send the token as `Authorization: Bearer …` from then on."""
        return await users.sign_in(key=call.key, email=body.email, password=body.password, remote=call.remote)

    @api.delete("/sessions/current", access=MEMBER, calls=Users.sign_out)
    async def sign_out(call: Call) -> None:
        """Sign out: the token is worth nothing from then on."""
        await users.sign_out(key=call.key, token=call.token)

    return api.routes
