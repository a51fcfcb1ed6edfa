"""Where a command finds the shop: on the data folder, or through the process that owns it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from hansa.cli.answers import Refusal
from hansa.compose import compose
from hansa.compose.shop import Shop
from hansa.compose.stored import migrate_all
from hansa.platform.leases.folder import FolderOwned, OwnedFolder, Owner, find_owner, own
from hansa.services.shipping.contract import Shipping
from hansa.settings import Settings, SettingsInvalid

OWNER_LOOKS = 20
OWNER_LOOK_S = 0.25


@asynccontextmanager
async def owned_shop(settings: Settings) -> AsyncIterator[tuple[Shop, OwnedFolder]]:
    """The shop on the data folder, which nobody else owns meanwhile; its databases are up to date."""
    try:
        owned = own(settings.folder)
    except OSError as error:
        raise Refusal(f"the data folder {settings.folder} cannot be used: {error.strerror}") from None
    try:
        await migrate_all(settings, is_apart=True)
        shop = await compose(settings)
        try:
            if nowhere := set(settings.countries) - set(await shop.client(Shipping).countries()):
                raise SettingsInvalid(f"countries (HANSA_COUNTRIES) is wrong: nothing is delivered to {min(nowhere)}")
            yield shop, owned
        finally:
            await shop.close()
    finally:
        owned.release()


@asynccontextmanager
async def clients(
    settings: Settings, *, only_asks: bool = False, makes_shop: bool = True
) -> AsyncIterator[Callable[[type], Any]]:
    """Clients through the process that owns the data folder, or on the folder itself when nobody does; what was begun
    there is brought to its end, unless one `only_asks`. A shop is made where there is none, unless one says
    otherwise."""
    if only_asks or not makes_shop:
        assert_shop(settings)
    async with AsyncExitStack() as stack:
        try:
            shop, _ = await stack.enter_async_context(owned_shop(settings))
        except FolderOwned:
            owner = await reachable_owner(settings)
            # A shop that serves can do without the 11 MB of what it takes to call another.
            from hansa.platform.rpc.remote import connected

            yield await stack.enter_async_context(connected(address=owner.address, token=owner.token))
        else:
            yield shop.client
            if not only_asks:
                await shop.settle()


def assert_shop(settings: Settings) -> None:
    """Raises Refusal where there has never been a shop."""
    if not (settings.folder / "master.key").exists():
        raise Refusal(f"there is no shop in {settings.folder}")


async def reachable_owner(settings: Settings) -> Owner:
    """Who owns the folder, when it has just begun to serve and not yet said where."""
    for _ in range(OWNER_LOOKS):
        if (owner := find_owner(settings.folder)) is not None:
            return owner
        await asyncio.sleep(OWNER_LOOK_S)
    raise Refusal(f"{settings.folder} is in use by a Hansa process that cannot be reached; try again in a moment")
