"""An address for mail has one account, and a book one default, in whatever order two who write of a person meet."""

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any

import pytest
from sqlalchemy import bindparam, select

from hansa.kernel.address import Address
from hansa.kernel.ids import slot_of
from hansa.platform.database.port import Database
from hansa.platform.database.statement import Statement
from hansa.platform.security.passwords import Passwords
from hansa.platform.security.sealing import Keyring
from hansa.services.users.contract import EmailTaken, NoSuchAddress, SavedAddress, User
from hansa.services.users.service import UsersService
from hansa.services.users.tables import ADDRESSES
from tests.isolation.ground import KEYRING, Ground
from tests.isolation.stepping import Explored, Scene, explore

PASSWORD = "correct horse battery"
_ADDRESSES_OF = Statement(
    select(ADDRESSES).where(ADDRESSES.c.slot == bindparam("of_slot"), ADDRESSES.c.user_id == bindparam("of_user"))
)


class Desk:
    """Users of one process that prepares, and of two that meet."""

    def __init__(self, ground: Ground, doors: Sequence[Database], keyring: Keyring, passwords: Passwords) -> None:
        self.ground, self.database = ground, doors[0]
        self.one, self.two, self.three = [
            UsersService(database=door, clock=ground.clock, ids=ids, keyring=keyring, passwords=passwords)
            for door, ids in zip(doors, ground.ids_of_all, strict=True)
        ]
        self.made = 0

    def email(self) -> str:
        self.made += 1
        return f"ada-{self.ground.day}-{self.made}@example.org"

    def register(self, users: UsersService, email: str, *, key: str) -> Awaitable[User]:
        return users.register(key=f"{email} {key}", email=email, password=PASSWORD, name="Ada")

    async def user(self) -> str:
        return (await self.register(self.one, self.email(), key="k")).id

    def put(
        self, users: UsersService, user_id: str, address_id: str | None, *, key: str, is_default: bool = False
    ) -> Awaitable[SavedAddress]:
        address = Address(name="Ada", line1=key, city="London", postal_code="N1", country="GB")
        return users.put_address(
            key=key, user_id=user_id, address_id=address_id, address=address, is_default=is_default
        )

    async def defaults(self, user_id: str) -> list[bool]:
        """Of each kept address, whether it is the default."""
        rows = await self.database.all(_ADDRESSES_OF, of_slot=slot_of(user_id), of_user=int(user_id))
        return sorted(bool(row["is_default"]) for row in rows)

    async def explore(self, prepare: Any, *, switches: int = 1) -> Explored:
        return await explore(self.ground.stage, prepare, switches=switches)


@pytest.fixture
async def desk(ground: Ground) -> AsyncIterator[Desk]:
    passwords = Passwords(memory_kib=8, passes=1)
    async with ground.database("users") as database, ground.database(KEYRING) as keys:
        keyring = Keyring(database=keys, master=bytes(32), clock=ground.clock)
        yield Desk(ground, (database, *ground.stepped(database)), keyring, passwords)
    passwords.close()


async def test_an_address_registered_twice_at_once_is_one_account(desk: Desk) -> None:
    async def prepare() -> Scene:
        email = desk.email()

        async def check(*outcomes: Any) -> None:
            assert {type(outcome) for outcome in outcomes} == {User, EmailTaken}
            with pytest.raises(EmailTaken):
                await desk.register(desk.one, email, key="late")

        return Scene(
            (lambda: desk.register(desk.two, email, key="a"), lambda: desk.register(desk.three, email, key="b")), check
        )

    explored = await desk.explore(prepare)
    assert len(explored.outcomes) == 2
    assert explored.waits > 0


async def test_a_registration_repeated_at_once_is_one_account(desk: Desk) -> None:
    async def prepare() -> Scene:
        email = desk.email()

        async def check(first: Any, second: Any) -> None:
            assert first == second

        return Scene(
            (lambda: desk.register(desk.two, email, key="a"), lambda: desk.register(desk.three, email, key="a")), check
        )

    await desk.explore(prepare)


async def test_an_address_changed_while_it_is_removed_is_gone_or_was_never_changed(desk: Desk) -> None:
    async def prepare() -> Scene:
        user = await desk.user()
        await desk.put(desk.one, user, None, key="first")
        other = await desk.put(desk.one, user, None, key="second")

        async def check(put: Any, removed: Any) -> None:
            assert removed is None
            assert isinstance(put, (SavedAddress, NoSuchAddress))
            assert await desk.defaults(user) == [True], "what is left is the default"

        return Scene(
            (
                lambda: desk.put(desk.two, user, other.id, key="put", is_default=True),
                lambda: desk.three.remove_address(key="remove", user_id=user, address_id=other.id),
            ),
            check,
        )

    explored = await desk.explore(prepare)
    assert len(explored.outcomes) == 2


async def test_of_two_defaults_put_at_once_one_is_it(desk: Desk) -> None:
    async def prepare() -> Scene:
        user = await desk.user()

        async def check(*_: Any) -> None:
            assert await desk.defaults(user) == [False, True]

        return Scene(
            (
                lambda: desk.put(desk.two, user, None, key="a", is_default=True),
                lambda: desk.put(desk.three, user, None, key="b", is_default=True),
            ),
            check,
        )

    await desk.explore(prepare)


async def test_the_default_removed_while_another_comes_has_an_heir(desk: Desk) -> None:
    async def prepare() -> Scene:
        user = await desk.user()
        first = await desk.put(desk.one, user, None, key="first")

        async def check(*_: Any) -> None:
            assert await desk.defaults(user) == [True]

        return Scene(
            (
                lambda: desk.put(desk.two, user, None, key="a"),
                lambda: desk.three.remove_address(key="remove", user_id=user, address_id=first.id),
            ),
            check,
        )

    await desk.explore(prepare)
